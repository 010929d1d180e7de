/* Directed scenarios of a daemon's several lives, and of detached jobs in one of them. */
#include <errno.h>
#include <string.h>

#include "sim/cases.h"
#include "sim/engine_memory.h"
#include "sim/lives.h"

#define KIB 1024u
#define MIB (1u << 20)

/* Two or three plain devices of that size, and a daemon that lives for ever. */
static struct scenario *begin(uint64_t seed, bool verbose, unsigned n_devices, struct device_config config)
{
        struct scenario *s;

        engine_memory_begin(1, 0);
        s = scenario_new(seed, 2, verbose);
        (void)lives_new(s);
        s->config.detached_pages = 256;
        s->config.checkpoint_ns = 20 * MS_NS;
        for (unsigned i = 0; i < n_devices; i++)
                scenario_device(s, &config);
        s->n_clients = 1;
        s->clients[0].scenario = s;
        s->clients[0].wanted_pages = 256;
        strcpy(s->clients[0].identity, "user");
        world_event_init(&s->clients[0].close_event, 0, NULL);
        return s;
}

static struct scenario *end(struct scenario *s)
{
        lives_end(s);
        return s;
}

static struct wish detached(unsigned from, unsigned to)
{
        struct wish wish = case_copy(0, from, to);

        wish.detached = true;
        wish.options.rate_bytes_per_s = MIB;
        return wish;
}

static enum job_state state_of(struct scenario *s, const struct scenario_job *job)
{
        struct engine_job_view view;

        return s->engine && job->check && job->check->id &&
                       engine_job_get(s->engine, job->check->id, &view) == 0
                   ? view.state
                   : 0;
}

static bool first_has_mark(struct scenario *s)
{
        const struct check_mark *mark = s->jobs[0].check ? s->jobs[0].check->mark : NULL;

        return mark && mark->ends[0].n_ranges > 0;
}

static bool first_is_paused(struct scenario *s)
{
        return state_of(s, &s->jobs[0]) == JOB_PAUSED && store_sim_idle(&s->lives->store);
}

static bool second_has_ended(struct scenario *s)
{
        return s->jobs[1].check && s->jobs[1].check->state == CHECK_TERMINAL;
}

/* A job with a checkpoint, paused, and all of that stored. */
static void pause_first(struct scenario *s)
{
        struct wish wish = detached(0, 1);

        scenario_submit(s, &wish);
        scenario_run(s, first_has_mark, "a checkpoint");
        if (s->world.failed)
                return;
        engine_job_pause(s->engine, s->jobs[0].check->id);
        scenario_run(s, first_is_paused, "the pause");
}

/* ---- another job writes where a paused one has written, or to what it reads: not before it is stored that
 * the paused one begins anew. Then the daemon is killed. */

static struct scenario *overwritten_is_stored_first(uint64_t seed, bool verbose)
{
        struct scenario *s = begin(seed, verbose, 3, case_device(512 * KIB));
        struct wish wish = case_copy(0, 2, seed % 2 ? 1 : 0);

        lives_begin(s->lives);
        pause_first(s);
        if (s->world.failed)
                return end(s);
        s->lives->store.delay_min_ns = s->lives->store.delay_max_ns = 10 * SECOND_NS;
        wish.options.durability = COPY_DURABILITY_FLUSH;
        scenario_submit(s, &wish);
        scenario_run(s, second_has_ended, "the one that overwrites");
        if (s->world.failed)
                return end(s);
        s->lives->store.delay_min_ns = s->lives->store.delay_max_ns = MS_NS;
        lives_die(s->lives, DEATH_KILL); /* what the store says of the first one is looked at */
        scenario_run(s, first_is_paused, "the next life");
        if (s->world.failed)
                return end(s);
        engine_job_resume(s->engine, s->jobs[0].check->id);
        scenario_run(s, lives_all_ended, "the first one");
        if (!s->world.failed)
                case_expect(s, s->jobs[0].check->end == JOB_COMPLETED);
        return end(s);
}

/* ---- resumed before it had stopped: it goes on as if nothing had been asked */

static bool first_is_draining(struct scenario *s)
{
        return state_of(s, &s->jobs[0]) == JOB_DRAINING;
}

static struct scenario *resumed_while_it_stops(uint64_t seed, bool verbose)
{
        struct device_config config = case_device(512 * KIB);
        struct scenario *s;
        struct wish wish = detached(0, 1);

        config.delay_min_ns = config.delay_max_ns = 100 * MS_NS; /* so that it takes time to stop */
        s = begin(seed, verbose, 2, config);
        lives_begin(s->lives);
        scenario_submit(s, &wish);
        scenario_run(s, first_has_mark, "a checkpoint");
        if (s->world.failed)
                return end(s);
        engine_job_pause(s->engine, s->jobs[0].check->id);
        scenario_run(s, first_is_draining, "the stop");
        if (s->world.failed)
                return end(s);
        engine_job_resume(s->engine, s->jobs[0].check->id);
        scenario_run(s, lives_all_ended, "its end");
        if (!s->world.failed)
                case_expect(s, s->jobs[0].check->end == JOB_COMPLETED);
        return end(s);
}

