/* Validation of a whole job: first its numbers, then its regions against the devices they lie in. */
#include "copy/validate.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "copy/overlap.h"
#include "copy/pool.h"
#include "copy/refuse.h"

/* No device is larger, so sums of two offsets never wrap. */
#define DEVICE_MAX_BYTES ((uint64_t)INT64_MAX)
#define DEVICE_MAX_SECTORS (DEVICE_MAX_BYTES / KC_SECTOR_BYTES)

#define PRIORITY_MAX 7u

struct validation {
        const struct copy_spec *spec;
        const struct endpoint_info *from; /* NULL: Zero */
        const struct endpoint_info *const *to;
        struct job_plan *plan;
        struct engine_refusal *refusal;
};

static uint64_t sectors_of(uint64_t bytes)
{
        return bytes / KC_SECTOR_BYTES;
}

static uint64_t round_down(uint64_t bytes, uint64_t block_bytes)
{
        return bytes / block_bytes * block_bytes;
}

static uint64_t round_up(uint64_t bytes, uint64_t block_bytes)
{
        return round_down(bytes + block_bytes - 1, block_bytes);
}

/* How much of a device can be named in sectors and lies in whole minimum blocks. */
static uint64_t whole_blocks(uint64_t size_bytes, uint64_t block_bytes)
{
        return round_down(size_bytes, block_bytes > KC_SECTOR_BYTES ? block_bytes : KC_SECTOR_BYTES);
}

/* ---- numbers alone */

static bool check_numbers(const struct copy_spec *spec, unsigned index, struct engine_refusal *ret_refusal)
{
        const struct copy_region *region = index == REFUSE_SOURCE ? &spec->from : &spec->to[index];

        if (region->device == NULL ? region->handle == 0 : region->device[0] == '\0') {
                char name[24];

                refuse_region_name(name, index);
                return refuse(ret_refusal, KC_CLASS_INVALID, name, "%s: names no device", name);
        }
        if (region->sector > DEVICE_MAX_SECTORS) {
                refuse_region(ret_refusal, spec, index, "sector", KC_CLASS_INVALID,
                    "sector %" PRIu64 " is beyond what any device has", region->sector);
                return refuse_limit(ret_refusal, DEVICE_MAX_SECTORS);
        }
        if (region->count_sectors > DEVICE_MAX_SECTORS - region->sector) {
                refuse_region(ret_refusal, spec, index, "count", KC_CLASS_INVALID,
                    "%" PRIu64 " sectors from sector %" PRIu64 " on end beyond what any device has",
                    region->count_sectors, region->sector);
                return refuse_limit(ret_refusal, DEVICE_MAX_SECTORS - region->sector);
        }
        return true;
}

static bool check_options(const struct copy_spec *spec, struct engine_refusal *ret_refusal)
{
        const struct copy_options *options = &spec->options;

        if ((unsigned)options->policy > COPY_POLICY_IGNORE)
                return refuse(ret_refusal, KC_CLASS_INVALID, "options.on_error",
                    "on_error: no such policy: %u", (unsigned)options->policy);
        if ((unsigned)options->durability > COPY_DURABILITY_FUA)
                return refuse(ret_refusal, KC_CLASS_INVALID, "options.durability",
                    "durability: no such durability: %u", (unsigned)options->durability);
        if (options->priority > PRIORITY_MAX) {
                refuse(ret_refusal, KC_CLASS_INVALID, "options.priority", "priority: %u is above %u",
                    options->priority, PRIORITY_MAX);
                return refuse_limit(ret_refusal, PRIORITY_MAX);
        }
        if (spec->n_to < 64 && options->zero_destinations >> spec->n_to != 0) {
                refuse(ret_refusal, KC_CLASS_INVALID, "options.zero_destinations",
                    "zero_destinations: destination %u does not exist; the last is %u",
                    63u - (unsigned)__builtin_clzll(options->zero_destinations), spec->n_to - 1);
                return refuse_limit(ret_refusal, spec->n_to - 1);
        }
        return true;
}

