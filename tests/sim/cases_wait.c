/* Directed scenarios about jobs that wait, and what happens meanwhile. */
#include <string.h>

#include "sim/cases.h"

#define MIB (1u << 20)

/* ---- a failed flush is nothing to a job that waits for the region: it gets another connection */

static bool first_runs(struct scenario *s)
{
        return s->jobs[0].check->running;
}

struct scenario *case_failed_flush_spares_who_waits(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *flushing;
        struct wish wish;

        scenario_device(s, &config);
        scenario_device(s, &config);
        config.flush_fails_at = 1;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 512);
        wish = case_copy(0, 0, 2);
        flushing = scenario_submit(s, &wish);
        scenario_run(s, first_runs, "the first job's start");
        wish = case_copy(0, 1, 2);
        wish.options.durability = seed % 2 ? COPY_DURABILITY_NONE : COPY_DURABILITY_FLUSH;
        wish.expect_completed = true;
        scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "the job whose flush fails, and the one that waits for it");
        if (s->world.failed)
                return s;
        case_expect(s, flushing->check->end == JOB_FAILED);
        scenario_end(s);
        return s;
}

/* ---- a job whose connection was lost does not begin again when it is cancelled before that, however late */

/* Its result is there, and it is not told. */
static bool lost_run_is_over(struct scenario *s)
{
        struct engine_job_view view;

        if (engine_job_get(s->engine, s->jobs[0].check->id, &view) < 0)
                return false;
        return view.state == JOB_RUNNING ? view.destinations[0].error.error.code < 0
                                         : s->jobs[0].check->has_run;
}

struct scenario *case_cancel_is_not_lost_in_a_restart(uint64_t seed, bool verbose)
{
        /* The moment is one message wide: seed 11 meets it. */
        struct scenario *s = scenario_new(seed += 182, 4, verbose);
        struct device_config config = case_device(17 * MIB);
        struct scenario_job *job;
        struct wish wish;
        bool too_late;

        config.open_delay_ns = seed % 64 * 10000; /* lanes that were to help come when all is over */
        config.lose_at_op = 1;
        scenario_device(s, &config);
        config.lose_at_op = 0;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 1024);
        wish = case_copy(0, 0, 1);
        wish.options.no_extents = true;
        job = scenario_submit(s, &wish);
        scenario_run(s, lost_run_is_over, "the end of the run that lost a connection");
        if (s->world.failed)
                return s;
        too_late = scenario_all_ended(s);
        scenario_cancel(job);
        scenario_run(s, scenario_all_ended, "the cancelled job");
        if (s->world.failed)
                return s;
        case_expect(s, too_late || job->check->end != JOB_COMPLETED);
        scenario_end(s);
        return s;
}

/* ---- a job in its client's queue says what the others do that are before it */

struct scenario *case_queued_jobs_say_for_what(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *queued;
        struct engine_job_view view;
        struct wish wish;

        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_device(s, &config);
        s->devices[1].config.delay_min_ns = SECOND_NS;
        s->devices[1].config.delay_max_ns = 2 * SECOND_NS;
        s->config.client_running_max = 1;
        scenario_start(s);
        scenario_client(s, "slow", 256);
        scenario_client(s, "user", 256);
        wish = case_copy(0, 0, 1);
        scenario_submit(s, &wish);
        scenario_run(s, first_runs, "the first job's start");
        wish = case_copy(0, 0, 2);
        queued = scenario_submit(s, &wish); /* for the slot of the first */
        scenario_run_for(s, 100 * MS_NS);
        case_expect(s, engine_job_get(s->engine, queued->check->id, &view) == 0);
        case_expect(s, strstr(view.reason, "are running") != NULL);
        wish = case_copy(1, 0, 1);
        scenario_submit(s, &wish); /* for the region of the first */
        scenario_run_for(s, 100 * MS_NS);
        wish = case_copy(1, 0, 2);
        queued = scenario_submit(s, &wish);
        scenario_run_for(s, 100 * MS_NS);
        case_expect(s, engine_job_get(s->engine, queued->check->id, &view) == 0);
        case_expect(s, strstr(view.reason, "wait for regions") != NULL);
        scenario_run(s, scenario_all_ended, "all jobs");
        if (s->world.failed)
                return s;
        scenario_end(s);
        return s;
}