/* ---- a job that has its locks from the run before gets a slot before those that wait for these locks */

static struct scenario *who_holds_locks_comes_first(uint64_t seed, bool verbose)
{
        struct device_config config = case_device(512 * KIB);
        struct scenario *s;
        struct wish wish = detached(0, 1);

        config.lose_at_op = 8; /* the destination's first connection */
        s = begin(seed, verbose, 1, case_device(512 * KIB));
        scenario_device(s, &config);
        s->config.client_running_max = 1;
        lives_begin(s->lives);
        wish.retry_for_ns = 600 * SECOND_NS;
        wish.expect_completed = true;
        for (unsigned i = 0; i < 4; i++) /* all want the same */
                scenario_submit(s, &wish);
        scenario_run(s, lives_all_ended, "four copies");
        return end(s);
}

/* ---- lost at the same place over and over, although checkpoints are stored in between: given up in time */

static struct scenario *no_progress_is_given_up(uint64_t seed, bool verbose)
{
        struct device_config config = case_device(512 * KIB);
        struct scenario *s;
        struct wish wish = detached(0, 1);
        uint64_t start_ns;

        config.bad_start_bytes = 256 * KIB;
        config.bad_end_bytes = config.bad_start_bytes + 1;
        config.bad_status = -ETIMEDOUT; /* as if it might come back */
        config.bad_ops = 1u << IO_READ;
        s = begin(seed, verbose, 1, config);
        config.bad_status = 0;
        scenario_device(s, &config);
        lives_begin(s->lives);
        wish.retry_for_ns = 60 * SECOND_NS;
        start_ns = s->world.now_ns;
        scenario_submit(s, &wish);
        scenario_run(s, lives_all_ended, "its end");
        if (s->world.failed)
                return end(s);
        case_expect(s, s->jobs[0].check->end == JOB_FAILED);
        case_expect(s, s->world.now_ns < start_ns + 150 * SECOND_NS);
        return end(s);
}

/* ---- killed again and again at any moment, with a store that fails in between: it completes, once, and is
 * never begun from the start when it had a checkpoint that is stored */

static struct scenario *dies_again_and_again(uint64_t seed, bool verbose)
{
        struct scenario *s = begin(seed, verbose, 2, case_device(512 * KIB));
        struct wish wish = detached(0, 1);

        lives_begin(s->lives);
        s->lives->n_deaths = 20;
        s->lives->life_max_ns = 300 * MS_NS;
        s->lives->n_troubles = 3;
        strcpy(wish.key, "key");
        wish.expect_completed = true;
        scenario_submit(s, &wish);
        for (unsigned i = 0; i < 10; i++) /* a client that does not hear of it */
                scenario_submit_later(s, &wish, i * 200 * MS_NS);
        lives_schedule(s->lives);
        world_event_start(&s->world, &s->lives->death_event, world_below(&s->world, 300 * MS_NS));
        scenario_run(s, lives_all_ended, "its end");
        return end(s);
}

/* ---- the daemon is stopped while a job waits for its source, and another one for its locks: that one does
 * not begin when the first has left, or the next daemon would go on from what is there no longer */

static bool first_is_lost(struct scenario *s)
{
        return first_has_mark(s) && state_of(s, &s->jobs[0]) == JOB_WAITING;
}

static struct scenario *none_begins_at_the_end(uint64_t seed, bool verbose)
{
        struct device_config config = case_device(512 * KIB);
        struct scenario *s;
        struct wish first = detached(0, 1), second = detached(0, 1);

        config.lose_at_op = 3; /* the first one's source */
        s = begin(seed, verbose, 1, config);
        config.lose_at_op = 0;
        scenario_device(s, &config);
        lives_begin(s->lives);
        first.retry_for_ns = 600 * SECOND_NS;
        second.operation = COPY_OPERATION_ZERO;
        second.options.rate_bytes_per_s = 0;
        first.expect_completed = second.expect_completed = true;
        scenario_submit(s, &first);
        scenario_run(s, first_has_mark, "a checkpoint");
        if (s->world.failed)
                return end(s);
        scenario_submit(s, &second);
        scenario_run(s, first_is_lost, "the loss of the source");
        if (s->world.failed)
                return end(s);
        lives_die(s->lives, DEATH_STOP);
        scenario_run(s, lives_all_ended, "both ends");
        return end(s);
}

const struct sim_case sim_cases[] = {
    {"overwritten-is-stored-first", overwritten_is_stored_first, 20},
    {"resumed-while-it-stops", resumed_while_it_stops, 20},
    {"who-holds-locks-comes-first", who_holds_locks_comes_first, 20},
    {"no-progress-is-given-up", no_progress_is_given_up, 10},
    {"dies-again-and-again", dies_again_and_again, 50},
    {"none-begins-at-the-end", none_begins_at_the_end, 50},
};
const unsigned n_sim_cases = sizeof sim_cases / sizeof sim_cases[0];
