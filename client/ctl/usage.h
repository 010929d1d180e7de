/* argp as kcopyctl uses it: --help anywhere; a mistake is said, with where to find help, and ends with
 * status 2.
 *
 * A command's argp must list usage_children (or have no other children). */
#ifndef CTL_USAGE_H
#define CTL_USAGE_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"

extern const struct argp usage_argp;

/* Where --server and --json go, which may stand before the command or behind it. */
void usage_init(struct ctl *ctl);

/* Parse; returns only if there was no mistake. `in_order`: stop at the first argument that is no option. */
void usage_parse(const struct argp *argp, int argc, char **argv, bool in_order, int *ret_next, void *input);
/* A job's id for a parser: true, or argp_error has been said. */
bool usage_job_id(struct argp_state *state, const char *text, uint64_t *ret_id);

#endif
