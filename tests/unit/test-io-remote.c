/* Remote endpoints: requests to an endpoint of another lane, between two real threads.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "io/remote.h"
#include "unit/io-fixture.h"

#define MEMORY_BYTES 65536

/* ---- the other lane, and an endpoint that lives there: memory, which holds its answers back if told to */

struct other {
        pthread_t thread;
        uv_loop_t loop;
        struct kc_actor_uv actor;
        uv_sem_t ready;
        struct kc_msg msg; /* one call at a time from the test */
        void (*call)(struct other *other);
        bool called;

        /* touched there only, while calls are under way */
        struct endpoint endpoint;
        struct kc_list waiting;
        struct kc_msg answer_msg;
        bool posted, hold;
        bool queue_fails; /* requests end before they have left */
        int refuse;       /* what submit returns; 0: it takes requests */
        unsigned n_requests, n_kills;
        char memory[MEMORY_BYTES];
};

static struct other *other_of(struct endpoint *endpoint)
{
        return kc_container_of(endpoint, struct other, endpoint);
}

static void check_thread(struct other *other)
{
        if (!pthread_equal(pthread_self(), other->thread))
                abort(); /* an assertion of cmocka's works in the test's own thread only */
}

static void run_request(struct other *other, struct io_req *req)
{
        if (other->queue_fails) {
                req->status = -ECANCELED;
                req->class = KC_CLASS_CANCELLED;
                req->sent = false;
                return;
        }
        if (other->endpoint.dead) {
                req->status = -ECANCELED;
                req->class = KC_CLASS_TRANSPORT;
                req->unanswered = req->op == IO_WRITE;
                return;
        }
        switch (req->op) {
        case IO_READ:
                memcpy(req->buf, other->memory + req->offset_bytes, req->length_bytes);
                break;
        case IO_WRITE:
                memcpy(other->memory + req->offset_bytes, req->buf, req->length_bytes);
                break;
        case IO_ZERO:
                req->status = -EOPNOTSUPP;
                req->class = KC_CLASS_UNSUPPORTED;
                break;
        case IO_FLUSH:
                req->status = -EIO;
                req->class = KC_CLASS_MEDIA;
                break;
        case IO_EXTENTS:
                req->n_extents = 2;
                req->extents[0] = (struct io_extent){.length_bytes = 1, .zero = true};
                req->extents[1] = (struct io_extent){.length_bytes = req->length_bytes - 1};
                break;
        case IO_RESIZE:
                other->endpoint.info.size_bytes = req->length_bytes;
                other->endpoint.info.absent = false;
                break;
        }
}

static void on_answers(struct kc_actor *actor, struct kc_msg *msg)
{
        struct other *other = kc_container_of(msg, struct other, answer_msg);
        struct kc_list *node;

        check_thread(other);
        other->posted = false;
        while (!other->hold && (node = kc_list_pop(&other->waiting)) != NULL) {
                struct io_req *req = kc_list_entry(node, struct io_req, node);

                run_request(other, req);
                req->on_done(req);
        }
}

static void post_answers(struct other *other)
{
        if (other->posted)
                return;
        other->posted = true;
        other->answer_msg.on_message = on_answers;
        kc_actor_post(&other->actor.actor, &other->answer_msg);
}

static int memory_submit(struct endpoint *endpoint, struct io_req *req)
{
        struct other *other = other_of(endpoint);

        check_thread(other);
        if (other->refuse < 0) {
                endpoint->dead = other->refuse == -ENOTCONN;
                return other->refuse;
        }
        other->n_requests++;
        kc_list_init(&req->node);
        kc_list_push(&other->waiting, &req->node);
        post_answers(other);
        return 0;
}

static void memory_kill(struct endpoint *endpoint)
{
        struct other *other = other_of(endpoint);

        check_thread(other);
        other->n_kills++;
        endpoint->dead = true;
        other->hold = false;
        post_answers(other);
}

