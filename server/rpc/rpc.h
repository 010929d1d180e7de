/* The protocol side of the daemon: every connection, and what they share.
 *
 * This header is all that daemon/ knows of rpc/.
 * Owns: the sessions, the arenas in which messages are unpacked and built (they live for one call each, so
 * one pair serves every connection). Borrows: the loop, the control actor and the engine, which outlive it.
 * Thread: the control loop. Close: rpc_close, then on_closed, then rpc_free.
 *
 * Memory of one connection, however many jobs it has queued and whether it reads or not: one frame of input,
 * config.ceiling_bytes of output and terminal events together, config.jobs_max job records of about 200
 * bytes, config.jobs_max_bytes of the engine's own records of them and one frame's jobs more,
 * config.calls_max calls, and config.handles_max devices with a name of at most 4 KiB each. */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "copy/engine.h"

#define RPC_INSTANCE_ID_BYTES 16

struct rpc;

struct rpc_config {
        struct kc_actor *control;
        uv_loop_t *loop;
        struct engine *engine;
        struct job_store *store; /* the engine's, for what it knows no more; NULL: none */
        const char *local_io;    /* "io_uring" or "threads"; static */
        uint8_t instance_id[RPC_INSTANCE_ID_BYTES];
        unsigned jobs_max; /* of one connection, accepted or not yet reported; beyond it nothing is read */
        size_t jobs_max_bytes; /* what those that have not ended may take of the engine's memory; likewise */
        unsigned calls_max;    /* Opens under way on one connection; beyond it nothing is read */
        unsigned handles_max;  /* devices that one connection may keep open; more are refused */
        size_t high_water_bytes; /* output beyond which nothing is read */
        size_t ceiling_bytes;    /* output and held terminal events beyond which the peer is cut off */
        uint64_t hello_timeout_ns;
        uint64_t cancel_ns;  /* for cancelled jobs to end and be reported, in rpc_hangup */
        uint64_t linger_ns;  /* for the last words to a peer that is being hung up on */
        size_t linger_bytes; /* what such a peer may go on saying, unheard */
        /* A session has ended and is gone; may be NULL. rpc_sessions() does not count it any more. */
        void (*on_session_end)(void *arg);
        void *arg;
};

void rpc_config_defaults(struct rpc_config *config);
/* Returns 0 and *ret_rpc, or negative errno. `config` is copied. */
int rpc_new(const struct rpc_config *config, struct rpc **ret_rpc);

/* Serve a connection: accept it from `listener` (a uv_pipe_t or uv_tcp_t). A failure concerns that connection
 * alone and has been logged. 0 or negative errno. */
int rpc_accept(struct rpc *rpc, uv_stream_t *listener);
/* Serve a connected stream socket, which passes to the session also on failure. Its identity is this
 * process's own user, whoever holds the other end. */
int rpc_accept_fd(struct rpc *rpc, int fd);
unsigned rpc_sessions(const struct rpc *rpc);
unsigned rpc_jobs(const struct rpc *rpc); /* accepted, and their ends not told yet */

/* No new jobs: each session says so, and that there are `drain_ns` left; it says Farewell and ends when its
 * last job has been reported and what it watches has ended. Connections that come now are told what is still
 * waited for. */
void rpc_drain(struct rpc *rpc, uint64_t drain_ns);
/* Cancel what is left, report it as the server's doing, end every session. */
void rpc_hangup(struct rpc *rpc);
/* Asynchronous, once no session is left; on_closed comes last, never inside the call. Then rpc_free. */
void rpc_close(struct rpc *rpc, void (*on_closed)(void *arg), void *arg);
void rpc_free(struct rpc *rpc); /* NULL is fine */

#endif
