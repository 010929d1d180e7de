/* sim-no-memory: each allocation of the engine fails in turn, over scenarios of a few jobs. Nobody crashes,
 * nothing leaks, every submission is refused or ends once and truthfully, and the world comes to rest.
 *
 * The engine's objects are the production ones, over engine_memory.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sim/engine_memory.h"
#include "sim/no_memory.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_set_death_callback(callback) ((void)(callback))
#endif

/* ---- each allocation in turn */

/* Nothing is missing but memory, and that is no device's fault. */
static void check_class(struct scenario *s, const struct kc_error *error)
{
        if ((error->code == -ENOMEM) != (error->class == KC_CLASS_INTERNAL) ||
            error->class == KC_CLASS_NOT_FOUND)
                world_fail(
                    &s->world, "an error of class %s: %s", kc_class_name(error->class), error->message);
}

static void check_classes(struct scenario *s)
{
        for (unsigned i = 0; i < s->checker.n_jobs; i++) {
                const struct check_job *job = &s->checker.jobs[i];

                check_class(s, &job->source_error);
                for (unsigned d = 0; d < job->n_to; d++)
                        check_class(s, &job->results[d].error.error);
        }
}

/* With the last one several fail in a row, so that what is done instead fails too. */
#define N_SEEDS 4u
#define IN_A_ROW 5u

/* What runs, for whoever dies. */
static struct {
        unsigned scenario;
        uint64_t seed;
        unsigned long at, n;
} now;

static void on_death(void)
{
        fprintf(stderr, "replay: sim-no-memory %s %llu %lu %lu\n", no_memory_scenarios[now.scenario].name,
            (unsigned long long)now.seed, now.at, now.n);
}

static void on_abort(int number)
{
        on_death();
        signal(number, SIG_DFL);
        raise(number);
}

/* `n` allocations fail from number `at` on. */
static bool run(unsigned scenario, uint64_t seed, unsigned long at, unsigned long n, bool verbose)
{
        struct scenario *s;
        bool fine;

        now.scenario = scenario;
        now.seed = seed;
        now.at = at;
        now.n = n;
        engine_memory_begin(at, n);
        s = no_memory_scenarios[scenario].run(seed, verbose);
        check_classes(s);
        if (!s->world.failed && engine_memory_held() != 0)
                world_fail(&s->world, "%zu allocations are left", engine_memory_held());
        fine = !s->world.failed;
        if (!fine) {
                fprintf(stderr, "sim-no-memory: %s\n", s->world.failure);
                on_death();
                engine_memory_drop();
        } else {
                scenario_free(s);
        }
        return fine;
}

static bool run_all(unsigned scenario)
{
        unsigned long n_runs = 0;
        bool fine = true;

        for (uint64_t seed = 1; seed <= N_SEEDS; seed++)
                for (unsigned long at = 1, n = seed == N_SEEDS ? IN_A_ROW : 1;; at++) {
                        fine &= run(scenario, seed, at, n, false);
                        n_runs++;
                        if (engine_memory_asked() < at)
                                break; /* none failed any more */
                }
        printf("sim-no-memory: %s: %lu runs\n", no_memory_scenarios[scenario].name, n_runs);
        return fine && n_runs > N_SEEDS; /* else the engine's calls do not come here */
}

/* sim-no-memory [SCENARIO [SEED AT N]] */
int main(int argc, char **argv)
{
        bool fine = true, found = false;

        setvbuf(stdout, NULL, _IOLBF, 0);
        kc_log_set_level(argc == 5 ? KC_LOG_DEBUG : KC_LOG_ERROR);
        __sanitizer_set_death_callback(on_death);
        signal(SIGABRT, on_abort);
        for (unsigned i = 0; i < n_no_memory_scenarios; i++) {
                if (argc > 1 && strcmp(argv[1], no_memory_scenarios[i].name) != 0)
                        continue;
                found = true;
                if (argc == 5)
                        fine &= run(i, strtoull(argv[2], NULL, 0), strtoul(argv[3], NULL, 0),
                            strtoul(argv[4], NULL, 0), true);
                else
                        fine &= run_all(i);
        }
        fflush(stdout);
        if (!fine)
                _exit(1); /* what a failed run has left is not the point */
        return found ? 0 : 2;
}
