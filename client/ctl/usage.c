/* argp as kcopyctl uses it (usage.h). */
#include "ctl/usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/captive.h"
#include "ctl/names.h"

enum { KEY_HELP = '?', KEY_USAGE = -3, KEY_VERSION = 'V', KEY_SERVER = 's', KEY_JSON = 'j' };

static struct ctl *common;

void usage_init(struct ctl *ctl)
{
        common = ctl;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        switch (key) {
        case KEY_HELP:
                argp_help(state->root_argp, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK, state->name);
                exit(CTL_DONE);
        case KEY_USAGE:
                argp_help(state->root_argp, stdout, ARGP_HELP_USAGE, state->name);
                exit(CTL_DONE);
        case KEY_VERSION:
                puts("kcopyctl " KCOPY_VERSION);
                exit(CTL_DONE);
        case KEY_SERVER:
                if (!names_is_server(arg)) {
                        argp_error(state, "--server: %s is neither unix:PATH nor tcp:HOST[:PORT]", arg);
                        return EINVAL;
                }
                common->server = arg;
                return 0;
        case KEY_JSON:
                common->json = true;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static const struct argp_option OPTIONS[] = {
    {"server", KEY_SERVER, "unix:PATH|tcp:HOST[:PORT]", 0,
        "The server to use ($KCOPYD_SERVER); without it copy and zero start a private one", -2},
    {"json", KEY_JSON, NULL, 0, "Results and events as JSON lines", -2},
    {"help", KEY_HELP, NULL, 0, "Print this and leave", -1},
    {"usage", KEY_USAGE, NULL, 0, "Print a short usage and leave", 0},
    {"version", KEY_VERSION, NULL, 0, "Print the version and leave", 0},
    {0},
};

const struct argp usage_argp = {.options = OPTIONS, .parser = parse_option};

void usage_parse(const struct argp *argp, int argc, char **argv, bool in_order, int *ret_next, void *input)
{
        /* argp's own --help and errors would leave with its own statuses; where to find help it has said */
        unsigned flags = ARGP_NO_HELP | ARGP_NO_EXIT | (in_order ? ARGP_IN_ORDER : 0);

        if (argp_parse(argp, argc, argv, flags, ret_next, input) == 0)
                return;
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (argv[i][0] == '-' && argv[i][1] && argv[i][1] != '-' && argv[i][2]) {
                        fprintf(stderr, "A name that begins with - goes behind --, or is written ./%s\n",
                            argv[i]);
                        break;
                }
        captive_stop_all();
        exit(CTL_USAGE);
}

bool usage_job_id(struct argp_state *state, const char *text, uint64_t *ret_id)
{
        char *end;
        unsigned long long id;

        errno = 0;
        id = strtoull(text, &end, 10);
        if (errno || *end || text[0] < '0' || text[0] > '9' || id == 0) {
                argp_error(state, "%s: a job's id is a positive number (kcopyctl jobs lists them)", text);
                return false;
        }
        *ret_id = id;
        return true;
}
