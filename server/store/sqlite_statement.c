/* Statements: see sqlite_statement.h. */
#include "store/sqlite_statement.h"

#include <assert.h>

#include "store/schema.h"

/* The numbers of enum job_state from which on a job has ended. */
#define ENDED "state >= 5"

_Static_assert((int)N_STATEMENTS <= (int)SQLITE_STATEMENTS, "room for all");
_Static_assert((int)JOB_COMPLETED == 5, "ENDED");

#define COLUMNS                                                                                              \
        "id, epoch, identity, key, spec, state, reason, next_seq, created_ms, ended_ms, length_bytes, "      \
        "result, mark "

static const char *const texts[N_STATEMENTS] = {
    [FIND_KEY] = "SELECT id, asked, length_bytes FROM job WHERE identity = ?1 AND key = ?2",
    [INSERT_JOB] = "INSERT INTO job (id, epoch, identity, key, spec, asked, length_bytes, state, reason, "
                   "next_seq, created_ms, mark) VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, 1, '', 1, ?7, ?8)",
    [CLAIM_JOBS] = "UPDATE job SET epoch = epoch + 1 WHERE NOT (" ENDED ")",
    [UNENDED_JOBS] = "SELECT " COLUMNS "FROM job WHERE NOT (" ENDED ") ORDER BY id",
    [EPOCH_OF] = "SELECT epoch FROM job WHERE id = ?1",
    [UPDATE_STATE] = "UPDATE job SET state = ?2, reason = ?3 WHERE id = ?1",
    [UPDATE_MARK] = "UPDATE job SET mark = ?2 WHERE id = ?1",
    [UPDATE_SPEC] = "UPDATE job SET spec = ?2 WHERE id = ?1",
    [UPDATE_END] = "UPDATE job SET result = ?2, ended_ms = ?3, mark = NULL WHERE id = ?1",
    [UPDATE_SEQ] = "UPDATE job SET next_seq = ?2 WHERE id = ?1",
    [INSERT_EVENT] = "REPLACE INTO event (job, seq, at_ms, body) VALUES (?1, ?2, ?3, ?4)",
    [STATE_OF] = "SELECT state FROM job WHERE id = ?1",
    [DELETE_JOB] = "DELETE FROM job WHERE id = ?1",
    [ONE_JOB] = "SELECT " COLUMNS "FROM job WHERE id = ?1",
    [JOBS_AFTER] = "SELECT " COLUMNS "FROM job WHERE id > ?1 ORDER BY id LIMIT ?2",
    [EVENTS_AFTER] = "SELECT seq, at_ms, body FROM event WHERE job = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    [PRUNE_OLD] = "DELETE FROM job WHERE ended_ms < ?1",
    [PRUNE_MANY] = "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE ended_ms IS NOT NULL "
                   "ORDER BY ended_ms DESC, id DESC LIMIT -1 OFFSET ?1)",
    [NEXT_ID] = "SELECT next FROM ids",
    [SET_NEXT_ID] = "UPDATE ids SET next = ?1",
};

void sqlite_statements_done(struct sqlite_statements *statements)
{
        for (unsigned i = 0; i < N_STATEMENTS; i++) {
                (void)sqlite3_finalize(statements->at[i]);
                statements->at[i] = NULL;
        }
}

static int fail(const struct op *op, int code)
{
        return schema_error(op->db, code, NULL, op->err);
}

sqlite3_stmt *statement_begin(const struct op *op, enum statement statement, int *ret_status)
{
        sqlite3_stmt **at = &op->statements->at[statement];
        int code;

        if (!*at) {
                code = sqlite3_prepare_v3(op->db, texts[statement], -1, SQLITE_PREPARE_PERSISTENT, at, NULL);
                if (code != SQLITE_OK) {
                        *ret_status = fail(op, code);
                        return NULL;
                }
        }
        (void)sqlite3_reset(*at);
        (void)sqlite3_clear_bindings(*at);
        *ret_status = 0;
        return *at;
}

void statement_number(sqlite3_stmt *at, int place, uint64_t number)
{
        (void)sqlite3_bind_int64(at, place, (sqlite3_int64)number);
}

void statement_text(sqlite3_stmt *at, int place, const char *text)
{
        if (text)
                (void)sqlite3_bind_text(at, place, text, -1, SQLITE_STATIC);
}

void statement_bytes(sqlite3_stmt *at, int place, const struct codec_bytes *bytes)
{
        if (bytes->data)
                (void)sqlite3_bind_blob(at, place, bytes->data, (int)bytes->bytes, SQLITE_STATIC);
}

int statement_next_row(const struct op *op, sqlite3_stmt *at)
{
        int code = sqlite3_step(at);

        if (code == SQLITE_ROW)
                return 1;
        (void)sqlite3_reset(at);
        return code == SQLITE_DONE ? 0 : fail(op, code);
}

int statement_finish(const struct op *op, sqlite3_stmt *at)
{
        int r = statement_next_row(op, at);

        assert(r <= 0);
        return r;
}

int statement_one_number(const struct op *op, sqlite3_stmt *at, uint64_t *ret_number)
{
        int r = statement_next_row(op, at);

        if (r <= 0)
                return r;
        *ret_number = (uint64_t)sqlite3_column_int64(at, 0);
        (void)sqlite3_reset(at);
        return 1;
}
