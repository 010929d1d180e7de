/* kcopyctl copy: one source to one or more destinations. */
#include "ctl/ctl.h"
#include "ctl/transfer_args.h"

static const struct argp_option OPTIONS[] = {
    {"no-extents", TRANSFER_ARGS_FLAG(KCOPY_NO_EXTENTS), NULL, 0,
        "Do not ask the source where its zeroes are", 0},
    {"no-detect-zeroes", TRANSFER_ARGS_FLAG(KCOPY_NO_DETECT_ZEROES), NULL, 0,
        "Do not look for zeroes in the data", 0},
    {"allocated", TRANSFER_ARGS_FLAG(KCOPY_ALLOCATED), NULL, 0, "Zeroes keep their blocks allocated", 0},
    {"destination-is-zero", TRANSFER_ARGS_FLAG(KCOPY_DESTINATION_IS_ZERO), NULL, 0,
        "The destinations read as zeroes already: skip zeroes", 0},
    {"strict-once", TRANSFER_ARGS_FLAG(KCOPY_STRICT_ONCE), NULL, 0,
        "Read every block once, even if a slow destination then holds up the others", 0},
    {"mapfile", TRANSFER_ARGS_MAPFILE, "FILE", 0,
        "Say in FILE, as ddrescue would, what was copied and what could not be read", 0},
    {0},
};

enum ctl_status cmd_copy(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp ARGP = {
            .options = OPTIONS,
            .parser = transfer_args_parse,
            .args_doc = "SRC DST...",
            .doc = "Copy SRC to each DST.\vSRC and DST are DEVICE or DEVICE#START+COUNT (in sectors of 512 "
                   "bytes, or with units as in 1MiB): a path, an NBD URI, null:, file:NAME, or a server in "
                   "brackets, as in [ nbdkit memory 1G ].",
            .children = transfer_args_children,
        };

        return transfer_args_run(ctl, &ARGP, false, argc, argv);
}
