/* What random scenarios are drawn from. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "sim/scenario.h"

static uint32_t draw_of(struct world *world, const uint32_t *values, unsigned n)
{
        return values[world_below(world, n)];
}

#define DRAW(world, ...)                                                                                     \
        draw_of(world, (const uint32_t[]){__VA_ARGS__},                                                      \
            sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* ---- devices */

static void draw_speed(struct world *world, struct device_config *config)
{
        static const struct {
                uint64_t min_ns, max_ns;
        } speeds[] = {{1000, 50000}, {100000, 5000000}, {10 * MS_NS, 200 * MS_NS}, {1000, 300 * MS_NS}};
        unsigned pick = (unsigned)world_below(world, sizeof speeds / sizeof speeds[0]);

        config->delay_min_ns = speeds[pick].min_ns;
        config->delay_max_ns = speeds[pick].max_ns;
        config->open_delay_ns = world_log_between(world, 1000, 500 * MS_NS);
        if (world_one_in(world, 4))
                config->bytes_per_s = world_log_between(world, 1 << 20, 1 << 30);
}

static struct device_config draw_device(struct world *world)
{
        struct device_config config = {.kind = IO_KIND_NBD};
        uint32_t min = DRAW(world, 1, 1, 512, 512, 4096, 65536);
        uint64_t size = world_log_between(world, 65536, 1 << 20);

        config.resizable = world_one_in(world, 5);
        if (config.resizable || world_one_in(world, 4))
                config.kind = config.resizable ? IO_KIND_FILE : IO_KIND_BLOCK;
        config.absent = config.resizable && world_one_in(world, 2);
        config.block_min_bytes = config.resizable ? 1 : min;
        config.size_bytes = world_one_in(world, 4) ? size : (size + 65535) / 65536 * 65536;
        config.block_preferred_bytes = config.block_min_bytes < 4096 ? 4096 : config.block_min_bytes;
        config.block_max_bytes = DRAW(world, 1 << 16, 1 << 18, 1 << 20, 32 << 20);
        config.zero_max_bytes = world_one_in(world, 4) ? 0 : DRAW(world, 1 << 16, 1 << 20, 1 << 30);
        config.keep_idle_ms = config.kind == IO_KIND_NBD ? DRAW(world, 1000, 5000) : 0;
        config.can_flush = !world_one_in(world, 6);
        config.can_fua = config.can_flush && !world_one_in(world, 3);
        config.can_extents = !world_one_in(world, 3);
        config.can_unmap = world_one_in(world, 2);
        config.multi_conn = config.kind != IO_KIND_NBD || world_one_in(world, 2);
        config.zero_refused = world_one_in(world, 6);
        config.extents_refused = world_one_in(world, 6);
        config.extents_granule_bytes = DRAW(world, 512, 4096, 65536);
        config.starts_zeroed = world_one_in(world, 2);
        config.extra_elsewhere = world_one_in(world, 16);
        draw_speed(world, &config);
        return config;
}

static void draw_fault(struct scenario *s, struct device_config *config)
{
        struct world *world = &s->world;
        bool network = config->kind == IO_KIND_NBD;
        unsigned kinds = network ? 12 : 7;

        config->admits_one = !config->multi_conn && world_one_in(world, 2);
        config->late_max_ns = s->config.quarantine_ns - 1;
        switch (world_below(world, kinds)) {
        case 0:
        case 1:
                config->bad_start_bytes = world_below(world, config->size_bytes);
                config->bad_end_bytes = config->bad_start_bytes + world_log_between(world, 1, 65536);
                config->bad_status = world_one_in(world, 2)   ? -EIO
                                     : world_one_in(world, 2) ? -ENOSPC
                                                              : -EPROTO;
                config->bad_ops = (unsigned)world_between(world, 1, 7);
                break;
        case 2:
                config->flush_fails_at = (unsigned)world_between(world, 1, 3);
                break;
        case 3:
                config->submit_fails_one_in = (unsigned)world_log_between(world, 4, 200);
                break;
        case 4:
                config->open_status = world_one_in(world, 2) ? -EACCES : -EIO;
                break;
        case 5:
                config->stall_one_in = (unsigned)world_log_between(world, 4, 100);
                config->stall_ns = world_log_between(world, 10 * MS_NS, 100 * SECOND_NS);
                break;
        case 6:
                config->apply_twice_one_in = 2;
                config->read_only = world_one_in(world, 4);
                break;
        case 7:
                config->open_hangs = true;
                break;
        case 8:
                config->silent_from_op = (unsigned)world_log_between(world, 1, 100);
                break;
        case 9:
                config->silent_one_in = (unsigned)world_log_between(world, 4, 100);
                break;
        default:
                config->lose_at_op = (unsigned)world_log_between(world, 1, 200);
                break;
        }
}

