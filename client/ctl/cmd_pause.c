/* kcopyctl pause, resume and forget: what needs a job's number and nothing else. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/json.h"
#include "ctl/session.h"

struct verb {
        const char *doc, *event, *said;
        int (*ask)(struct kcopy_client *client, uint64_t job);
};

static enum ctl_status ask(
    const struct ctl *ctl, struct session *session, const struct verb *verb, uint64_t job)
{
        int rc = verb->ask(session->client, job);
        char subject[40];

        if (rc < 0) {
                snprintf(subject, sizeof(subject), "job %" PRIu64, job);
                return session_failed(session, rc, subject);
        }
        if (ctl->json)
                json_line(json_pack("{s:s, s:o}", "event", verb->event, "job", json_number(job)));
        else
                printf("job %" PRIu64 ": %s\n", job, verb->said);
        return CTL_DONE;
}

static enum ctl_status run(const struct ctl *ctl, int argc, char **argv, const struct verb *verb)
{
        struct ids ids = {.n_min = 1};
        struct session session;
        enum ctl_status status, worst;

        ids_parse("ID...", verb->doc, argc, argv, &ids);
        worst = session_open(&session, ctl, 1);
        if (worst != CTL_DONE)
                return worst;
        for (unsigned i = 0; i < ids.n && worst != CTL_NO_SERVER; i++) {
                status = ask(ctl, &session, verb, ids.items[i]);
                if (status > worst)
                        worst = status;
        }
        session_close(&session, worst != CTL_NO_SERVER);
        return worst;
}

enum ctl_status cmd_pause(const struct ctl *ctl, int argc, char **argv)
{
        static const struct verb PAUSE = {"Have detached jobs stop where they are, until they are "
                                          "resumed.\vWhat they have done is kept; they "
                                          "hold no regions meanwhile.",
            "pausing", "is being paused", kcopy_pause_job};

        return run(ctl, argc, argv, &PAUSE);
}

enum ctl_status cmd_resume(const struct ctl *ctl, int argc, char **argv)
{
        static const struct verb RESUME = {
            "Have paused jobs go on, also those that were paused because a device had changed.", "resuming",
            "goes on", kcopy_resume_job};

        return run(ctl, argc, argv, &RESUME);
}

enum ctl_status cmd_forget(const struct ctl *ctl, int argc, char **argv)
{
        static const struct verb FORGET = {
            "Have the server forget detached jobs that have ended.\vTheir keys may be used again.",
            "forgotten", "is forgotten", kcopy_forget_job};

        return run(ctl, argc, argv, &FORGET);
}
