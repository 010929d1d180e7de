/* --dry-run: what the server found when it judged the job, and would have done with it. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/captive.h"
#include "ctl/json.h"
#include "ctl/text.h"
#include "ctl/transfer.h"
#include "ctl/units.h"

static bool has_size(const struct kcopy_planned_device *device)
{
        return device->kind != KCOPY_DEVICE_NULL && !device->created;
}

static void print_json(const char *verb, const struct region *region,
    const struct kcopy_planned_device *device, uint64_t length_bytes, bool source)
{
        bool sized_after = !source && device->kind != KCOPY_DEVICE_NULL;

        json_line(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "event", "plan", "action", verb,
            "device", json_text(region->device), "sector", json_number(region->sector), "length_bytes",
            json_number(length_bytes), "size_bytes",
            has_size(device) ? json_number(device->size_bytes) : json_null(), "size_after_bytes",
            sized_after ? json_number(device->size_after_bytes) : json_null(), "missing", device->created,
            "identity", device->identity[0] ? json_text(device->identity) : json_null()));
}

static void print_words(const char *verb, const struct region *region,
    const struct kcopy_planned_device *device, uint64_t length_bytes, bool source, bool zeroes_skipped)
{
        char size[UNITS_TEXT_BYTES], name[TEXT_ESCAPED_BYTES];

        printf("%s %s (%" PRIu64 " bytes) from sector %" PRIu64 " of %s", verb,
            units_format(length_bytes, size), length_bytes, region->sector,
            text_escape(captive_name(region->device), name));
        if (device->created) {
                printf(" (a new file of %s", units_format(device->size_after_bytes, size));
        } else if (has_size(device)) {
                printf(" (%s", units_format(device->size_bytes, size));
                if (!source && device->size_after_bytes != device->size_bytes)
                        printf(", %s to %s", device->size_after_bytes < device->size_bytes ? "cut" : "grown",
                            units_format(device->size_after_bytes, size));
                if (device->mounted_for_writing)
                        printf(", mounted for writing");
        }
        printf("%s%s\n", device->created || has_size(device) ? ")" : "",
            zeroes_skipped ? ", zeroes skipped: declared zero already" : "");
}

static void print(const struct ctl *ctl, const char *verb, const struct region *region,
    const struct kcopy_planned_device *device, uint64_t length_bytes, bool source, bool zeroes_skipped)
{
        if (ctl->json)
                print_json(verb, region, device, length_bytes, source);
        else
                print_words(verb, region, device, length_bytes, source, zeroes_skipped);
}

void dry_run_print(const struct ctl *ctl, const struct transfer *transfer, const struct kcopy_result *result)
{
        const struct kcopy_plan *plan = result->plan;

        if (plan->source)
                print(ctl, "read", &transfer->from, plan->source, result->length_bytes, true, false);
        for (unsigned i = 0; i < plan->n_destinations; i++) {
                const struct kcopy_planned_device *device = &plan->destinations[i];
                const char *verb = device->kind == KCOPY_DEVICE_NULL ? "discard"
                                   : device->created                 ? "create"
                                   : transfer->zero                  ? "zero"
                                                                     : "overwrite";

                print(ctl, verb, &transfer->to[i], device, result->length_bytes, false,
                    transfer->options.flags & KCOPY_DESTINATION_IS_ZERO);
        }
        fflush(stdout);
}
