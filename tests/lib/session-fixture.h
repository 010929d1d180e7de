/* A session over a socket pair above the fake engine, and the client's end of it, for test-session*.c.
 * Everything is on one thread: waiting for something turns the loop. */
#ifndef SESSION_FIXTURE_H
#define SESSION_FIXTURE_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/fake-engine.c" /* instead of the real one, which is in an archive: the program's own come first */

#include "base/actor_uv.h"
#include "frame.h"
#include "kcopy.pb-c.h"
#include "rpc/rpc.h"

#define MS_NS UINT64_C(1000000)
#define PATIENCE_MS 10000

struct peer_end {
        int fd;
        uint8_t buf[KC_FRAME_MAX_BYTES + KC_FRAME_HEADER_MAX_BYTES];
        struct kc_frame_reader reader;
        uint64_t request_id;
};

static int send_buffer_bytes;         /* of the session's end; 0: the system's default */
static uint32_t progress_interval_ms; /* that the jobs of a test ask for */

struct fixture {
        uv_loop_t loop;
        struct kc_actor_uv control;
        struct engine *engine;
        struct rpc *rpc;
        struct peer_end peer;
        unsigned ended;
        bool rpc_closed, engine_closed;
};

static void on_session_end(void *arg)
{
        ((struct fixture *)arg)->ended++;
}

static void peer_init(struct peer_end *peer, struct rpc *rpc)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        peer->fd = fds[0];
        if (send_buffer_bytes)
                setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof(send_buffer_bytes));
        peer->request_id = 0;
        kc_frame_reader_init(&peer->reader, peer->buf, sizeof(peer->buf), KC_FRAME_MAX_BYTES);
        assert_int_equal(rpc_accept_fd(rpc, fds[1]), 0);
}

static int setup_with(void **state, void (*adjust)(struct rpc_config *config))
{
        struct fixture *f = calloc(1, sizeof(*f));
        struct engine_config engine;
        struct rpc_config config;

        progress_interval_ms = 0;
        assert_int_equal(uv_loop_init(&f->loop), 0);
        assert_int_equal(kc_actor_uv_init(&f->control, &f->loop, 0), 0);
        engine_config_defaults(&engine);
        engine.control = &f->control.actor;
        assert_int_equal(engine_new(&engine, &f->engine), 0);
        f->engine->automatic = false;
        rpc_config_defaults(&config);
        config.control = &f->control.actor;
        config.loop = &f->loop;
        config.engine = f->engine;
        config.local_io = "threads";
        config.on_session_end = on_session_end;
        config.arg = f;
        if (adjust)
                adjust(&config);
        assert_int_equal(rpc_new(&config, &f->rpc), 0);
        peer_init(&f->peer, f->rpc);
        *state = f;
        return 0;
}

static inline int setup(void **state)
{
        return setup_with(state, NULL);
}

static void on_rpc_closed(void *arg)
{
        ((struct fixture *)arg)->rpc_closed = true;
}

static void on_engine_closed(void *arg, unsigned n_stuck)
{
        ((struct fixture *)arg)->engine_closed = true;
}

static void on_actor_closed(struct kc_actor_uv *actor)
{
}

/* ---- the client's end */

static void on_tick(uv_timer_t *timer)
{
}

/* Turn the loop once, waiting at most a moment. */
static void turn(struct fixture *f)
{
        uv_timer_t tick;

        uv_timer_init(&f->loop, &tick);
        uv_timer_start(&tick, on_tick, 2, 2); /* again: on a slow machine it fires before the loop sleeps */
        uv_run(&f->loop, UV_RUN_ONCE);
        uv_close((uv_handle_t *)&tick, NULL);
        uv_run(&f->loop, UV_RUN_NOWAIT);
}

#define WAIT_FOR(f, condition)                                                                               \
        do {                                                                                                 \
                uint64_t until_ = uv_hrtime() + PATIENCE_MS * MS_NS;                                         \
                                                                                                             \
                while (!(condition)) {                                                                       \
                        assert_true(uv_hrtime() < until_);                                                   \
                        turn(f);                                                                             \
                }                                                                                            \
        } while (0)

