/* Overlap of a job's own regions, by identity. */
#include "copy/overlap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of the earlier device's name: it leaves room for the rest. */
#define NAME_MAX_BYTES 80

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

static bool is_on_file(const struct endpoint_info *info)
{
        return strncmp(info->identity.key, "file:", 5) == 0;
}

/* Through what the two touch the same bytes: `other` as seen from `one`. */
static const char *connection(const struct endpoint_info *one, const struct endpoint_info *other)
{
        if (other->kind == IO_KIND_NBD)
                return "both are the same export of the same NBD server";
        if (one->kind == IO_KIND_FILE && other->kind == IO_KIND_FILE)
                return "both are the same file";
        if (one->kind == IO_KIND_FILE)
                return "it is a loop device on that file";
        if (other->kind == IO_KIND_FILE)
                return "it is the file behind that loop device";
        return is_on_file(other) ? "both are loop devices on the same file"
                                 : "both are the same device, or parts of the same disk";
}

const char *overlap_reason(const struct copy_spec *spec, const struct endpoint_info *from,
    const struct endpoint_info *const *to, unsigned one, unsigned other, char reason[OVERLAP_REASON_BYTES])
{
        const struct copy_region *region = one == REFUSE_SOURCE ? &spec->from : &spec->to[one];
        const struct endpoint_info *info = one == REFUSE_SOURCE ? from : to[one];
        char field[24], name[NAME_MAX_BYTES];

        if (region->device != NULL)
                kc_error_escape(name, sizeof(name), region->device, strlen(region->device));
        else
                snprintf(name, sizeof(name), "handle %" PRIu64, region->handle);
        snprintf(reason, OVERLAP_REASON_BYTES, "overlaps with %s (%s): %s; name regions that share no bytes",
            refuse_region_name(field, one), name, connection(info, to[other]));
        return reason;
}
