/* The command lines of copy and zero (transfer_args.h). */
#include "ctl/transfer_args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/units.h"
#include "ctl/usage.h"

/* What the parsers fill. */
struct transfer_args {
        struct transfer transfer;
        unsigned n_words, n_words_min, n_words_max;
        char *words[1 + KCOPY_DESTINATIONS_MAX];
};

enum {
        KEY_ON_ERROR = 0x100,
        KEY_DURABILITY,
        KEY_RATE,
        KEY_TIMEOUT,
        KEY_PAGES,
        KEY_PROGRESS,
        KEY_PRIORITY,
        KEY_DETACH,
        KEY_KEY,
        KEY_RETRY_FOR,
        KEY_EXPECT_SIZE,
        KEY_EXPECT_ID
};

static const struct argp_option OPTIONS[] = {
    {"on-error", KEY_ON_ERROR, "stop|continue|ignore", 0,
        "After an error end the job (default), go on with the other destinations, or go through everything",
        0},
    {"durability", KEY_DURABILITY, "none|flush|fua", 0,
        "When a write counts: once it is answered, once everything is flushed (default), or write by write",
        0},
    {"rate", KEY_RATE, "BYTES_PER_S", 0, "At most so much data per second and destination (units: K M G T)",
        0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "How long one command of a device may take", 0},
    {"pages", KEY_PAGES, "N", 0,
        "Memory to copy with, in pages of 4096 bytes, or as in 64MiB (default 32MiB; with --server what that "
        "one grants)",
        0},
    {"priority", KEY_PRIORITY, "0-7", 0, "The job's share of the server, against your other jobs", 0},
    {"progress", KEY_PROGRESS, "auto|bar|plain|none", 0, "How to show progress on standard error", 0},
    {"detach", KEY_DETACH, NULL, 0,
        "Leave the job to the server, which finishes it whatever dies meanwhile, and print its number", 0},
    {"key", KEY_KEY, "NAME", 0, "With --detach: under the same key the same job is submitted only once", 0},
    {"retry-for", KEY_RETRY_FOR, "SECONDS", 0,
        "How long a lost connection is tried again (with --detach 600, else not at all)", 0},
    {"expect-size", KEY_EXPECT_SIZE, "WHICH=SIZE", 0,
        "Refuse, and do not go on later, unless the device has this size; WHICH is from, to or to[N]", 0},
    {"expect-id", KEY_EXPECT_ID, "WHICH=ID", 0, "… unless it is this one, as --dry-run with --json tells it",
        0},
    {"dry-run", 'n', NULL, 0, "Have the job judged as a real one, print what would be done, write nothing",
        0},
    {0},
};

/* Index of `arg` in a NULL-terminated list, or -1 with argp_error said. */
static int choose(struct argp_state *state, const char *option, const char *arg, const char *const *words)
{
        char list[64] = "";
        size_t n = 0;

        for (int i = 0; words[i]; i++)
                if (strcmp(words[i], arg) == 0)
                        return i;
        for (int i = 0; words[i]; i++)
                n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", words[i]);
        argp_error(state, "--%s: %s is none of %s", option, arg, list);
        return -1;
}

/* Pages, or bytes with a unit, rounded up to pages. */
static bool parse_pages(const char *arg, unsigned *ret_pages)
{
        uint64_t value;
        bool has_unit;

        if (units_parse(arg, strlen(arg), &value, &has_unit) != UNITS_OK)
                return false;
        if (has_unit)
                value = value / KCOPY_PAGE_BYTES + (value % KCOPY_PAGE_BYTES != 0);
        if (value == 0 || value > UINT32_MAX)
                return false;
        *ret_pages = (unsigned)value;
        return true;
}

static bool number(
    struct argp_state *state, const char *option, const char *arg, uint64_t max, uint64_t *ret_number)
{
        uint64_t value;
        bool has_unit;

        if (units_parse(arg, strlen(arg), &value, &has_unit) != UNITS_OK || has_unit || value > max) {
                argp_error(
                    state, "--%s: %s is no number from 0 to %llu", option, arg, (unsigned long long)max);
                return false;
        }
        *ret_number = value;
        return true;
}

