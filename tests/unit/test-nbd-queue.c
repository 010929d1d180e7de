/* What waits in an NBD endpoint: block status takes turns, and close settles all of it, whatever else comes
 * first. links: kc_io */
#include "lib/nbd-fixture.h"

#define N 10

static char buf[65536];
static struct nbd_fixture_req req[N];

static void block_status_takes_turns_and_holds_nobody_up(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < N - 1; i++)
                        assert_int_equal(
                            nbd_fixture_submit(endpoint, &req[i], IO_EXTENTS, 0, 0, 65536, NULL), 0);
                assert_int_equal(nbd_fixture_submit(endpoint, &req[N - 1], IO_READ, 0, 0, 512, buf), 0);
                assert_true(req[0].req.sent && req[N - 1].req.sent);
                assert_false(req[1].req.sent);
                for (int i = 0; i < N; i++) {
                        nbd_fixture_run(fx, &req[i].done);
                        assert_int_equal(req[i].req.status, 0);
                }
                assert_int_equal(req[N - 2].req.n_extents, 1);
        }
        nbd_fixture_close(fx, endpoint);
}

static void what_waits_its_turn_fails_with_the_connection(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--stall", "commands", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        for (int i = 0; i < 3; i++)
                assert_int_equal(nbd_fixture_submit(endpoint, &req[i], IO_EXTENTS, 0, 0, 65536, NULL), 0);
        nbd_fixture_kill(fx, 0);
        for (int i = 0; i < 3; i++) {
                nbd_fixture_run(fx, &req[i].done);
                assert_int_equal(req[i].req.status, -ENOTCONN);
                assert_int_equal(req[i].req.class, KC_CLASS_TRANSPORT);
                assert_int_equal(req[i].req.sent, i == 0);
        }
        nbd_fixture_close(fx, endpoint);
}

/* The peer is gone, which the submit finds out: libnbd completes everything inside that call. */
static void close_settles_what_was_answered_before_a_deadline_that_is_over(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;
        bool closed = false;

        nbd_fixture_hostile(fx, "--stall", "commands", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_submit(endpoint, &req[0], IO_WRITE, 0, 0, 512, buf), 0);
        assert_int_equal(nbd_fixture_submit(endpoint, &req[1], IO_READ, 0, 0, 512, buf), 0);
        nbd_fixture_kill(fx, 0);
        assert_int_equal(nbd_fixture_submit(endpoint, &req[2], IO_WRITE, 0, 0, 512, buf), 0);
        assert_true(endpoint->dead);
        endpoint_close(endpoint, nbd_fixture_on_closed, &closed);
        assert_false(req[0].done || req[1].done || req[2].done || closed);
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL); /* a lane that was busy meanwhile */
        nbd_fixture_run(fx, &closed);
        for (int i = 0; i < 3; i++) {
                assert_true(req[i].done);
                assert_true(req[i].req.status < 0);
                assert_int_equal(req[i].req.unanswered, i != 1);
        }
}

static void kill_after_close_changes_nothing(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;
        bool closed = false;

        nbd_fixture_hostile(fx, "--stall", "commands", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_submit(endpoint, &req[0], IO_WRITE, 0, 0, 512, buf), 0);
        endpoint_close(endpoint, nbd_fixture_on_closed, &closed);
        endpoint_kill(endpoint);
        nbd_fixture_run(fx, &closed);
        assert_true(req[0].done && req[0].req.unanswered);
        assert_int_equal(req[0].req.status, -ECANCELED);
}

static int setup_with_little_time_to_close(void **state)
{
        return nbd_fixture_setup_with(state, 50);
}

static int setup_with_hardly_any_time_to_close(void **state)
{
        return nbd_fixture_setup_with(state, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                block_status_takes_turns_and_holds_nobody_up, nbd_fixture_setup, nbd_fixture_teardown),
            cmocka_unit_test_setup_teardown(
                what_waits_its_turn_fails_with_the_connection, nbd_fixture_setup, nbd_fixture_teardown),
            cmocka_unit_test_setup_teardown(close_settles_what_was_answered_before_a_deadline_that_is_over,
                setup_with_hardly_any_time_to_close, nbd_fixture_teardown),
            cmocka_unit_test_setup_teardown(
                kill_after_close_changes_nothing, setup_with_little_time_to_close, nbd_fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
