/* kcopyctl job: everything about one job. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/json.h"
#include "ctl/mapfile.h"
#include "ctl/session.h"
#include "ctl/text.h"
#include "ctl/units.h"
#include "ctl/usage.h"

enum { KEY_MAPFILE = 256 };

struct showing {
        const struct ctl *ctl;
        struct ids ids;
        const char *mapfile; /* NULL: everything is shown instead */
        enum ctl_status status;
};

static void print_error(const struct kcopy_endpoint_error *error)
{
        char text[TEXT_ESCAPED_BYTES];

        if (error->error_class == KCOPY_CLASS_NONE)
                return;
        printf("    error: %s", text_class(error->error_class));
        if (error->errno_name[0])
                printf(", %s", text_escape(error->errno_name, text));
        if (error->has_sector)
                printf(", at sector %" PRIu64, error->sector);
        printf(": %s\n", text_escape(error->message, text));
}

static void print_bytes(const char *what, uint64_t bytes)
{
        char text[UNITS_TEXT_BYTES];

        if (bytes)
                printf("    %s: %s (%" PRIu64 " bytes)\n", what, units_format(bytes, text), bytes);
}

/* How a destination's part has ended, or "" while it goes on. */
static const char *end_of(const struct kcopy_destination_info *info)
{
        if (!info->done)
                return "";
        switch (info->result.error.error_class) {
        case KCOPY_CLASS_NONE:
                return ", done";
        case KCOPY_CLASS_CANCELLED:
                return ", cancelled";
        case KCOPY_CLASS_STOPPED:
                return ", stopped";
        default:
                return ", failed";
        }
}

static void show(const struct ctl *ctl, const struct kcopy_job_info *job)
{
        char text[TEXT_ESCAPED_BYTES], units[UNITS_TEXT_BYTES];

        if (ctl->json) {
                json_line(json_job(job));
                return;
        }
        printf("job %" PRIu64 ": %s, %s%s\n", job->job, job->zero ? "zero" : "copy", text_state(job->state),
            job->draining ? " (writes without an answer still hold its ranges)" : "");
        if (job->reason[0])
                printf("  %s\n", text_escape(job->reason, text));
        if (job->owner[0])
                printf("  owner: %s\n", text_escape(job->owner, text));
        printf(
            "  length: %s (%" PRIu64 " bytes)\n", units_format(job->length_bytes, units), job->length_bytes);
        printf("  time: %s\n", units_format_duration(job->elapsed_ms / 1000, units));
        if (!job->zero)
                printf("  source: %s, sector %" PRIu64 "\n", text_escape(job->source_device, text),
                    job->source_sector);
        if (job->result)
                print_error(&job->result->source_error);
        if (job->result && job->result->n_bad_ranges > 1)
                printf("    %u ranges could not be read; --mapfile or --json has them all\n",
                    job->result->n_bad_ranges);
        for (unsigned i = 0; i < job->n_destinations; i++) {
                const struct kcopy_destination_info *info = &job->destinations[i];

                printf("  destination %u: %s, sector %" PRIu64 "%s%s%s\n", i, text_escape(info->device, text),
                    info->sector, end_of(info), info->result.durable ? ", durable" : "",
                    info->detached ? ", fell behind and reads for itself" : "");
                print_error(&info->result.error);
                print_bytes("copied", info->result.copied_bytes);
                print_bytes("zeroed", info->result.zeroed_bytes);
                print_bytes("skipped", info->result.skipped_bytes);
                print_bytes("of unknown content", info->result.indeterminate_bytes);
                print_bytes("untouched", info->result.untouched_bytes);
        }
}

/* ---- --mapfile */

static bool refuse_map(uint64_t job, const char *why)
{
        char subject[40];

        snprintf(subject, sizeof subject, "job %" PRIu64, job);
        text_error(subject, "%s", why);
        return false;
}

static bool write_map(const char *path, const struct kcopy_job_info *job)
{
        const struct mapfile map = {.path = path,
            .source = job->source_device,
            .source_sector = job->source_sector,
            .goes_through = job->on_error == KCOPY_IGNORE_ERROR};

        if (job->zero)
                return refuse_map(job->job, "has no source that a mapfile could tell of");
        if (!job->result)
                return refuse_map(job->job, "has not ended, and its map is not known before; wait for it");
        return mapfile_write(&map, job->result);
}

/* ---- the command */

static void on_job(void *opaque, const struct kcopy_job_info *job)
{
        struct showing *showing = opaque;

        if (!showing->mapfile)
                show(showing->ctl, job);
        else if (!write_map(showing->mapfile, job))
                showing->status = CTL_REFUSED;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        struct showing *showing = state->input;

        switch (key) {
        case KEY_MAPFILE:
                showing->mapfile = arg;
                return 0;
        case ARGP_KEY_INIT:
                state->child_inputs[0] = &showing->ids;
                return 0;
        case ARGP_KEY_END:
                if (!showing->mapfile || showing->ids.n <= 1)
                        return 0;
                argp_error(state, "--mapfile is for one job");
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

enum ctl_status cmd_job(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_option OPTIONS[] = {
            {"mapfile", KEY_MAPFILE, "FILE", 0,
                "Of a copy that has ended: say in FILE, as ddrescue would, what was copied and what could "
                "not be "
                "read",
                0},
            {0},
        };
        static const struct argp_child CHILDREN[] = {
            {&ids_argp, 0, NULL, 0}, {&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {.options = OPTIONS,
            .parser = parse_option,
            .args_doc = "ID...",
            .doc = "Show everything about a job.",
            .children = CHILDREN};
        struct showing showing = {.ctl = ctl, .ids.n_min = 1};
        struct session session;

        usage_parse(&ARGP, argc, argv, false, NULL, &showing);
        showing.status = session_open(&session, ctl, 1);
        if (showing.status != CTL_DONE)
                return showing.status;
        for (unsigned i = 0; i < showing.ids.n; i++) {
                int rc = kcopy_get_job(session.client, showing.ids.items[i], on_job, &showing);
                char subject[40];

                if (rc < 0) {
                        snprintf(subject, sizeof(subject), "job %" PRIu64, showing.ids.items[i]);
                        showing.status = session_failed(&session, rc, subject);
                }
        }
        session_close(&session, showing.status != CTL_NO_SERVER);
        return showing.status;
}
