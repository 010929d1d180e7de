/* Directed scenarios about jobs that are only to be validated. */
#include "sim/cases.h"

#define MIB (1u << 20)

static bool first_job_writes(struct scenario *s)
{
        const struct device *to = &s->devices[1];

        for (unsigned i = 0; i < to->n_ops; i++)
                if (to->ops[i]->op == IO_WRITE)
                        return true;
        return false;
}

static bool all_judged(struct scenario *s)
{
        for (unsigned i = 1; i < s->n_jobs; i++)
                if (check_live(s->jobs[i].check))
                        return false;
        return true;
}

/* A slow job writes device 1. Meanwhile jobs are judged that want the same regions, a file that is not there,
 * and one device twice: all are answered before the slow job has ended, no device has had a request for them,
 * and who comes next finds nothing locked or made. */
struct scenario *case_validate_only_touches_nothing(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1 + (unsigned)(seed % 3), verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *slow, *conflicting, *creating, *twice, *real;
        struct wish wish;

        scenario_device(s, &config);
        config.delay_min_ns = 5 * SECOND_NS;
        config.delay_max_ns = 10 * SECOND_NS;
        scenario_device(s, &config);
        config = case_device(MIB);
        config.kind = IO_KIND_FILE;
        config.resizable = config.absent = true;
        config.block_min_bytes = 1;
        config.keep_idle_ms = 0;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 256);
        wish = case_copy(0, 0, 1);
        wish.expect_completed = true;
        slow = scenario_submit(s, &wish);
        scenario_run(s, first_job_writes, "the slow job's first write");
        if (s->world.failed)
                return s;

        wish.expect_accepted = wish.options.validate_only = true;
        conflicting = scenario_submit(s, &wish);
        wish.to[0].device = 2;
        creating = scenario_submit(s, &wish);
        wish.expect_accepted = false;
        wish.to[0].device = 0;
        twice = scenario_submit(s, &wish);
        scenario_run(s, all_judged, "the answers");
        if (s->world.failed)
                return s;
        case_expect(s, slow->check->state == CHECK_ACCEPTED);
        case_expect(s, conflicting->check->state == CHECK_VALIDATED);
        case_expect(s, creating->check->state == CHECK_VALIDATED);
        case_expect(s, twice->check->state == CHECK_REFUSED);
        case_expect(s, s->devices[2].n_ops == 0 && s->devices[2].absent);

        wish = case_copy(0, 0, 2);
        wish.expect_accepted = wish.expect_completed = true;
        real = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a job after that");
        if (s->world.failed)
                return s;
        case_expect(s, real->check->end == JOB_COMPLETED && real->ended_ns < slow->ended_ns);
        case_expect(s, slow->check->end == JOB_COMPLETED);
        scenario_end(s);
        return s;
}