static const struct endpoint_ops memory_ops = {
    .name = "memory", .submit = memory_submit, .kill = memory_kill};

static void *other_thread(void *arg)
{
        struct other *other = arg;

        uv_loop_init(&other->loop);
        if (kc_actor_uv_init(&other->actor, &other->loop, 2) < 0)
                abort();
        uv_sem_post(&other->ready);
        uv_run(&other->loop, UV_RUN_DEFAULT);
        if (uv_loop_close(&other->loop) != 0)
                abort();
        return NULL;
}

/* ---- the test's side */

struct pair {
        struct lane here;
        struct other there;
        struct endpoint *remote;
};

static void on_called_back(struct kc_actor *actor, struct kc_msg *msg)
{
        kc_container_of(msg, struct other, msg)->called = true;
}

static void on_call(struct kc_actor *actor, struct kc_msg *msg)
{
        struct other *other = kc_container_of(msg, struct other, msg);
        struct pair *pair = kc_container_of(other, struct pair, there);

        other->call(other);
        msg->on_message = on_called_back;
        kc_actor_post(&pair->here.actor.actor, msg);
}

/* Run `call` on the other lane and wait for it. */
static void call_there(struct pair *pair, void (*call)(struct other *other))
{
        pair->there.call = call;
        pair->there.called = false;
        pair->there.msg.on_message = on_call;
        kc_actor_post(&pair->there.actor.actor, &pair->there.msg);
        lane_run_until(&pair->here, &pair->there.called);
}

static void hold(struct other *other)
{
        other->hold = true;
}

static void release(struct other *other)
{
        other->hold = false;
        post_answers(other);
}

static void fail_queue(struct other *other)
{
        other->queue_fails = true;
}

static void refuse_disconnected(struct other *other)
{
        other->refuse = -ENOTCONN;
}

static void refuse_memory(struct other *other)
{
        other->refuse = -ENOMEM;
}

static void ignore_actor_closed(struct kc_actor_uv *actor)
{
}

static void on_stop(struct kc_actor *actor, struct kc_msg *msg)
{
        kc_actor_uv_close(&kc_container_of(msg, struct other, msg)->actor, ignore_actor_closed);
}

static void pair_init(struct pair *pair)
{
        struct endpoint_info info = {.size_bytes = MEMORY_BYTES, .block_min_bytes = 1, .absent = true};

        memset(pair, 0, sizeof(*pair));
        lane_init_loop(&pair->here);
        kc_list_init(&pair->there.waiting);
        pair->there.endpoint.ops = &memory_ops;
        pair->there.endpoint.info = info;
        uv_sem_init(&pair->there.ready, 0);
        assert_int_equal(pthread_create(&pair->there.thread, NULL, other_thread, &pair->there), 0);
        uv_sem_wait(&pair->there.ready);
        assert_int_equal(remote_open(&pair->here.actor.actor, &pair->there.actor.actor, &pair->there.endpoint,
                             &info, &pair->remote),
            0);
        assert_string_equal(pair->remote->ops->name, "remote");
}

static void pair_stop(struct pair *pair)
{
        pair->there.msg.on_message = on_stop;
        kc_actor_post(&pair->there.actor.actor, &pair->there.msg);
        assert_int_equal(pthread_join(pair->there.thread, NULL), 0);
        uv_sem_destroy(&pair->there.ready);
        lane_done_loop(&pair->here);
}

static void pair_done(struct pair *pair)
{
        lane_close(&pair->here, pair->remote);
        pair_stop(pair);
}