/* WHICH=VALUE, of the source, of every destination or of one. */
static error_t parse_expectation(
    struct transfer *transfer, bool size, const char *arg, struct argp_state *state)
{
        const char *option = size ? "expect-size" : "expect-id", *value = strchr(arg, '=');
        struct expectation expected = {0};
        unsigned first = 1, n = KCOPY_DESTINATIONS_MAX;
        bool has_unit;
        int end = 0;

        if (value && strncmp(arg, "from=", 5) == 0)
                first = 0, n = 1;
        else if (value && sscanf(arg, "to[%u]%n", &first, &end) == 1 && first < KCOPY_DESTINATIONS_MAX &&
                 end > 0 && arg[end] == '=')
                first++, n = 1;
        else if (!value || strncmp(arg, "to=", 3) != 0)
                value = NULL;
        if (!value || !value[1]) {
                argp_error(state, "--%s: %s is not of the form from=%s, to=%s or to[0]=%s", option, arg,
                    size ? "SIZE" : "ID", size ? "SIZE" : "ID", size ? "SIZE" : "ID");
                return EINVAL;
        }
        if (size && (units_parse(value + 1, strlen(value + 1), &expected.size_bytes, &has_unit) != UNITS_OK ||
                        !expected.size_bytes)) {
                argp_error(state,
                    "--expect-size: %s is no number of bytes above 0, as in 16GiB (" UNITS_NAMES ")",
                    value + 1);
                return EINVAL;
        }
        for (unsigned i = first; i < first + n; i++) {
                if (size)
                        transfer->expected[i].size_bytes = expected.size_bytes;
                else
                        transfer->expected[i].identity = value + 1;
        }
        if (n == 1 && first + 1 > transfer->n_expected)
                transfer->n_expected = first + 1;
        return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        static const char *const POLICIES[] = {"stop", "continue", "ignore", NULL};
        static const unsigned POLICY_FLAGS[] = {0, KCOPY_CONTINUE, KCOPY_IGNORE_ERROR};
        static const char *const DURABILITIES[] = {"flush", "none", "fua", NULL};
        static const unsigned DURABILITY_FLAGS[] = {0, KCOPY_NO_FLUSH, KCOPY_FUA};
        static const char *const MODES[] = {"auto", "bar", "plain", "none", NULL};
        struct transfer *transfer = state->input;
        struct kcopy_options *options = transfer ? &transfer->options : NULL;
        uint64_t value;
        bool has_unit;
        int choice;