/* ---- jobs */

static uint64_t align_sectors(const struct scenario *s, const struct wish *wish)
{
        uint64_t align = IO_SECTOR_BYTES;

        if (wish->operation == COPY_OPERATION_COPY &&
            s->devices[wish->from.device].config.block_min_bytes > align)
                align = s->devices[wish->from.device].config.block_min_bytes;
        for (unsigned i = 0; i < wish->n_to; i++)
                if (s->devices[wish->to[i].device].config.block_min_bytes > align)
                        align = s->devices[wish->to[i].device].config.block_min_bytes;
        return align / IO_SECTOR_BYTES;
}

static uint64_t room_sectors(const struct scenario *s, unsigned device)
{
        const struct device *d = &s->devices[device];

        return (d->config.resizable ? d->config.size_bytes : d->size_bytes) / IO_SECTOR_BYTES;
}

/* Regions that are right: aligned, inside, on devices that differ. */
static void draw_regions(struct scenario *s, struct wish *wish)
{
        struct world *world = &s->world;
        uint64_t align = align_sectors(s, wish), count = UINT64_MAX, room;

        for (unsigned i = 0; i < wish->n_to; i++) {
                room = room_sectors(s, wish->to[i].device) / align;
                count = room < count ? room : count;
        }
        if (wish->operation == COPY_OPERATION_COPY) {
                room = room_sectors(s, wish->from.device) / align;
                count = room < count ? room : count;
        }
        if (count == 0)
                count = 1; /* does not fit: is refused */
        else if (!world_one_in(world, 3))
                count = world_between(world, 1, count);
        wish->from.count_sectors = count * align;
        room = room_sectors(s, wish->from.device) / align;
        wish->from.sector = room > count ? world_between(world, 0, room - count) * align : 0;
        for (unsigned i = 0; i < wish->n_to; i++) {
                room = room_sectors(s, wish->to[i].device) / align;
                wish->to[i].count_sectors =
                    wish->operation == COPY_OPERATION_ZERO || world_one_in(world, 2) ? count * align : 0;
                wish->to[i].sector = room > count && world_one_in(world, 2)
                                         ? world_between(world, 0, room - count) * align
                                         : 0;
        }
}

static bool fits(const struct scenario *s, const struct wish *wish)
{
        uint64_t count = wish->from.count_sectors;

        if (wish->operation == COPY_OPERATION_COPY &&
            wish->from.sector + count > room_sectors(s, wish->from.device))
                return false;
        for (unsigned i = 0; i < wish->n_to; i++)
                if (wish->to[i].sector + count > room_sectors(s, wish->to[i].device))
                        return false;
        return align_sectors(s, wish) * IO_SECTOR_BYTES <=
               (uint64_t)s->clients[wish->client].pages * KC_PAGE_BYTES;
}

/* To the end of the source, its odd tail included; or something wild, which may be wrong in any way. */
static void spoil_regions(struct scenario *s, struct wish *wish)
{
        struct world *world = &s->world;

        wish->expect_accepted = wish->expect_completed = false;
        if (world_one_in(world, 2) && wish->operation == COPY_OPERATION_COPY) {
                wish->from.count_sectors = 0;
                for (unsigned i = 0; i < wish->n_to; i++)
                        wish->to[i].count_sectors = 0;
                return;
        }
        wish->from.sector = world_below(world, 2048);
        wish->from.count_sectors = world_below(world, 2048);
        for (unsigned i = 0; i < wish->n_to; i++) {
                wish->to[i].device = (unsigned)world_below(world, s->n_devices);
                wish->to[i].sector = world_below(world, 2048);
        }
}

