/* What directed scenarios are made of (cases.h). */
#include "sim/cases.h"

#define MIB (1u << 20)

struct device_config case_device(uint64_t size_bytes)
{
        return (struct device_config){.kind = IO_KIND_NBD,
            .size_bytes = size_bytes,
            .block_min_bytes = 512,
            .block_preferred_bytes = 4096,
            .block_max_bytes = 32 * MIB,
            .zero_max_bytes = 1 << 30,
            .keep_idle_ms = 1000,
            .can_flush = true,
            .can_extents = true,
            .multi_conn = true,
            .delay_min_ns = 50000,
            .delay_max_ns = 500000,
            .open_delay_ns = MS_NS,
            .late_max_ns = SECOND_NS,
            .extents_granule_bytes = 4096};
}

struct wish case_copy(unsigned client, unsigned from, unsigned to)
{
        return (struct wish){.client = client,
            .operation = COPY_OPERATION_COPY,
            .from.device = from,
            .n_to = 1,
            .to[0].device = to,
            .options.no_extents = true,
            .options.no_detect_zeroes = true};
}
