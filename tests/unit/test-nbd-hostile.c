/* Servers that lie, hang or vanish in transmission: the class is right, every request ends exactly once, and
 * closing works in the middle of anything.
 * links: kc_io */
#include "lib/nbd-fixture.h"

static char buf[65536];
static struct nbd_fixture_req req[100];

static void answer_that_is_refused(struct nbd_fixture *fx, const char *option, const char *value,
    enum io_op op, int status, enum kc_class class)
{
        unsigned server = nbd_fixture_hostile(fx, option, value, NULL);
        struct endpoint *endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);

        assert_int_equal(nbd_fixture_io(fx, endpoint, req, op, 0, 4096, sizeof buf, buf), status);
        assert_int_equal(req->req.class, class);
        assert_int_equal(req->req.n_extents, 0);
        nbd_fixture_close(fx, endpoint);
        nbd_fixture_kill(fx, server);
        fx->n_servers--;
}

/* The auto-retire trap (FACTS): if the completion callback returns 1, libnbd's own check in
 * nbd_aio_command_completed is never made. Ours (nbd_cover.h) stands behind it; without both this fails. */
static void read_with_too_little_data_is_a_protocol_error(void **state)
{
        answer_that_is_refused(*state, "--read", "short", IO_READ, -EPROTO, KC_CLASS_PROTOCOL);
        answer_that_is_refused(*state, "--read", "empty", IO_READ, -EPROTO, KC_CLASS_PROTOCOL);
}

/* The sum of the chunks is right, so libnbd sees nothing wrong. */
static void read_with_a_part_twice_is_a_protocol_error(void **state)
{
        answer_that_is_refused(*state, "--read", "repeat", IO_READ, -EPROTO, KC_CLASS_PROTOCOL);
}

static void read_that_is_scattered_is_a_protocol_error(void **state)
{
        answer_that_is_refused(*state, "--read", "scatter", IO_READ, -EPROTO, KC_CLASS_PROTOCOL);
}

static void connection_survives_a_short_answer(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--read", "short", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_io(fx, endpoint, req, IO_READ, 0, 0, 4096, buf), -EPROTO);
        assert_false(endpoint->dead);
        assert_int_equal(nbd_fixture_io(fx, endpoint, req, IO_WRITE, 0, 0, 4096, buf), 0);
        nbd_fixture_close(fx, endpoint);
}

static void read_in_chunks_of_reverse_order_is_fine(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--read", "reverse", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        assert_int_equal(nbd_fixture_io(fx, endpoint, req, IO_READ, 0, 1024, sizeof buf, buf), 0);
        for (size_t i = 0; i < sizeof buf; i++)
                assert_int_equal((unsigned char)buf[i], ((i + 1024) >> 9) & 0xff);
        nbd_fixture_close(fx, endpoint);
}

static void extents_that_lie_are_protocol_errors(void **state)
{
        answer_that_is_refused(*state, "--extents", "none", IO_EXTENTS, -EPROTO, KC_CLASS_PROTOCOL);
        answer_that_is_refused(*state, "--extents", "empty", IO_EXTENTS, -EPROTO, KC_CLASS_PROTOCOL);
        answer_that_is_refused(*state, "--extents", "twice", IO_EXTENTS, -EPROTO, KC_CLASS_PROTOCOL);
        answer_that_is_refused(
            *state, "--error", "extents:95", IO_EXTENTS, -EOPNOTSUPP, KC_CLASS_UNSUPPORTED);
        answer_that_is_refused(
            *state, "--error", "extents:22", IO_EXTENTS, -EOPNOTSUPP, KC_CLASS_UNSUPPORTED);
}

static void extents_that_are_too_long_are_cut(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--extents", "4096:0,4294967295:3", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        assert_int_equal(nbd_fixture_io(fx, endpoint, req, IO_EXTENTS, 0, 4096, 65536, NULL), 0);
        assert_int_equal(req->req.n_extents, 2);
        assert_int_equal(req->extents[1].length_bytes, 65536 - 4096);
        nbd_fixture_close(fx, endpoint);
}

