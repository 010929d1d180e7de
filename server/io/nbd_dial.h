/* A call under way to a server's socket: resolve the name, connect to each address in turn.
 *
 * libnbd would do both blocking; so it is done here, on the loop, and libnbd gets a connected socket.
 * Owns: the addresses, the socket until it is handed over. Borrows: the context, the URI.
 * Thread: its lane. Ends by on_dialed, exactly once and never inside nbd_dial_start, or by nbd_dial_cancel.
 */
#ifndef IO_NBD_DIAL_H
#define IO_NBD_DIAL_H

#include "io/nbd_context.h"
#include "io/nbd_uri.h"

struct nbd_dial;

/* `fd` is a connected, non-blocking socket, the receiver's from here on; or a negative errno with `err`.
 * The dial is gone when this runs. */
typedef void nbd_dial_on_dialed(void *arg, int fd, const struct kc_error *err);

/* Returns 0 and *ret_dial, or -ENOMEM. `deadline_ns` (of the clock of the actor) only divides the time
 * between addresses; the caller watches over it. */
int nbd_dial_start(struct nbd_context *context, const struct nbd_uri *uri, uint64_t deadline_ns,
    nbd_dial_on_dialed *on_dialed, void *arg, struct nbd_dial **ret_dial);
/* on_dialed will not run. A resolver that hangs is left to itself (the context waits for it). */
void nbd_dial_cancel(struct nbd_dial *dial);
/* What it is waiting for, for an error: "resolve" or "connect". */
const char *nbd_dial_phase(const struct nbd_dial *dial);

#endif
