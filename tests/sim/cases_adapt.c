/* Directed scenarios about what adapts: who was there first gives way, with his pages and with his turns. In
 * virtual time, over devices that are far away, so that a window takes all the pages that it can get. */
#include "sim/cases.h"

#define MIB (1u << 20)
#define FAR_NS (10 * MS_NS) /* there and back */

static void far_devices(struct scenario *s, unsigned n, uint64_t size_bytes, uint32_t block_max_bytes)
{
        struct device_config config = case_device(size_bytes);

        config.delay_min_ns = config.delay_max_ns = FAR_NS;
        if (block_max_bytes)
                config.block_max_bytes = block_max_bytes;
        for (unsigned i = 0; i < n; i++)
                scenario_device(s, &config);
}

/* What is being read or written at that time: a buffer each. */
static uint64_t in_flight_bytes(const struct scenario *s, uint64_t at_ns)
{
        uint64_t bytes = 0;

        for (unsigned d = 0; d < s->n_devices; d++)
                for (unsigned i = 0; i < s->devices[d].n_ops; i++) {
                        const struct device_op *op = s->devices[d].ops[i];

                        if ((op->op == IO_READ || op->op == IO_WRITE) && op->sent_ns <= at_ns &&
                            op->settled_ns > at_ns)
                                bytes += op->length_bytes;
                }
        return bytes;
}

/* ---- memory is short: a job on one lane has all of its client's pages when another begins on another lane
 */

#define SHORT_PAGES 512u
#define SHORT_BYTES (SHORT_PAGES * 4096ull)

struct scenario *case_pages_go_where_they_are_wanted(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        const struct scenario_job *first, *second;
        uint64_t start_ns, most_bytes = 0;
        struct wish wish;

        s->config.helpers_min_bytes = UINT64_MAX; /* each on its own lane */
        far_devices(s, 4, 48 * MIB, 0);
        scenario_start(s);
        scenario_client(s, "user", SHORT_PAGES);
        start_ns = s->world.now_ns;
        wish = case_copy(0, 0, 1);
        wish.expect_completed = true;
        first = scenario_submit(s, &wish);
        wish = case_copy(0, 2, 3);
        wish.from.count_sectors = 4 * MIB / 512;
        wish.expect_completed = true;
        second = scenario_submit_later(s, &wish, 100 * MS_NS);
        scenario_run(s, scenario_all_ended, "both copies");
        if (s->world.failed)
                return s;
        for (unsigned i = 0; i < s->devices[0].n_ops; i++) {
                uint64_t bytes = in_flight_bytes(s, s->devices[0].ops[i]->sent_ns);

                most_bytes = bytes > most_bytes ? bytes : most_bytes;
                if (s->devices[0].ops[i]->sent_ns < start_ns + 100 * MS_NS)
                        continue;
                case_expect(s, bytes <= SHORT_BYTES);
        }
        case_expect(s, most_bytes >= SHORT_BYTES / 2); /* or memory was not short */
        /* with half of the pages 4 MiB take 80 ms, and the first one's 48 MiB 480 */
        case_expect(s, second->check->end_ns < start_ns + 350 * MS_NS);
        case_expect(
            s, first->check->end_ns > second->check->end_ns && first->check->end_ns < start_ns + 800 * MS_NS);
        scenario_end(s);
        return s;
}

/* ---- a small job that comes late, beside 63 that have a window and a queue each */

#define CROWD 63u
#define CROWD_SECTORS 1024u

struct scenario *case_small_job_gets_its_turn(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1 + (unsigned)(seed % 2), verbose);
        const struct scenario_job *late;
        uint64_t start_ns, last_ns = 0;
        struct wish wish;

        far_devices(s, 2, 32 * MIB, 64 << 10);
        scenario_start(s);
        scenario_client(s, "user", 256);
        start_ns = s->world.now_ns;
        for (unsigned i = 0; i <= CROWD; i++) {
                wish = case_copy(0, 0, 1);
                wish.from.sector = wish.to[0].sector = i * CROWD_SECTORS;
                wish.from.count_sectors = i == CROWD ? 128 : CROWD_SECTORS;
                wish.options.durability = COPY_DURABILITY_NONE;
                wish.expect_completed = true;
                if (i < CROWD)
                        scenario_submit(s, &wish);
        }
        late = scenario_submit_later(s, &wish, 50 * MS_NS);
        scenario_run(s, scenario_all_ended, "the crowd");
        if (s->world.failed)
                return s;
        for (unsigned i = 0; i < CROWD; i++)
                last_ns = s->jobs[i].check->end_ns > last_ns ? s->jobs[i].check->end_ns : last_ns;
        case_expect(s, last_ns > start_ns + 500 * MS_NS); /* or there was nothing to wait for */
        /* a chunk of each of them fills the pages four times, and each time takes two round trips */
        case_expect(s, late->check->end_ns < start_ns + 50 * MS_NS + 3 * 4 * 2 * FAR_NS);
        scenario_end(s);
        return s;
}
