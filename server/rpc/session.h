/* One connection: what has been read, what is still to be said, and its jobs.
 *
 * Private to rpc/. Each concern has a file: session.c the life of the connection, session_io.c reading,
 * writing and backpressure, dispatch.c requests, slot.c the session's jobs and their events, watch.c other
 * clients' jobs, encode.c messages.
 *
 * Owns: the stream, the input buffer, the output queue, job records, the watch. Borrows: the rpc.
 * Thread: the control loop. Close: session_hangup (with last words) or session_lost (without); the memory
 * goes when the last hold has been released: the stream, the engine's client, each submission and call that
 * has no answer yet. */
#ifndef RPC_SESSION_H
#define RPC_SESSION_H

#include <errno.h>

#include "base/log.h"
#include "base/sm.h"
#include "frame.h"
#include "rpc/call.h"
#include "rpc/encode.h"
#include "rpc/slot.h"
#include "rpc/outq.h"
#include "rpc/peer.h"
#include "rpc/records.h"
#include "rpc/replay.h"
#include "rpc/rpc_private.h"
#include "rpc/watch.h"

enum session_state {
        SESSION_HANDSHAKE, /* Hello is awaited, under a deadline */
        SESSION_OPEN,
        SESSION_GOODBYE, /* no more jobs; Farewell when the last one has been reported */
        SESSION_CLOSING, /* last words, then the stream goes; the engine may still be letting go */
        SESSION_CLOSED,
};

struct session {
        struct rpc *rpc;
        struct kc_list node;  /* rpc->sessions */
        struct kc_list dirty; /* rpc->dirty: to be flushed before the loop sleeps */
        struct kc_sm sm;
        unsigned holds; /* what keeps the memory */
        struct peer peer;

        /* the stream */
        union {
                uv_handle_t handle;
                uv_stream_t stream;
                uv_pipe_t pipe;
                uv_tcp_t tcp;
        } uv;
        struct kc_frame_reader reader;
        bool reading;
        bool ending;          /* CLOSING: uv_shutdown has been asked for */
        bool deaf;            /* CLOSING: uv_close has been asked for */
        size_t unheard_bytes; /* CLOSING: what the peer has gone on saying */
        uv_write_t write;
        uv_shutdown_t shutdown;
        struct kc_timer timer;       /* HANDSHAKE: Hello; CLOSING: the end of patience */
        struct kc_timer pause_timer; /* while not reading: is the peer still there? */
        struct outq out;

        /* the engine's side */
        struct engine_client *client; /* OPEN and after, until it is closed */
        bool client_closing;
        uint64_t goodbye_request_id;
        char client_name[KC_CLIENT_NAME_MAX_BYTES + 1]; /* escaped */
        struct slots jobs;
        struct calls calls;
        struct watch watch;
        struct replays replays;
};

/* ---- session.c */

/* Both open a session on a stream that session_start then serves. */
int session_new(struct rpc *rpc, uv_handle_type type, struct session **ret_session);
/* The stream is connected and `peer` is filled. */
void session_start(struct session *session);
/* The engine has opened a client for it; HANDSHAKE → OPEN. */
void session_open(struct session *session, struct engine_client *client);
/* OPEN → GOODBYE: wait for the jobs, then Farewell to `request_id` and the end. */
void session_goodbye(struct session *session, uint64_t request_id);
/* Say that the server shuts down in `drain_ns`, and end when there is nothing more to report. */
void session_drain(struct session *session, uint64_t drain_ns);
/* Cancel the jobs, report them, Farewell; a peer that does not read is hung up on after config.cancel_ns. */
void session_cancel(struct session *session);
/* Say why, then close; jobs are cancelled. */
void session_hangup(struct session *session, enum kc_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The connection is of no use any more: close at once; jobs are cancelled. Safe at any time. */
void session_lost(struct session *session, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The last job has been reported, and it is time to go: Farewell. Otherwise nothing. */
void session_end_when_idle(struct session *session);
void session_hold(struct session *session);
void session_release(struct session *session);

static inline bool session_is_live(const struct session *session)
{
        return kc_sm_state(&session->sm) < SESSION_CLOSING;
}

/* ---- session_io.c */

/* Something is to be said or to be read again: look at it before the loop sleeps. */
void session_wake(struct session *session);
/* Queue a message. Out of memory loses the session. */
void session_send(struct session *session, const Kcopy__V1__ServerMessage *message);
/* Called by the rpc before the loop sleeps. */
void session_flush(struct session *session);
/* Output and terminal events that are being held for the peer. */
size_t session_held_bytes(const struct session *session);
/* Beyond the ceiling the session is lost. */
void session_check_ceiling(struct session *session);
void session_on_pause_timer(struct kc_timer *timer);

/* ---- dispatch.c */

/* One body of a frame. May end the session. */
void dispatch(struct session *session, const uint8_t *body, uint32_t body_bytes);
/* The connection goes on. */
void session_refuse(struct session *session, uint64_t request_id, const struct engine_refusal *refusal);
void session_refuse_field(struct session *session, uint64_t request_id, const char *field, int code,
    enum kc_class class, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Where the engine can only say that its client is being closed: that it is because the server stops. */
void session_explain(const struct session *session, struct engine_refusal *refusal);
/* The answer of a request that has nothing to say. */
void session_done(struct session *session, uint64_t request_id);

#endif
