/* The life of a connection (session.h). */
#include "rpc/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kc_sm_state states[] = {
    [SESSION_HANDSHAKE] = {.name = "handshake",
        .allowed = KC_SM_TO(SESSION_OPEN) | KC_SM_TO(SESSION_CLOSING),
        .initial = true},
    [SESSION_OPEN] = {.name = "open", .allowed = KC_SM_TO(SESSION_GOODBYE) | KC_SM_TO(SESSION_CLOSING)},
    [SESSION_GOODBYE] = {.name = "goodbye", .allowed = KC_SM_TO(SESSION_CLOSING)},
    [SESSION_CLOSING] = {.name = "closing", .allowed = KC_SM_TO(SESSION_CLOSED)},
    [SESSION_CLOSED] = {.name = "closed", .final = true},
};

void session_hold(struct session *session)
{
        session->holds++;
}

void session_release(struct session *session)
{
        struct rpc *rpc = session->rpc;

        assert(session->holds > 0);
        if (--session->holds)
                return;
        kc_sm_move(&session->sm, SESSION_CLOSED);
        kc_sm_done(&session->sm);
        assert(kc_list_empty(&session->jobs.all) && session->calls.n == 0);
        outq_done(&session->out);
        kc_list_del(&session->dirty);
        kc_list_del(&session->node);
        free(session->reader.buf);
        free(session);
        rpc_session_end(rpc);
}

/* ---- the end */

static void on_stream_closed(uv_handle_t *handle)
{
        session_release(handle->data);
}

static void close_stream(struct session *session)
{
        struct kc_actor *control = session->rpc->config.control;

        if (session->deaf)
                return;
        session->deaf = true;
        kc_actor_timer_stop(control, &session->timer);
        kc_actor_timer_stop(control, &session->pause_timer);
        uv_close(&session->uv.handle, on_stream_closed);
}

static void on_client_closed(void *arg)
{
        struct session *session = arg;

        session->client = NULL;
        if (session_is_live(session))
                session_wake(session); /* Farewell, when the last events have been said */
        session_release(session);
}

/* From any live state to CLOSING; the stream is still there. */
static void leave(struct session *session)
{
        kc_sm_move(&session->sm, SESSION_CLOSING);
        kc_actor_timer_stop(session->rpc->config.control, &session->timer);
        slots_abandon(session);
        replays_stop(session);
        watch_stop(session);
        if (!session->client)
                return;
        if (session->client_closing) {
                engine_client_cancel(session->client);
        } else {
                session->client_closing = true;
                engine_client_close(session->client, true, on_client_closed, session);
        }
}

static void on_timer(struct kc_timer *timer)
{
        struct session *session = kc_container_of(timer, struct session, timer);

        if (kc_sm_state(&session->sm) == SESSION_GOODBYE)
                session_hangup(session, KC_CLASS_STOPPED, "kcopyd: is shutting down");
        else if (session_is_live(session))
                session_hangup(session, KC_CLASS_TIMEOUT, "hello: none came within %llu s",
                    (unsigned long long)(session->rpc->config.hello_timeout_ns / 1000000000u));
        else
                close_stream(session); /* its last words had time enough */
}

/* Say what has been queued, then end. */
static void part(struct session *session)
{
        struct kc_actor *control = session->rpc->config.control;

        leave(session);
        kc_actor_timer_start(
            control, &session->timer, kc_actor_now_ns(control) + session->rpc->config.linger_ns);
        session_wake(session);
}

void session_hangup(struct session *session, enum kc_class class, const char *fmt, ...)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__ProtocolError error = KCOPY__V1__PROTOCOL_ERROR__INIT;
        char reason[KC_MESSAGE_MAX_BYTES];
        va_list ap;

        if (!session_is_live(session))
                return;
        va_start(ap, fmt);
        vsnprintf(reason, sizeof(reason), fmt, ap);
        va_end(ap);
        kc_log_info("rpc", "session hung up on session=%llu peer=%s reason=\"%s\"",
            (unsigned long long)session->sm.id, session->peer.identity, reason);
        error.error_class = (Kcopy__V1__ErrorClass) class;
        error.reason = reason;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_PROTOCOL_ERROR;
        message.protocol_error = &error;
        session_send(session, &message);
        if (session_is_live(session))
                part(session);
}

void session_lost(struct session *session, const char *fmt, ...)
{
        char reason[KC_MESSAGE_MAX_BYTES];
        va_list ap;

        if (session_is_live(session)) {
                va_start(ap, fmt);
                vsnprintf(reason, sizeof(reason), fmt, ap);
                va_end(ap);
                kc_log_debug("rpc", "session lost session=%llu peer=%s jobs=%u reason=\"%s\"",
                    (unsigned long long)session->sm.id, session->peer.identity, session->jobs.n, reason);
                leave(session);
        }
        close_stream(session);
}

/* While the server drains: others' jobs, which this peer watches, are still to end; or it is about to ask,
 * and will be told of them. */
