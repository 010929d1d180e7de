/* sim-no-memory: each allocation of the engine fails in turn, over scenarios of a few jobs. Nobody crashes,
 * nothing leaks, every submission is refused or ends once and truthfully, and the world comes to rest.
 *
 * The engine's objects are the production ones, with their calls of malloc and the like led here (objcopy,
 * no_memory.syms); the world, the devices and the checker keep libc's. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "sim/no_memory.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_set_death_callback(callback) ((void)(callback))
#endif

void *no_memory_malloc(size_t bytes);
void *no_memory_calloc(size_t n, size_t bytes);
void *no_memory_realloc(void *old, size_t bytes);
void *no_memory_reallocarray(void *old, size_t n, size_t bytes);
char *no_memory_strdup(const char *text);
void *no_memory_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int no_memory_munmap(void *memory, size_t bytes);
void no_memory_free(void *memory);

/* ---- the engine's memory */

static struct {
        unsigned long n_asked, fails_from, fails_until; /* the first one is number 1 */
        long n_held;
} memory;

static bool fails(void)
{
        memory.n_asked++;
        if (memory.n_asked < memory.fails_from || memory.n_asked >= memory.fails_until)
                return false;
        errno = ENOMEM;
        return true;
}

static void *held(void *got)
{
        memory.n_held += got != NULL;
        return got;
}

void *no_memory_malloc(size_t bytes)
{
        return fails() ? NULL : held(malloc(bytes));
}

void *no_memory_calloc(size_t n, size_t bytes)
{
        return fails() ? NULL : held(calloc(n, bytes));
}

void *no_memory_realloc(void *old, size_t bytes)
{
        void *got = fails() ? NULL : realloc(old, bytes);

        return old ? got : held(got);
}

void *no_memory_reallocarray(void *old, size_t n, size_t bytes)
{
        void *got = fails() ? NULL : reallocarray(old, n, bytes);

        return old ? got : held(got);
}

char *no_memory_strdup(const char *text)
{
        return fails() ? NULL : held(strdup(text));
}

void *no_memory_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
        void *got = fails() ? MAP_FAILED : mmap(at, bytes, protection, flags, fd, offset);

        memory.n_held += got != MAP_FAILED;
        return got;
}

int no_memory_munmap(void *at, size_t bytes)
{
        memory.n_held--;
        return munmap(at, bytes);
}

void no_memory_free(void *at)
{
        memory.n_held -= at != NULL;
        free(at);
}

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
        memory.n_asked = 0;
        memory.n_held = 0;
        memory.fails_from = at;
        memory.fails_until = at + n;
        s = no_memory_scenarios[scenario].run(seed, verbose);
        check_classes(s);
        if (!s->world.failed && memory.n_held != 0)
                world_fail(&s->world, "%ld allocations are left", memory.n_held);
        fine = !s->world.failed;
        if (!fine) {
                fprintf(stderr, "sim-no-memory: %s\n", s->world.failure);
                on_death();
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
                        if (memory.n_asked < at)
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