bool validate_spec(const struct copy_spec *spec, struct engine_refusal *ret_refusal)
{
        if (spec->n_to == 0)
                return refuse(ret_refusal, KC_CLASS_INVALID, "to", "to: no destination");
        if (spec->n_to > KC_DESTINATIONS_MAX) {
                refuse(ret_refusal, KC_CLASS_LIMIT, "to", "to: %u destinations; at most %u are possible",
                    spec->n_to, KC_DESTINATIONS_MAX);
                return refuse_limit(ret_refusal, KC_DESTINATIONS_MAX);
        }
        if (!check_options(spec, ret_refusal))
                return false;
        if (spec->operation == COPY_OPERATION_COPY && !check_numbers(spec, REFUSE_SOURCE, ret_refusal))
                return false;
        for (unsigned i = 0; i < spec->n_to; i++)
                if (!check_numbers(spec, i, ret_refusal))
                        return false;
        return true;
}

/* ---- regions in their devices */

/* A region that starts inside a device, for which there is a size. */
static bool check_start(const struct validation *v, unsigned index, const struct endpoint_info *info,
    const struct copy_region *region)
{
        if (region->sector * KC_SECTOR_BYTES < info->size_bytes)
                return true;
        /* An empty file is copied as what it is. An empty export is a server's mistake more often than not,
         * and would cut a file that it is copied to. */
        if (index == REFUSE_SOURCE && info->kind == IO_KIND_FILE && region->sector == 0 &&
            region->count_sectors == 0)
                return true;
        if (info->size_bytes == 0)
                return refuse_region(v->refusal, v->spec, index, "sector", KC_CLASS_INVALID,
                    index == REFUSE_SOURCE ? "is empty: there is nothing to copy"
                                           : "is empty: nothing fits in");
        refuse_region(v->refusal, v->spec, index, "sector", KC_CLASS_INVALID,
            "sector %" PRIu64 " is beyond the end of the device, which has %" PRIu64
            " bytes; its last sector is %" PRIu64,
            region->sector, info->size_bytes, sectors_of(info->size_bytes - 1));
        return refuse_limit(v->refusal, sectors_of(info->size_bytes - 1));
}

static bool check_start_alignment(const struct validation *v, unsigned index,
    const struct endpoint_info *info, const struct copy_region *region)
{
        if (region->sector * KC_SECTOR_BYTES % info->block_min_bytes == 0)
                return true;
        refuse_region(v->refusal, v->spec, index, "sector", KC_CLASS_INVALID,
            "sector %" PRIu64 " is no multiple of the device's minimum block of %" PRIu32
            " bytes; use a multiple of %" PRIu64,
            region->sector, info->block_min_bytes, sectors_of(info->block_min_bytes));
        return refuse_limit(v->refusal, sectors_of(info->block_min_bytes));
}

/* The end of what is to be read: whole minimum blocks, or the device's end if the device consists of them. */
static bool check_source_end(const struct validation *v, uint64_t start_bytes, uint64_t end_bytes)
{
        const struct endpoint_info *info = v->from;
        uint64_t readable_bytes = whole_blocks(info->size_bytes, info->block_min_bytes);

        if (end_bytes % info->block_min_bytes == 0)
                return true;
        if (end_bytes != info->size_bytes) {
                refuse_region(v->refusal, v->spec, REFUSE_SOURCE, "count", KC_CLASS_INVALID,
                    "the region ends within a minimum block of %" PRIu32
                    " bytes; give a count that is a multiple of %" PRIu64 ", or 0 for all to the end",
                    info->block_min_bytes, sectors_of(info->block_min_bytes));
                return refuse_limit(v->refusal, sectors_of(info->block_min_bytes));
        }
        if (start_bytes >= readable_bytes)
                return refuse_region(v->refusal, v->spec, REFUSE_SOURCE, "sector", KC_CLASS_UNSUPPORTED,
                    "the last %" PRIu64
                    " bytes cannot be read: they are less than the device's minimum block "
                    "of %" PRIu32 " bytes",
                    info->size_bytes % info->block_min_bytes, info->block_min_bytes);
        refuse_region(v->refusal, v->spec, REFUSE_SOURCE, "count", KC_CLASS_UNSUPPORTED,
            "the last %" PRIu64
            " bytes cannot be read: they are less than the device's minimum block of %" PRIu32
            " bytes; use a count of %" PRIu64 " to leave them out",
            info->size_bytes % info->block_min_bytes, info->block_min_bytes,
            sectors_of(readable_bytes - start_bytes));
        return refuse_limit(v->refusal, sectors_of(readable_bytes - start_bytes));
}

