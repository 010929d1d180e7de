/* Detached jobs and the store: see detached.h. */
#include "copy/detached.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"

#define IDS_AT_ONCE (1u << 20)

/* ---- numbers */

struct reservation {
        struct store_req req;
        struct engine *engine;
};

static void on_more_ids(struct store_req *req)
{
        struct reservation *reservation = kc_container_of(req, struct reservation, req);
        struct engine *engine = reservation->engine;

        engine->reserving = false;
        if (req->status == 0) /* nobody else has any: they go on where the last ones end */
                engine->ids_end = req->job_id + req->limit;
        free(reservation);
        engine_check_closed(engine);
}

void detached_reserve_ids(struct engine *engine)
{
        struct reservation *reservation;

        if (!engine->config.store || engine->reserving || engine->closing ||
            engine->next_job_id + IDS_AT_ONCE / 2 < engine->ids_end)
                return;
        reservation = calloc(1, sizeof *reservation);
        if (!reservation)
                return;
        reservation->engine = engine;
        reservation->req.op = STORE_RESERVE;
        reservation->req.limit = IDS_AT_ONCE;
        reservation->req.on_done = on_more_ids;
        engine->reserving = store_submit(engine->config.store, &reservation->req) == 0;
        if (!engine->reserving)
                free(reservation);
}

/* ---- records that are kept for long enough */

#define PRUNE_NS (3600 * 1000 * KC_NS_PER_MS)

static void on_prune_timer(struct kc_timer *timer)
{
        detached_prune(kc_container_of(timer, struct engine, prune_timer));
}

static void prune_later(struct engine *engine)
{
        if (!engine->closing)
                kc_actor_timer_start(
                    engine->control, &engine->prune_timer, kc_actor_now_ns(engine->control) + PRUNE_NS);
}

struct pruning {
        struct store_req req;
        struct engine *engine;
};

static void on_pruned(struct store_req *req)
{
        struct pruning *pruning = kc_container_of(req, struct pruning, req);
        struct engine *engine = pruning->engine;

        if (req->status < 0)
                kc_log_warning(
                    "copy", "old jobs are kept, trying again in an hour error=\"%s\"", req->error.message);
        engine->prune = NULL;
        free(pruning);
        prune_later(engine);
        engine_check_closed(engine);
}

void detached_prune(struct engine *engine)
{
        struct pruning *pruning;

        kc_timer_init(&engine->prune_timer, on_prune_timer);
        if (engine->prune || engine->closing)
                return;
        pruning = calloc(1, sizeof *pruning);
        if (pruning) {
                pruning->engine = engine;
                pruning->req.op = STORE_PRUNE;
                pruning->req.prune.age_max_ms = engine->config.records_age_ms;
                pruning->req.prune.jobs_max = engine->config.records_max;
                pruning->req.on_done = on_pruned;
                if (store_submit(engine->config.store, &pruning->req) == 0) {
                        engine->prune = &pruning->req;
                        return;
                }
        }
        free(pruning);
        prune_later(engine);
}

/* ---- submissions */

struct creation {
        struct store_req req;
        struct job *job;
};

static void refuse(struct job *job, const char *field, const struct kc_error *error)
{
        job_refuse_with(job, field, error->code, error->class, error->message);
}

