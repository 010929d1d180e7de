/* Requests that the store answers (records.h). */
#include "rpc/records.h"

#include <stdlib.h>

#include "copy/store.h"
#include "rpc/operation.h"

#define NS_PER_MS UINT64_C(1000000)

struct call { /* a request that waits for the store */
        struct store_req req;
        struct session *session;
        uint64_t request_id, job_id;
        void (*then)(struct call *call);
};

static void end_call(struct call *call)
{
        struct session *session = call->session;

        store_req_done(&call->req);
        free(call);
        session->calls.n--;
        session_wake(session);
        session_release(session);
}

static void on_done(struct store_req *req)
{
        struct call *call = kc_container_of(req, struct call, req);

        call->then(call);
}

/* The call stays for `then`, which ends it or asks again. */
static void ask(struct call *call, enum store_op op, void (*then)(struct call *call))
{
        struct session *session = call->session;

        call->req.op = op;
        call->req.job_id = call->job_id;
        call->req.on_done = on_done;
        call->then = then;
        if (store_submit(session->rpc->config.store, &call->req) == 0)
                return;
        session_lost(session, "out of memory");
        end_call(call);
}

static struct call *new_call(struct session *session, uint64_t request_id, uint64_t job_id)
{
        struct call *call = calloc(1, sizeof(*call));

        if (!call) {
                session_lost(session, "out of memory");
                return NULL;
        }
        call->session = session;
        call->request_id = request_id;
        call->job_id = job_id;
        session->calls.n++;
        session_hold(session);
        return call;
}

static void refuse(const struct call *call, const struct kc_error *error)
{
        struct engine_refusal refusal = {.field = "job", .error = *error};

        session_refuse(call->session, call->request_id, &refusal);
}

/* The record, if the peer may see it; else the request has been refused. */
static const struct store_job *found(const struct call *call)
{
        struct kc_error error = call->req.error;

        if (call->req.status == 0 && peer_may_see(&call->session->peer, call->req.jobs[0].identity))
                return &call->req.jobs[0];
        if (call->req.status == 0)
                kc_error_set(&error, -ENOENT, KC_CLASS_NOT_FOUND, "job %llu: there is no such job",
                    (unsigned long long)call->job_id);
        refuse(call, &error);
        return NULL;
}

/* ---- what a record looks like */

static struct engine_job_view view_of(const struct store_job *job)
{
        return (struct engine_job_view){
            .job_id = job->id,
            .state = job->state,
            .reason = job->reason,
            .owner = job->identity,
            .spec = job->spec,
            .length_bytes = job->length_bytes,
            .elapsed_ns = job->result ? job->result->elapsed_ns : job->age_ms * NS_PER_MS,
            .destinations = job->result ? job->result->destinations : NULL,
            .result = job->result,
        };
}

static void got(struct call *call)
{
        struct session *session = call->session;
        const struct store_job *job = found(call);
        struct engine_job_view view;

        if (job && session_is_live(session)) {
                view = view_of(job);
                op_get_answer(session, call->request_id, &view);
        }
        end_call(call);
}

void records_get(struct session *session, uint64_t request_id, uint64_t job_id)
{
        struct call *call = new_call(session, request_id, job_id);

        if (call)
                ask(call, STORE_GET, got);
}

/* ---- lists: what the engine knows and what only the store does, by number */

static bool next_record(
    const struct call *call, unsigned *at, uint64_t after, struct engine_job_view *ret_view)
{
        for (; *at < call->req.n_jobs; ++*at) {
                const struct store_job *job = &call->req.jobs[*at];

                if (job->id <= after || !peer_may_see(&call->session->peer, job->identity))
                        continue;
                *ret_view = view_of(job);
                return true;
        }
        return false;
}

static bool next_of_engine(const struct call *call, uint64_t after, struct engine_job_view *ret_view)
{
        struct engine *engine = call->session->rpc->config.engine;

        while (engine_job_next(engine, after, true, ret_view) == 0) {
                if (peer_may_see(&call->session->peer, ret_view->owner))
                        return true;
                after = ret_view->job_id;
        }
        return false;
}

