/* Directed scenarios about how fast: far devices, and an uneven pair. In virtual time, so exactly. */
#include "sim/cases.h"

#include <string.h>

#include "copy/window.h"

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

/* ---- local devices that take direct requests: eight chunks at once, unless one of them does not */

struct scenario *case_local_devices_start_deep(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1, verbose);
        struct device_config config = case_device(8 * MIB);
        const struct device *from;
        unsigned n_at_once = 0;
        struct wish wish;

        config.kind = IO_KIND_BLOCK;
        config.keep_idle_ms = 0;
        config.delay_min_ns = config.delay_max_ns = FAR_NS;
        for (unsigned i = 0; i < 2; i++) {
                config.deep = seed % 3 != i;
                scenario_device(s, &config);
        }
        scenario_start(s);
        scenario_client(s, "user", FAR_PAGES);
        wish = case_copy(0, 0, 1);
        wish.expect_completed = true;
        scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a copy from device to device");
        if (s->world.failed)
                return s;
        from = &s->devices[0];
        for (unsigned i = 0; i < from->n_ops; i++)
                n_at_once += from->ops[i]->sent_ns < from->ops[0]->settled_ns;
        case_expect(s, n_at_once == (seed % 3 == 2 ? WINDOW_START_DEEP : WINDOW_START));
        scenario_end(s);
        return s;
}

/* ---- a long job on several lanes: large chunks, one by one on each as soon as the way is known to be short
 */

struct scenario *case_large_chunks_go_one_by_one(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(96 * MIB);
        const struct device_op *last[2] = {NULL};
        unsigned n_large = 0;
        struct wish wish;

        config.delay_min_ns = config.delay_max_ns = MS_NS / 10;
        config.bytes_per_s = 1ull << 30;
        config.multi_conn = true;
        for (unsigned i = 0; i < 2; i++)
                scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", FAR_PAGES);
        wish = case_copy(0, 0, 1);
        wish.options.no_extents = wish.options.no_detect_zeroes = true;
        wish.expect_completed = true;
        scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a long copy");
        if (s->world.failed)
                return s;
        for (unsigned i = s->devices[0].n_ops / 2; i < s->devices[0].n_ops; i++) {
                const struct device_op *op = s->devices[0].ops[i];
                unsigned conn = op->conn % 2;

                n_large += op->op == IO_READ && op->length_bytes == MIB;
                case_expect(s, !last[conn] || last[conn]->settled_ns <= op->sent_ns);
                last[conn] = op;
        }
        case_expect(s, n_large >= 40 && last[0] && last[1]);
        scenario_end(s);
        return s;
}

/* ---- a client's handles are opened where its first one is already: a copy between them crosses no lanes */

struct scenario *case_handles_share_a_lane(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 4, verbose);
        struct device_config config = case_device(MIB);
        unsigned n_lanes = 0;

        for (unsigned i = 0; i < 2; i++)
                scenario_device(s, &config);
        scenario_start(s);
        for (unsigned i = 0; i < 2; i++) {
                scenario_client(s, "user", 64);
                scenario_open_handle(s, i, 0, false);
                scenario_run_for(s, SECOND_NS);
        }
        scenario_open_handle(s, 1, 1, true);
        scenario_run_for(s, SECOND_NS);
        for (unsigned i = 0; i < s->n_lanes; i++)
                n_lanes += s->providers[i].n_endpoints > 0;
        case_expect(s, s->devices[0].n_conns == 1 && s->devices[1].n_conns == 1 && n_lanes == 1);
        scenario_end(s);
        return s;
}

/* ---- a sparse source: where the next islands are is asked while the last ones are being copied */

#define SPARSE_BYTES (24 * MIB)
#define ISLAND_BYTES (64u << 10)

static void make_islands(struct device *device)
{
        for (uint64_t at = 0; at < device->size_bytes; at += ISLAND_BYTES) {
                if (at / ISLAND_BYTES % 2 == 0)
                        device_pattern(device->index, at, device->cache + at, ISLAND_BYTES);
                else
                        memset(device->cache + at, 0, ISLAND_BYTES);
        }
        memcpy(device->stable, device->cache, device->size_bytes);
}

/* Reads of what lies between two places, that were sent after `after`. */
static unsigned n_reads(const struct device *device, uint64_t start_bytes, uint64_t end_bytes, uint64_t after)
{
        unsigned n = 0;

        for (unsigned i = 0; i < device->n_ops; i++) {
                const struct device_op *op = device->ops[i];

                n += op->op == IO_READ && op->offset_bytes >= start_bytes && op->offset_bytes < end_bytes &&
                     op->sent_moment > after;
        }
        return n;
}

struct scenario *case_extents_are_asked_for_ahead(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1 + (unsigned)(seed % 2), verbose);
        struct device_config config = case_device(SPARSE_BYTES);
        const struct device_op *asked = NULL;
        unsigned n_ahead = 0, n_behind = 0;
        const struct device *from;
        struct wish wish;

        config.extents_granule_bytes = ISLAND_BYTES;
        scenario_device(s, &config);
        scenario_device(s, &config);
        make_islands(&s->devices[0]);
        scenario_start(s);
        scenario_client(s, "user", 4096);
        wish = case_copy(0, 0, 1);
        wish.options.no_extents = false;
        wish.expect_completed = true;
        scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a copy of islands");
        if (s->world.failed)
                return s;
        from = &s->devices[0];
        for (unsigned i = 0; i < from->n_ops; i++) {
                const struct device_op *op = from->ops[i];

                if (op->op != IO_EXTENTS)
                        continue;
                if (asked) {
                        n_ahead += n_reads(from, asked->offset_bytes, op->offset_bytes, op->sent_moment);
                        n_behind += n_reads(from, asked->offset_bytes, op->offset_bytes, 0);
                }
                asked = op;
        }
        case_expect(s, n_behind > 0 && n_ahead >= n_behind / 2);
        scenario_end(s);
        return s;
}