static void ask(struct job *job, enum store_op op, void (*on_done)(struct store_req *req))
{
        struct creation *creation = calloc(1, sizeof *creation);

        if (creation) {
                creation->job = job;
                creation->req.op = op;
                creation->req.create.job_id = job->id;
                creation->req.create.identity = job->owner->identity;
                creation->req.create.key = job->spec->lasting->key;
                creation->req.create.spec = job->spec;
                creation->req.create.length_bytes = job->length_bytes;
                creation->req.create.mark = job->lasting->mark;
                creation->req.on_done = on_done;
                if (store_submit(job->engine->config.store, &creation->req) == 0)
                        return;
        }
        free(creation);
        job_refuse_with(job, "", -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
}

static void on_found(struct store_req *req)
{
        struct creation *creation = kc_container_of(req, struct creation, req);
        struct job *job = creation->job;

        if (req->status < 0)
                refuse(job, req->status == -EEXIST ? "options.key" : "", &req->error);
        else if (req->existed)
                job_answer_existing(job, req->job_id, req->length_bytes);
        else
                job_resolve(job);
        free(creation);
}

void detached_find(struct job *job)
{
        if (!job->engine->config.store)
                job_refuse_with(job, "options.detached", -EOPNOTSUPP, KC_CLASS_UNSUPPORTED,
                    "options.detached: this server keeps no jobs; start it with --state");
        else if (job->spec->options.validate_only || !job->spec->lasting->key)
                job_resolve(job);
        else
                ask(job, STORE_FIND, on_found);
}

static void on_created(struct store_req *req)
{
        struct creation *creation = kc_container_of(req, struct creation, req);
        struct job *job = creation->job;
        struct engine_submission *submission = job->submission;
        uint64_t epoch = req->epoch;
        struct kc_error error = req->error;
        bool existed = req->existed;
        uint64_t job_id = req->job_id, length_bytes = req->length_bytes;

        free(creation);
        if (error.code < 0) {
                refuse(job, error.code == -EEXIST ? "options.key" : "", &error);
                return;
        }
        if (existed) {
                job_answer_existing(job, job_id, length_bytes);
                return;
        }
        job->lasting->journal = journal_new(job, epoch, 1);
        if (!job->lasting->journal) { /* it is stored all the same: the next daemon will run it */
                job_refuse_with(job, "", -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                return;
        }
        job_keep_record(job);
        job->engine->n_resolving--;
        job->submission = NULL;
        submission->on_accepted(submission, job->id, job->length_bytes);
        if (job->engine->closing)
                lasting_ask(job, SUSPEND_SHUTDOWN, NULL);
        else
                job_queue(job);
}

void detached_create(struct job *job)
{
        struct engine *engine = job->engine;

        if (engine->closing || engine->next_job_id >= engine->ids_end) {
                job_refuse_with(job, "", -ESHUTDOWN, KC_CLASS_STOPPED,
                    engine->closing ? "kcopyd: is shutting down; submit it again when the server runs"
                                    : "kcopyd: the job store gives no more numbers; see the log");
                return;
        }
        job->id = engine->next_job_id++;
        detached_reserve_ids(engine);
        ask(job, STORE_CREATE, on_created);
}

/* ---- recovery */

struct recovery {
        struct engine *engine;
        struct store_req req;
        void (*on_recovered)(void *arg, int status, const struct kc_error *error);
        void *arg;
};

/* Nothing beyond the mark is known of a run that died. */
static void doubt_all(struct store_mark *mark)
{
        for (unsigned i = 1; i < 1 + mark->n_to; i++)
                mark->ends[i].doubt_bytes = ledger_undecided(&mark->ends[i].ledger);
}

static int recover_job(struct engine *engine, struct store_job *from)
{
        struct owner *owner = owner_get(engine, from->identity);
        struct copy_spec *spec = from->spec;
        struct job *job;

        if (!owner)
                return -ENOMEM;
        from->spec = NULL;
        job = job_new(engine->detached, owner, spec);
        owner_unref(owner);
        if (!job)
                return -ENOMEM;
        job->id = from->id;
        job->length_bytes = from->length_bytes;
        job->lasting->mark = from->mark ? from->mark : store_mark_new(spec->n_to, from->length_bytes);
        from->mark = NULL;
        job->lasting->journal = journal_new(job, from->epoch, from->next_seq);
        if (!job->lasting->mark || !job->lasting->journal) {
                engine->detached->n_jobs--;
                job_free(job);
                return -ENOMEM;
        }
        job->lasting->resumed = true;
        doubt_all(job->lasting->mark);
        job_keep_record(job);
        job->accepted_ns -= from->age_ms * KC_NS_PER_MS; /* before this machine's time began, perhaps */
        lasting_recover(job, from->state == JOB_PAUSED ? from->reason : NULL);
        return 0;
}

static void done(struct recovery *recovery, int status, const struct kc_error *error)
{
        struct engine *engine = recovery->engine;
        struct recovery over = *recovery;

        engine->recovery = NULL;
        store_req_done(&recovery->req);
        free(recovery);
        if (status == 0)
                detached_prune(engine);
        over.on_recovered(over.arg, status, error);
        engine_check_closed(engine);
}

static void on_claimed(struct store_req *req)
{
        struct recovery *recovery = kc_container_of(req, struct recovery, req);
        struct kc_error error = req->error;
        int r = req->status;

        for (unsigned i = 0; i < req->n_jobs && r == 0; i++)
                r = recover_job(recovery->engine, &req->jobs[i]);
        if (r == -ENOMEM)
                kc_error_set(
                    &error, r, KC_CLASS_INTERNAL, "kcopyd: out of memory: jobs are left in the store");
        if (r == 0 && req->n_jobs > 0)
                kc_log_info("copy", "detached jobs go on jobs=%u", req->n_jobs);
        done(recovery, r, &error);
}

static void on_reserved(struct store_req *req)
{
        struct recovery *recovery = kc_container_of(req, struct recovery, req);
        struct engine *engine = recovery->engine;

        if (req->status < 0) {
                const struct kc_error error = req->error;

                done(recovery, error.code, &error);
                return;
        }
        engine->next_job_id = req->job_id;
        engine->ids_end = req->job_id + req->limit;
        req->op = STORE_CLAIM;
        req->on_done = on_claimed;
        if (store_submit(engine->config.store, req) < 0)
                done(recovery, -ENOMEM,
                    &(struct kc_error){.code = -ENOMEM, .message = "kcopyd: out of memory"});
}

int engine_recover(struct engine *engine,
    void (*on_recovered)(void *arg, int status, const struct kc_error *error), void *arg)
{
        struct recovery *recovery = calloc(1, sizeof *recovery);
        int r;

        if (!recovery)
                return -ENOMEM;
        recovery->engine = engine;
        recovery->on_recovered = on_recovered;
        recovery->arg = arg;
        recovery->req.op = STORE_RESERVE;
        recovery->req.limit = IDS_AT_ONCE;
        recovery->req.on_done = on_reserved;
        r = store_submit(engine->config.store, &recovery->req);
        if (r < 0)
                free(recovery);
        else
                engine->recovery = recovery;
        return r;
}
