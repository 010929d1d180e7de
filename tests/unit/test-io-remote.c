/* Remote endpoints: requests to an endpoint of another lane, between two real threads.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/remote-fixture.h"

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
