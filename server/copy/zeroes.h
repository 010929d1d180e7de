/* Finding runs of zeroes in a buffer that was read. */
#ifndef COPY_ZEROES_H
#define COPY_ZEROES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether `bytes` bytes at `buf` are all zero. Stops at the first that is not; reads at memory speed. */
bool zeroes_all(const void *buf, size_t bytes);

struct zeroes_piece {
        uint32_t offset_bytes, length_bytes; /* in the buffer */
        bool zero;
};

/* Cut a buffer into pieces that alternate between data and zero, at multiples of `granule_bytes`; a zero run
 * counts from `min_run_bytes` on. At most `max_pieces` (≥ 1): when they run out the rest is data. Returns how
 * many; they cover the buffer. */
unsigned zeroes_pieces(const void *buf, uint32_t bytes, uint32_t granule_bytes, uint32_t min_run_bytes,
    struct zeroes_piece *ret_pieces, unsigned max_pieces);

#endif
