#include "io/nbd_extents.h"

#include <errno.h>

#include <libnbd.h>

struct builder {
        struct io_extent *extents;
        unsigned n;
        uint64_t end_bytes; /* how far they reach */
};

/* Extend the extents to `end_bytes`. Returns false when there is no room. */
static bool extend(struct builder *builder, uint64_t end_bytes, bool zero)
{
        if (end_bytes <= builder->end_bytes)
                return true;
        if (builder->n == 0 || builder->extents[builder->n - 1].zero != zero) {
                if (builder->n == IO_EXTENTS_PER_REQ)
                        return false;
                builder->extents[builder->n++] = (struct io_extent){.zero = zero};
        }
        builder->extents[builder->n - 1].length_bytes += end_bytes - builder->end_bytes;
        builder->end_bytes = end_bytes;
        return true;
}

/* Where a run that reaches to `end_bytes` ends in whole blocks: zeroes shrink, data grow. */
static uint64_t whole_blocks(uint64_t end_bytes, uint64_t length_bytes, uint32_t block_min_bytes, bool zero)
{
        uint64_t down_bytes = end_bytes & ~(uint64_t)(block_min_bytes - 1);

        if (end_bytes == length_bytes || end_bytes == down_bytes)
                return end_bytes;
        if (zero)
                return down_bytes;
        return down_bytes + block_min_bytes < length_bytes ? down_bytes + block_min_bytes : length_bytes;
}

int nbd_extents_clean(const uint32_t *entries, size_t n_entries, uint64_t length_bytes,
    uint32_t block_min_bytes, struct io_extent extents[IO_EXTENTS_PER_REQ], unsigned *ret_n_extents)
{
        struct builder builder = {.extents = extents};
        uint64_t position_bytes = 0;

        for (size_t i = 0; i + 1 < n_entries && position_bytes < length_bytes; i += 2) {
                bool zero = (entries[i + 1] & LIBNBD_STATE_ZERO) != 0;

                if (entries[i] == 0)
                        return -EPROTO;
                position_bytes += entries[i];
                if (position_bytes > length_bytes)
                        position_bytes = length_bytes;
                /* Runs of the same kind are one: only where the kind changes are blocks cut. */
                if (position_bytes < length_bytes && i + 3 < n_entries &&
                    ((entries[i + 3] & LIBNBD_STATE_ZERO) != 0) == zero)
                        continue;
                if (!extend(
                        &builder, whole_blocks(position_bytes, length_bytes, block_min_bytes, zero), zero))
                        break;
        }
        if (position_bytes == 0)
                return -EPROTO;
        if (builder.n == 0) /* a zero smaller than a block, and nothing more */
                extend(&builder, whole_blocks(position_bytes, length_bytes, block_min_bytes, false), false);
        *ret_n_extents = builder.n;
        return 0;
}
