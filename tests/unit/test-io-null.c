/* null: as an endpoint: swallows, answers later, cannot be read.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/null.h"
#include "unit/io-fixture.h"

static struct endpoint *null_opened(struct lane *lane, enum io_access access)
{
        struct kc_error error = {0};
        struct endpoint *endpoint = NULL;

        assert_int_equal(null_new(&lane->actor.actor, access, &endpoint, &error), 0);
        return endpoint;
}

static void it_shares_nothing_and_takes_everything(void **state)
{
        static char buf[MIB];
        struct endpoint *endpoint;
        struct lane lane;

        lane_init_loop(&lane);
        endpoint = null_opened(&lane, IO_ACCESS_READ_WRITE);
        assert_int_equal(endpoint->info.kind, IO_KIND_NULL);
        assert_string_equal(endpoint->info.identity.key, "");
        assert_true(endpoint->info.size_bytes > UINT64_MAX - 64 * MIB);
        assert_int_equal(endpoint->info.size_bytes % endpoint->info.block_max_bytes, 0);
        assert_int_equal(endpoint->info.block_min_bytes, 1);
        assert_false(endpoint->info.read_only || endpoint->info.can_extents || endpoint->info.resizable);
        assert_int_equal(lane_io(&lane, endpoint, IO_WRITE, IO_FUA, 1ull << 63, MIB, buf), 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_ZERO, IO_UNMAP, 17, 1ull << 30, NULL), 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
        lane_close(&lane, endpoint);
        lane_done_loop(&lane);
}

static void reading_it_is_refused(void **state)
{
        struct endpoint *endpoint = (struct endpoint *)state;
        struct kc_error error = {0};
        struct lane lane;

        lane_init_loop(&lane);
        assert_int_equal(null_new(&lane.actor.actor, IO_ACCESS_READ, &endpoint, &error), -EACCES);
        assert_ptr_equal(endpoint, state);
        assert_int_equal(error.class, KC_CLASS_INVALID);
        assert_string_equal(error.message, "null: is a destination only; it cannot be read");
        lane_done_loop(&lane);
}

struct burst {
        struct io_req req;
        unsigned again;
        bool close_inside, done, closed;
};

static void on_burst(struct io_req *req)
{
        struct burst *burst = kc_container_of(req, struct burst, req);

        assert_false(burst->closed);
        if (burst->again > 0) {
                burst->again--;
                assert_int_equal(endpoint_submit(req->endpoint, req), 0);
                return;
        }
        burst->done = true;
        if (burst->close_inside) {
                endpoint_close(req->endpoint, on_flag, &burst->closed);
                assert_false(burst->closed);
        }
}

static void close_waits_for_what_was_submitted(void **state)
{
        struct endpoint *endpoint;
        struct burst bursts[50];
        struct lane lane;
        bool closed = false;

        lane_init_loop(&lane);
        endpoint = null_opened(&lane, IO_ACCESS_WRITE);
        for (unsigned i = 0; i < 50; i++) {
                bursts[i] = (struct burst){.req = {.op = IO_FLUSH, .on_done = on_burst}};
                assert_int_equal(endpoint_submit(endpoint, &bursts[i].req), 0);
        }
        endpoint_close(endpoint, on_flag, &closed);
        assert_false(closed || bursts[0].done);
        lane_run_until(&lane, &closed);
        for (unsigned i = 0; i < 50; i++)
                assert_true(bursts[i].done);
        lane_done_loop(&lane);
}

static void a_callback_may_submit_again_and_close(void **state)
{
        struct burst burst = {
            .req = {.op = IO_FLUSH, .on_done = on_burst}, .again = 10, .close_inside = true};
        struct lane lane;

        lane_init_loop(&lane);
        assert_int_equal(endpoint_submit(null_opened(&lane, IO_ACCESS_WRITE), &burst.req), 0);
        lane_run_until(&lane, &burst.closed);
        assert_true(burst.done);
        assert_int_equal(burst.again, 0);
        lane_done_loop(&lane);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(it_shares_nothing_and_takes_everything),
            cmocka_unit_test(reading_it_is_refused),
            cmocka_unit_test(close_waits_for_what_was_submitted),
            cmocka_unit_test(a_callback_may_submit_again_and_close),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