/* One block status at a time: the server sees the second only once the first is answered. */
static void extents_are_asked_for_one_at_a_time(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;
        char trace[160], line[64];
        unsigned n_extents = 0;
        FILE *file;

        snprintf(trace, sizeof trace, "%s/trace", fx->dir);
        nbd_fixture_hostile(fx, "--stall", "commands", "--trace", trace, NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        for (int i = 0; i < 5; i++)
                assert_int_equal(nbd_fixture_submit(endpoint, &req[i], IO_EXTENTS, 0, 0, 65536, NULL), 0);
        assert_int_equal(nbd_fixture_submit(endpoint, &req[5], IO_READ, 0, 0, 4096, buf), 0);
        nbd_fixture_close(fx, endpoint);
        for (int i = 0; i < 6; i++) {
                assert_true(req[i].done);
                assert_int_equal(req[i].req.status, -ECANCELED);
        }
        file = fopen(trace, "r");
        while (fgets(line, sizeof line, file) != NULL)
                n_extents += strncmp(line, "extents", 7) == 0;
        fclose(file);
        assert_int_equal(n_extents, 1);
}

/* Everything in flight fails, the endpoint says that it is dead before the first on_done does, a write that
 * was sent may still land, and what comes later is refused. */
static void on_done_of_the_dead(struct io_req *r)
{
        assert_true(r->endpoint->dead);
        nbd_fixture_on_done(r);
}

static void dies(
    struct nbd_fixture *fx, struct endpoint *endpoint, int status, enum kc_class class, int server)
{
        static const enum io_op ops[] = {IO_READ, IO_WRITE, IO_ZERO, IO_FLUSH, IO_EXTENTS};

        for (int i = 0; i < 5; i++) {
                assert_int_equal(nbd_fixture_submit(endpoint, &req[i], ops[i], 0, 0, 4096, buf), 0);
                req[i].req.on_done = on_done_of_the_dead;
        }
        if (server >= 0)
                nbd_fixture_kill(fx, (unsigned)server);
        for (int i = 0; i < 5; i++) {
                nbd_fixture_run(fx, &req[i].done);
                assert_int_equal(req[i].req.status, status);
                assert_int_equal(req[i].req.class, class);
                assert_int_equal(req[i].req.unanswered, ops[i] == IO_WRITE || ops[i] == IO_ZERO);
        }
        assert_true(endpoint->dead);
        assert_int_equal(nbd_fixture_submit(endpoint, req, IO_READ, 0, 0, 4096, buf), -ENOTCONN);
        nbd_fixture_close(fx, endpoint);
}

static void server_that_hangs_up_instead_of_answering(void **state)
{
        struct nbd_fixture *fx = *state;

        nbd_fixture_hostile(fx, "--reply", "hangup", "--after", "4", NULL);
        dies(fx, nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE), -ENOTCONN, KC_CLASS_TRANSPORT, -1);
}

static void replies_that_cannot_be_read(void **state)
{
        struct nbd_fixture *fx = *state;

        nbd_fixture_hostile(fx, "--reply", "magic", "--after", "4", NULL);
        dies(fx, nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE), -EPROTO, KC_CLASS_PROTOCOL, -1);
        nbd_fixture_kill(fx, 0);
        nbd_fixture_hostile(fx, "--reply", "cookie", "--after", "4", NULL);
        dies(fx, nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE), -EPROTO, KC_CLASS_PROTOCOL, -1);
}

static void server_that_is_killed(void **state)
{
        struct nbd_fixture *fx = *state;

        nbd_fixture_hostile(fx, "--stall", "commands", NULL);
        dies(fx, nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE), -ENOTCONN, KC_CLASS_TRANSPORT, 0);
}

