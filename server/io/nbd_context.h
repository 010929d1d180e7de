/* One lane's NBD side, as the files of io/nbd* share it: what is alive, and the deferred on_open calls.
 *
 * Owns: nothing but counts and the list of decided opens. Borrows: the actor. Thread: its lane.
 * Close: nbd_context_close (io/nbd.h); it ends when the last handle, request and message is back. */
#ifndef IO_NBD_CONTEXT_H
#define IO_NBD_CONTEXT_H

#include "io/nbd.h"

struct nbd_context {
        struct kc_actor_uv *actor;
        struct provider_config config;
        unsigned n_opens;       /* that have not called back */
        unsigned n_endpoints;   /* that are not closed */
        unsigned n_held;        /* libuv handles and requests, and messages, that will still come back */
        struct kc_list decided; /* io_open.node: results are in, on_open is due */
        struct kc_msg deliver;
        bool deliver_posted;
        bool closing;
        void (*on_closed)(void *arg);
        void *on_closed_arg;
};

static inline uint64_t nbd_context_now_ns(struct nbd_context *context)
{
        return kc_actor_now_ns(&context->actor->actor);
}

/* Something that comes back on the loop has been started, or has come back (which may end the context). */
void nbd_context_hold(struct nbd_context *context);
void nbd_context_release(struct nbd_context *context);

/* The open's results are filled in: call on_open in a moment. */
void nbd_context_decided(struct nbd_context *context, struct io_open *open);

#endif
