/* kcopyctl copy: one source to one or more destinations. */
#include <errno.h>

#include "ctl/ctl.h"
#include "ctl/transfer_args.h"
#include "ctl/usage.h"

enum {
        KEY_NO_EXTENTS = 0x200,
        KEY_NO_DETECT_ZEROES,
        KEY_ALLOCATED,
        KEY_DESTINATION_IS_ZERO,
        KEY_STRICT_ONCE
};

static const struct argp_option OPTIONS[] = {
    {"no-extents", KEY_NO_EXTENTS, NULL, 0, "Do not ask the source where its zeroes are", 0},
    {"no-detect-zeroes", KEY_NO_DETECT_ZEROES, NULL, 0, "Do not look for zeroes in the data", 0},
    {"allocated", KEY_ALLOCATED, NULL, 0, "Zeroes keep their blocks allocated", 0},
    {"destination-is-zero", KEY_DESTINATION_IS_ZERO, NULL, 0,
        "The destinations read as zeroes already: skip zeroes", 0},
    {"strict-once", KEY_STRICT_ONCE, NULL, 0,
        "Read every block once, even if a slow destination then holds up the others", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        struct transfer_args *args = state->input;
        unsigned *flags = args ? &args->transfer.options.flags : NULL;

        switch (key) {
        case ARGP_KEY_INIT:
                state->child_inputs[0] = args ? &args->transfer : NULL;
                return 0;
        case KEY_NO_EXTENTS:
                *flags |= KCOPY_NO_EXTENTS;
                return 0;
        case KEY_NO_DETECT_ZEROES:
                *flags |= KCOPY_NO_DETECT_ZEROES;
                return 0;
        case KEY_ALLOCATED:
                *flags |= KCOPY_ALLOCATED;
                return 0;
        case KEY_DESTINATION_IS_ZERO:
                *flags |= KCOPY_DESTINATION_IS_ZERO;
                return 0;
        case KEY_STRICT_ONCE:
                *flags |= KCOPY_STRICT_ONCE;
                return 0;
        case ARGP_KEY_ARG:
                return transfer_args_word(args, arg, state);
        case ARGP_KEY_END:
                return transfer_args_end(args, state);
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

enum ctl_status cmd_copy(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_child CHILDREN[] = {
            {&transfer_argp, 0, NULL, 0}, {&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {
            .options = OPTIONS,
            .parser = parse_option,
            .args_doc = "SRC DST...",
            .doc = "Copy SRC to each DST.\vSRC and DST are DEVICE or DEVICE#START+COUNT (in sectors of 512 "
                   "bytes, or "
                   "with units as in 1MiB): a path, an NBD URI, null:, file:NAME, or a server in brackets, "
                   "as in "
                   "[ nbdkit memory 1G ].",
            .children = CHILDREN,
        };
        struct transfer_args args = {.n_words_min = 2, .n_words_max = 1 + KCOPY_DESTINATIONS_MAX};

        usage_parse(&ARGP, argc, argv, false, NULL, &args);
        return transfer_run(ctl, &args.transfer, args.n_words, args.words);
}
