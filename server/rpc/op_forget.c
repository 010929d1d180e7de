/* Forget: the record of a detached job that has ended. Answered by Done. */
#include "rpc/operation.h"

void op_forget_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        uint64_t job_id = request->forget->job;
        struct engine_job_view view;
        bool known = engine_job_get(session->rpc->config.engine, job_id, &view) == 0 &&
                     peer_may_see(&session->peer, view.owner);

        if (known && !copy_spec_detached(view.spec))
                session_refuse_field(session, request_id, "job", -EINVAL, KC_CLASS_UNSUPPORTED,
                    "job %llu: only detached jobs are kept; it is forgotten within an hour of its end",
                    (unsigned long long)job_id);
        else if (session->rpc->config.store)
                records_forget(session, request_id, job_id);
        else
                op_no_such_job(session, request_id, job_id);
}
