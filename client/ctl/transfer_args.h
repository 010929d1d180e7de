/* The command lines of copy and zero: both are options, regions, and a job. */
#ifndef CTL_TRANSFER_ARGS_H
#define CTL_TRANSFER_ARGS_H

#include <argp.h>

#include "ctl/transfer.h"

/* A command's own option that sets `flag` (enum kcopy_flag), as its key. */
#define TRANSFER_ARGS_FLAG(flag) (0x10000 + (flag))

/* … and of the one that names a mapfile. */
#define TRANSFER_ARGS_MAPFILE 0x1ff

/* The parser of both commands, for their argp. */
error_t transfer_args_parse(int key, char *arg, struct argp_state *state);
/* Parse the command line by `argp`, which has that parser and transfer_args_children, and carry it out. */
enum ctl_status transfer_args_run(
    const struct ctl *ctl, const struct argp *argp, bool zero, int argc, char **argv);
extern const struct argp_child transfer_args_children[];

#endif
