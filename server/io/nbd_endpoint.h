/* An endpoint on one NBD connection: a libnbd handle in transmission, driven by the lane's loop.
 *
 * A request is on one of three lists, and the lists are its state: queued (or queued_extents) → a command's,
 * in_flight then completed → settled, from where on_done is called. Everything libnbd does is noted first and
 * acted on after it has returned; on_done is called only from the loop, so never inside a submit.
 * Owns: the handle, its watch, the commands. Borrows: the context; requests between submit and on_done.
 * Thread: its lane. Close: endpoint_close; answers are waited for, then the disconnect, both together for at
 * most config.disconnect_ns; what is unanswered then fails. */
#ifndef IO_NBD_ENDPOINT_H
#define IO_NBD_ENDPOINT_H

#include <libnbd.h>

#include "io/nbd_context.h"

/* Takes `handle`, which is ready, unless it fails. Returns 0 and *ret_endpoint, or negative errno. */
int nbd_endpoint_new(struct nbd_context *context, struct nbd_handle *handle, const struct endpoint_info *info,
    struct endpoint **ret_endpoint);

#endif
