/* A TLS connect under way, on a thread of its own.
 *
 * Two things in libnbd 1.14 make that necessary. A certificate is checked only against a host name that
 * libnbd itself connected to, and for that it resolves blocking. And its TLS handshake, once begun, does not
 * return from the notify until it is over: on a non-blocking socket it spins for as long as the peer is
 * silent. So a helper thread connects and shakes hands, on a socket that blocks meanwhile, then hands the
 * handle over. Owns: the thread, its handle until it is handed over. Borrows: the context. Thread: start,
 * cancel and on_connected are on the lane. Ends by on_connected, exactly once, or by nbd_tls_cancel, which
 * breaks the connection: the thread then throws the result away, and nobody waits for it (its resolver may
 * hang). */
#ifndef IO_NBD_TLS_H
#define IO_NBD_TLS_H

#include <libnbd.h>

#include "io/nbd_context.h"

struct nbd_tls;

/* `handle` is in the negotiating state and the receiver's, or NULL with `err`. */
typedef void nbd_tls_on_connected(void *arg, struct nbd_handle *handle, const struct kc_error *err);

/* `device` is a URI that nbd_uri_parse has accepted. Returns 0 and *ret_tls, or negative errno. */
int nbd_tls_start(struct nbd_context *context, const char *device, nbd_tls_on_connected *on_connected,
    void *arg, struct nbd_tls **ret_tls);
void nbd_tls_cancel(struct nbd_tls *tls);
/* Any thread, before the process ends: wait until no helper thread runs any more, in all lanes. False: one
 * still does (its resolver hangs): then only _exit is safe. */
bool nbd_tls_wait_idle(unsigned timeout_ms);

#endif