/* A reset over TCP reaches uv_poll as an error without events (FACTS): requests hang if nobody notifies. */
static void tcp_reset_is_noticed(void **state)
{
        struct nbd_fixture *fx = *state;
        unsigned port = nbd_fixture_free_port();
        char port_text[16], uri[64];

        snprintf(port_text, sizeof port_text, "%u", port);
        snprintf(uri, sizeof uri, "nbd://127.0.0.1:%u/", port);
        nbd_fixture_hostile(fx, "--reset-on-command", "--after", "4", "--tcp", port_text, NULL);
        dies(fx, nbd_fixture_must_open(fx, uri, IO_ACCESS_READ_WRITE), -ENOTCONN, KC_CLASS_TRANSPORT, -1);
}

static void idle_connection_that_is_cut_is_noticed(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        nbd_fixture_kill(fx, 0);
        nbd_fixture_run(fx, &endpoint->dead);
        assert_int_equal(nbd_fixture_submit(endpoint, req, IO_READ, 0, 0, 4096, buf), -ENOTCONN);
        nbd_fixture_close(fx, endpoint);
}

/* The peer has gone, and the loop has not seen it: the write fails inside the submit, and on_done comes
 * later. */
static void peer_that_is_gone_is_found_out_inside_the_submit(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        nbd_fixture_kill(fx, 0);
        assert_int_equal(nbd_fixture_submit(endpoint, req, IO_WRITE, 0, 0, 4096, buf), 0);
        assert_true(endpoint->dead); /* EPIPE: libnbd completed it in the call */
        nbd_fixture_run(fx, &req->done);
        assert_int_equal(req->req.status, -ENOTCONN);
        assert_true(req->req.unanswered);
        nbd_fixture_close(fx, endpoint);
}

static void what_was_never_sent_is_not_in_doubt(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;
        unsigned n_unanswered = 0;

        nbd_fixture_hostile(fx, "--stall", "commands", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        for (int i = 0; i < 100; i++)
                assert_int_equal(nbd_fixture_submit(endpoint, &req[i], IO_WRITE, 0, 0, 512, buf), 0);
        nbd_fixture_kill(fx, 0);
        for (int i = 0; i < 100; i++) {
                nbd_fixture_run(fx, &req[i].done);
                assert_int_equal(req[i].req.status, -ENOTCONN);
                n_unanswered += req[i].req.unanswered;
        }
        assert_int_equal(n_unanswered, 64);
        assert_false(req[99].req.unanswered);
        nbd_fixture_close(fx, endpoint);
}

static void close_waits_for_answers_and_no_longer_than_it_may(void **state)
{
        struct nbd_fixture *fx = *state;
        uint64_t begin_ms;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--stall", "commands", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        for (int i = 0; i < 70; i++)
                assert_int_equal(
                    nbd_fixture_submit(endpoint, &req[i], i % 2 ? IO_WRITE : IO_READ, 0, 0, 512, buf), 0);
        begin_ms = nbd_fixture_now_ms();
        nbd_fixture_close(fx, endpoint);
        assert_in_range(nbd_fixture_now_ms() - begin_ms, 299, 10000);
        for (int i = 0; i < 70; i++) {
                assert_true(req[i].done);
                assert_int_equal(req[i].req.status, -ECANCELED);
                assert_int_equal(req[i].req.class, KC_CLASS_CANCELLED);
                assert_int_equal(req[i].req.unanswered, i % 2 == 1 && i < 64);
        }
}

static void server_that_does_not_let_go_is_left(void **state)
{
        struct nbd_fixture *fx = *state;
        uint64_t begin_ms;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--stall", "disconnect", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        begin_ms = nbd_fixture_now_ms();
        nbd_fixture_close(fx, endpoint);
        assert_in_range(nbd_fixture_now_ms() - begin_ms, 299, 10000);
}

static void answers_that_come_during_the_close_count(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_nbdkit(fx, "--filter=delay", "memory", "1M", "wdelay=100ms", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_submit(endpoint, req, IO_WRITE, 0, 0, 512, buf), 0);
        nbd_fixture_close(fx, endpoint);
        assert_true(req->done);
        assert_int_equal(req->req.status, 0);
}

static void close_in_mid_command(void **state)
{
        struct nbd_fixture *fx = *state;

        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        for (int i = 0; i < 50; i++) {
                struct endpoint *endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);

                for (int j = 0; j < 100; j++)
                        assert_int_equal(nbd_fixture_submit(
                                             endpoint, &req[j], j % 3 ? IO_WRITE : IO_READ, 0, 0, 65536, buf),
                            0);
                for (int turn = 0; turn < i; turn++)
                        uv_run(&fx->loop, UV_RUN_NOWAIT);
                nbd_fixture_close(fx, endpoint);
                for (int j = 0; j < 100; j++) {
                        assert_true(req[j].done);
                        assert_true(req[j].req.status == 0 || req[j].req.status == -ECANCELED);
                }
        }
}

