/* Ranges that could not be read, and are to be tried again in smaller pieces, until what is left of them is
 * as small as the devices allow (ddrescue's way): the rest of them is copied, and the error names the bad
 * sector.
 *
 * Each failed range is tried next in eighths of it, a single block as a whole, until that was tried
 * SUSPECTS_TRIES times, larger ranges around it included: one that fails now and then is read in the end.
 * Their number is limited: of a device that is bad everywhere the rest is given up as it is.
 *
 * Offsets are bytes from the job's start. Owns its ranges. Thread: the job's home lane. */
#ifndef COPY_SUSPECTS_H
#define COPY_SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>

#define SUSPECTS_MAX 4096u
#define SUSPECTS_TRIES 7u /* of a chunk of 512 KiB with blocks of 512 bytes: three of the block alone */

struct suspects {
        struct suspect {
                uint64_t start_bytes, end_bytes;
                uint64_t piece_bytes; /* what is tried next at once */
                unsigned n_tries;     /* so far */
        } * ranges;                   /* ordered, disjoint */
        unsigned n, room;
};

void suspects_done(struct suspects *suspects); /* frees the contents */
/* What is known of [start, end) is known no longer: it is being accounted for. 0 or -ENOMEM (nothing
 * changed). */
int suspects_clear(struct suspects *suspects, uint64_t start_bytes, uint64_t end_bytes);
/* [start, end), which is none yet, could not be read at once, and was tried so often. 0; -ENOSPC: there are
 * too many, or it is as small as `align_bytes` and was tried often enough; -ENOMEM. */
int suspects_add(struct suspects *suspects, uint64_t start_bytes, uint64_t end_bytes, uint32_t align_bytes,
    unsigned n_tries);
/* How often what is at `at` was tried; 0: it is none. */
unsigned suspects_tries(const struct suspects *suspects, uint64_t at_bytes);
/* Whether `at` lies in one: then its end and piece; else where the next one begins, UINT64_MAX without any.
 */
bool suspects_at(
    const struct suspects *suspects, uint64_t at_bytes, uint64_t *ret_bound_bytes, uint64_t *ret_piece_bytes);

#endif