static void requests_and_answers_travel_whole(void **state)
{
        struct io_extent extents[IO_EXTENTS_PER_REQ];
        char content[1000], back[1000];
        struct waited_req waited;
        struct pair pair;

        pair_init(&pair);
        fill_random(content, sizeof(content), 1);
        assert_int_equal(lane_io(&pair.here, pair.remote, IO_WRITE, IO_FUA, 77, 1000, content), 0);
        assert_int_equal(lane_io(&pair.here, pair.remote, IO_READ, 0, 77, 1000, back), 0);
        assert_memory_equal(content, back, 1000);
        assert_int_equal(lane_io(&pair.here, pair.remote, IO_ZERO, 0, 0, 10, NULL), -EOPNOTSUPP);

        req_start(pair.remote, &waited, IO_FLUSH, 0, 0, 0, NULL);
        lane_run_until(&pair.here, &waited.done);
        assert_int_equal(waited.req.status, -EIO);
        assert_int_equal(waited.req.class, KC_CLASS_MEDIA);

        waited = (struct waited_req){
            .req = {.op = IO_EXTENTS, .length_bytes = 100, .extents = extents, .on_done = on_req_done}};
        assert_int_equal(endpoint_submit(pair.remote, &waited.req), 0);
        lane_run_until(&pair.here, &waited.done);
        assert_int_equal(waited.req.n_extents, 2);
        assert_true(extents[0].zero && extents[0].length_bytes == 1);
        assert_true(!extents[1].zero && extents[1].length_bytes == 99);

        assert_true(pair.remote->info.absent);
        assert_int_equal(lane_io(&pair.here, pair.remote, IO_RESIZE, 0, 0, 12345, NULL), 0);
        assert_false(pair.remote->info.absent);
        assert_int_equal(pair.remote->info.size_bytes, 12345);
        pair_done(&pair);
}

struct stream {
        struct io_req req;
        unsigned left, *n_running;
        char buf[64];
};

static void on_stream(struct io_req *req)
{
        struct stream *stream = kc_container_of(req, struct stream, req);

        assert_int_equal(req->status, 0);
        if (stream->left-- == 0) {
                --*stream->n_running;
                return;
        }
        req->op = req->op == IO_WRITE ? IO_READ : IO_WRITE;
        assert_int_equal(endpoint_submit(req->endpoint, req), 0);
}

static void many_requests_in_flight_are_each_answered_once(void **state)
{
        enum { STREAMS = 64, EACH = 200 };
        static struct stream streams[STREAMS];
        unsigned n_running = STREAMS;
        struct pair pair;

        pair_init(&pair);
        for (unsigned i = 0; i < STREAMS; i++) {
                streams[i] = (struct stream){.left = EACH, .n_running = &n_running};
                streams[i].req = (struct io_req){.op = IO_WRITE,
                    .offset_bytes = i * 64,
                    .length_bytes = 64,
                    .buf = streams[i].buf,
                    .on_done = on_stream};
                fill_random(streams[i].buf, 64, i);
                assert_int_equal(endpoint_submit(pair.remote, &streams[i].req), 0);
        }
        while (n_running > 0)
                uv_run(&pair.here.loop, UV_RUN_ONCE);
        for (unsigned i = 0; i < STREAMS; i++) {
                char expected[64];

                fill_random(expected, 64, i);
                assert_memory_equal(streams[i].buf, expected, 64);
        }
        pair_done(&pair);
        assert_int_equal(pair.there.n_requests, STREAMS * (EACH + 1));
}

static void a_refusal_over_there_is_an_answer_here(void **state)
{
        struct waited_req waited;
        struct pair pair;
        char byte = 0;

        pair_init(&pair);
        call_there(&pair, refuse_memory);
        req_start(pair.remote, &waited, IO_WRITE, 0, 0, 1, &byte);
        lane_run_until(&pair.here, &waited.done);
        assert_int_equal(waited.req.status, -ENOMEM);
        assert_int_equal(waited.req.class, KC_CLASS_INTERNAL);
        assert_false(waited.req.sent);
        assert_false(pair.remote->dead);

        call_there(&pair, refuse_disconnected);
        req_start(pair.remote, &waited, IO_WRITE, 0, 0, 1, &byte);
        lane_run_until(&pair.here, &waited.done);
        assert_int_equal(waited.req.status, -ENOTCONN);
        assert_int_equal(waited.req.class, KC_CLASS_TRANSPORT);
        assert_false(waited.req.unanswered || waited.req.sent);
        assert_true(pair.remote->dead);
        /* from now on refused at once */
        assert_int_equal(endpoint_submit(pair.remote, &waited.req), -ENOTCONN);
        pair_done(&pair);
}

