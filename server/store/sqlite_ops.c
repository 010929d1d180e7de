/* Requests as SQL (sqlite_ops.h). */
#include "store/sqlite_ops.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "store/packed.h"
#include "store/sqlite_statement.h"

#define LIST_MAX 1000u /* whatever the limit that was asked for */

static int no_such_job(const struct op *op)
{
        return kc_error_set(op->err, -ENOENT, KC_CLASS_NOT_FOUND, "job %llu: there is no such job",
            (unsigned long long)op->req->job_id);
}

static int out_of_memory(const struct op *op)
{
        return kc_error_set(op->err, -ENOMEM, KC_CLASS_INTERNAL, "job store: out of memory");
}

/* ---- reading records */

static char *column_text(sqlite3_stmt *at, int column)
{
        const unsigned char *text = sqlite3_column_text(at, column);

        return text ? strdup((const char *)text) : NULL;
}

static int damaged(const struct op *op, uint64_t id, const char *what)
{
        return kc_error_set(op->err, -EUCLEAN, KC_CLASS_MEDIA,
            "job store: job %llu: its %s cannot be read; bring back a copy of the store, or forget the job",
            (unsigned long long)id, what);
}

/* `with_mark`: of a claim; others need none. */
static int read_job(const struct op *op, sqlite3_stmt *at, bool with_mark, struct store_job *ret_job)
{
        struct store_job *job = ret_job;

        *job = (struct store_job){
            .id = (uint64_t)sqlite3_column_int64(at, 0),
            .epoch = (uint64_t)sqlite3_column_int64(at, 1),
            .identity = column_text(at, 2),
            .key = column_text(at, 3),
            .spec = codec_unpack_spec(sqlite3_column_blob(at, 4), (size_t)sqlite3_column_bytes(at, 4)),
            .state = (enum job_state)sqlite3_column_int(at, 5),
            .reason = column_text(at, 6),
            .next_seq = (uint64_t)sqlite3_column_int64(at, 7),
            .created_ms = (uint64_t)sqlite3_column_int64(at, 8),
            .ended_ms = (uint64_t)sqlite3_column_int64(at, 9),
            .length_bytes = (uint64_t)sqlite3_column_int64(at, 10),
        };
        if (op->packed->at_ms > job->created_ms) /* unless the clock was set back */
                job->age_ms = op->packed->at_ms - job->created_ms;
        if (!job->identity || !job->reason)
                return out_of_memory(op);
        if (!job->spec)
                return damaged(op, job->id, "specification");
        if (sqlite3_column_type(at, 11) != SQLITE_NULL) {
                job->result = codec_unpack_result(
                    job->spec, sqlite3_column_blob(at, 11), (size_t)sqlite3_column_bytes(at, 11));
                if (!job->result)
                        return damaged(op, job->id, "result");
        }
        if (with_mark && sqlite3_column_type(at, 12) != SQLITE_NULL) {
                job->mark =
                    codec_unpack_mark(sqlite3_column_blob(at, 12), (size_t)sqlite3_column_bytes(at, 12));
                if (!job->mark)
                        return damaged(op, job->id, "checkpoint");
        }
        return 0;
}

/* All rows of the statement, at most `max` of them; one more only sets req->more. */
static int read_jobs(const struct op *op, sqlite3_stmt *at, bool with_marks, unsigned max)
{
        struct store_req *req = op->req;
        unsigned room = 0;
        int r;

        while ((r = statement_next_row(op, at)) > 0) {
                if (req->n_jobs == max) {
                        req->more = true;
                        r = 0;
                        break;
                }
                if (req->n_jobs == room) {
                        struct store_job *jobs;

                        room = room ? 2 * room : 16;
                        jobs = reallocarray(req->jobs, room, sizeof *jobs);
                        if (!jobs) {
                                r = out_of_memory(op);
                                break;
                        }
                        req->jobs = jobs;
                }
                r = read_job(op, at, with_marks, &req->jobs[req->n_jobs++]);
                if (r < 0)
                        break;
        }
        (void)sqlite3_reset(at);
        return r;
}

/* ---- requests */

/* The job of this key: 1 and req->job_id, 0 none; -EEXIST when it is another one. */
static int find_key(const struct op *op)
{
        const struct packed *packed = op->packed;
        sqlite3_stmt *at;
        int r, bytes;

        if (!packed->key)
                return 0;
        at = statement_begin(op, FIND_KEY, &r);
        if (!at)
                return r;
        statement_text(at, 1, packed->identity);
        statement_text(at, 2, packed->key);
        r = statement_next_row(op, at);
        if (r <= 0)
                return r;
        op->req->job_id = (uint64_t)sqlite3_column_int64(at, 0);
        op->req->length_bytes = (uint64_t)sqlite3_column_int64(at, 2);
        bytes = sqlite3_column_bytes(at, 1);
        if (bytes != (int)packed->asked.bytes ||
            (bytes > 0 && memcmp(sqlite3_column_blob(at, 1), packed->asked.data, (size_t)bytes) != 0))
                r = kc_error_set(op->err, -EEXIST, KC_CLASS_CONFLICT,
                    "key: job %llu has this key, and was to do something else; use another key",
                    (unsigned long long)op->req->job_id);
        (void)sqlite3_reset(at);
        return r;
}

