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

/* n_jobs + 1 jobs of equal length; the last one is `client`'s, with `priority`. The device `slow` limits.
 * Until the last one has ended, it has done at most so much of the others'. */
static struct scenario *last_of_many(uint64_t seed, bool verbose, unsigned n_jobs, unsigned client,
    unsigned priority, unsigned slow, unsigned most_percent)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
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
        if (s->world.failed)
                return s;
        case_expect(s, others_percent(&s->devices[slow], slow == 0 ? IO_READ : IO_WRITE, job) < most_percent);
        scenario_end(s);
        return s;
}

/* Eight jobs of one identity and one of another read one slow export: half of it is the one's. */
struct scenario *case_identities_share_source(uint64_t seed, bool verbose)
{
        return last_of_many(seed, verbose, 8, 1, 0, 0, 170);
}

/* The same where they write to one slow export from different ones. */
struct scenario *case_identities_share_destination(uint64_t seed, bool verbose)
{
        return last_of_many(seed, verbose, 8, 1, 0, 2, 170);
}

/* Of one identity's jobs the one of priority 7 gets eight times as much as another, at the source and at the
 * destination. */
struct scenario *case_priorities_share(uint64_t seed, bool verbose)
{
        unsigned n_others = seed / 2 % 2 ? 1 : 4;

        return last_of_many(seed, verbose, n_others, 0, 7, seed % 2 ? 0 : 2, n_others * 25);
}

/* ---- a cancelled job does not wait for what has not left */

struct scenario *case_held_requests_are_cancelled(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(2 * MIB);
        struct scenario_job *job;
        struct wish wish;
        uint64_t start_ns;

        config.block_max_bytes = 64 << 10;
        for (unsigned i = 0; i < 3; i++) {
                config.bytes_per_s = i == 0 ? 64 << 10 : 0; /* a second for each read */
                scenario_device(s, &config);
        }
        scenario_start(s);
        scenario_client(s, "user", 1024);
        wish = case_copy(0, 0, 1);
        start_ns = s->world.now_ns;
        scenario_submit(s, &wish);
        wish = case_copy(0, 0, 2);
        wish.options.priority = 1;
        job = scenario_submit_later(s, &wish, 100 * MS_NS);
        world_event_start(&s->world, &job->cancel_event, 200 * MS_NS);
        scenario_run(s, scenario_all_ended, "both");
        if (s->world.failed)
                return s;
        case_expect(s, job->check->end == JOB_CANCELLED);
        case_expect(s, job->check->end_ns < start_ns + 300 * MS_NS);
        case_expect(s, job->check->source_error.code == 0);
        case_expect(s, s->devices[2].n_ops == 0);
        scenario_end(s);
        return s;
}

/* ---- waiting behind others: not for ever if the device is silent, but for as long as it is only busy */

#define WAITING_TIMEOUT_NS (4 * SECOND_NS)

/* Two sources and two destinations, of which `shared` is to be one that both jobs use; `config` is its own.
 */
static void waiting_devices(struct scenario *s, unsigned shared, const struct device_config *config)
{
        struct device_config others = case_device(18 * MIB);

        others.block_max_bytes = 64 << 10;
        for (unsigned i = 0; i < 4; i++)
                scenario_device(s, i == shared ? config : &others);
        s->config.command_timeout_ns = WAITING_TIMEOUT_NS;
        scenario_start(s);
        scenario_client(s, "many", 1024);
        scenario_client(s, "one", 1024);
        if (s->world.seed % 4 < 2) /* else where the first job is */
                return;
        for (unsigned i = 0; i < 4; i++) /* on a lane of its own, and the jobs with their other devices */
                scenario_open_handle(s, i == shared, i, i >= 2);
        scenario_run_for(s, 100 * MS_NS);
}

static struct wish waiting_wish(unsigned client, bool share_source, unsigned number, unsigned priority)
{
        struct wish wish = case_copy(client, share_source ? 0 : number % 2, 2 + number % 2);

        if (!share_source)
                wish.to[0].device = 2;
        wish.from.sector = wish.to[0].sector = number * JOB_SECTORS;
        wish.from.count_sectors = JOB_SECTORS;
        wish.options.durability = COPY_DURABILITY_NONE;
        wish.options.priority = priority;
        return wish;
}

/* A job of another priority whose requests all wait behind those of one that a silent device holds: it has
 * sent nothing, so nothing of it is in doubt, and its own time is all it waits. */
