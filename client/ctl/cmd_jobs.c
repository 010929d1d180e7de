/* kcopyctl jobs: a table of one's own jobs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/text.h"
#include "ctl/units.h"
#include "ctl/usage.h"

struct listing {
        const struct ctl *ctl;
        bool terminal, detached;
        unsigned states; /* 1 << enum kcopy_job_state; 0: all */
        bool head;       /* the table's head has been printed */
};

static uint64_t done_bytes(const struct kcopy_destination_result *result)
{
        return result->copied_bytes + result->zeroed_bytes + result->skipped_bytes;
}

/* How much of all that the job is to do, at all its destinations, is done; 100 is for everything. */
static unsigned done_percent(const struct kcopy_job_info *job)
{
        double all = (double)job->length_bytes * job->n_destinations, done = 0;
        bool everything = true;

        for (unsigned i = 0; i < job->n_destinations; i++) {
                uint64_t bytes = done_bytes(&job->destinations[i].result);

                done += (double)bytes;
                everything = everything && bytes >= job->length_bytes;
        }
        if (everything)
                return job->length_bytes || job->state == KCOPY_COMPLETED ? 100 : 0;
        return all > 0 && done < all ? (unsigned)(done / all * 99.999) : 99;
}

static void visit(void *opaque, const struct kcopy_job_info *job)
{
        struct listing *listing = opaque;
        char size[UNITS_TEXT_BYTES], elapsed[UNITS_TEXT_BYTES], name[TEXT_ESCAPED_BYTES];

        if ((listing->states && !(listing->states >> job->state & 1)) ||
            (listing->detached && !job->detached))
                return;
        if (listing->ctl->json) {
                listing->head = true;
                json_line(json_job(job));
                return;
        }
        if (!listing->head)
                printf("%13s %-9s %10s %5s %9s  %s\n", "JOB", "STATE", "SIZE", "DONE", "TIME", "WHAT");
        listing->head = true;
        printf("%13" PRIu64 " %-9s %10s %4u%% %9s  %s", job->job, text_state(job->state),
            units_format(job->length_bytes, size), done_percent(job),
            units_format_duration(job->elapsed_ms / 1000, elapsed),
            job->zero ? "zero" : text_escape(job->source_device, name));
        for (unsigned i = 0; i < job->n_destinations; i++)
                printf(" %s %s", i == 0 ? "->" : "+", text_escape(job->destinations[i].device, name));
        if (job->reason[0])
                printf("  (%s)", text_escape(job->reason, name));
        puts("");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        struct listing *listing = state->input;

        switch (key) {
        case 'a':
                listing->terminal = true;
                return 0;
        case 'd':
                listing->detached = true;
                return 0;
        case 's':
                for (unsigned i = KCOPY_WAITING; i <= KCOPY_CANCELLED; i++) {
                        if (strcmp(arg, text_state((enum kcopy_job_state)i)) != 0)
                                continue;
                        listing->states |= 1u << i;
                        listing->terminal |= i >= KCOPY_COMPLETED;
                        return 0;
                }
                argp_error(state,
                    "--state: %s is none; they are waiting, running, paused, draining, completed, failed and "
                    "cancelled",
                    arg);
                return EINVAL;
        case ARGP_KEY_ARG:
                argp_error(state, "%s: jobs takes no arguments (job ID shows one)", arg);
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

enum ctl_status cmd_jobs(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_option OPTIONS[] = {
            {"all", 'a', NULL, 0,
                "Those that have ended, too: within the last hour, detached ones as long as they are kept",
                0},
            {"detached", 'd', NULL, 0, "Detached ones only", 0},
            {"state", 's', "STATE", 0, "Those in this state; may be given again", 0},
            {0},
        };
        static const struct argp_child CHILDREN[] = {{&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {.options = OPTIONS,
            .parser = parse_option,
            .doc = "List your jobs on the server (root: everybody's).\vDONE is the share of all that is to "
                   "be written, at all "
                   "destinations together, that is copied, zeroed or skipped.",
            .children = CHILDREN};
        struct listing listing = {.ctl = ctl};
        struct session session;
        enum ctl_status status;
        int rc;

        usage_parse(&ARGP, argc, argv, false, NULL, &listing);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        rc = kcopy_list_jobs(session.client, listing.terminal, visit, &listing);
        if (rc < 0)
                status = session_failed(&session, rc, NULL);
        else if (!listing.head && !ctl->json)
                puts(listing.terminal || listing.states ? "no jobs"
                                                        : "no jobs (--all shows those that have ended)");
        session_close(&session, rc == 0);
        return status;
}
