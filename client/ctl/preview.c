/* What the server would say of a job's regions (preview.h). */
#include "ctl/preview.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static bool wrong(
    char reason[PREVIEW_REASON_BYTES], const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(reason, PREVIEW_REASON_BYTES, format, args);
        va_end(args);
        return false;
}

static uint64_t start_bytes(const struct preview *end)
{
        return end->region->sector * KCOPY_SECTOR_BYTES;
}

static uint64_t count_bytes(const struct preview *end)
{
        return end->region->count_sectors * KCOPY_SECTOR_BYTES;
}

/* From the region's start, which lies inside, to the device's end. */
static uint64_t rest_bytes(const struct preview *end)
{
        return end->device.size_bytes - start_bytes(end);
}

static uint64_t block_bytes(const struct preview *end)
{
        return end->device.block_min_bytes ? end->device.block_min_bytes : 1;
}

static bool starts_inside(const struct preview *end, char reason[PREVIEW_REASON_BYTES])
{
        if (start_bytes(end) < end->device.size_bytes)
                return true;
        if (end->device.size_bytes == 0)
                return wrong(reason, "is empty");
        return wrong(reason,
            "sector %" PRIu64 " is beyond the end of the device, which has %" PRIu64 " bytes",
            end->region->sector, end->device.size_bytes);
}

static bool is_aligned(const struct preview *end, char reason[PREVIEW_REASON_BYTES])
{
        if (start_bytes(end) % block_bytes(end) == 0)
                return true;
        return wrong(reason,
            "sector %" PRIu64 " is no multiple of the device's minimum block of %" PRIu64 " bytes",
            end->region->sector, block_bytes(end));
}

bool preview_source(const struct preview *from, uint64_t *ret_length_bytes, char reason[PREVIEW_REASON_BYTES])
{
        uint64_t length_bytes = count_bytes(from), end_bytes;
        /* an empty file is copied as what it is */
        bool empty_file =
            from->device.size_bytes == 0 && from->region->sector == 0 && from->region->device[0] == '/';

        if (from->null)
                return wrong(reason, "cannot be a source: there is nothing to read");
        if ((!empty_file || length_bytes) && !starts_inside(from, reason))
                return false;
        if (length_bytes > rest_bytes(from))
                return wrong(reason,
                    "%" PRIu64 " sectors from sector %" PRIu64
                    " on pass the end of the device, which has %" PRIu64 " bytes",
                    from->region->count_sectors, from->region->sector, from->device.size_bytes);
        if (length_bytes == 0)
                length_bytes = rest_bytes(from);
        if (!is_aligned(from, reason))
                return false;
        end_bytes = start_bytes(from) + length_bytes;
        if (end_bytes % block_bytes(from) != 0)
                return wrong(reason,
                    end_bytes == from->device.size_bytes
                        ? "the last %" PRIu64
                          " bytes cannot be read: they are less than the device's minimum block of %" PRIu64
                          " bytes"
                        : "the region ends %" PRIu64 " bytes into a minimum block of %" PRIu64 " bytes",
                    end_bytes % block_bytes(from), block_bytes(from));
        *ret_length_bytes = length_bytes;
        return true;
}

bool preview_own_length(
    const struct preview *to, uint64_t *ret_length_bytes, char reason[PREVIEW_REASON_BYTES])
{
        if (to->region->count_sectors || to->null) {
                *ret_length_bytes = count_bytes(to);
                return true;
        }
        if (to->missing)
                return wrong(
                    reason, "does not exist, so there is nothing to zero; give a count to create it");
        if (!starts_inside(to, reason))
                return false;
        *ret_length_bytes = rest_bytes(to);
        return true;
}

/* The last block is written whole, or read, merged and written: it must lie inside the device. */
static bool ends_well(const struct preview *to, uint64_t end_bytes, char reason[PREVIEW_REASON_BYTES])
{
        uint64_t part_bytes = end_bytes % block_bytes(to);

        if (part_bytes == 0 || end_bytes - part_bytes + block_bytes(to) <= to->device.size_bytes)
                return true;
        return wrong(reason,
            "the last %" PRIu64 " bytes cannot be written: they are less than the device's minimum block of "
            "%" PRIu64 " bytes",
            part_bytes, block_bytes(to));
}

bool preview_destination(const struct preview *to, uint64_t length_bytes, char reason[PREVIEW_REASON_BYTES])
{
        if (to->region->count_sectors && count_bytes(to) != length_bytes)
                return wrong(reason,
                    "the region has %" PRIu64 " bytes, the job %" PRIu64 "; lengths must be equal",
                    count_bytes(to), length_bytes);
        if (to->null)
                return true;
        if (to->missing || to->device.resizable)
                return is_aligned(to, reason);
        if (!starts_inside(to, reason))
                return false;
        if (length_bytes > rest_bytes(to))
                return wrong(reason,
                    "%" PRIu64 " bytes from sector %" PRIu64
                    " on pass the end of the device, which has %" PRIu64 " bytes",
                    length_bytes, to->region->sector, to->device.size_bytes);
        if (to->device.read_only)
                return wrong(reason, "is read-only");
        return is_aligned(to, reason) && ends_well(to, start_bytes(to) + length_bytes, reason);
}

/* A file that is written without a region is cut behind it: that touches the rest, too. */
static uint64_t touched_end_bytes(const struct preview *end, uint64_t length_bytes)
{
        bool cut = end->device.resizable && !end->region->sector && !end->region->count_sectors;

        return cut ? UINT64_MAX : start_bytes(end) + length_bytes;
}

bool preview_overlap(const struct preview *one, const struct preview *other, uint64_t length_bytes)
{
        return !one->null && !other->null && strcmp(one->region->device, other->region->device) == 0 &&
               start_bytes(one) < touched_end_bytes(other, length_bytes) &&
               start_bytes(other) < touched_end_bytes(one, length_bytes);
}
