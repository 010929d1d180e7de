/* kcopyctl adjust: a detached job goes on with another rate or priority. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/units.h"
#include "ctl/usage.h"

struct wishes {
        struct ids ids;
        unsigned flags, priority;
        uint64_t rate_bytes_per_s;
};

enum { KEY_RATE = 256, KEY_PRIORITY };

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        struct wishes *wishes = state->input;
        uint64_t priority;
        bool has_unit;

        switch (key) {
        case KEY_RATE:
                if (strcmp(arg, "none") != 0 &&
                    (units_parse(arg, strlen(arg), &wishes->rate_bytes_per_s, &has_unit) != UNITS_OK ||
                        !wishes->rate_bytes_per_s)) {
                        argp_error(state,
                            "--rate: %s is neither a number of bytes per second, as in 500M, nor none", arg);
                        return EINVAL;
                }
                wishes->flags |= KCOPY_ADJUST_RATE;
                return 0;
        case KEY_PRIORITY:
                if (units_parse(arg, strlen(arg), &priority, &has_unit) != UNITS_OK || has_unit ||
                    priority > 7) {
                        argp_error(state, "--priority: %s is not 0 to 7", arg);
                        return EINVAL;
                }
                wishes->priority = (unsigned)priority;
                wishes->flags |= KCOPY_ADJUST_PRIORITY;
                return 0;
        case ARGP_KEY_INIT:
                state->child_inputs[0] = &wishes->ids;
                return 0;
        case ARGP_KEY_END:
                if (wishes->flags)
                        return 0;
                argp_error(state, "nothing to adjust; give --rate, --priority or both");
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static enum ctl_status adjust(
    const struct ctl *ctl, struct session *session, const struct wishes *wishes, uint64_t job)
{
        int rc =
            kcopy_adjust_job(session->client, job, wishes->flags, wishes->rate_bytes_per_s, wishes->priority);
        char subject[40];

        if (rc < 0) {
                snprintf(subject, sizeof(subject), "job %" PRIu64, job);
                return session_failed(session, rc, subject);
        }
        if (ctl->json)
                json_line(json_pack("{s:s, s:o}", "event", "adjusting", "job", json_number(job)));
        else
                printf("job %" PRIu64 ": goes on so\n", job);
        return CTL_DONE;
}

enum ctl_status cmd_adjust(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_option OPTIONS[] = {
            {"rate", KEY_RATE, "BYTES_PER_S", 0,
                "At most so much data per second and destination (units: K M G T), or none", 0},
            {"priority", KEY_PRIORITY, "0-7", 0, "Share against your other jobs", 0},
            {0},
        };
        static const struct argp_child CHILDREN[] = {
            {&ids_argp, 0, NULL, 0}, {&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {.options = OPTIONS,
            .parser = parse_option,
            .args_doc = "ID...",
            .doc =
                "Have detached jobs go on with another rate or priority, also after a restart of the server.",
            .children = CHILDREN};
        struct wishes wishes = {.ids.n_min = 1};
        struct session session;
        enum ctl_status status, worst;

        usage_parse(&ARGP, argc, argv, false, NULL, &wishes);
        worst = session_open(&session, ctl, 1);
        if (worst != CTL_DONE)
                return worst;
        for (unsigned i = 0; i < wishes.ids.n && worst != CTL_NO_SERVER; i++) {
                status = adjust(ctl, &session, &wishes, wishes.ids.items[i]);
                if (status > worst)
                        worst = status;
        }
        session_close(&session, worst != CTL_NO_SERVER);
        return worst;
}
