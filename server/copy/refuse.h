/* Refusals: field, reason and limit, put together in one place so that all of them read alike.
 *
 * Internal to validation. Pure; owns nothing. Thread: any. */
#ifndef COPY_REFUSE_H
#define COPY_REFUSE_H

#include "copy/engine.h"

/* A region's index where the source is meant. */
#define REFUSE_SOURCE UINT32_MAX

/* All return false, for `return refuse…(…)`. The errno follows from the class. */
bool refuse(struct engine_refusal *ret_refusal, enum kc_class class, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* `part` of region `index`: "sector", "count", or NULL for the region as a whole. The reason gets the
 * device's name in front. */
bool refuse_region(struct engine_refusal *ret_refusal, const struct copy_spec *spec, unsigned index,
    const char *part, enum kc_class class, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Add a limit, in the field's unit, to a refusal. */
bool refuse_limit(struct engine_refusal *refusal, uint64_t limit);
/* "to[2]" or "from", for reasons. */
const char *refuse_region_name(char name[24], unsigned index);

#endif
