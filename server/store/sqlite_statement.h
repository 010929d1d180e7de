/* The statements of the store, and one request being carried out with them. Thread: the store's. */
#ifndef STORE_SQLITE_STATEMENT_H
#define STORE_SQLITE_STATEMENT_H

#include "store/packed.h"
#include "store/sqlite_ops.h"

enum statement {
        FIND_KEY,
        INSERT_JOB,
        CLAIM_JOBS,
        UNENDED_JOBS,
        EPOCH_OF,
        UPDATE_STATE,
        UPDATE_MARK,
        UPDATE_SPEC,
        UPDATE_END,
        UPDATE_SEQ,
        INSERT_EVENT,
        STATE_OF,
        DELETE_JOB,
        ONE_JOB,
        JOBS_AFTER,
        EVENTS_AFTER,
        PRUNE_OLD,
        PRUNE_MANY,
        NEXT_ID,
        SET_NEXT_ID,
        N_STATEMENTS,
};

/* One request being carried out. */
struct op {
        sqlite3 *db;
        struct sqlite_statements *statements;
        struct store_req *req;
        const struct packed *packed;
        struct kc_error *err;
};

/* The statement, reset, without parameters; NULL: *ret_status says why. */
sqlite3_stmt *statement_begin(const struct op *op, enum statement statement, int *ret_status);
void statement_number(sqlite3_stmt *at, int place, uint64_t number);
/* Borrowed until the statement has run; NULL, or nothing, stays NULL. */
void statement_text(sqlite3_stmt *at, int place, const char *text);
void statement_bytes(sqlite3_stmt *at, int place, const struct codec_bytes *bytes);
/* 1: a row; 0: none any more; negative: error. */
int statement_next_row(const struct op *op, sqlite3_stmt *at);
/* One that has no rows. */
int statement_finish(const struct op *op, sqlite3_stmt *at);
/* One that has a single number for an answer: 1 and *ret_number, 0 none, or negative. */
int statement_one_number(const struct op *op, sqlite3_stmt *at, uint64_t *ret_number);

#endif
