/* kcopyctl watch: the events of jobs as they happen, or as they happened. */
#include <errno.h>

#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/units.h"
#include "ctl/usage.h"
#include "ctl/watching.h"

#include <string.h>

#define INTERVAL_MS 1000

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        struct watching *watching = state->input;
        bool has_unit;

        switch (key) {
        case 'f':
                if (units_parse(arg, strlen(arg), &watching->from, &has_unit) == UNITS_OK && !has_unit &&
                    watching->from > 0)
                        return 0;
                argp_error(state, "--from: %s is no number of an event; the first is 1", arg);
                return EINVAL;
        case ARGP_KEY_INIT:
                state->child_inputs[0] = watching->ids;
                return 0;
        case ARGP_KEY_END:
                if (!watching->from || watching->ids->n == 1)
                        return 0;
                argp_error(state, "--from: is of one job; name one");
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

enum ctl_status cmd_watch(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_option OPTIONS[] = {
            {"from", 'f', "N", 0,
                "Of a detached job: begin with its event number N, as it was told; 1: all of them", 0},
            {0},
        };
        static const struct argp_child CHILDREN[] = {
            {&ids_argp, 0, NULL, 0}, {&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {.options = OPTIONS,
            .parser = parse_option,
            .args_doc = "[ID...]",
            .doc = "Print what happens to jobs, until they have ended (none named: to all, without an end).",
            .children = CHILDREN};
        struct ids ids = {0};
        struct session session;
        struct watching watching = {.ctl = ctl, .session = &session, .ids = &ids};
        enum ctl_status status;

        usage_parse(&ARGP, argc, argv, false, NULL, &watching);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        status = watching_run(&watching, INTERVAL_MS);
        session_close(&session, status != CTL_UNKNOWN && status != CTL_NO_SERVER);
        return status;
}
