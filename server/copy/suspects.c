/* Ranges to be read again in smaller pieces (suspects.h). */
#include "copy/suspects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECES 8u

void suspects_done(struct suspects *suspects)
{
        free(suspects->ranges);
        *suspects = (struct suspects){0};
}

/* The first that ends after `at_bytes`. */
static unsigned find(const struct suspects *suspects, uint64_t at_bytes)
{
        unsigned low = 0, high = suspects->n;

        while (low < high) {
                unsigned middle = low + (high - low) / 2;

                if (suspects->ranges[middle].end_bytes <= at_bytes)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static int insert(struct suspects *suspects, unsigned at, struct suspect suspect)
{
        if (suspects->n == suspects->room) {
                unsigned room = suspects->room ? 2 * suspects->room : 16;
                struct suspect *ranges = reallocarray(suspects->ranges, room, sizeof *ranges);

                if (!ranges)
                        return -ENOMEM;
                suspects->ranges = ranges;
                suspects->room = room;
        }
        memmove(&suspects->ranges[at + 1], &suspects->ranges[at], (suspects->n - at) * sizeof suspect);
        suspects->ranges[at] = suspect;
        suspects->n++;
        return 0;
}

static void drop(struct suspects *suspects, unsigned at)
{
        suspects->n--;
        memmove(&suspects->ranges[at], &suspects->ranges[at + 1],
            (suspects->n - at) * sizeof suspects->ranges[0]);
}

int suspects_clear(struct suspects *suspects, uint64_t start_bytes, uint64_t end_bytes)
{
        unsigned at = find(suspects, start_bytes);

        while (at < suspects->n && suspects->ranges[at].start_bytes < end_bytes) {
                struct suspect *range = &suspects->ranges[at];

                if (range->start_bytes < start_bytes && range->end_bytes > end_bytes) {
                        struct suspect rest = {
                            end_bytes, range->end_bytes, range->piece_bytes, range->n_tries};
                        int r = insert(suspects, at + 1, rest);

                        if (r == 0)
                                suspects->ranges[at].end_bytes = start_bytes;
                        return r;
                }
                if (range->start_bytes < start_bytes)
                        suspects->ranges[at++].end_bytes = start_bytes;
                else if (range->end_bytes > end_bytes)
                        suspects->ranges[at++].start_bytes = end_bytes;
                else
                        drop(suspects, at);
        }
        return 0;
}

int suspects_add(struct suspects *suspects, uint64_t start_bytes, uint64_t end_bytes, uint32_t align_bytes,
    unsigned n_tries)
{
        uint64_t length_bytes = end_bytes - start_bytes, piece_bytes = length_bytes / PIECES;
        bool block = length_bytes <= align_bytes;

        if ((block && n_tries >= SUSPECTS_TRIES) || suspects->n >= SUSPECTS_MAX)
                return -ENOSPC;
        piece_bytes -= piece_bytes % align_bytes;
        if (piece_bytes == 0)
                piece_bytes = align_bytes;
        return insert(suspects, find(suspects, start_bytes),
            (struct suspect){start_bytes, end_bytes, piece_bytes, n_tries});
}

unsigned suspects_tries(const struct suspects *suspects, uint64_t at_bytes)
{
        unsigned at = find(suspects, at_bytes);

        return at < suspects->n && suspects->ranges[at].start_bytes <= at_bytes ? suspects->ranges[at].n_tries
                                                                                : 0;
}

bool suspects_at(
    const struct suspects *suspects, uint64_t at_bytes, uint64_t *ret_bound_bytes, uint64_t *ret_piece_bytes)
{
        unsigned at = find(suspects, at_bytes);
        bool inside = at < suspects->n && suspects->ranges[at].start_bytes <= at_bytes;

        *ret_piece_bytes = inside ? suspects->ranges[at].piece_bytes : UINT64_MAX;
        *ret_bound_bytes = at == suspects->n ? UINT64_MAX
                           : inside          ? suspects->ranges[at].end_bytes
                                             : suspects->ranges[at].start_bytes;
        return inside;
}
