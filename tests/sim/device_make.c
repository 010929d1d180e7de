/* Simulated devices: what they are, how they begin and end (device.h). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/device.h"

void device_pattern(unsigned index, uint64_t offset_bytes, unsigned char *dst, size_t n)
{
        for (size_t i = 0; i < n; i += 8) {
                uint64_t word =
                    ((offset_bytes + i) / 8 + 1) | (uint64_t)(index + 1) << 56 | 0x00a5000000000000ull;

                memcpy(dst + i, &word, n - i < 8 ? n - i : 8);
        }
}

static void fill_contents(struct device *device)
{
        uint64_t at = 0, run;

        if (device->config.starts_zeroed || device->absent)
                return;
        while (at < device->size_bytes) {
                run = world_log_between(device->world, 1, 256) * DEVICE_BLOCK_BYTES;
                if (run > device->size_bytes - at)
                        run = device->size_bytes - at;
                if (world_one_in(device->world, 3) == false)
                        device_pattern(device->index, at, device->cache + at, run);
                at += run;
        }
        memcpy(device->stable, device->cache, device->size_bytes);
}

void device_info(const struct device *device, struct endpoint_info *ret_info)
{
        const struct device_config *config = &device->config;

        *ret_info = (struct endpoint_info){.kind = config->kind,
            .size_bytes = device->size_bytes,
            .block_min_bytes = config->block_min_bytes,
            .block_preferred_bytes = config->block_preferred_bytes,
            .block_max_bytes = config->block_max_bytes,
            .zero_max_bytes = config->zero_max_bytes,
            .keep_idle_ms = config->keep_idle_ms,
            .read_only = config->read_only,
            .can_flush = config->can_flush,
            .can_fua = config->can_fua,
            .can_extents = config->can_extents,
            .can_unmap = config->can_unmap,
            .multi_conn = config->multi_conn,
            .deep = config->deep,
            .absent = device->absent,
            .resizable = config->resizable};
        /* as with files: what is to be created has another identity than what exists */
        snprintf(ret_info->identity.key, sizeof ret_info->identity.key, "%s:%u",
            device->absent ? "new" : "sim", device->index);
}

void device_init(
    struct device *device, struct world *world, unsigned index, const struct device_config *config)
{
        *device =
            (struct device){.world = world, .index = index, .config = *config, .absent = config->absent};
        device->size_bytes = config->absent ? 0 : config->size_bytes;
        device->room_bytes = config->resizable ? DEVICE_MAX_BYTES : config->size_bytes;
        device->room_bytes = (device->room_bytes + 65535) / 65536 * 65536;
        snprintf(device->name, sizeof device->name, config->kind == IO_KIND_NBD ? "nbd://sim/%u" : "/sim/%u",
            index);
        device->cache = calloc(1, device->room_bytes);
        device->stable = calloc(1, device->room_bytes);
        device->dirty = calloc(device->room_bytes / DEVICE_BLOCK_BYTES, sizeof *device->dirty);
        assert(device->cache && device->stable && device->dirty);
        fill_contents(device);
}

void device_done(struct device *device)
{
        for (unsigned i = 0; i < device->n_ops; i++) {
                world_event_stop(device->world, &device->ops[i]->apply_event);
                world_event_stop(device->world, &device->ops[i]->again_event);
                world_event_stop(device->world, &device->ops[i]->answer_event);
                free(device->ops[i]->data);
                free(device->ops[i]->extents);
                free(device->ops[i]);
        }
        free(device->ops);
        free(device->cache);
        free(device->stable);
        free(device->dirty);
}
