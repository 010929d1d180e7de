/* Directed scenarios about how fast: far devices, and an uneven pair. In virtual time, so exactly. */
#include "sim/cases.h"

#define MIB (1u << 20)

/* ---- devices far away: the window fills all of the pages within a few round trips */

#define FAR_NS (10 * MS_NS) /* there and back */
#define FAR_PAGES 4096u
#define FAR_BYTES ((uint64_t)FAR_PAGES * 4096)

/* How much has been read or is being read, and is not written yet. */
static uint64_t under_way(const struct scenario *s, uint64_t at_ns)
{
        uint64_t bytes = 0;

        for (unsigned i = 0; i < s->devices[0].n_ops; i++)
                if (s->devices[0].ops[i]->sent_ns <= at_ns)
                        bytes += s->devices[0].ops[i]->length_bytes;
        for (unsigned i = 0; i < s->devices[1].n_ops; i++)
                if (s->devices[1].ops[i]->settled_ns <= at_ns)
                        bytes -= s->devices[1].ops[i]->length_bytes;
        return bytes;
}

struct scenario *case_far_devices_fill_the_window(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1 + (unsigned)(seed % 2), verbose);
        struct device_config config = case_device(48 * MIB);
        const struct device *from;
        struct scenario_job *job;
        uint64_t full_ns = 0, allowed_ns;
        struct wish wish;

        config.delay_min_ns = config.delay_max_ns = FAR_NS;
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", FAR_PAGES);
        wish = case_copy(0, 0, 1);
        wish.options.durability = COPY_DURABILITY_NONE;
        wish.expect_completed = true;
        job = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a copy from far to far");
        if (s->world.failed)
                return s;
        from = &s->devices[0];
        for (unsigned i = 0; i < from->n_ops && full_ns == 0; i++)
                if (under_way(s, from->ops[i]->sent_ns) >= FAR_BYTES / 10 * 9)
                        full_ns = from->ops[i]->sent_ns;
        case_expect(s, full_ns > 0 && full_ns - from->ops[0]->sent_ns <= 6 * FAR_NS);
        /* the rest at full speed: all pages once in two round trips */
        allowed_ns = full_ns + (48 * MIB / FAR_BYTES + 2) * 2 * FAR_NS;
        case_expect(s, job->check->end_ns < allowed_ns);
        scenario_end(s);
        return s;
}