struct scenario *case_waiting_behind_silence_times_out(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 4, verbose);
        struct device_config config = case_device(18 * MIB);
        bool source = seed % 2, local = seed % 3 == 0;
        struct scenario_job *behind;
        const struct check_job *check;
        unsigned n_sent;
        uint64_t start_ns;
        struct wish wish;

        config.block_max_bytes = 64 << 10;
        config.multi_conn = false;
        config.silent_from_op = 20;
        if (local)
                config.kind = IO_KIND_BLOCK; /* the kernel cannot be hurried */
        s->may_be_stuck = local;
        waiting_devices(s, source ? 0 : 2, &config);
        wish = waiting_wish(0, source, 0, 0);
        scenario_submit(s, &wish);
        scenario_run_for(s, 300 * MS_NS);
        n_sent = s->devices[source ? 0 : 2].n_ops;
        wish = waiting_wish(1, source, 1, 7);
        behind = scenario_submit(s, &wish);
        start_ns = s->world.now_ns;
        scenario_run(s, scenario_all_ended, "both jobs");
        if (s->world.failed)
                return s;
        check = behind->check;
        for (unsigned i = n_sent; i < s->devices[source ? 0 : 2].n_ops; i++)
                case_expect(s, s->devices[source ? 0 : 2].ops[i]->sent_ns > check->end_ns);
        case_expect(s, check->end == JOB_FAILED);
        case_expect(s, check->end_ns >= start_ns + WAITING_TIMEOUT_NS - 300 * MS_NS);
        case_expect(
            s, check->end_ns < start_ns + WAITING_TIMEOUT_NS + s->config.cancel_grace_ns + SECOND_NS / 2);
        case_expect(s, check->results[0].ledger.indeterminate == 0);
        if (source)
                case_expect(s, check->source_error.class == KC_CLASS_TIMEOUT);
        else
                case_expect(s, check->results[0].error.error.class == KC_CLASS_TIMEOUT);
        scenario_end(s);
        return s;
}

/* Eight jobs of eight priorities, from several lanes, at one slow device with a single connection: the last
 * one's requests wait for longer than any may take. */
struct scenario *case_busy_device_times_nobody_out(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 4, verbose);
        struct device_config config = case_device(18 * MIB);
        bool source = seed % 2;

        config.block_max_bytes = 64 << 10;
        config.multi_conn = false;
        config.bytes_per_s = 256 << 10;
        waiting_devices(s, source ? 0 : 2, &config);
        for (unsigned i = 0; i < 8; i++) {
                struct wish wish = waiting_wish(i % 2, source, i, i);

                wish.expect_completed = true;
                scenario_submit(s, &wish);
        }
        scenario_run(s, scenario_all_ended, "the copies");
        if (s->world.failed)
                return s;
        for (unsigned i = 0; i < 8; i++)
                case_expect(s, s->jobs[i].check->end == JOB_COMPLETED);
        scenario_end(s);
        return s;
}

/* The same device, busy for long, but some answers are lost: whose they are ends in time, although others go
 * on being answered, also to the same lane. */
struct scenario *case_lost_answers_among_others_time_out(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 4, verbose);
        struct device_config config = case_device(18 * MIB);
        bool source = seed % 2;
        const struct device *device;
        unsigned n_lost = 0;

        config.block_max_bytes = 64 << 10;
        config.multi_conn = false;
        config.bytes_per_s = 512 << 10;
        config.silent_one_in = 25;
        waiting_devices(s, source ? 0 : 2, &config);
        for (unsigned i = 0; i < 8; i++) {
                struct wish wish = waiting_wish(i % 2, source, i, i);

                scenario_submit(s, &wish);
        }
        scenario_run(s, scenario_all_ended, "the copies");
        if (s->world.failed)
                return s;
        device = &s->devices[source ? 0 : 2];
        for (unsigned i = 0; i < device->n_ops; i++) {
                const struct device_op *op = device->ops[i];
                uint64_t end_ns = op->sent_ns + WAITING_TIMEOUT_NS;

                if (op->settled_ns > 0 && op->settled_ns <= end_ns)
                        continue;
                n_lost++;
                for (unsigned k = 0; k < 8; k++)
                        if (op->jobs_mask >> k & 1)
                                case_expect(s, s->jobs[k].check->end_ns <
                                                   end_ns + s->config.cancel_grace_ns + SECOND_NS);
        }
        case_expect(s, n_lost > 0);
        scenario_end(s);
        return s;
}
