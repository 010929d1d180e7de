/* Ranges of a job's source that could not be read, after all that was tried: what a completion lists.
 *
 * Ordered, disjoint, neighbours merged. At most BAD_RANGES_MAX: where there would be more, the two with the
 * smallest gap between them become one, so that the list may say too much, never too little.
 *
 * Offsets are bytes from the job's start. Owns its ranges. Thread: its owner's. */
#ifndef COPY_BAD_RANGES_H
#define COPY_BAD_RANGES_H

#include <stdint.h>

#include "kc_limits.h"

#define BAD_RANGES_MAX KC_BAD_RANGES_MAX

struct bad_ranges {
        struct bad_range {
                uint64_t start_bytes, end_bytes;
        } * ranges;
        unsigned n, room;
};

void bad_ranges_done(struct bad_ranges *bad); /* frees the contents */
/* 0 or -ENOMEM (nothing changed). */
int bad_ranges_add(struct bad_ranges *bad, uint64_t start_bytes, uint64_t end_bytes);
/* Make `to`, which has its own contents or none, the same as `from`. 0 or -ENOMEM (nothing changed). */
int bad_ranges_copy(struct bad_ranges *to, const struct bad_ranges *from);

#endif