static void listed(struct call *call)
{
        struct session *session = call->session;
        struct op_list_page page;
        uint64_t after = call->req.after, last_record = 0;
        struct engine_job_view of_engine, of_store;
        unsigned at = 0;

        if (!session_is_live(session)) {
                end_call(call);
                return;
        }
        if (call->req.status < 0) {
                refuse(call, &call->req.error);
                end_call(call);
                return;
        }
        if (call->req.n_jobs > 0)
                last_record = call->req.jobs[call->req.n_jobs - 1].id;
        op_list_begin(session, &page, call->req.limit);
        while (!page.full) {
                bool live = next_of_engine(call, after, &of_engine);
                bool stored = next_record(call, &at, after, &of_store);
                const struct engine_job_view *view = &of_engine;

                /* what the engine knows is newer */
                if (!live || (stored && of_store.job_id < of_engine.job_id))
                        view = &of_store;
                if (!live && !stored)
                        break;
                if (call->req.more && !stored && view->job_id > last_record) {
                        page.full = true; /* there may be records before it */
                        break;
                }
                op_list_add(session, &page, view);
                if (!page.full)
                        after = view->job_id;
        }
        if (page.body.n_jobs == 0 && !page.full && call->req.more) { /* all of them somebody else's */
                store_req_done(&call->req);
                call->req.after = last_record;
                ask(call, STORE_LIST, listed);
                return;
        }
        page.body.more |= page.full || call->req.more;
        op_list_send(session, call->request_id, &page);
        end_call(call);
}

void records_list(struct session *session, uint64_t request_id, const Kcopy__V1__List *list)
{
        struct call *call = new_call(session, request_id, 0);

        if (!call)
                return;
        call->req.after = list->after_job;
        call->req.limit = list->limit && list->limit < KC_LIST_PAGE_MAX ? list->limit : KC_LIST_PAGE_MAX;
        ask(call, STORE_LIST, listed);
}

/* ---- forgetting */

static void forgotten(struct call *call)
{
        if (call->req.status < 0)
                refuse(call, &call->req.error);
        else if (session_is_live(call->session))
                session_done(call->session, call->request_id);
        end_call(call);
}

static void to_be_forgotten(struct call *call)
{
        struct engine *engine = call->session->rpc->config.engine;
        struct kc_error error;

        if (!found(call)) {
                end_call(call);
                return;
        }
        if (engine_job_forget(engine, call->job_id) == -EBUSY) {
                kc_error_set(&error, -EBUSY, KC_CLASS_BUSY,
                    "job %llu: has not ended, or writes of it may still land; cancel it, or wait",
                    (unsigned long long)call->job_id);
                refuse(call, &error);
                end_call(call);
                return;
        }
        store_req_done(&call->req);
        ask(call, STORE_FORGET, forgotten);
}

void records_forget(struct session *session, uint64_t request_id, uint64_t job_id)
{
        struct call *call = new_call(session, request_id, job_id);

        if (call)
                ask(call, STORE_GET, to_be_forgotten);
}

/* ---- what has happened */

static void send_end(struct session *session, const struct store_job *job)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;

        kc_budget_reset(&session->rpc->build);
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION;
        message.completion = encode_completion(&session->rpc->build, job->id, job->spec, job->result, false);
        message.seq = job->next_seq - 1;
        if (message.completion)
                session_send(session, &message);
        else
                session_lost(session, "out of memory");
}

static void to_be_replayed(struct call *call)
{
        struct session *session = call->session;
        const struct store_job *job = found(call);

        if (!job || !session_is_live(session)) {
                end_call(call);
                return;
        }
        session_done(session, call->request_id);
        if (!session_is_live(session)) {
                end_call(call);
                return;
        }
        if (job->result && (call->req.after == 0 || call->req.after >= job->next_seq))
                send_end(session, job); /* there is no more to come */
        else if (call->req.after > 0)
                replay_begin(session, call->job_id, call->req.after, job->next_seq);
        end_call(call);
}

void records_replay(struct session *session, uint64_t request_id, uint64_t job_id, uint64_t from)
{
        struct call *call;

        if (from > 0 && session->replays.n >= REPLAYS_MAX) {
                session_refuse_field(session, request_id, "jobs", -E2BIG, KC_CLASS_LIMIT,
                    "jobs: %u are replayed on this connection, which is all it may have; use another one",
                    REPLAYS_MAX);
                return;
        }
        call = new_call(session, request_id, job_id);
        if (!call)
                return;
        call->req.after = from;
        ask(call, STORE_GET, to_be_replayed);
}