static void draw_options(struct world *world, struct wish *wish)
{
        struct copy_options *options = &wish->options;

        options->policy = (enum copy_policy)world_below(world, 3);
        options->durability = (enum copy_durability)DRAW(world, 0, 0, 1, 2);
        options->no_extents = world_one_in(world, 3);
        options->no_detect_zeroes = world_one_in(world, 3);
        options->unmap = world_one_in(world, 2);
        options->strict_once = world_one_in(world, 4);
        if (world_one_in(world, 8))
                options->rate_bytes_per_s = world_log_between(world, 1 << 16, 1 << 26);
        options->priority = (unsigned)world_below(world, 8);
        if (world_one_in(world, 3))
                options->progress_interval_ns = world_log_between(world, MS_NS, SECOND_NS);
        options->validate_only = world_one_in(world, 6);
}

/* Devices that differ; a file is no source, since its size may change while the job waits. */
static void draw_devices(struct scenario *s, struct wish *wish)
{
        struct world *world = &s->world;
        unsigned taken = 0, most;

        do {
                wish->from.device = (unsigned)world_below(world, s->n_devices);
        } while (s->devices[wish->from.device].config.resizable);
        if (wish->operation == COPY_OPERATION_COPY)
                taken = 1u << wish->from.device;
        most = s->n_devices - 1;
        wish->n_to = world_one_in(world, 2) ? 1 : (unsigned)world_between(world, 1, most);
        for (unsigned i = 0; i < wish->n_to; i++) {
                do {
                        wish->to[i].device = (unsigned)world_below(world, s->n_devices);
                } while (taken >> wish->to[i].device & 1);
                taken |= 1u << wish->to[i].device;
        }
}

void draw_wish(struct scenario *s, bool faults, struct wish *ret_wish)
{
        struct world *world = &s->world;
        struct wish wish = {.client = (unsigned)world_below(world, s->n_clients)};

        wish.operation = world_one_in(world, 5) ? COPY_OPERATION_ZERO : COPY_OPERATION_COPY;
        wish.by_handle = world_one_in(world, 2);
        draw_devices(s, &wish);
        draw_regions(s, &wish);
        draw_options(world, &wish);
        wish.expect_accepted = wish.expect_completed = !faults && fits(s, &wish);
        if (world_one_in(world, 4))
                spoil_regions(s, &wish);
        *ret_wish = wish;
}

/* ---- the engine */

void draw_config(struct scenario *s, bool faults)
{
        struct world *world = &s->world;
        struct engine_config *config = &s->config;

        config->pages = 8192;
        if (faults) {
                config->open_timeout_ns = world_log_between(world, 500 * MS_NS, 10 * SECOND_NS);
                config->command_timeout_ns = world_log_between(world, 200 * MS_NS, 30 * SECOND_NS);
        } else {
                config->open_timeout_ns = 600 * SECOND_NS;
                config->command_timeout_ns = 600 * SECOND_NS;
        }
        config->cancel_grace_ns = world_log_between(world, MS_NS, 2 * SECOND_NS);
        config->quarantine_ns = world_log_between(world, 100 * MS_NS, 30 * SECOND_NS);
        config->helpers_min_bytes = DRAW(world, 64u << 10, 256u << 10, 16u << 20);
        config->history_ns = world_log_between(world, SECOND_NS, 3600 * SECOND_NS);
        config->turn_bytes = DRAW(world, 4096, 64u << 10, 8u << 20);
        config->history_max_jobs = DRAW(world, 1, 3, 100, 10000);
        config->client_running_max = DRAW(world, 1, 2, 4, 64);
}

struct scenario *draw_begin(uint64_t seed, uint64_t salt, bool verbose)
{
        struct scenario *s;
        struct world chance;

        world_init(&chance, seed ^ salt, 1);
        s = scenario_new(seed, (unsigned)world_between(&chance, 2, WORLD_LANES_MAX), verbose);
        world_done(&chance);
        return s;
}

unsigned draw_all_devices(struct scenario *s, bool faults, uint64_t late_max_ns)
{
        unsigned n_devices = (unsigned)world_between(&s->world, 2, 6);

        for (unsigned i = 0; i < n_devices; i++) {
                struct device_config config = draw_device(&s->world);

                if (i == 0) {
                        config.kind = IO_KIND_NBD;
                        config.resizable = config.absent = false;
                        config.keep_idle_ms = 1000;
                }
                if (late_max_ns > 0)
                        config.late_max_ns = late_max_ns;
                if (faults && world_one_in(&s->world, n_devices / 2))
                        draw_fault(s, &config);
                scenario_device(s, &config);
        }
        return n_devices;
}
