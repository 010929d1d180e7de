/* kcopyctl zero: write zeroes to one or more destinations. */
#include <errno.h>

#include "ctl/ctl.h"
#include "ctl/transfer_args.h"
#include "ctl/usage.h"

enum { KEY_UNMAP = 0x200 };

static const struct argp_option OPTIONS[] = {
    {"unmap", KEY_UNMAP, NULL, 0, "The blocks may be deallocated", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        struct transfer_args *args = state->input;

        switch (key) {
        case ARGP_KEY_INIT:
                state->child_inputs[0] = args ? &args->transfer : NULL;
                return 0;
        case KEY_UNMAP:
                args->transfer.options.flags |= KCOPY_UNMAP;
                return 0;
        case ARGP_KEY_ARG:
                return transfer_args_word(args, arg, state);
        case ARGP_KEY_END:
                return transfer_args_end(args, state);
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

enum ctl_status cmd_zero(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_child CHILDREN[] = {
            {&transfer_argp, 0, NULL, 0}, {&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {
            .options = OPTIONS,
            .parser = parse_option,
            .args_doc = "DST...",
            .doc = "Zero each DST.\vDST is DEVICE or DEVICE#START+COUNT, as for copy; all must have the same "
                   "length.",
            .children = CHILDREN,
        };
        struct transfer_args args = {
            .transfer = {.zero = true}, .n_words_min = 1, .n_words_max = KCOPY_DESTINATIONS_MAX};

        usage_parse(&ARGP, argc, argv, false, NULL, &args);
        return transfer_run(ctl, &args.transfer, args.n_words, args.words);
}
