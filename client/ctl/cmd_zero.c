/* kcopyctl zero: write zeroes to one or more destinations. */
#include "ctl/ctl.h"
#include "ctl/transfer_args.h"

static const struct argp_option OPTIONS[] = {
    {"unmap", TRANSFER_ARGS_FLAG(KCOPY_UNMAP), NULL, 0, "The blocks may be deallocated", 0},
    {0},
};

enum ctl_status cmd_zero(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp ARGP = {
            .options = OPTIONS,
            .parser = transfer_args_parse,
            .args_doc = "DST...",
            .doc = "Zero each DST.\vDST is DEVICE or DEVICE#START+COUNT, as for copy; all must have the same "
                   "length.",
            .children = transfer_args_children,
        };

        return transfer_args_run(ctl, &ARGP, true, argc, argv);
}
