/* --dry-run: the server opens each endpoint, its regions are checked as a job's are, nothing is submitted. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/captive.h"
#include "ctl/json.h"
#include "ctl/preview.h"
#include "ctl/text.h"
#include "ctl/transfer.h"
#include "ctl/units.h"

/* Ask the server about one endpoint. */
static int look(
    struct kcopy_client *client, const struct region *region, bool write, struct preview *ret_preview)
{
        struct preview preview = {.region = region, .null = strcmp(region->device, "null:") == 0};
        int rc = preview.null ? 0 : kcopy_open(client, region->device, write, &preview.device);

        if (rc == -ENOENT && write && region->device[0] == '/') {
                preview.missing = true;
                rc = 0;
        } else if (rc == 0 && !preview.null) {
                rc = kcopy_close(client, preview.device.handle);
        }
        if (rc == 0)
                *ret_preview = preview;
        return rc;
}

static void print_plan(
    const struct ctl *ctl, const char *verb, const struct preview *at, uint64_t length_bytes)
{
        const struct region *region = at->region;
        char size[UNITS_TEXT_BYTES], length[UNITS_TEXT_BYTES], name[TEXT_ESCAPED_BYTES];

        if (ctl->json) {
                json_line(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:b}", "event", "plan", "action", verb,
                    "device", json_text(region->device), "sector", json_number(region->sector),
                    "length_bytes", json_number(length_bytes), "size_bytes",
                    at->null || at->missing ? json_null() : json_number(at->device.size_bytes), "missing",
                    at->missing));
                return;
        }
        printf("%s %s (%" PRIu64 " bytes) from sector %" PRIu64 " of %s", verb,
            units_format(length_bytes, length), length_bytes, region->sector,
            text_escape(captive_name(region->device), name));
        if (at->null)
                puts("");
        else if (at->missing)
                puts(" (a new file)");
        else
                printf(" (%s%s)\n", units_format(at->device.size_bytes, size),
                    at->device.mounted_for_writing ? ", mounted for writing" : "");
}

static enum ctl_status look_failed(struct session *session, int rc, const struct region *region)
{
        enum ctl_status status = session_failed(session, rc, captive_name(region->device));

        captive_report_dead();
        return status;
}

static enum ctl_status refused(const struct preview *at, const char *reason)
{
        text_error(captive_name(at->region->device), "refused: %s", reason);
        return CTL_REFUSED;
}

/* The ends of the job as the server has them: [0] is the source of a copy, the destinations follow. */
struct dry_run {
        const struct transfer *transfer;
        unsigned n_ends, first_to;
        struct preview ends[1 + KCOPY_DESTINATIONS_MAX];
        uint64_t length_bytes;
};

static enum ctl_status look_at_all(struct dry_run *dry, struct session *session)
{
        const struct transfer *transfer = dry->transfer;

        for (unsigned i = 0; i < dry->n_ends; i++) {
                bool is_source = i < dry->first_to;
                const struct region *region = is_source ? &transfer->from : &transfer->to[i - dry->first_to];
                int rc = look(session->client, region, !is_source, &dry->ends[i]);

                if (rc < 0)
                        return look_failed(session, rc, region);
        }
        return CTL_DONE;
}

/* Zero: each destination says its length, or leaves it to the others; the first one counts. */
static enum ctl_status check_zero_length(struct dry_run *dry)
{
        char reason[PREVIEW_REASON_BYTES];
        uint64_t own_bytes;

        for (unsigned i = 0; i < dry->n_ends; i++) {
                if (!preview_own_length(&dry->ends[i], &own_bytes, reason))
                        return refused(&dry->ends[i], reason);
                if (!dry->length_bytes)
                        dry->length_bytes = own_bytes;
                if (own_bytes && own_bytes != dry->length_bytes)
                        return refused(&dry->ends[i], "lengths must be equal");
        }
        return dry->length_bytes ? CTL_DONE : refused(&dry->ends[0], "has no end; give a count");
}

/* All of the job, before any of it is shown as what would be done. */
static enum ctl_status check(struct dry_run *dry)
{
        char reason[PREVIEW_REASON_BYTES];

        if (dry->transfer->zero) {
                enum ctl_status status = check_zero_length(dry);

                if (status != CTL_DONE)
                        return status;
        } else if (!preview_source(&dry->ends[0], &dry->length_bytes, reason)) {
                return refused(&dry->ends[0], reason);
        }
        for (unsigned i = dry->first_to; i < dry->n_ends; i++) {
                if (!preview_destination(&dry->ends[i], dry->length_bytes, reason))
                        return refused(&dry->ends[i], reason);
                for (unsigned j = 0; j < i; j++)
                        if (preview_overlap(&dry->ends[j], &dry->ends[i], dry->length_bytes))
                                return refused(&dry->ends[i], "overlaps with itself: the job has it twice");
        }
        return CTL_DONE;
}

static const char *verb_of(const struct dry_run *dry, unsigned index)
{
        if (index < dry->first_to)
                return "read";
        if (dry->ends[index].null)
                return "discard";
        if (dry->ends[index].missing)
                return "create";
        return dry->transfer->zero ? "zero" : "overwrite";
}

enum ctl_status dry_run(const struct ctl *ctl, struct session *session, const struct transfer *transfer)
{
        unsigned first_to = transfer->zero ? 0 : 1;
        struct dry_run dry = {
            .transfer = transfer, .first_to = first_to, .n_ends = first_to + transfer->n_to};
        enum ctl_status status = look_at_all(&dry, session);

        if (status == CTL_DONE)
                status = check(&dry);
        for (unsigned i = 0; status == CTL_DONE && i < dry.n_ends; i++)
                print_plan(ctl, verb_of(&dry, i), &dry.ends[i], dry.length_bytes);
        return status;
}
