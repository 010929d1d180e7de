/* Overlap of a job's own regions, by identity. */
#include "copy/overlap.h"

#include <string.h>

static bool regions_overlap(const struct endpoint_info *a_info, const struct job_region *a,
    const struct endpoint_info *b_info, const struct job_region *b)
{
        return a->lock_start_bytes < b->lock_end_bytes && b->lock_start_bytes < a->lock_end_bytes &&
               a_info->identity.key[0] != '\0' && strcmp(a_info->identity.key, b_info->identity.key) == 0;
}

bool overlap_find(const struct copy_spec *spec, const struct endpoint_info *from,
    const struct endpoint_info *const *to, const struct job_plan *plan, unsigned *ret_one,
    unsigned *ret_other)
{
        for (unsigned i = 0; i < spec->n_to; i++) {
                if (from != NULL && regions_overlap(from, &plan->from, to[i], &plan->to[i])) {
                        *ret_one = REFUSE_SOURCE;
                        *ret_other = i;
                        return true;
                }
                for (unsigned j = 0; j < i; j++) {
                        if (!regions_overlap(to[j], &plan->to[j], to[i], &plan->to[i]))
                                continue;
                        *ret_one = j;
                        *ret_other = i;
                        return true;
                }
        }
        return false;
}