/* Every test ends by taking everything apart; the loop must be empty. */
static int teardown(void **state)
{
        struct fixture *f = *state;

        if (f->peer.fd >= 0)
                close(f->peer.fd);
        rpc_close(f->rpc, on_rpc_closed, f);
        WAIT_FOR(f, f->rpc_closed);
        rpc_free(f->rpc);
        engine_close(f->engine, 0, on_engine_closed, f);
        WAIT_FOR(f, f->engine_closed);
        engine_free(f->engine);
        kc_actor_uv_close(&f->control, on_actor_closed);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&f->loop), 0);
        free(f);
        return 0;
}

static void write_all(struct fixture *f, struct peer_end *peer, const uint8_t *data, size_t bytes)
{
        while (bytes) {
                ssize_t n = send(peer->fd, data, bytes, MSG_NOSIGNAL);

                if (n < 0) {
                        assert_int_equal(errno, EAGAIN);
                        turn(f);
                        continue;
                }
                data += n;
                bytes -= (size_t)n;
        }
}

static uint64_t put(struct fixture *f, struct peer_end *peer, Kcopy__V1__ClientMessage *message)
{
        static uint8_t frame[KC_FRAME_MAX_BYTES + KC_FRAME_HEADER_MAX_BYTES];
        uint32_t bytes = (uint32_t)kcopy__v1__client_message__get_packed_size(message);
        unsigned header_bytes;

        message->request_id = ++peer->request_id;
        bytes = (uint32_t)kcopy__v1__client_message__get_packed_size(message);
        assert_true(bytes <= KC_FRAME_MAX_BYTES);
        header_bytes = kc_frame_header(frame, bytes);
        kcopy__v1__client_message__pack(message, frame + header_bytes);
        write_all(f, peer, frame, header_bytes + bytes);
        return message->request_id;
}

#define PUT(f, peer, BODY, member, Type, ...)                                                                \
        ({                                                                                                   \
                Kcopy__V1__ClientMessage message_ = KCOPY__V1__CLIENT_MESSAGE__INIT;                         \
                Kcopy__V1__##Type body_ = {__VA_ARGS__};                                                     \
                                                                                                             \
                message_.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_##BODY;                                 \
                message_.member = &body_;                                                                    \
                put(f, peer, &message_);                                                                     \
        })

/* Receive what is there: 1 a frame, 0 nothing, -1 the end. */
static int take(struct peer_end *peer, Kcopy__V1__ServerMessage **ret_message)
{
        const uint8_t *body;
        uint32_t body_bytes;
        size_t room_bytes;
        uint8_t *room;
        ssize_t n;

        for (;;) {
                if (kc_frame_reader_next(&peer->reader, &body, &body_bytes) == 1) {
                        *ret_message = kcopy__v1__server_message__unpack(NULL, body_bytes, body);
                        assert_non_null(*ret_message);
                        return 1;
                }
                room = kc_frame_reader_room(&peer->reader, &room_bytes);
                n = recv(peer->fd, room, room_bytes, 0);
                if (n <= 0)
                        return n == 0 || errno != EAGAIN ? -1 : 0;
                kc_frame_reader_fed(&peer->reader, (size_t)n);
        }
}

static Kcopy__V1__ServerMessage *get(
    struct fixture *f, struct peer_end *peer, Kcopy__V1__ServerMessage__BodyCase expected)
{
        Kcopy__V1__ServerMessage *message = NULL;
        int r = 0;

        WAIT_FOR(f, (r = take(peer, &message)) != 0);
        assert_int_equal(r, 1);
        assert_int_equal(message->body_case, expected);
        return message;
}

#define GET(f, peer, BODY) get(f, peer, KCOPY__V1__SERVER_MESSAGE__BODY_##BODY)

