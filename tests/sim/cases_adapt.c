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

/* ---- many jobs that do the same keep as much in flight as one, and no answer that stays out holds up the
 * others */

#define TWENTY 20u
#define EACH_BYTES (6 * MIB)

static void twenty_jobs(struct scenario *s)
{
        struct wish wish;

        s->config.helpers_min_bytes = UINT64_MAX;
        scenario_start(s);
        scenario_client(s, "user", 16384);
        for (unsigned i = 0; i < TWENTY; i++) {
                wish = case_copy(0, 0, 1);
                wish.from.sector = wish.to[0].sector = i * (EACH_BYTES / 512);
                wish.from.count_sectors = EACH_BYTES / 512;
                wish.options.no_extents = wish.options.no_detect_zeroes = true;
                wish.expect_completed = true;
                scenario_submit(s, &wish);
        }
        scenario_run(s, scenario_all_ended, "twenty copies");
}

/* One connection each, so one lane; near, and as fast with one chunk under way as with many. */
static void near_devices(struct scenario *s, const struct device_config *source)
{
        struct device_config config = *source;

        config.delay_min_ns = config.delay_max_ns = MS_NS / 10;
        config.bytes_per_s = 4ull << 30;
        config.multi_conn = false;
        scenario_device(s, &config);
        config.stall_one_in = 0;
        scenario_device(s, &config);
}

struct scenario *case_many_jobs_share_a_window(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1, verbose);
        struct device_config config = case_device(TWENTY * EACH_BYTES);
        uint64_t most_bytes = 0;

        near_devices(s, &config);
        twenty_jobs(s);
        if (s->world.failed)
                return s;
        for (unsigned i = 0; i < s->devices[0].n_ops; i++) {
                uint64_t bytes = in_flight_bytes(s, s->devices[0].ops[i]->sent_ns);

                most_bytes = bytes > most_bytes ? bytes : most_bytes;
        }
        /* two chunks, and four while the window tries that; a window each would be ten times as much */
        case_expect(s, most_bytes >= MIB && most_bytes <= 2 * MIB);
        scenario_end(s);
        return s;
}

struct scenario *case_lost_answers_hold_up_their_own(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1, verbose);
        struct device_config config = case_device(TWENTY * EACH_BYTES);
        unsigned n_stalled = 0;
        uint64_t start_ns;

        config.stall_one_in = 30;
        config.stall_ns = 10 * SECOND_NS;
        near_devices(s, &config);
        twenty_jobs(s);
        if (s->world.failed)
                return s;
        start_ns = s->devices[0].ops[0]->sent_ns;
        for (unsigned i = 0; i < s->devices[0].n_ops; i++) {
                const struct device_op *op = s->devices[0].ops[i];

                n_stalled += op->settled_ns > op->sent_ns + 10 * SECOND_NS;
                /* a job with a chunk that stays out has the window less one for the others, and may have two
                 */
                case_expect(s, op->sent_ns < start_ns + 25 * SECOND_NS);
        }
        case_expect(s, n_stalled >= 3); /* in turn, two by two, they would take 10 s each */
        scenario_end(s);
        return s;
}

/* ---- jobs that wait for room in their common window get their turn, while others always have a chunk to
 * begin */

static unsigned n_begun(const struct device *device, uint64_t from_moment, uint64_t until_moment)
{
        unsigned n = 0;

        for (unsigned i = 0; i < device->n_ops; i++)
                n += device->ops[i]->op == IO_READ && device->ops[i]->sent_moment > from_moment &&
                     device->ops[i]->sent_moment <= until_moment;
        return n;
}

/* When the device's n-th command after that moment was sent. */
static uint64_t moment_of(const struct device *device, uint64_t from_moment, unsigned n)
{
        for (unsigned i = 0; i < device->n_ops; i++)
                if (device->ops[i]->sent_moment > from_moment && --n == 0)
                        return device->ops[i]->sent_moment;
        return UINT64_MAX;
}

