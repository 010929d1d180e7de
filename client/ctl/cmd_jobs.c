/* kcopyctl jobs: a table of everybody's jobs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/text.h"
#include "ctl/units.h"
#include "ctl/usage.h"

struct listing {
        const struct ctl *ctl;
        bool terminal;
        bool head; /* the table's head has been printed */
};

static uint64_t done_bytes(const struct kcopy_destination_result *result)
{
        return result->copied_bytes + result->zeroed_bytes + result->skipped_bytes;
}

/* What every destination has; while the job goes on, every one that goes on. */
static uint64_t done_least(const struct kcopy_job_info *job)
{
        uint64_t least = UINT64_MAX, most = 0;

        for (unsigned i = 0; i < job->n_destinations; i++) {
                uint64_t done = done_bytes(&job->destinations[i].result);

                if (done > most)
                        most = done;
                if (done < least && (job->result || !job->destinations[i].done))
                        least = done;
        }
        return least < most ? least : most;
}

static void visit(void *opaque, const struct kcopy_job_info *job)
{
        struct listing *listing = opaque;
        char size[UNITS_TEXT_BYTES], elapsed[UNITS_TEXT_BYTES], name[TEXT_ESCAPED_BYTES];
        uint64_t least = done_least(job);

        if (listing->ctl->json) {
                json_line(json_job(job));
                return;
        }
        if (!listing->head)
                printf("%13s %-9s %10s %5s %9s  %s\n", "JOB", "STATE", "SIZE", "DONE", "TIME", "WHAT");
        listing->head = true;
        printf("%13" PRIu64 " %-9s %10s %4.0f%% %9s  %s", job->job, text_state(job->state),
            units_format(job->length_bytes, size),
            job->n_destinations && job->length_bytes ? (double)least / (double)job->length_bytes * 100 : 0,
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
            {"all", 'a', NULL, 0, "Those that ended within the last hour, too", 0},
            {0},
        };
        static const struct argp_child CHILDREN[] = {{&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {.options = OPTIONS,
            .parser = parse_option,
            .doc = "List the server's jobs.",
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
        session_close(&session, rc == 0);
        return status;
}
