/* sim: runs seeds and directed cases against the engine; a failing seed is printed with the command that
 * replays it. */
#include <argp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sim/cases.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define __sanitizer_set_death_callback(callback) ((void)(callback))
#define __lsan_do_recoverable_leak_check() 0
#endif

#define DEFAULT_SEEDS 2000u
#define TWICE_EVERY 16u  /* seeds that are run a second time, to compare */
#define LEAKS_EVERY 250u /* seeds between two looks for leaks: a look takes long */

static struct {
        const char *program, *case_name;
        uint64_t seed; /* that runs, for whoever dies */
} now;

struct options {
        uint64_t seed, from, count;
        char **seeds; /* on the command line */
        int n_seeds;
        bool one, verbose, list, keep_going;
        const char *case_name;
};

/* ---- saying which seed it was, whatever happens */

static void tell_replay(void)
{
        fprintf(stderr, "replay: %s %s%s --seed %" PRIu64 " --verbose\n", now.program,
            now.case_name ? "--case " : "", now.case_name ? now.case_name : "", now.seed);
}

static void on_death(void)
{
        fprintf(stderr, "sim: seed %" PRIu64 " died\n", now.seed);
        tell_replay();
}

#ifdef __SANITIZE_ADDRESS__
const char *__ubsan_default_options(void);
__attribute__((visibility("default"))) const char *__ubsan_default_options(void)
{
        return "abort_on_error=1:print_stacktrace=1"; /* so that on_signal says which seed it was */
}
#endif

static void on_signal(int number)
{
        on_death();
        signal(number, SIG_DFL);
        raise(number);
}

/* Scenarios whose engine could not be closed stay, so that what they hold is not taken for a leak. */
static struct scenario *stuck[1024];
static unsigned n_stuck;

static void put_away(struct scenario *s)
{
        if (s->engine == NULL)
                scenario_free(s);
        else if (n_stuck < sizeof stuck / sizeof stuck[0])
                stuck[n_stuck++] = s;
}

/* True: fine. *ret_hash: of the run. */
static bool run_seed(const struct sim_case *it, uint64_t seed, bool verbose, uint64_t *ret_hash)
{
        struct scenario *s;
        bool failed;

        now.seed = seed;
        s = it ? it->run(seed, verbose) : sim_random(seed, verbose);
        failed = s->world.failed;
        if (failed) {
                fprintf(stderr, "sim: seed %" PRIu64 " failed: %s\n", seed, s->world.failure);
                tell_replay();
        }
        *ret_hash = s->world.hash;
        put_away(s);
        return !failed;
}

static bool run_seeds(const struct sim_case *it, const struct options *options, uint64_t from, uint64_t count)
{
        uint64_t hash, again;
        unsigned n_failed = 0;

        for (uint64_t seed = from; seed < from + count; seed++) {
                if (!run_seed(it, seed, options->verbose, &hash)) {
                        n_failed++;
                        if (!options->keep_going)
                                return false;
                        continue;
                }
                if (seed % TWICE_EVERY == 0 && (!run_seed(it, seed, false, &again) || again != hash)) {
                        fprintf(stderr, "sim: seed %" PRIu64 " gave two different runs\n", seed);
                        tell_replay();
                        return false;
                }
                if ((seed % LEAKS_EVERY == 0 || seed + 1 == from + count) && n_failed == 0 &&
                    __lsan_do_recoverable_leak_check() != 0) {
                        fprintf(stderr, "sim: a leak at or before seed %" PRIu64 "\n", seed);
                        tell_replay();
                        return false;
                }
        }
        printf("sim: %s: %" PRIu64 " seeds from %" PRIu64 ", %u failed\n", it ? it->name : "seeds", count,
            from, n_failed);
        return n_failed == 0;
}

static bool run_case(const struct options *options)
{
        for (unsigned i = 0; i < n_sim_cases; i++) {
                const struct sim_case *it = &sim_cases[i];

                if (strcmp(it->name, options->case_name) != 0)
                        continue;
                now.case_name = it->name;
                return run_seeds(
                    it, options, options->one ? options->seed : 1, options->one ? 1 : it->n_seeds);
        }
        fprintf(stderr, "sim: no case \"%s\"; see --list\n", options->case_name);
        return false;
}

/* ---- the command line */

enum { OPT_FROM = 256, OPT_COUNT, OPT_CASE, OPT_LIST, OPT_KEEP_GOING };

static const struct argp_option argp_options[] = {
    {"seed", 's', "N", 0, "run this seed alone", 0},
    {"verbose", 'v', NULL, 0, "tell the story", 0},
    {"from", OPT_FROM, "N", 0, "first of many seeds (1)", 0},
    {"count", OPT_COUNT, "N", 0, "how many seeds (2000)", 0},
    {"case", OPT_CASE, "NAME", 0, "run a directed case instead", 0},
    {"list", OPT_LIST, NULL, 0, "list the cases", 0},
    {"keep-going", OPT_KEEP_GOING, NULL, 0, "go on after a seed that failed", 0},
    {0},
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
        struct options *options = state->input;

        switch (key) {
        case 's':
                options->one = true;
                options->seed = strtoull(arg, NULL, 0);
                return 0;
        case 'v':
                options->verbose = true;
                return 0;
        case OPT_FROM:
                options->from = strtoull(arg, NULL, 0);
                return 0;
        case OPT_COUNT:
                options->count = strtoull(arg, NULL, 0);
                return 0;
        case OPT_CASE:
                options->case_name = arg;
                return 0;
        case OPT_LIST:
                options->list = true;
                return 0;
        case ARGP_KEY_ARGS:
                options->seeds = state->argv + state->next;
                options->n_seeds = state->argc - state->next;
                return 0;
        case OPT_KEEP_GOING:
                options->keep_going = true;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

int main(int argc, char **argv)
{
        static const struct argp argp = {.options = argp_options,
            .parser = on_option,
            .args_doc = "[SEED…]",
            .doc = "Simulate the copy engine on random seeds."};
        struct options options = {.from = 1, .count = DEFAULT_SEEDS};
        bool fine;

        if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
                return 2;
        now.program = argv[0];
        setvbuf(stdout, NULL, _IOLBF, 0);
        kc_log_set_level(options.verbose ? KC_LOG_DEBUG : KC_LOG_ERROR);
        __sanitizer_set_death_callback(on_death);
        signal(SIGABRT, on_signal);
        if (options.list) {
                for (unsigned i = 0; i < n_sim_cases; i++)
                        puts(sim_cases[i].name);
                return 0;
        }
        fine = true;
        if (options.case_name)
                fine = run_case(&options);
        else if (options.n_seeds > 0)
                for (int i = 0; i < options.n_seeds; i++)
                        fine &= run_seeds(NULL, &options, strtoull(options.seeds[i], NULL, 0), 1);
        else
                fine = run_seeds(NULL, &options, options.one ? options.seed : options.from,
                    options.one ? 1 : options.count);
        fflush(stdout);
        if (!fine)
                _exit(1); /* what a failed run has left is not the point */
        return 0;
}
