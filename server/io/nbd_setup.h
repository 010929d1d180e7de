/* A libnbd handle with everything set that we ask of a server. Any thread. */
#ifndef IO_NBD_SETUP_H
#define IO_NBD_SETUP_H

#include <libnbd.h>

#include "io/nbd_uri.h"

/* Returns 0 and *ret_handle (unconnected, in option mode; nbd_close ends it), or negative errno. */
int nbd_setup(const struct nbd_uri *uri, struct nbd_handle **ret_handle, struct kc_error *err);

#endif
