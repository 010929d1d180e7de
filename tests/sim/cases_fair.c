/* Directed scenarios of several who want one device at once: shares are decided in bytes, by identity first,
 * then by priority (DESIGN 3), however many jobs each has. */
#include "sim/cases.h"

#define MIB (1u << 20)
#define JOB_SECTORS 4096u
#define JOB_BYTES (JOB_SECTORS * 512ull)

/* What the device had done of others' jobs when this one ended, in percent of it. */
static unsigned others_percent(const struct device *device, enum io_op op, const struct scenario_job *job)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < device->n_ops; i++)
                if (device->ops[i]->op == op && device->ops[i]->settled_moment > 0 &&
                    device->ops[i]->settled_ns <= job->check->end_ns)
                        sum += device->ops[i]->length_bytes;
        return (unsigned)((sum - JOB_BYTES) * 100 / JOB_BYTES);
}

/* n_jobs + 1 jobs of equal length; the last one is `client`'s, with `priority`. The device `slow` limits. */
static struct scenario_job *last_of_many(
    struct scenario *s, unsigned n_jobs, unsigned client, unsigned priority, unsigned slow)
{
        struct device_config config = case_device(18 * MIB);
        struct scenario_job *job = NULL;

        config.block_max_bytes = 64 << 10; /* many chunks, so that shares can be seen */
        for (unsigned i = 0; i < 3; i++) {
                config.multi_conn = s->world.seed % 2;
                config.bytes_per_s = i == slow ? 64 * MIB : 0;
                scenario_device(s, &config);
        }
        scenario_start(s);
        scenario_client(s, "many", 1024);
        scenario_client(s, "one", 1024);
        for (unsigned i = 0; i <= n_jobs; i++) {
                bool last = i == n_jobs;
                struct wish wish = case_copy(last ? client : 0, slow == 0 ? 0 : i % 2, 2);

                wish.from.sector = wish.to[0].sector = i * JOB_SECTORS;
                wish.from.count_sectors = JOB_SECTORS;
                wish.options.durability = COPY_DURABILITY_NONE;
                wish.options.priority = last ? priority : 0;
                wish.expect_completed = true;
                job = scenario_submit(s, &wish);
        }
        scenario_run(s, scenario_all_ended, "the copies");
        return job;
}

/* Eight jobs of one identity and one of another read one slow export: half of it is the one's. */
struct scenario *case_identities_share_source(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct scenario_job *job = last_of_many(s, 8, 1, 0, 0);

        if (s->world.failed)
                return s;
        case_expect(s, others_percent(&s->devices[0], IO_READ, job) < 170);
        scenario_end(s);
        return s;
}

/* The same where they write to one slow export from different ones. */
struct scenario *case_identities_share_destination(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct scenario_job *job = last_of_many(s, 8, 1, 0, 2);

        if (s->world.failed)
                return s;
        case_expect(s, others_percent(&s->devices[2], IO_WRITE, job) < 170);
        scenario_end(s);
        return s;
}

/* Of one identity's five jobs the one of priority 7 gets more than the others together (eight times as much
 * where its window allows). */
struct scenario *case_priorities_share(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct scenario_job *job = last_of_many(s, 4, 0, 7, 0);

        if (s->world.failed)
                return s;
        case_expect(s, others_percent(&s->devices[0], IO_READ, job) < 100);
        scenario_end(s);
        return s;
}
