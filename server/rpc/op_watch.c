/* Watch: events of jobs of other connections, too. Answered by Done; what is watched is said as it stands
 * first. */
#include "rpc/operation.h"

#define NS_PER_MS UINT64_C(1000000)

static bool add(struct session *session, uint64_t request_id, uint64_t job_id, uint64_t interval_ns)
{
        int r = watch_add(session, job_id, interval_ns);

        if (r == -ENOENT)
                session_refuse_field(session, request_id, "jobs", r, KC_CLASS_NOT_FOUND,
                    "job %llu: there is no such job", (unsigned long long)job_id);
        else if (r == -E2BIG)
                session_refuse_field(session, request_id, "jobs", r, KC_CLASS_LIMIT,
                    "jobs: more than %u named; watch all of them instead", WATCH_JOBS_MAX);
        else if (r < 0)
                session_lost(session, "out of memory");
        return r == 0;
}

/* Whether the store is to tell: of what has happened, or of a job that the engine does not know any more. */
static bool is_the_stores(const struct session *session, const Kcopy__V1__Watch *watch)
{
        struct engine_job_view view;

        return watch->from_event > 0 ||
               (session->rpc->config.store &&
                   (engine_job_get(session->rpc->config.engine, watch->jobs[0], &view) < 0 ||
                       !peer_may_see(&session->peer, view.owner)));
}

static void replay(
    struct session *session, uint64_t request_id, const Kcopy__V1__Watch *watch, uint64_t interval_ns)
{
        struct rpc *rpc = session->rpc;
        uint64_t job_id = watch->jobs[0];
        struct engine_job_view view;
        bool known = engine_job_get(rpc->config.engine, job_id, &view) == 0 &&
                     peer_may_see(&session->peer, view.owner);

        if (known && !copy_spec_detached(view.spec)) {
                session_refuse_field(session, request_id, "from_event", -EINVAL, KC_CLASS_UNSUPPORTED,
                    "from_event: job %llu is not detached, and only the events of those are kept",
                    (unsigned long long)job_id);
        } else if (!rpc->config.store) {
                op_no_such_job(session, request_id, job_id);
        } else {
                if (known && !view.result && interval_ns > 0)
                        watch_add_progress(session, job_id, interval_ns);
                records_replay(session, request_id, job_id, watch->from_event);
        }
}

void op_watch_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        const Kcopy__V1__Watch *watch = request->watch;
        uint64_t interval_ms = watch->progress_interval_ms;

        if (interval_ms && interval_ms < KC_PROGRESS_INTERVAL_MIN_MS)
                interval_ms = KC_PROGRESS_INTERVAL_MIN_MS;
        if (watch->from_event > 0 && (watch->n_jobs != 1 || watch->stop)) {
                session_refuse_field(session, request_id, "from_event", -EINVAL, KC_CLASS_INVALID,
                    "from_event: is of one job; name one");
                return;
        }
        if (watch->n_jobs == 1 && !watch->stop && is_the_stores(session, watch)) {
                replay(session, request_id, watch, interval_ms * NS_PER_MS);
                return;
        }
        if (watch->n_jobs == 0 && watch->stop) {
                watch_remove_all(session);
        } else if (watch->n_jobs == 0) {
                if (watch_add_all(session, interval_ms * NS_PER_MS) < 0) {
                        session_lost(session, "out of memory");
                        return;
                }
        }
        for (size_t i = 0; i < watch->n_jobs; i++) {
                if (watch->stop) {
                        replay_end(session, watch->jobs[i]);
                        watch_remove(session, watch->jobs[i]);
                } else if (!add(session, request_id, watch->jobs[i], interval_ms * NS_PER_MS)) {
                        return;
                }
        }
        if (session_is_live(session))
                session_done(session, request_id);
}