/* Decides the length of a Copy. */
static bool check_source(const struct validation *v)
{
        const struct copy_region *region = &v->spec->from;
        uint64_t start_bytes = region->sector * KC_SECTOR_BYTES;
        uint64_t length_bytes = region->count_sectors * KC_SECTOR_BYTES;

        if (v->from->kind == IO_KIND_NULL)
                return refuse_region(v->refusal, v->spec, REFUSE_SOURCE, NULL, KC_CLASS_INVALID,
                    "cannot be a source: there is nothing to read");
        if (v->from->absent)
                return refuse_region(
                    v->refusal, v->spec, REFUSE_SOURCE, NULL, KC_CLASS_NOT_FOUND, "does not exist");
        if (!check_start(v, REFUSE_SOURCE, v->from, region))
                return false;
        if (length_bytes > v->from->size_bytes - start_bytes) {
                refuse_region(v->refusal, v->spec, REFUSE_SOURCE, "count", KC_CLASS_INVALID,
                    "%" PRIu64 " sectors from sector %" PRIu64
                    " on pass the end of the device, which has %" PRIu64 " bytes; give a count of at most "
                    "%" PRIu64 ", or of 0 for all to its end",
                    region->count_sectors, region->sector, v->from->size_bytes,
                    sectors_of(v->from->size_bytes - start_bytes));
                return refuse_limit(v->refusal, sectors_of(v->from->size_bytes - start_bytes));
        }
        if (length_bytes == 0)
                length_bytes = v->from->size_bytes - start_bytes;
        if (!check_start_alignment(v, REFUSE_SOURCE, v->from, region))
                return false;
        if (!check_source_end(v, start_bytes, start_bytes + length_bytes))
                return false;
        v->plan->from.start_bytes = start_bytes;
        v->plan->from.lock_start_bytes = v->from->identity.base_bytes + start_bytes;
        v->plan->from.lock_end_bytes = v->plan->from.lock_start_bytes + length_bytes;
        v->plan->length_bytes = length_bytes;
        return true;
}

/* Decides the length of a Zero: the first that says one, by its count or by where its device ends. */
static bool zero_length(const struct validation *v)
{
        for (unsigned i = 0; i < v->spec->n_to; i++) {
                const struct copy_region *region = &v->spec->to[i];
                const struct endpoint_info *info = v->to[i];

                if (region->count_sectors == 0 && info->kind == IO_KIND_NULL)
                        continue;
                if (region->count_sectors == 0 && info->absent)
                        return refuse_region(v->refusal, v->spec, i, "count", KC_CLASS_INVALID,
                            "does not exist, so there is nothing to zero; give a count to create it");
                if (region->count_sectors == 0 && !check_start(v, i, info, region))
                        return false;
                if (v->plan->length_bytes == 0)
                        v->plan->length_bytes = region->count_sectors != 0
                                                    ? region->count_sectors * KC_SECTOR_BYTES
                                                    : info->size_bytes - region->sector * KC_SECTOR_BYTES;
        }
        if (v->plan->length_bytes == 0)
                return refuse_region(
                    v->refusal, v->spec, 0, "count", KC_CLASS_INVALID, "has no end; give a count");
        return true;
}

/* The length that a destination asks for is the job's. */
static bool check_length(const struct validation *v, unsigned index)
{
        const struct copy_region *region = &v->spec->to[index];
        const struct endpoint_info *info = v->to[index];
        uint64_t length_bytes = region->count_sectors * KC_SECTOR_BYTES;

        if (length_bytes == 0 && (v->from != NULL || info->kind == IO_KIND_NULL))
                return true;
        if (length_bytes == 0)
                length_bytes = info->size_bytes - region->sector * KC_SECTOR_BYTES;
        if (length_bytes == v->plan->length_bytes)
                return true;
        if (v->plan->length_bytes % KC_SECTOR_BYTES != 0)
                return refuse_region(v->refusal, v->spec, index, "count", KC_CLASS_INVALID,
                    "the region has %" PRIu64 " bytes, the job %" PRIu64
                    ", which is no whole number of sectors; give a count of 0, which takes the job's length",
                    length_bytes, v->plan->length_bytes);
        refuse_region(v->refusal, v->spec, index, "count", KC_CLASS_INVALID,
            "the region has %" PRIu64 " bytes, the job %" PRIu64
            "; lengths must be equal: give a count of %" PRIu64 "%s",
            length_bytes, v->plan->length_bytes, sectors_of(v->plan->length_bytes),
            v->from != NULL ? ", or of 0 for the job's length" : "");
        return refuse_limit(v->refusal, sectors_of(v->plan->length_bytes));
}