static int find(const struct op *op)
{
        int r = find_key(op);

        op->req->existed = r > 0;
        return r < 0 ? r : 0;
}

static int create(const struct op *op)
{
        const struct packed *packed = op->packed;
        struct store_req *req = op->req;
        sqlite3_stmt *at;
        int r = find_key(op);

        if (r != 0) {
                req->existed = r > 0;
                return r < 0 ? r : 0;
        }
        at = statement_begin(op, INSERT_JOB, &r);
        if (!at)
                return r;
        statement_number(at, 1, req->create.job_id);
        statement_text(at, 2, packed->identity);
        statement_text(at, 3, packed->key);
        statement_bytes(at, 4, &packed->spec);
        statement_bytes(at, 5, &packed->asked);
        statement_number(at, 6, req->create.length_bytes);
        statement_number(at, 7, packed->at_ms);
        statement_bytes(at, 8, &packed->mark);
        req->job_id = req->create.job_id;
        req->epoch = 1;
        return statement_finish(op, at);
}

static int claim(const struct op *op)
{
        int r;
        sqlite3_stmt *at = statement_begin(op, CLAIM_JOBS, &r);

        if (at)
                r = statement_finish(op, at);
        if (r == 0 && (at = statement_begin(op, UNENDED_JOBS, &r)))
                r = read_jobs(op, at, true, UINT32_MAX);
        return r;
}

static int check_epoch(const struct op *op)
{
        uint64_t epoch;
        int r;
        sqlite3_stmt *at = statement_begin(op, EPOCH_OF, &r);

        if (!at)
                return r;
        statement_number(at, 1, op->req->job_id);
        r = statement_one_number(op, at, &epoch);
        if (r == 0)
                return no_such_job(op);
        if (r > 0 && epoch != op->req->epoch)
                return kc_error_set(op->err, -ESTALE, KC_CLASS_STOPPED,
                    "job %llu: another kcopyd has taken it over", (unsigned long long)op->req->job_id);
        return r < 0 ? r : 0;
}

static int update_bytes(const struct op *op, enum statement statement, const struct codec_bytes *bytes)
{
        sqlite3_stmt *at;
        int r = 0;

        if (!bytes->data || !(at = statement_begin(op, statement, &r)))
                return r;
        statement_number(at, 1, op->req->job_id);
        statement_bytes(at, 2, bytes);
        if (statement == UPDATE_END)
                statement_number(at, 3, op->packed->at_ms);
        return statement_finish(op, at);
}

static int update_state(const struct op *op)
{
        const struct store_req *req = op->req;
        sqlite3_stmt *at;
        int r = 0;

        if (!req->update.has_state || !(at = statement_begin(op, UPDATE_STATE, &r)))
                return r;
        statement_number(at, 1, req->job_id);
        statement_number(at, 2, req->update.state);
        statement_text(at, 3, op->packed->reason ? op->packed->reason : "");
        return statement_finish(op, at);
}

/* In the place of what has this number: if an update was stored and its answer lost, it comes again. */
static int insert_events(const struct op *op)
{
        const struct packed *packed = op->packed;
        const struct store_req *req = op->req;
        sqlite3_stmt *at;
        int r = 0;

        for (unsigned i = 0; i < packed->n_events && r == 0; i++) {
                at = statement_begin(op, INSERT_EVENT, &r);
                if (!at)
                        return r;
                statement_number(at, 1, req->job_id);
                statement_number(at, 2, req->update.first_seq + i);
                statement_number(at, 3, packed->at_ms);
                statement_bytes(at, 4, &packed->events[i]);
                r = statement_finish(op, at);
        }
        if (packed->n_events == 0 || r < 0 || !(at = statement_begin(op, UPDATE_SEQ, &r)))
                return r;
        statement_number(at, 1, req->job_id);
        statement_number(at, 2, req->update.first_seq + packed->n_events);
        return statement_finish(op, at);
}

static int update(const struct op *op)
{
        int r = check_epoch(op);

        if (r == 0)
                r = update_state(op);
        if (r == 0)
                r = update_bytes(op, UPDATE_MARK, &op->packed->mark);
        if (r == 0)
                r = update_bytes(op, UPDATE_SPEC, &op->packed->spec);
        if (r == 0)
                r = update_bytes(op, UPDATE_END, &op->packed->result);
        if (r == 0)
                r = insert_events(op);
        return r;
}

