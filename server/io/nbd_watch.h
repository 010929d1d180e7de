/* A watched socket: a uv_poll_t on a duplicate of somebody else's descriptor.
 *
 * libnbd closes its socket by itself; a poll on that number would die silently or watch a stranger's
 * descriptor (FACTS). So the duplicate is polled, and closed as soon as the watch is (else the peer sees no
 * FIN). Owns: the duplicate and its own memory. Thread: its lane.
 * Close: nbd_watch_close; no on_ready after it. */
#ifndef IO_NBD_WATCH_H
#define IO_NBD_WATCH_H

#include "io/nbd_context.h"

struct nbd_watch;

/* `failed`: the kernel reported an error condition instead of events, and polling has stopped; the owner
 * finds out by using the socket, and calls nbd_watch_set again. */
typedef void nbd_watch_on_ready(void *arg, int events, bool failed);

/* Watches for nothing at first. Returns 0 and *ret_watch, or negative errno. */
int nbd_watch_open(struct nbd_context *context, int fd, nbd_watch_on_ready *on_ready, void *arg,
    struct nbd_watch **ret_watch);
/* `events`: UV_READABLE | UV_WRITABLE, or 0. Costs nothing when nothing changes. */
void nbd_watch_set(struct nbd_watch *watch, int events);
/* NULL is fine. The context learns when the handle is gone. */
void nbd_watch_close(struct nbd_watch *watch);

#endif
