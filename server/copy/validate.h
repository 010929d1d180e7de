/* Validation of a whole job before any I/O (DESIGN 3): pure, over what was resolved.
 *
 * In: the spec and the info of each open endpoint. Out: a plan in bytes, or a refusal with field, reason and
 * limit. Checks, in this order: count of destinations and their numbers in options; source region inside its
 * device; lengths equal (or 0); destination regions inside their devices (files may grow or be created);
 * writable; alignment of starts to minimum blocks, and of the end where it cannot be merged; addressable
 * tails; a chunk size that all devices take; pages for one minimum block; overlap of source and destinations,
 * and of destinations with each other, by identity. Nothing here does I/O. Thread: any. */
#ifndef COPY_VALIDATE_H
#define COPY_VALIDATE_H

#include "copy/engine.h"

struct job_region {
        uint64_t start_bytes; /* in the device */
        /* What it touches of what the endpoint's identity names, for locks: outward to the minimum block
         * whose rest is read and merged; without end where a file is cut to size. */
        uint64_t lock_start_bytes, lock_end_bytes;
        uint64_t resize_bytes; /* destination files: the size to have: grown before the first write, cut after
                                  the last; 0: as it is */
        bool resize;           /* … is wanted */
        bool grow_only;        /* … never smaller */
};

struct job_plan {
        uint64_t length_bytes;
        uint32_t align_bytes;     /* chunk bounds are multiples of it: the largest minimum block */
        uint32_t chunk_max_bytes; /* the smallest of the endpoints' maxima, cut to the reservation; multiple
                                     of align */
        struct job_region from;
        struct job_region to[KC_DESTINATIONS_MAX]; /* last: those that the job has not are left as they are */
};

/* Numbers alone, before anything is opened: destinations, options, sector arithmetic overflow. True: fine. */
bool validate_spec(const struct copy_spec *spec, struct engine_refusal *ret_refusal);
/* `from` is NULL for Zero; to[i] by destination. `pages` is the client's reservation. True and *ret_plan, or
 * false and *ret_refusal. */
bool validate_plan(const struct copy_spec *spec, const struct endpoint_info *from,
    const struct endpoint_info *const *to, uint32_t pages, struct job_plan *ret_plan,
    struct engine_refusal *ret_refusal);

#endif