static int forget(const struct op *op)
{
        uint64_t state;
        int r;
        sqlite3_stmt *at = statement_begin(op, STATE_OF, &r);

        if (!at)
                return r;
        statement_number(at, 1, op->req->job_id);
        r = statement_one_number(op, at, &state);
        if (r == 0)
                return no_such_job(op);
        if (r > 0 && state < JOB_COMPLETED)
                return kc_error_set(op->err, -EBUSY, KC_CLASS_BUSY,
                    "job %llu: has not ended; cancel it first", (unsigned long long)op->req->job_id);
        if (r < 0 || !(at = statement_begin(op, DELETE_JOB, &r)))
                return r;
        statement_number(at, 1, op->req->job_id);
        return statement_finish(op, at);
}

static int get(const struct op *op)
{
        int r;
        sqlite3_stmt *at = statement_begin(op, ONE_JOB, &r);

        if (!at)
                return r;
        statement_number(at, 1, op->req->job_id);
        r = read_jobs(op, at, false, 1);
        return r == 0 && op->req->n_jobs == 0 ? no_such_job(op) : r;
}

static unsigned page(const struct store_req *req)
{
        return req->limit > 0 && req->limit < LIST_MAX ? req->limit : LIST_MAX;
}

static int list(const struct op *op)
{
        int r;
        sqlite3_stmt *at = statement_begin(op, JOBS_AFTER, &r);

        if (!at)
                return r;
        statement_number(at, 1, op->req->after);
        statement_number(at, 2, page(op->req) + 1);
        return read_jobs(op, at, false, page(op->req));
}

static int read_events(const struct op *op, sqlite3_stmt *at)
{
        struct store_req *req = op->req;
        int r;

        while ((r = statement_next_row(op, at)) > 0) {
                struct store_event *event = &req->events[req->n_events];
                int bytes = sqlite3_column_bytes(at, 2);

                if (req->n_events == page(req)) {
                        req->more = true;
                        r = 0;
                        break;
                }
                event->seq = (uint64_t)sqlite3_column_int64(at, 0);
                event->at_ms = (uint64_t)sqlite3_column_int64(at, 1);
                event->body_bytes = (uint32_t)bytes;
                event->body = malloc(bytes > 0 ? (size_t)bytes : 1);
                if (!event->body) {
                        r = out_of_memory(op);
                        break;
                }
                if (bytes > 0)
                        memcpy(event->body, sqlite3_column_blob(at, 2), (size_t)bytes);
                req->n_events++;
        }
        (void)sqlite3_reset(at);
        return r;
}

static int exists(const struct op *op)
{
        uint64_t state;
        int r;
        sqlite3_stmt *at = statement_begin(op, STATE_OF, &r);

        if (!at)
                return r;
        statement_number(at, 1, op->req->job_id);
        r = statement_one_number(op, at, &state);
        return r == 0 ? no_such_job(op) : r < 0 ? r : 0;
}

static int events(const struct op *op)
{
        struct store_req *req = op->req;
        int r;
        sqlite3_stmt *at;

        req->events = calloc(page(req) + 1, sizeof *req->events);
        if (!req->events)
                return out_of_memory(op);
        at = statement_begin(op, EVENTS_AFTER, &r);
        if (!at)
                return r;
        statement_number(at, 1, req->job_id);
        statement_number(at, 2, req->after);
        statement_number(at, 3, page(req) + 1);
        r = read_events(op, at);
        return r < 0 || req->n_events > 0 ? r : exists(op);
}

static int prune(const struct op *op)
{
        int r;
        sqlite3_stmt *at = statement_begin(op, PRUNE_OLD, &r);

        if (!at)
                return r;
        statement_number(at, 1, op->packed->at_ms - kc_min_u64(op->req->prune.age_max_ms, op->packed->at_ms));
        r = statement_finish(op, at);
        if (r < 0 || !(at = statement_begin(op, PRUNE_MANY, &r)))
                return r;
        statement_number(at, 1, op->req->prune.jobs_max);
        return statement_finish(op, at);
}

static int reserve(const struct op *op)
{
        struct store_req *req = op->req;
        int r;
        sqlite3_stmt *at = statement_begin(op, NEXT_ID, &r);

        if (at)
                r = statement_one_number(op, at, &req->job_id);
        if (r == 0)
                return damaged(op, 0, "next number");
        if (r < 0 || !(at = statement_begin(op, SET_NEXT_ID, &r)))
                return r;
        statement_number(at, 1, req->job_id + req->limit);
        return statement_finish(op, at);
}

int sqlite_run(sqlite3 *db, struct sqlite_statements *statements, struct store_req *req, struct kc_error *err)
{
        static int (*const runs[])(const struct op *op) = {
            [STORE_FIND] = find,
            [STORE_CREATE] = create,
            [STORE_CLAIM] = claim,
            [STORE_UPDATE] = update,
            [STORE_FORGET] = forget,
            [STORE_GET] = get,
            [STORE_LIST] = list,
            [STORE_EVENTS] = events,
            [STORE_PRUNE] = prune,
            [STORE_RESERVE] = reserve,
        };
        const struct op op = {db, statements, req, req->packed, err};

        return runs[req->op](&op);
}
