/* Cancel: ask for a job's end. Answered by Done; the job's Completion still comes to its owner. */
#include "rpc/operation.h"

void op_cancel_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        struct engine *engine = session->rpc->config.engine;
        uint64_t job_id = request->cancel->job;
        struct engine_job_view view;

        if (engine_job_get(engine, job_id, &view) < 0 || !peer_may_see(&session->peer, view.owner) ||
            engine_job_cancel(engine, job_id) < 0)
                session_refuse_field(session, request_id, "job", -ENOENT, KC_CLASS_NOT_FOUND,
                    "job %llu: there is no such job", (unsigned long long)job_id);
        else
                session_done(session, request_id);
}
