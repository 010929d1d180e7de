/* The production provider: turns a device name into an endpoint on one lane.
 *
 *   null:                         io/null.c
 *   nbd:// nbds:// nbd+unix:// …  io/nbd*.c, libnbd on this lane's loop
 *   /absolute/path                io/file*.c, io_uring or libuv's thread pool
 *
 * Owns: the lane's io_uring, helper threads' bookkeeping. Borrows: the actor and its loop.
 * Thread: its lane. Close: provider_close after every endpoint is closed and every open has called back. */
#ifndef IO_PROVIDER_H
#define IO_PROVIDER_H

#include "base/actor_uv.h"
#include "io/endpoint.h"

enum provider_local_io { PROVIDER_LOCAL_AUTO, PROVIDER_LOCAL_URING, PROVIDER_LOCAL_THREADS };

struct provider_config {
        enum provider_local_io
            local_io;           /* AUTO: io_uring, or threads where it is refused; said once in the log */
        uint64_t disconnect_ns; /* how long a polite NBD disconnect may take; default 1 s */
        uint64_t idle_keep_single_ns; /* default 1 s */
        uint64_t idle_keep_multi_ns;  /* default 5 s */
};

void provider_config_defaults(struct provider_config *config);

/* Returns 0 and *ret_provider, or negative errno with `err` filled. `config` is copied. */
int provider_new(struct kc_actor_uv *actor, const struct provider_config *config,
    struct io_provider **ret_provider, struct kc_error *err);
/* Asynchronous; on_closed comes last, never inside the call; then the provider's memory is gone. */
void provider_close(struct io_provider *provider, void (*on_closed)(void *arg), void *arg);
/* After all providers are closed, before the process ends: false if a helper thread could not be waited for,
 * and the process has to leave with _exit. */
bool provider_helpers_ended(unsigned timeout_ms);
/* "io_uring" or "threads": what local devices use, for `kcopyctl info` and the log. */
const char *provider_local_io_name(const struct io_provider *provider);

#endif
