/* What a server says of its export, checked, as an endpoint's info.
 *
 * No number of the peer's is used before it was seen to be sane (FACTS: a size may be negative in more than
 * one way). Pure but for nbd_export_read, which asks the handle. */
#ifndef IO_NBD_EXPORT_H
#define IO_NBD_EXPORT_H

#include <libnbd.h>

#include "io/provider.h"

struct nbd_export { /* the getters' results as they came: negative is an error */
        int64_t size_bytes, block_min_bytes, block_preferred_bytes,
            block_max_bytes; /* block sizes: 0 unknown */
        int read_only, can_flush, can_fua, can_zero, can_multi_conn, can_extents;
};

void nbd_export_read(struct nbd_handle *handle, struct nbd_export *ret_export);
/* Fills everything but identity. Returns 0, or -EPROTO (class PROTOCOL), or -EROFS (class PERMISSION). */
int nbd_export_check(const struct nbd_export *export, enum io_access access,
    const struct provider_config *config, struct endpoint_info *ret_info, struct kc_error *err);

#endif