static bool crew_has_begun(struct scenario *s)
{
        return s->devices[0].n_ops >= 2;
}

static bool others_have_begun(struct scenario *s)
{
        return s->devices[2].n_ops >= 100;
}

struct scenario *case_crews_get_their_turn(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1, verbose);
        struct device_config config = case_device(TWENTY * 2 * MIB);
        uint64_t start_moment, until_moment;
        struct wish wish;

        s->config.turn_bytes = 4096; /* one chunk, and answers may have come by then */
        s->config.pages = 32768;
        config.block_max_bytes = 65536;
        config.delay_min_ns = config.delay_max_ns = 1000;
        config.multi_conn = false;
        config.deep = true;
        for (unsigned i = 0; i < 5; i++)
                scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 1024);
        scenario_client(s, "user", 16384);
        for (unsigned i = 0; i < 2; i++) { /* the crew */
                wish = case_copy(0, 0, 1);
                wish.from.sector = wish.to[0].sector = i * (TWENTY * MIB / 512);
                wish.from.count_sectors = TWENTY * MIB / 512;
                wish.options.no_extents = true;
                scenario_submit(s, &wish);
        }
        scenario_run(s, crew_has_begun, "the crew");
        for (unsigned i = 0; i < TWENTY; i++) { /* to two each: a crew of its own each */
                wish = case_copy(1, 2, 3);
                wish.n_to = 2;
                wish.to[1].device = 4;
                wish.from.sector = wish.to[0].sector = wish.to[1].sector = i * (2 * MIB / 512);
                wish.from.count_sectors = 2 * MIB / 512;
                wish.options.no_extents = true;
                scenario_submit(s, &wish);
        }
        scenario_run(s, others_have_begun, "the others");
        start_moment = s->world.moment;
        scenario_run(s, scenario_all_ended, "all copies");
        if (s->world.failed)
                return s;
        until_moment = moment_of(&s->devices[0], start_moment, 40);
        /* a window of two against twenty of eight, and never none of them has a chunk to begin: 400, not 540
         */
        case_expect(s, n_begun(&s->devices[2], start_moment, until_moment) <= 450);
        scenario_end(s);
        return s;
}

/* ---- jobs of some length go to the lane that has less to do, over a connection of its own; short ones stay
 * together */

static unsigned reads_on(const struct device *device, unsigned conn)
{
        unsigned n = 0;

        for (unsigned i = 0; i < device->n_ops; i++)
                n += device->ops[i]->op == IO_READ && device->ops[i]->conn == conn;
        return n;
}

struct scenario *case_jobs_go_where_there_is_less_to_do(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(64 * MIB);
        bool short_ones = seed % 2 == 0;
        unsigned n, first;
        struct wish wish;

        s->config.helpers_min_bytes = UINT64_MAX;
        s->config.client_running_max = 8; /* the first ones begin before there is another connection */
        config.delay_min_ns = config.delay_max_ns = MS_NS;
        config.multi_conn = true;
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 4096);
        for (unsigned i = 0; i < 60; i++) {
                wish = case_copy(0, 0, 1);
                wish.from.sector = wish.to[0].sector = i * (MIB / 512);
                wish.from.count_sectors = (short_ones ? 4096 : MIB) / 512;
                wish.options.no_extents = true;
                wish.expect_completed = true;
                scenario_submit(s, &wish);
        }
        scenario_run(s, scenario_all_ended, "sixty copies");
        if (s->world.failed)
                return s;
        first = reads_on(&s->devices[0], 0);
        n = first + reads_on(&s->devices[0], 1);
        if (short_ones)
                case_expect(s, s->devices[0].n_conns == 1 && s->devices[1].n_conns == 1);
        else
                case_expect(s, n >= 120 && first >= n / 4 && first <= n - n / 4);
        scenario_end(s);
        return s;
}