static void what_has_not_left_over_there_has_not_left(void **state)
{
        struct waited_req waited;
        struct pair pair;
        char byte = 0;

        pair_init(&pair);
        req_start(pair.remote, &waited, IO_WRITE, 0, 0, 1, &byte);
        lane_run_until(&pair.here, &waited.done);
        assert_true(waited.req.status == 0 && waited.req.sent);
        call_there(&pair, fail_queue);
        req_start(pair.remote, &waited, IO_WRITE, 0, 0, 1, &byte);
        lane_run_until(&pair.here, &waited.done);
        assert_int_equal(waited.req.status, -ECANCELED);
        assert_false(waited.req.sent);
        pair_done(&pair);
}

static void close_waits_for_answers_and_leaves_the_target_open(void **state)
{
        struct waited_req reqs[20];
        char bytes[20] = {0};
        struct pair pair;
        bool closed = false;

        pair_init(&pair);
        call_there(&pair, hold);
        for (unsigned i = 0; i < 20; i++)
                req_start(pair.remote, &reqs[i], IO_WRITE, 0, i, 1, &bytes[i]);
        endpoint_close(pair.remote, on_flag, &closed);
        call_there(&pair, hold); /* its way there and back: all the requests have arrived */
        assert_false(closed);
        call_there(&pair, release);
        lane_run_until(&pair.here, &closed);
        for (unsigned i = 0; i < 20; i++) {
                assert_true(reqs[i].done);
                assert_int_equal(reqs[i].req.status, 0);
        }
        pair_stop(&pair); /* the target has no close: calling it would have crashed */
}

static void kill_takes_the_target_down(void **state)
{
        struct waited_req write;
        struct pair pair;
        char byte = 0;

        pair_init(&pair);
        call_there(&pair, hold);
        req_start(pair.remote, &write, IO_WRITE, 0, 0, 1, &byte);
        endpoint_kill(pair.remote);
        endpoint_kill(pair.remote);
        assert_false(write.done);
        lane_run_until(&pair.here, &write.done);
        assert_int_equal(write.req.status, -ECANCELED);
        assert_true(write.req.unanswered);
        assert_true(pair.remote->dead);
        endpoint_kill(pair.remote);
        lane_close(&pair.here, pair.remote);
        pair_stop(&pair);
        assert_int_equal(pair.there.n_kills, 1);
}

static void a_kill_is_heard_of_without_any_request(void **state)
{
        struct waited_req read;
        struct pair pair;

        pair_init(&pair);
        endpoint_kill(pair.remote);
        lane_run_until(&pair.here, &pair.remote->dead);
        assert_int_equal(endpoint_submit(pair.remote, &read.req), -ENOTCONN);
        lane_close(&pair.here, pair.remote);
        pair_stop(&pair);
}

static void close_in_mid_kill(void **state)
{
        struct pair pair;

        pair_init(&pair);
        endpoint_kill(pair.remote);
        lane_close(&pair.here, pair.remote);
        pair_stop(&pair);
        assert_int_equal(pair.there.n_kills, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(requests_and_answers_travel_whole),
            cmocka_unit_test(many_requests_in_flight_are_each_answered_once),
            cmocka_unit_test(a_refusal_over_there_is_an_answer_here),
            cmocka_unit_test(what_has_not_left_over_there_has_not_left),
            cmocka_unit_test(close_waits_for_answers_and_leaves_the_target_open),
            cmocka_unit_test(kill_takes_the_target_down),
            cmocka_unit_test(a_kill_is_heard_of_without_any_request),
            cmocka_unit_test(close_in_mid_kill),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
