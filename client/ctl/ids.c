/* Jobs' ids on the command line (ids.h). */
#include "ctl/ids.h"

#include <errno.h>

#include "ctl/usage.h"

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        struct ids *ids = state->input;

        switch (key) {
        case ARGP_KEY_ARG:
                if (ids->n == sizeof(ids->items) / sizeof(ids->items[0])) {
                        argp_error(state, "too many jobs");
                        return EINVAL;
                }
                return usage_job_id(state, arg, &ids->items[ids->n++]) ? 0 : EINVAL;
        case ARGP_KEY_END:
                if (ids->n >= ids->n_min)
                        return 0;
                argp_error(state, "a job's id is needed (kcopyctl jobs lists them)");
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp ids_argp = {.parser = parse_option};

void ids_parse(const char *args_doc, const char *doc, int argc, char **argv, struct ids *ids)
{
        const struct argp_child children[] = {{&usage_argp, 0, NULL, -1}, {0}};
        const struct argp argp = {
            .parser = parse_option, .args_doc = args_doc, .doc = doc, .children = children};

        usage_parse(&argp, argc, argv, false, NULL, ids);
}
