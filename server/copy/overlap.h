/* Overlap of a job's own regions: what each touches of the lowest layer that is known (the
 * plan's lock bounds), compared in pairs.
 *
 * Internal to validation. Pure; owns nothing. Thread: any. */
#ifndef COPY_OVERLAP_H
#define COPY_OVERLAP_H

#include "copy/refuse.h"
#include "copy/validate.h"

/* The first pair of regions that touch the same bytes, one of them a destination: true, the index of the
 * earlier (REFUSE_SOURCE: the source) and of the later. `from` is NULL for Zero. */
bool overlap_find(const struct copy_spec *spec, const struct endpoint_info *from,
    const struct endpoint_info *const *to, const struct job_plan *plan, unsigned *ret_one,
    unsigned *ret_other);

#define OVERLAP_REASON_BYTES 224
/* What it found, in words, to stand behind the name of `other`'s device: "overlaps with from (/disk.img): a
 * loop device on that file; …"; into `reason`, which is returned. */
const char *overlap_reason(const struct copy_spec *spec, const struct endpoint_info *from,
    const struct endpoint_info *const *to, unsigned one, unsigned other, char reason[OVERLAP_REASON_BYTES]);

#endif
