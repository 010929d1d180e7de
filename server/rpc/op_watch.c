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

void op_watch_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        const Kcopy__V1__Watch *watch = request->watch;
        uint64_t interval_ms = watch->progress_interval_ms;

        if (interval_ms && interval_ms < KC_PROGRESS_INTERVAL_MIN_MS)
                interval_ms = KC_PROGRESS_INTERVAL_MIN_MS;
        if (watch->n_jobs == 0 && watch->stop) {
                watch_remove_all(session);
        } else if (watch->n_jobs == 0) {
                if (watch_add_all(session, interval_ms * NS_PER_MS) < 0) {
                        session_lost(session, "out of memory");
                        return;
                }
        }
        for (size_t i = 0; i < watch->n_jobs; i++) {
                if (watch->stop)
                        watch_remove(session, watch->jobs[i]);
                else if (!add(session, request_id, watch->jobs[i], interval_ms * NS_PER_MS))
                        return;
        }
        if (session_is_live(session))
                session_done(session, request_id);
}
