/* A session's reading and writing, and the backpressure between them (session.h).
 *
 * Everything that is to be said is collected during a turn of the loop and written once, before the loop
 * sleeps (session_flush, by the rpc). A session reads while its output is below the high-water mark and its
 * jobs below their limit; a peer whose jobs and output pile up is not read from, which is all that it
 * notices. While it is not read from, its hanging up would go unseen; a look at the socket every so often
 * takes care of that. */
#include "rpc/session.h"

#include <poll.h>

#define PAUSE_LOOK_NS 500000000u

void session_wake(struct session *session)
{
        if (kc_list_empty(&session->dirty))
                kc_list_push(&session->rpc->dirty, &session->dirty);
}

void session_send(struct session *session, const Kcopy__V1__ServerMessage *message)
{
        if (session->deaf || encode_message(&session->out, message, 0) == 0)
                session_wake(session);
        else
                session_lost(session, "out of memory");
}

size_t session_held_bytes(const struct session *session)
{
        return session->out.bytes + session->jobs.terminal_bytes + watch_bytes(session);
}

void session_check_ceiling(struct session *session)
{
        if (session_is_live(session) && session_held_bytes(session) > session->rpc->config.ceiling_bytes)
                session_lost(session, "peer does not read: %zu bytes wait for it, %zu are allowed",
                    session_held_bytes(session), session->rpc->config.ceiling_bytes);
}

/* ---- reading */

static bool may_dispatch(const struct session *session)
{
        return session_is_live(session) && session->out.bytes < session->rpc->config.high_water_bytes &&
               session->jobs.n < session->rpc->config.jobs_max &&
               session->jobs.engine_bytes < session->rpc->config.jobs_max_bytes &&
               session->calls.n < session->rpc->config.calls_max;
}

/* Dispatch the frames that have arrived, as long as there is room for what they cause. */
static void dispatch_frames(struct session *session)
{
        const uint8_t *body;
        uint32_t body_bytes;
        int r;

        while (may_dispatch(session)) {
                r = kc_frame_reader_next(&session->reader, &body, &body_bytes);
                if (r == 0)
                        return;
                if (r == -EMSGSIZE)
                        session_hangup(session, KC_CLASS_LIMIT, "frame: larger than %u bytes",
                            session->reader.body_max_bytes);
                else if (r < 0)
                        session_hangup(session, KC_CLASS_PROTOCOL, "frame: its length is no varint32");
                else
                        dispatch(session, body, body_bytes);
        }
}

static void pause_reading(struct session *session)
{
        struct kc_actor *control = session->rpc->config.control;

        if (!session->reading)
                return;
        uv_read_stop(&session->uv.stream);
        session->reading = false;
        kc_actor_timer_start(control, &session->pause_timer, kc_actor_now_ns(control) + PAUSE_LOOK_NS);
}

static void on_alloc(uv_handle_t *handle, size_t suggested_bytes, uv_buf_t *ret_buf)
{
        struct session *session = handle->data;
        size_t room_bytes;
        uint8_t *room;

        if (!session_is_live(session)) /* whatever was in there, nobody will look at it */
                kc_frame_reader_init(&session->reader, session->reader.buf, session->reader.capacity_bytes,
                    session->reader.body_max_bytes);
        room = kc_frame_reader_room(&session->reader, &room_bytes);
        *ret_buf = uv_buf_init((char *)room, (unsigned)room_bytes);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
        struct session *session = stream->data;

        if (nread < 0) {
                session_lost(session, "%s", nread == UV_EOF ? "peer hung up" : uv_strerror((int)nread));
                return;
        }
        if (!session_is_live(session)) { /* what a peer says while it is being hung up on */
                session->unheard_bytes += (size_t)nread;
                if (session->unheard_bytes > session->rpc->config.linger_bytes)
                        session_lost(session, "peer does not stop talking");
                return;
        }
        kc_frame_reader_fed(&session->reader, (size_t)nread);
        dispatch_frames(session);
        session_wake(session);
        /* at once: libuv may read again before the loop turns, and the buffer may be full */
        if (session_is_live(session) && !may_dispatch(session))
                pause_reading(session);
}

static void resume_reading(struct session *session)
{
        int r;

        if (session->reading)
                return;
        r = uv_read_start(&session->uv.stream, on_alloc, on_read);
        if (r < 0) {
                session_lost(session, "cannot read: %s", uv_strerror(r));
                return;
        }
        session->reading = true;
        kc_actor_timer_stop(session->rpc->config.control, &session->pause_timer);
}

void session_on_pause_timer(struct kc_timer *timer)
{
        struct session *session = kc_container_of(timer, struct session, pause_timer);
        struct kc_actor *control = session->rpc->config.control;
        struct pollfd look = {.events = POLLRDHUP};

        if (uv_fileno(&session->uv.handle, &look.fd) == 0 && poll(&look, 1, 0) == 1 &&
            (look.revents & (POLLRDHUP | POLLHUP | POLLERR))) {
                session_lost(session, "peer hung up");
                return;
        }
        kc_actor_timer_start(control, timer, kc_actor_now_ns(control) + PAUSE_LOOK_NS);
}

/* ---- writing */

static void on_written(uv_write_t *req, int status)
{
        struct session *session = req->data;

        slots_written(session, outq_send_end(&session->out));
        if (status < 0)
                session_lost(session, "cannot write: %s", uv_strerror(status));
        else
                session_wake(session);
}

static void write_out(struct session *session)
{
        uv_buf_t bufs[OUTQ_GATHER_MAX];
        unsigned n;
        int r;

        if (outq_sending(&session->out))
                return;
        n = outq_send_begin(&session->out, bufs);
        if (n == 0)
                return;
        r = uv_write(&session->write, &session->uv.stream, bufs, n, on_written);
        if (r < 0) {
                slots_written(session, outq_send_end(&session->out));
                session_lost(session, "cannot write: %s", uv_strerror(r));
        }
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
        struct session *session = req->data;

        /* the peer's own end follows, unless it takes too long: the timer */
        if (status < 0)
                session_lost(session, "cannot shut down: %s", uv_strerror(status));
}

/* CLOSING: the last words, then our end of the stream, then the peer's. Reading goes on meanwhile: input that
 * nobody reads would make the kernel take the last words back. */
static void flush_last_words(struct session *session)
{
        write_out(session);
        resume_reading(session);
        if (session->deaf || session->ending || session->out.bytes)
                return;
        session->ending = true;
        if (uv_shutdown(&session->shutdown, &session->uv.stream, on_shutdown) < 0)
                session_lost(session, "cannot shut down");
}

void session_flush(struct session *session)
{
        if (session->deaf)
                return;
        if (session_is_live(session)) {
                slots_flush(session);
                watch_flush(session);
                replays_flush(session);
        }
        if (session_is_live(session))
                session_end_when_idle(session);
        if (!session_is_live(session)) {
                if (!session->deaf)
                        flush_last_words(session);
                return;
        }
        write_out(session);
        session_check_ceiling(session);
        /* frames that had to wait for room are still in the buffer: no read will tell of them */
        dispatch_frames(session);
        if (!session_is_live(session))
                return;
        if (may_dispatch(session))
                resume_reading(session);
        else
                pause_reading(session);
}
