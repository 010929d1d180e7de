/* Pause, Resume, Adjust: of a detached job. Answered by Done; what comes of it is among the job's events. */
#include "rpc/operation.h"

static int check(struct session *session, uint64_t job_id)
{
        struct engine_job_view view;
        int r = engine_job_get(session->rpc->config.engine, job_id, &view);

        if (r == 0 && !peer_may_see(&session->peer, view.owner))
                return -ENOENT;
        return r == 0 && view.result ? -EALREADY : r;
}

static void answer(struct session *session, uint64_t request_id, uint64_t job_id, int r, const char *what)
{
        if (r == -ENOENT)
                op_no_such_job(session, request_id, job_id);
        else if (r == -EALREADY)
                session_refuse_field(session, request_id, "job", r, KC_CLASS_CONFLICT, "job %llu: has ended",
                    (unsigned long long)job_id);
        else if (r < 0)
                session_refuse_field(session, request_id, "job", r, KC_CLASS_UNSUPPORTED,
                    "job %llu: only detached jobs can be %s", (unsigned long long)job_id, what);
        else
                session_done(session, request_id);
}

static void run(struct session *session, uint64_t request_id, uint64_t job_id,
    int (*ask)(struct engine *engine, uint64_t job_id), const char *what)
{
        int r = check(session, job_id);

        answer(session, request_id, job_id, r < 0 ? r : ask(session->rpc->config.engine, job_id), what);
}

void op_pause_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        run(session, request_id, request->pause->job, engine_job_pause, "paused; cancel it");
}

void op_resume_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        run(session, request_id, request->resume->job, engine_job_resume, "resumed");
}

void op_adjust_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        const Kcopy__V1__Adjust *adjust = request->adjust;
        const struct engine_adjustment adjustment = {.set_rate = adjust->set_rate,
            .rate_bytes_per_s = adjust->rate_bytes_per_s,
            .set_priority = adjust->set_priority,
            .priority = adjust->priority};
        int r = check(session, adjust->job);

        if (adjust->priority > COPY_PRIORITY_MAX) {
                session_refuse_field(session, request_id, "priority", -EINVAL, KC_CLASS_INVALID,
                    "priority: is %u, and 0 to %u is all there is", adjust->priority, COPY_PRIORITY_MAX);
                return;
        }
        if (r == 0)
                r = engine_job_adjust(session->rpc->config.engine, adjust->job, &adjustment);
        if (r == -ENOMEM)
                session_lost(session, "out of memory");
        else
                answer(session, request_id, adjust->job, r, "adjusted");
}
