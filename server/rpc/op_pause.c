/* Pause and Resume: of a detached job. Answered by Done; what comes of it is among the job's events. */
#include "rpc/operation.h"

static void run(struct session *session, uint64_t request_id, uint64_t job_id,
    int (*ask)(struct engine *engine, uint64_t job_id), const char *what)
{
        struct engine *engine = session->rpc->config.engine;
        struct engine_job_view view;
        int r = engine_job_get(engine, job_id, &view);

        if (r == 0 && !peer_may_see(&session->peer, view.owner))
                r = -ENOENT;
        if (r == 0 && view.result)
                r = -EALREADY;
        if (r == 0)
                r = ask(engine, job_id);
        if (r == -ENOENT)
                session_refuse_field(session, request_id, "job", r, KC_CLASS_NOT_FOUND,
                    "job %llu: there is no such job", (unsigned long long)job_id);
        else if (r == -EALREADY)
                session_refuse_field(session, request_id, "job", r, KC_CLASS_CONFLICT, "job %llu: has ended",
                    (unsigned long long)job_id);
        else if (r < 0)
                session_refuse_field(session, request_id, "job", r, KC_CLASS_UNSUPPORTED,
                    "job %llu: only detached jobs can be %s", (unsigned long long)job_id, what);
        else
                session_done(session, request_id);
}

void op_pause_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        run(session, request_id, request->pause->job, engine_job_pause, "paused; cancel it");
}

void op_resume_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        run(session, request_id, request->resume->job, engine_job_resume, "resumed");
}
