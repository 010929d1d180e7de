/* The daemon: what main.c wires together and shutdown.c takes apart again.
 *
 * Owns everything in it. Thread: the control loop, which is the main thread. Close: shutdown_begin; the loop
 * ends by itself when everything is gone. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "base/actor_uv.h"
#include "copy/engine.h"
#include "copy/store.h"
#include "daemon/config.h"
#include "daemon/lane_thread.h"
#include "daemon/listener.h"
#include "daemon/options.h"

enum daemon_phase {
        DAEMON_STARTING,
        DAEMON_SERVING,
        DAEMON_DRAINING,   /* no new connections and jobs; sessions end as their jobs do */
        DAEMON_HANGING_UP, /* the rest is cancelled */
        DAEMON_CLOSING,    /* the engine, then the lanes */
};

struct daemon {
        struct options options;
        struct config config;
        uv_loop_t loop;
        struct kc_actor_uv control;
        uv_signal_t signals[2];
        struct kc_timer deadline; /* of the phase */
        enum daemon_phase phase;
        int state_fd;
        struct job_store *store; /* NULL: no --state */
        struct lane_thread **lanes;
        unsigned n_lanes; /* started */
        struct engine *engine;
        struct rpc *rpc;
        struct listener *listeners[OPTIONS_LISTEN_MAX];
        unsigned n_listeners;
        bool failed; /* it never came to serve */
        /* while it shuts down: how the jobs end that it waited for */
        struct engine_observer observer;
        unsigned n_completed, n_failed, n_cancelled;
};

static inline bool daemon_is_private(const struct daemon *daemon)
{
        return daemon->options.connection_fd >= 0;
}

/* ---- shutdown.c */

void shutdown_init(struct daemon *daemon);
/* Orderly: drain, then close. Asked for again, it stops draining. */
void shutdown_begin(struct daemon *daemon);
/* A session has ended. */
void shutdown_on_session_end(void *arg);

#endif
