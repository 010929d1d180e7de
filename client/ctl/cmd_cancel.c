/* kcopyctl cancel: ask for the end of jobs, and tell what came of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/text.h"

/* How a job stands before it is cancelled. */
static void on_job(void *opaque, const struct kcopy_job_info *job)
{
        enum kcopy_job_state *state = opaque;

        *state = job->state;
}

/* `state`: how it had ended before; KCOPY_RUNNING: it had not, and is being cancelled now. */
static void tell(const struct ctl *ctl, uint64_t job, enum kcopy_job_state state)
{
        bool over = state >= KCOPY_COMPLETED;

        if (ctl->json && over)
                json_line(json_pack(
                    "{s:s, s:o, s:s}", "event", "over", "job", json_number(job), "state", text_state(state)));
        else if (ctl->json)
                json_line(json_pack("{s:s, s:o}", "event", "cancelling", "job", json_number(job)));
        else if (over)
                printf("job %" PRIu64 ": had ended already: %s\n", job, text_state(state));
        else
                printf("job %" PRIu64 ": is being cancelled\n", job);
}

static enum ctl_status cancel(const struct ctl *ctl, struct session *session, uint64_t job)
{
        enum kcopy_job_state state = KCOPY_RUNNING;
        int rc = kcopy_get_job(session->client, job, on_job, &state);
        char subject[40];

        if (rc == 0 && state < KCOPY_COMPLETED)
                rc = kcopy_cancel_job(session->client, job);
        if (rc == 0) {
                tell(ctl, job, state);
                return CTL_DONE;
        }
        if (rc == -ENOENT && ctl->json)
                json_line(json_pack("{s:s, s:o}", "event", "not_found", "job", json_number(job)));
        snprintf(subject, sizeof(subject), "job %" PRIu64, job);
        return session_failed(session, rc, subject);
}

enum ctl_status cmd_cancel(const struct ctl *ctl, int argc, char **argv)
{
        struct ids ids = {.n_min = 1};
        struct session session;
        enum ctl_status status, worst;

        ids_parse("ID...", "Ask for the end of jobs (kcopyctl wait sees it).", argc, argv, &ids);
        worst = session_open(&session, ctl, 1);
        if (worst != CTL_DONE)
                return worst;
        for (unsigned i = 0; i < ids.n && worst != CTL_NO_SERVER; i++) {
                status = cancel(ctl, &session, ids.items[i]);
                if (status > worst)
                        worst = status;
        }
        session_close(&session, worst != CTL_NO_SERVER);
        return worst;
}