static bool has_others_to_see(const struct session *session)
{
        const struct watch *watch = &session->watch;

        if (kc_sm_state(&session->sm) == SESSION_HANDSHAKE)
                return session->rpc->jobs.n > 0;
        return !session->goodbye_request_id &&
               (!kc_list_empty(&watch->news) || ((watch->all || watch->n_named) && session->rpc->jobs.n));
}

void session_end_when_idle(struct session *session)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Farewell farewell = KCOPY__V1__FAREWELL__INIT;
        bool reported = kc_list_empty(&session->jobs.all) && session->calls.n == 0;
        bool goodbye = kc_sm_state(&session->sm) == SESSION_GOODBYE && !session->client;

        if (!reported || (!goodbye && !session->rpc->draining) || has_others_to_see(session))
                return;
        message.request_id = session->goodbye_request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_FAREWELL;
        message.farewell = &farewell;
        session_send(session, &message);
        if (session_is_live(session))
                part(session);
}

void session_goodbye(struct session *session, uint64_t request_id)
{
        kc_sm_move(&session->sm, SESSION_GOODBYE);
        session->goodbye_request_id = request_id;
        session->client_closing = true;
        engine_client_close(session->client, false, on_client_closed, session);
}

void session_drain(struct session *session, uint64_t drain_ns)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Stopping stopping = KCOPY__V1__STOPPING__INIT;
        unsigned state = kc_sm_state(&session->sm);

        if (state == SESSION_OPEN || state == SESSION_GOODBYE) {
                stopping.drain_ms = drain_ns / 1000000u;
                message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_STOPPING;
                message.stopping = &stopping;
                session_send(session, &message);
        }
        session_wake(session);
}

void session_cancel(struct session *session)
{
        struct kc_actor *control = session->rpc->config.control;

        switch (kc_sm_state(&session->sm)) {
        case SESSION_HANDSHAKE:
                session_hangup(session, KC_CLASS_STOPPED, "kcopyd: is shutting down");
                return;
        case SESSION_OPEN:
                kc_sm_move(&session->sm, SESSION_GOODBYE);
                session->client_closing = true;
                engine_client_close(session->client, true, on_client_closed, session);
                break;
        case SESSION_GOODBYE:
                if (session->client)
                        engine_client_cancel(session->client);
                break;
        default:
                return;
        }
        kc_actor_timer_start(
            control, &session->timer, kc_actor_now_ns(control) + session->rpc->config.cancel_ns);
}

/* ---- the beginning */

void session_open(struct session *session, struct engine_client *client)
{
        kc_actor_timer_stop(session->rpc->config.control, &session->timer);
        session->client = client;
        session_hold(session);
        kc_frame_reader_limit(&session->reader, KC_FRAME_MAX_BYTES);
        kc_sm_move(&session->sm, SESSION_OPEN);
}

int session_new(struct rpc *rpc, uv_handle_type type, struct session **ret_session)
{
        size_t capacity_bytes = KC_FRAME_MAX_BYTES + KC_FRAME_HEADER_MAX_BYTES;
        struct session *session = calloc(1, sizeof(*session));
        uint8_t *buf = malloc(capacity_bytes);
        int r = -ENOMEM;

        if (!session || !buf)
                goto err_after_alloc;
        session->rpc = rpc;
        replays_init(session);
        r = watch_init(session);
        if (r < 0)
                goto err_after_alloc;
        r = type == UV_TCP ? uv_tcp_init(rpc->config.loop, &session->uv.tcp)
                           : uv_pipe_init(rpc->config.loop, &session->uv.pipe, 0);
        if (r < 0)
                goto err_after_watch;
        kc_frame_reader_init(&session->reader, buf, capacity_bytes, KC_FRAME_BEFORE_HELLO_MAX_BYTES);
        session->uv.handle.data = session;
        session->write.data = session;
        session->shutdown.data = session;
        kc_timer_init(&session->timer, on_timer);
        kc_timer_init(&session->pause_timer, session_on_pause_timer);
        outq_init(&session->out);
        slots_init(&session->jobs);
        kc_list_init(&session->dirty);
        kc_list_init(&session->node);
        kc_list_push(&rpc->sessions, &session->node);
        rpc->n_sessions++;
        kc_sm_init(&session->sm, states, sizeof(states) / sizeof(states[0]), SESSION_HANDSHAKE, "session",
            ++rpc->next_session);
        session_hold(session); /* the stream's */
        *ret_session = session;
        return 0;

err_after_watch:
        replays_stop(session);
        watch_stop(session);
err_after_alloc:
        free(buf);
        free(session);
        return r;
}

void session_start(struct session *session)
{
        struct kc_actor *control = session->rpc->config.control;

        kc_log_debug("rpc", "session began session=%llu peer=%s", (unsigned long long)session->sm.id,
            session->peer.identity);
        kc_actor_timer_start(
            control, &session->timer, kc_actor_now_ns(control) + session->rpc->config.hello_timeout_ns);
        session_wake(session);
}