static bool closed;

static void on_done_closes(struct io_req *r)
{
        nbd_fixture_on_done(r);
        endpoint_close(r->endpoint, nbd_fixture_on_closed, &closed);
        assert_false(closed);
}

static void close_in_mid_callback(void **state)
{
        struct nbd_fixture *fx = *state;

        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        for (int i = 0; i < 50; i++) {
                struct endpoint *endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);

                for (int j = 0; j < 100; j++) {
                        assert_int_equal(nbd_fixture_submit(endpoint, &req[j], IO_WRITE, 0, 0, 512, buf), 0);
                        if (j == i)
                                req[j].req.on_done = on_done_closes;
                }
                closed = false;
                nbd_fixture_run(fx, &closed);
                for (int j = 0; j < 100; j++)
                        assert_true(req[j].done);
        }
}

static void close_in_the_callback_of_a_dead_connection(void **state)
{
        struct nbd_fixture *fx = *state;

        nbd_fixture_hostile(fx, "--reply", "hangup", NULL);
        for (int i = 0; i < 50; i++) {
                struct endpoint *endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);

                for (int j = 0; j < 80; j++) {
                        int result = nbd_fixture_submit(endpoint, &req[j], IO_WRITE, 0, 0, 512, buf);

                        assert_true(result == 0 || (result == -ENOTCONN && j > 0));
                        if (result < 0)
                                req[j].done = true;
                        if (j == 0)
                                req[j].req.on_done = on_done_closes;
                }
                closed = false;
                nbd_fixture_run(fx, &closed);
                for (int j = 0; j < 80; j++)
                        assert_true(req[j].done);
        }
}

static int setup(void **state)
{
        return nbd_fixture_setup_with(state, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, nbd_fixture_teardown)

int main(void)
{
        static const struct CMUnitTest tests[] = {
            TEST(read_with_too_little_data_is_a_protocol_error),
            TEST(read_with_a_part_twice_is_a_protocol_error),
            TEST(read_that_is_scattered_is_a_protocol_error),
            TEST(connection_survives_a_short_answer),
            TEST(read_in_chunks_of_reverse_order_is_fine),
            TEST(extents_that_lie_are_protocol_errors),
            TEST(extents_that_are_too_long_are_cut),
            TEST(extents_are_asked_for_one_at_a_time),
            TEST(server_that_hangs_up_instead_of_answering),
            TEST(replies_that_cannot_be_read),
            TEST(server_that_is_killed),
            TEST(tcp_reset_is_noticed),
            TEST(idle_connection_that_is_cut_is_noticed),
            TEST(peer_that_is_gone_is_found_out_inside_the_submit),
            TEST(what_was_never_sent_is_not_in_doubt),
            TEST(close_waits_for_answers_and_no_longer_than_it_may),
            TEST(server_that_does_not_let_go_is_left),
            TEST(answers_that_come_during_the_close_count),
            TEST(close_in_mid_command),
            TEST(close_in_mid_callback),
            TEST(close_in_the_callback_of_a_dead_connection),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