        switch (key) {
        case KEY_ON_ERROR:
                choice = choose(state, "on-error", arg, POLICIES);
                if (choice < 0)
                        return EINVAL;
                options->flags &= ~(unsigned)(KCOPY_CONTINUE | KCOPY_IGNORE_ERROR);
                options->flags |= POLICY_FLAGS[choice];
                return 0;
        case KEY_DURABILITY:
                choice = choose(state, "durability", arg, DURABILITIES);
                if (choice < 0)
                        return EINVAL;
                options->flags &= ~(unsigned)(KCOPY_NO_FLUSH | KCOPY_FUA);
                options->flags |= DURABILITY_FLAGS[choice];
                return 0;
        case KEY_RATE:
                if (units_parse(arg, strlen(arg), &options->rate_bytes_per_s, &has_unit) != UNITS_OK ||
                    !options->rate_bytes_per_s) {
                        argp_error(state,
                            "--rate: %s is not a whole number of bytes per second above 0, as in 500M "
                            "(" UNITS_NAMES ")",
                            arg);
                        return EINVAL;
                }
                return 0;
        case KEY_TIMEOUT:
                if (!units_parse_seconds_ms(arg, &options->timeout_ms)) {
                        argp_error(state,
                            "--timeout: %s is no number of seconds from 0.001 to " UNITS_SECONDS_MAX_TEXT,
                            arg);
                        return EINVAL;
                }
                return 0;
        case KEY_PAGES:
                if (!parse_pages(arg, &transfer->pages)) {
                        argp_error(state,
                            "--pages: %s is no number of pages of 4096 bytes from 1 to 4294967295, nor "
                            "bytes, as in 16MiB (" UNITS_NAMES ")",
                            arg);
                        return EINVAL;
                }
                return 0;
        case KEY_PRIORITY:
                if (!number(state, "priority", arg, 7, &value))
                        return EINVAL;
                options->priority = (unsigned)value;
                return 0;
        case KEY_PROGRESS:
                choice = choose(state, "progress", arg, MODES);
                if (choice < 0)
                        return EINVAL;
                transfer->progress_mode = (enum progress_mode)choice;
                return 0;
        case KEY_DETACH:
                options->flags |= KCOPY_DETACHED;
                return 0;
        case KEY_KEY:
                options->key = arg;
                return 0;
        case KEY_RETRY_FOR:
                if (!units_parse_seconds_ms(arg, &options->retry_for_ms)) {
                        argp_error(state,
                            "--retry-for: %s is no number of seconds from 0.001 to " UNITS_SECONDS_MAX_TEXT,
                            arg);
                        return EINVAL;
                }
                return 0;
        case KEY_EXPECT_SIZE:
        case KEY_EXPECT_ID:
                return parse_expectation(transfer, key == KEY_EXPECT_SIZE, arg, state);
        case 'n':
                transfer->dry_run = true;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static const struct argp SHARED = {.options = OPTIONS, .parser = parse_option};
const struct argp_child transfer_args_children[] = {{&SHARED, 0, NULL, 0}, {&usage_argp, 0, NULL, -1}, {0}};

static error_t add_word(struct transfer_args *args, char *word, struct argp_state *state)
{
        if (args->n_words == args->n_words_max) {
                argp_error(state, "there are at most %u destinations", KCOPY_DESTINATIONS_MAX);
                return EINVAL;
        }
        args->words[args->n_words++] = word;
        return 0;
}

static error_t check_words(const struct transfer_args *args, struct argp_state *state)
{
        const struct kcopy_options *options = &args->transfer.options;

        if (options->key && !(options->flags & KCOPY_DETACHED)) {
                argp_error(state, "--key is for jobs with --detach");
                return EINVAL;
        }
        if (args->transfer.mapfile && (options->flags & KCOPY_DETACHED)) {
                argp_error(state,
                    "--mapfile is for a copy that is waited for; of a detached one, when it has ended: "
                    "kcopyctl job ID --mapfile FILE");
                return EINVAL;
        }
        if (args->transfer.zero &&
            (args->transfer.expected[0].size_bytes || args->transfer.expected[0].identity)) {
                argp_error(state, "zero has no source to expect anything of");
                return EINVAL;
        }
        if (args->n_words >= args->n_words_min &&
            args->transfer.n_expected > args->n_words + (args->transfer.zero ? 1 : 0)) {
                argp_error(state, "there is no to[%u] to expect anything of", args->transfer.n_expected - 2);
                return EINVAL;
        }
        if (args->n_words >= args->n_words_min)
                return 0;
        argp_error(state, "%s",
            args->transfer.zero ? "a destination is needed"
            : args->n_words     ? "a destination is needed, too"
                                : "a source and a destination are needed");
        return EINVAL;
}

error_t transfer_args_parse(int key, char *arg, struct argp_state *state)
{
        struct transfer_args *args = state->input;

        switch (key) {
        case ARGP_KEY_INIT:
                state->child_inputs[0] = args ? &args->transfer : NULL;
                return 0;
        case ARGP_KEY_ARG:
                return add_word(args, arg, state);
        case ARGP_KEY_END:
                return check_words(args, state);
        case TRANSFER_ARGS_MAPFILE:
                args->transfer.mapfile = arg;
                return 0;
        default:
                if (key < TRANSFER_ARGS_FLAG(0) ||
                    key >= TRANSFER_ARGS_FLAG(0x10000)) /* argp's own are above */
                        return ARGP_ERR_UNKNOWN;
                args->transfer.options.flags |= (unsigned)key - TRANSFER_ARGS_FLAG(0);
                return 0;
        }
}

enum ctl_status transfer_args_run(
    const struct ctl *ctl, const struct argp *argp, bool zero, int argc, char **argv)
{
        struct transfer_args args = {
            .transfer = {.zero = zero},
            .n_words_min = zero ? 1 : 2,
            .n_words_max = KCOPY_DESTINATIONS_MAX + (zero ? 0 : 1),
        };

        usage_parse(argp, argc, argv, false, NULL, &args);
        return transfer_run(ctl, &args.transfer, args.n_words, args.words);
}
