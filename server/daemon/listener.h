/* A listening socket, Unix or TCP: hands connections to the rpc.
 *
 * Owns the socket, and on disk its name: a stale one is replaced only if nobody answers on it, ours is
 * removed at the end if it still is ours. Borrows: the loop and the rpc. Thread: the control loop. Close:
 * listener_close. */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include "rpc/rpc.h"

struct listener;

/* `address` is "unix:PATH" or "tcp:HOST:PORT" (IPv6 hosts in brackets; port 0: any). Returns 0 and
 * *ret_listener, or negative errno with `err` filled. */
int listener_open(uv_loop_t *loop, struct rpc *rpc, const char *address, struct listener **ret_listener,
    struct kc_error *err);
/* Is `address` of that form? 0, or negative errno with `err`. */
int listener_check(const char *address, struct kc_error *err);
/* As opened, with the port that it got. */
const char *listener_address(const struct listener *listener);
/* Asynchronous; the listener frees itself. NULL is fine. */
void listener_close(struct listener *listener);

#endif
