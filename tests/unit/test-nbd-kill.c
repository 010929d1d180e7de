/* Giving up on a server: what has not left is withdrawn, what has is in doubt, and the memory stays until
 * close. links: kc_io */
#include "lib/nbd-fixture.h"

static char buf[65536];
static struct nbd_fixture_req req[100];

static void what_has_not_left_can_be_withdrawn(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--stall", "commands", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        for (int i = 0; i < 100; i++)
                assert_int_equal(nbd_fixture_submit(endpoint, &req[i], IO_WRITE, 0, 0, 512, buf), 0);
        assert_true(req[0].req.sent);
        assert_false(req[99].req.sent);
        endpoint_withdraw(endpoint, &req[99].req);
        endpoint_withdraw(endpoint, &req[0].req); /* too late: left alone */
        assert_false(req[99].done);               /* never inside the call */
        nbd_fixture_run(fx, &req[99].done);
        assert_int_equal(req[99].req.status, -ECANCELED);
        assert_false(req[99].req.sent);
        assert_false(req[99].req.unanswered);
        assert_false(req[0].done);
        endpoint_kill(endpoint);
        for (int i = 0; i < 99; i++) {
                nbd_fixture_run(fx, &req[i].done);
                assert_int_equal(req[i].req.status, -ENOTCONN);
                assert_int_equal(req[i].req.unanswered, req[i].req.sent);
        }
        nbd_fixture_close(fx, endpoint);
}

static void kill_ends_what_is_pending_and_leaves_the_memory(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;
        struct nbd_fixture_req late;

        nbd_fixture_hostile(fx, "--stall", "commands", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_submit(endpoint, &req[0], IO_READ, 0, 0, 512, buf), 0);
        assert_int_equal(nbd_fixture_submit(endpoint, &req[1], IO_WRITE, 0, 0, 512, buf), 0);
        endpoint_kill(endpoint);
        endpoint_kill(endpoint);
        assert_true(endpoint->dead);
        assert_false(req[0].done || req[1].done);
        nbd_fixture_run(fx, &req[0].done);
        nbd_fixture_run(fx, &req[1].done);
        assert_int_equal(req[0].req.status, -ENOTCONN);
        assert_false(req[0].req.unanswered);
        assert_int_equal(req[1].req.status, -ENOTCONN);
        assert_true(req[1].req.unanswered);
        assert_int_equal(nbd_fixture_submit(endpoint, &late, IO_READ, 0, 0, 512, buf), -ENOTCONN);
        nbd_fixture_close(fx, endpoint);
}

static void kill_in_mid_command(void **state)
{
        struct nbd_fixture *fx = *state;

        /* not nbdkit: it aborts when a client hangs up with replies queued (FACTS) */
        nbd_fixture_hostile(fx, "--read", "reverse", NULL);
        for (int i = 0; i < 50; i++) {
                struct endpoint *endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);

                for (int j = 0; j < 100; j++)
                        assert_int_equal(nbd_fixture_submit(
                                             endpoint, &req[j], j % 3 ? IO_WRITE : IO_READ, 0, 0, 65536, buf),
                            0);
                for (int turn = 0; turn < i; turn++)
                        uv_run(&fx->loop, UV_RUN_NOWAIT);
                endpoint_kill(endpoint);
                for (int j = 0; j < 100; j++) {
                        nbd_fixture_run(fx, &req[j].done);
                        assert_true(req[j].req.status == 0 || req[j].req.status == -ENOTCONN);
                }
                nbd_fixture_close(fx, endpoint);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nbd_fixture_setup, nbd_fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(what_has_not_left_can_be_withdrawn),
            TEST(kill_ends_what_is_pending_and_leaves_the_memory),
            TEST(kill_in_mid_command),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