static void drop(Kcopy__V1__ServerMessage *message)
{
        kcopy__v1__server_message__free_unpacked(message, NULL);
}

static inline void expect_end(struct fixture *f, struct peer_end *peer)
{
        Kcopy__V1__ServerMessage *message;
        int r = 0;

        WAIT_FOR(f, (r = take(peer, &message)) != 0);
        assert_int_equal(r, -1);
}

static void hello(struct fixture *f, struct peer_end *peer)
{
        PUT(f, peer, HELLO, hello, Hello, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__hello__descriptor),
            .version_min = 1, .version_max = 1, .pages = 16, .client_name = (char *)"test");
        drop(GET(f, peer, WELCOME));
}

static void ping(struct fixture *f, struct peer_end *peer)
{
        PUT(f, peer, PING, ping, Ping, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__ping__descriptor));
}

/* What comes next is the answer to a ping: nothing else was on its way. */
static inline void expect_silence(struct fixture *f, struct peer_end *peer)
{
        ping(f, peer);
        drop(GET(f, peer, PONG));
}

struct copy_parts {
        Kcopy__V1__IoRegion from, to;
        Kcopy__V1__IoRegion *to_list[1];
        Kcopy__V1__JobOptions options;
        Kcopy__V1__Copy copy;
};

static void copy_init(struct copy_parts *parts, const char *to)
{
        kcopy__v1__io_region__init(&parts->from);
        parts->from.device_case = KCOPY__V1__IO_REGION__DEVICE_NAME;
        parts->from.name = (char *)"/source";
        parts->to = parts->from;
        parts->to.name = (char *)to;
        parts->to_list[0] = &parts->to;
        kcopy__v1__copy__init(&parts->copy);
        parts->copy.context.data = (uint8_t *)"ctx";
        parts->copy.context.len = 3;
        kcopy__v1__job_options__init(&parts->options);
        parts->options.progress_interval_ms = progress_interval_ms;
        parts->copy.options = &parts->options;
        parts->copy.from = &parts->from;
        parts->copy.n_to = 1;
        parts->copy.to = parts->to_list;
}

static inline uint64_t put_copy(struct fixture *f, struct peer_end *peer, const char *to)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        struct copy_parts parts;

        copy_init(&parts, to);
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_COPY;
        message.copy = &parts.copy;
        return put(f, peer, &message);
}

static inline uint64_t put_many(struct fixture *f, struct peer_end *peer, unsigned n_jobs, const char *to)
{
        static struct copy_parts parts[KC_BATCH_JOBS_MAX];
        static Kcopy__V1__Copy *jobs[KC_BATCH_JOBS_MAX];
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__CopyMany many = KCOPY__V1__COPY_MANY__INIT;

        for (unsigned i = 0; i < n_jobs; i++) {
                copy_init(&parts[i], to);
                jobs[i] = &parts[i].copy;
        }
        many.n_jobs = n_jobs;
        many.jobs = jobs;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_COPY_MANY;
        message.copy_many = &many;
        return put(f, peer, &message);
}

static inline uint64_t accepted_job(struct fixture *f, struct peer_end *peer)
{
        Kcopy__V1__ServerMessage *message = GET(f, peer, ACCEPTED);
        uint64_t id = message->accepted->job;

        drop(message);
        return id;
}

/* Hello, and the first job: accepted, and running as far as the client knows. Its id. */
static inline uint64_t start_job(struct fixture *f, const char *to)
{
        hello(f, &f->peer);
        put_copy(f, &f->peer, to);
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        return accepted_job(f, &f->peer);
}

static inline uint64_t put_goodbye(struct fixture *f, struct peer_end *peer)
{
        return PUT(f, peer, GOODBYE, goodbye, Goodbye,
            .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__goodbye__descriptor));
}

/* The peer goes, without a word; the session is gone afterwards. */
static inline void hang_up(struct fixture *f)
{
        close(f->peer.fd);
        f->peer.fd = -1;
        WAIT_FOR(f, f->ended == 1);
}

#endif
