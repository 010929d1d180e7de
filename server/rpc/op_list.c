/* List and Get: jobs that the peer may see, as JobList (a page) and JobInfo. Those that have ended are the
 * store's to tell of, if there is one (records.c). */
#include "rpc/operation.h"

void op_get_answer(struct session *session, uint64_t request_id, const struct engine_job_view *view)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;

        kc_budget_reset(&session->rpc->build);
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_JOB_INFO;
        message.job_info =
            encode_job(&session->rpc->build, session->rpc->config.engine, view, OPERATION_BODY_MAX_BYTES);
        if (message.job_info)
                session_send(session, &message);
        else
                session_lost(session, "out of memory");
}

void op_get_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        struct rpc *rpc = session->rpc;
        uint64_t job_id = request->get->job;
        struct engine_job_view view;

        if (engine_job_get(rpc->config.engine, job_id, &view) == 0 &&
            peer_may_see(&session->peer, view.owner))
                op_get_answer(session, request_id, &view);
        else if (rpc->config.store)
                records_get(session, request_id, job_id);
        else
                op_no_such_job(session, request_id, job_id);
}

void op_no_such_job(struct session *session, uint64_t request_id, uint64_t job_id)
{
        session_refuse_field(session, request_id, "job", -ENOENT, KC_CLASS_NOT_FOUND,
            "job %llu: there is no such job", (unsigned long long)job_id);
}

void op_list_begin(struct session *session, struct op_list_page *ret_page, unsigned limit)
{
        kc_budget_reset(&session->rpc->build);
        kcopy__v1__job_list__init(&ret_page->body);
        ret_page->n_max = limit && limit < KC_LIST_PAGE_MAX ? limit : KC_LIST_PAGE_MAX;
        ret_page->left_bytes = OPERATION_BODY_MAX_BYTES;
        ret_page->full = false;
}

void op_list_add(struct session *session, struct op_list_page *page, const struct engine_job_view *view)
{
        struct rpc *rpc = session->rpc;
        Kcopy__V1__JobInfo *info = NULL;

        if (page->body.n_jobs < page->n_max)
                info = encode_job(&rpc->build, rpc->config.engine, view, page->left_bytes);
        page->full = !info;
        if (!info)
                return;
        page->jobs[page->body.n_jobs++] = info;
        /* a tag and a length of at most 3 bytes each */
        page->left_bytes -= kcopy__v1__job_info__get_packed_size(info);
        page->left_bytes -= page->left_bytes < 6 ? page->left_bytes : 6;
}

void op_list_send(struct session *session, uint64_t request_id, struct op_list_page *page)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;

        page->body.jobs = page->jobs;
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_JOB_LIST;
        message.job_list = &page->body;
        session_send(session, &message);
}

void op_list_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        struct engine *engine = session->rpc->config.engine;
        const Kcopy__V1__List *list = request->list;
        uint64_t after = list->after_job;
        struct engine_job_view view;
        struct op_list_page page;

        if (list->terminal && session->rpc->config.store) {
                records_list(session, request_id, list);
                return;
        }
        op_list_begin(session, &page, list->limit);
        while (!page.full && engine_job_next(engine, after, list->terminal, &view) == 0) {
                after = view.job_id;
                if (peer_may_see(&session->peer, view.owner))
                        op_list_add(session, &page, &view);
        }
        page.body.more = page.full;
        op_list_send(session, request_id, &page);
}
