/* A server's block status made fit for io_req.extents: libnbd hands it over unseen (FACTS). Pure. */
#ifndef IO_NBD_EXTENTS_H
#define IO_NBD_EXTENTS_H

#include <stddef.h>

#include "io/endpoint.h"

/* `entries` holds n_entries numbers: pairs of length and LIBNBD_STATE_* flags. The result covers
 * [0, length_bytes) from its start, cut to it, merged, with zeroes shrunk to whole blocks; it may end early.
 * Returns 0 and *ret_n_extents ≥ 1, or -EPROTO: an extent of no length, or nothing at all. */
int nbd_extents_clean(const uint32_t *entries, size_t n_entries, uint64_t length_bytes,
    uint32_t block_min_bytes, struct io_extent extents[IO_EXTENTS_PER_REQ], unsigned *ret_n_extents);

#endif
