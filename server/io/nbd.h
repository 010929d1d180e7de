/* One lane's NBD side: opens exports as endpoints, on libnbd driven by the lane's loop.
 *
 * Owns: the opens under way, the helper threads' results, the endpoints until they are closed.
 * Borrows: the actor and its loop. Thread: its lane (helper threads touch only what they were handed).
 * Close: nbd_context_close, after every endpoint is closed and every open has called back. */
#ifndef IO_NBD_H
#define IO_NBD_H

#include "base/actor_uv.h"
#include "io/provider.h"

struct nbd_context;

/* Returns 0 and *ret_context, or -ENOMEM. `config` is copied. */
int nbd_context_new(
    struct kc_actor_uv *actor, const struct provider_config *config, struct nbd_context **ret_context);
/* Asynchronous; on_closed comes last, never inside the call; then the context's memory is gone. A helper
 * thread that hangs in a connect of its own does not hold it up: the thread is left to itself. */
void nbd_context_close(struct nbd_context *context, void (*on_closed)(void *arg), void *arg);

/* Is `device` an NBD URI by its scheme? */
bool nbd_is_uri(const char *device);

/* The contract of io_provider_ops.open and .cancel; `device` must be an NBD URI by its scheme, and everything
 * else that is wrong with it is told through on_open. open->scratch and open->node belong to this file. */
void nbd_open(struct nbd_context *context, struct io_open *open);
void nbd_open_cancel(struct nbd_context *context, struct io_open *open);

#endif
