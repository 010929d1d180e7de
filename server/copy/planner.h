/* The planner: an iterator over a job's length that says what each range is (DESIGN 3, "zeroes and holes").
 *
 * Providers: the source's extents (asked for piecemeal, IO_EXTENTS, one request in flight), or "all data", or
 * for a Zero job "all zero". Dirty bitmaps and digests will be further ones. It sees no payload.
 *
 * Zero runs shorter than PLANNER_ZERO_MIN_BYTES are told as data (a request of their own costs more), and all
 * bounds are rounded so that data grows and zero shrinks to multiples of `granule_bytes`, the last range
 * excepted. Extents are hints: an error from IO_EXTENTS turns the rest into data.
 *
 * The caller owns the planner and starts fetches when asked to. Thread: home lane. */
#ifndef COPY_PLANNER_H
#define COPY_PLANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/endpoint.h"

#define PLANNER_ZERO_MIN_BYTES 65536u

enum planner_kind { PLANNER_DATA, PLANNER_ZERO };

struct planner_zero {
        uint64_t start_bytes, end_bytes; /* in the job */
};

struct planner {
        enum planner_kind everything; /* when `extents` is false */
        bool extents;                 /* ask for extents; false from a failure on */
        uint64_t length_bytes;        /* of the job */
        uint32_t granule_bytes;
        uint64_t ask_bytes; /* at most, next time */
        /* What is known: in [known_start, known_end) the ranges in `zeroes` are zero and the rest is data. */
        uint64_t known_start_bytes, known_end_bytes;
        unsigned n_zeroes, next;       /* how many, and the first that ends after what was asked last */
        struct planner_zero *zeroes;   /* owned; ordered, disjoint; NULL without extents */
        struct io_extent *extents_buf; /* IO_EXTENTS_PER_REQ, owned, for the request; NULL without extents */
};

/* 0 or -ENOMEM. */
int planner_init(struct planner *planner, uint64_t length_bytes, enum planner_kind everything, bool extents,
    uint32_t granule_bytes);
void planner_done(struct planner *planner);
/* The longest range of one kind that starts at `at_bytes` (< length), at most `max_bytes` long, as far as is
 * known: true, *ret_kind and *ret_length > 0. False: extents from `at_bytes` on have to be fetched first.
 * Going back to an earlier place is fine (a detached destination does) and costs a fetch. */
bool planner_at(struct planner *planner, uint64_t at_bytes, uint64_t max_bytes, enum planner_kind *ret_kind,
    uint64_t *ret_length_bytes);
/* Fill in an IO_EXTENTS request that would make planner_at(at) known: op, length (≤ 2 GiB), extents array;
 * offset_bytes is relative to the job's start: the caller adds the source region's. */
void planner_prepare(struct planner *planner, uint64_t at_bytes, struct io_req *req);
/* It was answered, or failed: then what is not known yet is data, and nothing is asked again. `at` as given
 * to planner_prepare. What planner_at says about other places stays true while a request is under way. */
void planner_fetched(struct planner *planner, uint64_t at_bytes, const struct io_req *req);
/* Where what is known ends, if there is more to be asked: a request from there on may be made before it is
 * needed, but planner_fetched is told of its answer only when planner_at is false, for it forgets the rest.
 */
bool planner_ahead(const struct planner *planner, uint64_t *ret_at_bytes);

#endif
