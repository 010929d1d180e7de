/* copy --dry-run: the server opens each endpoint, nothing is submitted. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/captive.h"
#include "ctl/json.h"
#include "ctl/text.h"
#include "ctl/transfer.h"
#include "ctl/units.h"

/* What the server says about one endpoint. */
struct look {
        struct kcopy_device device;
        bool missing; /* a file that would be created */
};

static bool is_null(const struct region *region)
{
        return strcmp(region->device, "null:") == 0;
}

static int look(struct kcopy_client *client, const struct region *region, bool write, struct look *ret_look)
{
        int rc;

        *ret_look = (struct look){0};
        if (is_null(region))
                return 0;
        rc = kcopy_open(client, region->device, write, &ret_look->device);
        if (rc == -ENOENT && write && region->device[0] == '/') {
                ret_look->missing = true;
                return 0;
        }
        if (rc == 0)
                rc = kcopy_close(client, ret_look->device.handle);
        return rc;
}

/* The bytes from the region's start to the device's end. */
static uint64_t rest_bytes(const struct region *region, const struct look *at)
{
        uint64_t start_bytes = region->sector * KCOPY_SECTOR_BYTES;

        return start_bytes < at->device.size_bytes ? at->device.size_bytes - start_bytes : 0;
}

static uint64_t region_bytes(const struct region *region, const struct look *at)
{
        return region->count_sectors ? region->count_sectors * KCOPY_SECTOR_BYTES : rest_bytes(region, at);
}

static void print_plan(const struct ctl *ctl, const char *verb, const struct region *region,
    const struct look *at, uint64_t length_bytes)
{
        char size[UNITS_TEXT_BYTES], length[UNITS_TEXT_BYTES], name[TEXT_ESCAPED_BYTES];

        if (ctl->json) {
                json_line(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:b}", "event", "plan", "action", verb,
                    "device", json_text(region->device), "sector", json_number(region->sector),
                    "length_bytes", json_number(length_bytes), "size_bytes",
                    is_null(region) || at->missing ? json_null() : json_number(at->device.size_bytes),
                    "missing", at->missing));
                return;
        }
        printf("%s %s (%" PRIu64 " bytes) from sector %" PRIu64 " of %s", verb,
            units_format(length_bytes, length), length_bytes, region->sector,
            text_escape(captive_name(region->device), name));
        if (is_null(region))
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

static bool fits(const struct region *region, const struct look *at, uint64_t length_bytes)
{
        /* files grow; what can, only the server knows: everything that is no path has the size it has */
        if (is_null(region) || at->missing || region->device[0] == '/' ||
            length_bytes <= rest_bytes(region, at))
                return true;
        text_error(captive_name(region->device), "%" PRIu64 " bytes do not fit: there are %" PRIu64,
            length_bytes, rest_bytes(region, at));
        return false;
}

enum ctl_status dry_run(const struct ctl *ctl, struct session *session, const struct transfer *transfer)
{
        struct look at;
        uint64_t length_bytes = 0;
        enum ctl_status status = CTL_DONE;

        if (!transfer->zero) {
                int rc = look(session->client, &transfer->from, false, &at);

                if (rc < 0)
                        return look_failed(session, rc, &transfer->from);
                length_bytes = region_bytes(&transfer->from, &at);
                print_plan(ctl, "read", &transfer->from, &at, length_bytes);
        }
        for (unsigned i = 0; i < transfer->n_to; i++) {
                const struct region *to = &transfer->to[i];
                int rc = look(session->client, to, true, &at);

                if (rc < 0)
                        return look_failed(session, rc, to);
                if (transfer->zero)
                        length_bytes = region_bytes(to, &at);
                if (!fits(to, &at, length_bytes))
                        status = CTL_REFUSED;
                print_plan(ctl,
                    is_null(to)      ? "discard"
                    : at.missing     ? "create"
                    : transfer->zero ? "zero"
                                     : "overwrite",
                    to, &at, length_bytes);
        }
        return status;
}