static bool check_destination_fits(const struct validation *v, unsigned index)
{
        const struct copy_region *region = &v->spec->to[index];
        uint64_t start_bytes = region->sector * KC_SECTOR_BYTES;

        if (v->to[index]->kind == IO_KIND_NULL)
                return true;
        if (v->to[index]->resizable) {
                if (v->plan->length_bytes <= DEVICE_MAX_BYTES - start_bytes)
                        return true;
                refuse_region(v->refusal, v->spec, index, "sector", KC_CLASS_INVALID,
                    "%" PRIu64 " bytes from sector %" PRIu64 " on end beyond what any file has",
                    v->plan->length_bytes, region->sector);
                return refuse_limit(v->refusal, sectors_of(DEVICE_MAX_BYTES - v->plan->length_bytes));
        }
        if (!check_start(v, index, v->to[index], region))
                return false;
        if (v->plan->length_bytes <= v->to[index]->size_bytes - start_bytes)
                return true;
        refuse_region(v->refusal, v->spec, index, "count", KC_CLASS_INVALID,
            "%" PRIu64 " bytes from sector %" PRIu64 " on pass the end of the device, which has %" PRIu64
            " bytes; name a larger one, or at most %" PRIu64 " sectors%s",
            v->plan->length_bytes, region->sector, v->to[index]->size_bytes,
            sectors_of(v->to[index]->size_bytes - start_bytes), v->from != NULL ? " of the source" : "");
        return refuse_limit(v->refusal, sectors_of(v->to[index]->size_bytes - start_bytes));
}

/* Where a destination is written, and the size its file is to have. Returns the size the device has then. */
static uint64_t plan_destination(const struct validation *v, unsigned index)
{
        const struct copy_region *region = &v->spec->to[index];
        const struct endpoint_info *info = v->to[index];
        struct job_region *planned = &v->plan->to[index];
        uint64_t start_bytes = region->sector * KC_SECTOR_BYTES;
        uint64_t end_bytes = start_bytes + v->plan->length_bytes;
        bool has_region = region->sector != 0 || region->count_sectors != 0;

        planned->start_bytes = start_bytes;
        planned->lock_start_bytes = info->identity.base_bytes + start_bytes;
        planned->lock_end_bytes = info->identity.base_bytes + round_up(end_bytes, info->block_min_bytes);
        if (!info->resizable)
                return info->kind == IO_KIND_NULL ? UINT64_MAX : info->size_bytes;
        if (v->from != NULL && !has_region) {
                /* everything behind the cut is touched, too */
                planned->lock_end_bytes = UINT64_MAX;
                planned->resize = true;
                planned->resize_bytes = end_bytes;
                return end_bytes;
        }
        if (end_bytes > info->size_bytes) { /* an absent one has 0 */
                planned->resize = planned->grow_only = true;
                planned->resize_bytes = end_bytes;
                return end_bytes;
        }
        return info->size_bytes;
}

/* The end of what is to be written: whole minimum blocks, or a part of one that lies inside the device whole
 * (it is read, merged and written). */
static bool check_destination_end(const struct validation *v, unsigned index, uint64_t size_bytes)
{
        uint64_t start_bytes = v->plan->to[index].start_bytes;
        uint64_t block_bytes = v->to[index]->block_min_bytes;
        uint64_t end_bytes = start_bytes + v->plan->length_bytes;
        uint64_t writable_bytes;

        if (end_bytes % block_bytes == 0 || v->to[index]->kind == IO_KIND_NULL ||
            round_up(end_bytes, block_bytes) <= size_bytes)
                return true;
        writable_bytes = whole_blocks(size_bytes, block_bytes);
        if (start_bytes >= writable_bytes)
                return refuse_region(v->refusal, v->spec, index, "sector", KC_CLASS_UNSUPPORTED,
                    "the last %" PRIu64 " bytes cannot be written: they are less than the device's minimum "
                    "block of %" PRIu64 " bytes",
                    size_bytes % block_bytes, block_bytes);
        refuse_region(v->refusal, v->spec, index, "count", KC_CLASS_UNSUPPORTED,
            "the last %" PRIu64
            " bytes cannot be written: they are less than the device's minimum block of %" PRIu64
            " bytes; at most %" PRIu64 " sectors from here on can",
            size_bytes % block_bytes, block_bytes, sectors_of(writable_bytes - start_bytes));
        return refuse_limit(v->refusal, sectors_of(writable_bytes - start_bytes));
}

