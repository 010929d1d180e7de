/* List and Get: jobs that the peer may see, as JobList (a page) and JobInfo. */
#include "rpc/operation.h"

/* What is left of a frame for the JobInfo, with room for the envelope. */
#define BODY_MAX_BYTES (KC_FRAME_MAX_BYTES - 64)

void op_get_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        struct engine *engine = session->rpc->config.engine;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        uint64_t job_id = request->get->job;
        struct engine_job_view view;

        if (engine_job_get(engine, job_id, &view) < 0 || !peer_may_see(&session->peer, view.owner)) {
                session_refuse_field(session, request_id, "job", -ENOENT, KC_CLASS_NOT_FOUND,
                    "job %llu: there is no such job", (unsigned long long)job_id);
                return;
        }
        kc_budget_reset(&session->rpc->build);
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_JOB_INFO;
        message.job_info = encode_job(&session->rpc->build, engine, &view, BODY_MAX_BYTES);
        if (message.job_info)
                session_send(session, &message);
        else
                session_lost(session, "out of memory");
}

void op_list_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        struct engine *engine = session->rpc->config.engine;
        const Kcopy__V1__List *list = request->list;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__JobList body = KCOPY__V1__JOB_LIST__INIT;
        Kcopy__V1__JobInfo *jobs[KC_LIST_PAGE_MAX];
        size_t n_max = list->limit && list->limit < KC_LIST_PAGE_MAX ? list->limit : KC_LIST_PAGE_MAX;
        size_t left_bytes = BODY_MAX_BYTES;
        uint64_t after = list->after_job;
        struct engine_job_view view;

        kc_budget_reset(&session->rpc->build);
        while (engine_job_next(engine, after, list->terminal, &view) == 0) {
                after = view.job_id;
                if (!peer_may_see(&session->peer, view.owner))
                        continue;
                if (body.n_jobs < n_max)
                        jobs[body.n_jobs] = encode_job(&session->rpc->build, engine, &view, left_bytes);
                if (body.n_jobs == n_max || !jobs[body.n_jobs]) {
                        body.more = true;
                        break;
                }
                /* a tag and a length of at most 3 bytes each */
                left_bytes -= kcopy__v1__job_info__get_packed_size(jobs[body.n_jobs]);
                left_bytes -= left_bytes < 6 ? left_bytes : 6;
                body.n_jobs++;
        }
        body.jobs = jobs;
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_JOB_LIST;
        message.job_list = &body;
        session_send(session, &message);
}
