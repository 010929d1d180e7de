/* kcopyctl job: everything about one job. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/text.h"
#include "ctl/units.h"

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

static void visit(void *opaque, const struct kcopy_job_info *job)
{
        const struct ctl *ctl = opaque;
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

enum ctl_status cmd_job(const struct ctl *ctl, int argc, char **argv)
{
        struct ids ids = {.n_min = 1};
        struct session session;
        enum ctl_status status;

        ids_parse("ID...", "Show everything about a job.", argc, argv, &ids);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        for (unsigned i = 0; i < ids.n; i++) {
                int rc = kcopy_get_job(session.client, ids.items[i], visit, (void *)(uintptr_t)ctl);
                char subject[40];

                if (rc < 0) {
                        snprintf(subject, sizeof(subject), "job %" PRIu64, ids.items[i]);
                        status = session_failed(&session, rc, subject);
                }
        }
        session_close(&session, status != CTL_NO_SERVER);
        return status;
}