static bool check_destination(const struct validation *v, unsigned index)
{
        if (!check_destination_fits(v, index))
                return false;
        if (v->to[index]->read_only)
                return refuse_region(v->refusal, v->spec, index, NULL, KC_CLASS_PERMISSION, "is read-only");
        if (v->to[index]->kind != IO_KIND_NULL &&
            !check_start_alignment(v, index, v->to[index], &v->spec->to[index]))
                return false;
        return check_destination_end(v, index, plan_destination(v, index));
}

/* ---- the job as a whole */

static bool check_chunks(const struct validation *v, uint32_t pages)
{
        struct job_plan *plan = v->plan;
        uint32_t buffer_pages = bank_slab_pages(pages);
        uint32_t chunk_bytes = UINT32_MAX, align_bytes = KC_SECTOR_BYTES, needed_pages;
        unsigned narrowest = REFUSE_SOURCE;

        for (unsigned i = 0; i < v->spec->n_to + (v->from != NULL); i++) {
                bool is_source = i == v->spec->n_to;
                const struct endpoint_info *info = is_source ? v->from : v->to[i];

                if (info->block_min_bytes > align_bytes)
                        align_bytes = info->block_min_bytes;
                if (info->block_max_bytes < chunk_bytes) {
                        chunk_bytes = info->block_max_bytes;
                        narrowest = is_source ? REFUSE_SOURCE : i;
                }
        }
        if (chunk_bytes < align_bytes) {
                refuse_region(v->refusal, v->spec, narrowest, NULL, KC_CLASS_UNSUPPORTED,
                    "takes at most %" PRIu32
                    " bytes at a time, and another device of the job at least %" PRIu32,
                    chunk_bytes, align_bytes);
                return refuse_limit(v->refusal, align_bytes);
        }
        needed_pages = (align_bytes + KC_PAGE_BYTES - 1) / KC_PAGE_BYTES;
        if (pages == 0) {
                refuse(v->refusal, KC_CLASS_LIMIT, "pages",
                    "pages: all of the server's are reserved by other clients; connect again later, let them "
                    "reserve fewer (--pages), or start the server with more");
                return refuse_limit(v->refusal, needed_pages);
        }
        if (buffer_pages < needed_pages) {
                refuse(v->refusal, KC_CLASS_LIMIT, "pages",
                    "pages: the reservation of %" PRIu32 " is too small for one minimum block of %" PRIu32
                    " bytes; reserve at least %" PRIu32,
                    pages, align_bytes, needed_pages);
                return refuse_limit(v->refusal, needed_pages);
        }
        buffer_pages = 1u << (31u - (unsigned)__builtin_clz(buffer_pages));
        if (chunk_bytes > buffer_pages * KC_PAGE_BYTES)
                chunk_bytes = buffer_pages * KC_PAGE_BYTES;
        plan->align_bytes = align_bytes;
        plan->chunk_max_bytes = (uint32_t)round_down(chunk_bytes, align_bytes);
        return true;
}

static bool check_overlap(const struct validation *v)
{
        char reason[OVERLAP_REASON_BYTES];
        unsigned one, other;

        if (!overlap_find(v->spec, v->from, v->to, v->plan, &one, &other))
                return true;
        return refuse_region(v->refusal, v->spec, other, NULL, KC_CLASS_CONFLICT, "%s",
            overlap_reason(v->spec, v->from, v->to, one, other, reason));
}

bool validate_plan(const struct copy_spec *spec, const struct endpoint_info *from,
    const struct endpoint_info *const *to, uint32_t pages, struct job_plan *ret_plan,
    struct engine_refusal *ret_refusal)
{
        /* With room for 64 destinations, of which most jobs have one. */
        size_t plan_bytes = offsetof(struct job_plan, to) + spec->n_to * sizeof(struct job_region);
        struct job_plan plan;
        const struct validation v = {spec, from, to, &plan, ret_refusal};

        _Static_assert(sizeof plan == offsetof(struct job_plan, to) + sizeof plan.to, "it is last");
        assert((from != NULL) == (spec->operation == COPY_OPERATION_COPY) && spec->n_to > 0);
        memset(&plan, 0, plan_bytes);
        if (!(from != NULL ? check_source(&v) : zero_length(&v)))
                return false;
        for (unsigned i = 0; i < spec->n_to; i++)
                if (!check_length(&v, i))
                        return false;
        for (unsigned i = 0; i < spec->n_to; i++)
                if (!check_destination(&v, i))
                        return false;
        if (!check_chunks(&v, pages) || !check_overlap(&v))
                return false;
        memcpy(ret_plan, &plan, plan_bytes);
        return true;
}
