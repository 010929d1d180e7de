/* Every way in which a session ends: goodbye, a lost connection, a peer that breaks the rules, a server that
 * is drained. Above an engine that does what the test says. links: kc_rpc */
#include "lib/session-fixture.h"

static void few_jobs(struct rpc_config *config)
{
        config->jobs_max = 10;
}

static int setup_few_jobs(void **state)
{
        return setup_with(state, few_jobs);
}

static void goodbye_waits_for_the_jobs_and_then_says_farewell(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        uint64_t request;

        hello(f, &f->peer);
        put_copy(f, &f->peer, "/d");
        put_copy(f, &f->peer, "/e");
        WAIT_FOR(f, f->engine->n_submitted == 2);
        request = put_goodbye(f, &f->peer);
        expect_silence(f, &f->peer);
        fake_accept_all(f->engine);
        accepted_job(f, &f->peer);
        accepted_job(f, &f->peer);
        put_copy(f, &f->peer, "/f");
        drop(GET(f, &f->peer, REFUSED));
        fake_complete_all(f->engine);
        drop(GET(f, &f->peer, COMPLETION));
        drop(GET(f, &f->peer, COMPLETION));
        message = GET(f, &f->peer, FAREWELL);
        assert_int_equal(message->request_id, request);
        drop(message);
        expect_end(f, &f->peer);
        hang_up(f);
}

static void a_lost_connection_cancels_its_jobs(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        put_many(f, &f->peer, 3, "/d");
        put_copy(f, &f->peer, "/d");
        WAIT_FOR(f, f->engine->n_submitted == 4);
        fake_accept_one(f->engine); /* one of the batch is accepted, the rest has no answer yet */
        hang_up(f);
        assert_int_equal(fake_job_get(f->engine, 1)->state, JOB_CANCELLED);
}

static void a_connection_lost_after_goodbye_cancels_its_jobs(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        put_copy(f, &f->peer, "/d");
        put_goodbye(f, &f->peer);
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        accepted_job(f, &f->peer);
        hang_up(f);
        assert_int_equal(fake_job_get(f->engine, 1)->state, JOB_CANCELLED);
}

static void a_peer_that_hangs_up_unread_is_noticed(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        for (unsigned i = 0; i < 30; i++)
                put_copy(f, &f->peer, "/d");
        WAIT_FOR(f, f->engine->n_submitted == 10);
        fake_accept_all(f->engine);
        for (unsigned i = 0; i < 10; i++)
                accepted_job(f, &f->peer);
        for (unsigned i = 0; i < 5; i++)
                turn(f);   /* now there is nothing more to write that could fail */
        close(f->peer.fd); /* with requests that nobody reads: there is no end of file to be seen */
        f->peer.fd = -1;
        WAIT_FOR(f, f->ended == 1);
        assert_int_equal(f->engine->n_submitted, 10);
}

static void hasty(struct rpc_config *config)
{
        config->hello_timeout_ns = 20 * MS_NS;
}

static int setup_hasty(void **state)
{
        return setup_with(state, hasty);
}

static void a_peer_that_says_no_hello_is_hung_up_on(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message = GET(f, &f->peer, PROTOCOL_ERROR);

        assert_int_equal(message->protocol_error->error_class, KC_CLASS_TIMEOUT);
        drop(message);
        expect_end(f, &f->peer);
}

static void last_words_reach_a_peer_that_goes_on_talking(void **state)
{
        static const uint8_t junk[60000];
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        hello(f, &f->peer);
        write_all(f, &f->peer, (const uint8_t *)"\xff\xff\xff\xff\xff", 5);
        for (unsigned i = 0; i < 10; i++)
                write_all(f, &f->peer, junk, sizeof(junk));
        message = GET(f, &f->peer, PROTOCOL_ERROR);
        assert_int_equal(message->protocol_error->error_class, KC_CLASS_PROTOCOL);
        drop(message);
        expect_end(f, &f->peer);
}

static void short_linger(struct rpc_config *config)
{
        config->linger_bytes = 100 << 10;
        config->linger_ns = 60000 * MS_NS;
}

static int setup_short_linger(void **state)
{
        return setup_with(state, short_linger);
}

static void a_peer_that_never_stops_talking_is_cut_off(void **state)
{
        static const uint8_t junk[1000];
        struct fixture *f = *state;
        ssize_t n;

        hello(f, &f->peer);
        write_all(f, &f->peer, (const uint8_t *)"\xff\xff\xff\xff\xff", 5);
        /* until there is nobody to say it to */
        WAIT_FOR(f, (n = send(f->peer.fd, junk, sizeof(junk), MSG_NOSIGNAL)) < 0 && errno == EPIPE);
        WAIT_FOR(f, f->ended == 1);
}

static void a_drained_server_refuses_jobs_and_ends_with_the_last_one(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        start_job(f, "/d");
        rpc_drain(f->rpc, 1500 * MS_NS);
        message = GET(f, &f->peer, STOPPING); /* at once */
        assert_int_equal(message->request_id, 0);
        assert_int_equal(message->stopping->drain_ms, 1500);
        drop(message);
        put_copy(f, &f->peer, "/d");
        message = GET(f, &f->peer, REFUSED);
        assert_string_equal(message->refused->errno_name, "ESHUTDOWN");
        assert_int_equal(message->refused->error_class, KC_CLASS_STOPPED);
        assert_non_null(strstr(message->refused->reason, "shutting down"));
        drop(message);
        fake_complete_all(f->engine);
        drop(GET(f, &f->peer, COMPLETION));
        drop(GET(f, &f->peer, FAREWELL));
        expect_end(f, &f->peer);
}

static void what_the_server_cancels_is_told_as_its_doing(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        const Kcopy__V1__EndpointError *error;

        start_job(f, "/d");
        put_copy(f, &f->peer, "/not-answered-yet");
        put_many(f, &f->peer, 1, "/nor-this");
        WAIT_FOR(f, f->engine->n_submitted == 3);
        rpc_hangup(f->rpc);
        message = GET(f, &f->peer, REFUSED);
        assert_int_equal(message->refused->error_class, KC_CLASS_STOPPED);
        assert_non_null(strstr(message->refused->reason, "was stopped"));
        drop(message);
        message = GET(f, &f->peer, ACCEPTED_MANY);
        assert_int_equal(message->accepted_many->answers[0]->refused->error_class, KC_CLASS_STOPPED);
        drop(message);
        message = GET(f, &f->peer, COMPLETION);
        assert_int_equal(message->completion->state, JOB_CANCELLED);
        error = message->completion->destinations[0]->error;
        assert_int_equal(error->error_class, KC_CLASS_STOPPED);
        assert_string_equal(error->message,
            "job 1: the server was stopped before it was complete; submit it again when the server runs");
        drop(message);
        drop(GET(f, &f->peer, FAREWELL));
        expect_end(f, &f->peer);
}

static void what_a_client_cancels_is_not(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        start_job(f, "/d");
        rpc_drain(f->rpc, 1000 * MS_NS);
        drop(GET(f, &f->peer, STOPPING));
        fake_complete(f->engine, fake_job_get(f->engine, 1), JOB_CANCELLED, 1);
        message = GET(f, &f->peer, COMPLETION);
        assert_int_equal(message->completion->destinations[0]->error->error_class, KC_CLASS_CANCELLED);
        drop(message);
}

/* A drained server, a client with a job, and another that watches (it alone, or all). */
static void watch_while_draining(struct fixture *f, bool all)
{
        static struct peer_end watcher;
        Kcopy__V1__ServerMessage *message;
        uint64_t id;

        id = start_job(f, "/d");
        peer_init(&watcher, f->rpc);
        hello(f, &watcher);
        PUT(f, &watcher, WATCH, watch, Watch, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__watch__descriptor),
            .n_jobs = !all, .jobs = &id);
        drop(GET(f, &watcher, DONE));
        drop(GET(f, &watcher, STATE_CHANGE));
        rpc_drain(f->rpc, 1000 * MS_NS);
        drop(GET(f, &watcher, STOPPING));
        expect_silence(f, &watcher);
        fake_complete_all(f->engine);
        drop(GET(f, &watcher, COMPLETION));
        message = GET(f, &watcher, FAREWELL);
        assert_int_equal(message->request_id, 0);
        drop(message);
        expect_end(f, &watcher);
        close(watcher.fd);
        drop(GET(f, &f->peer, STOPPING));
        drop(GET(f, &f->peer, COMPLETION));
        drop(GET(f, &f->peer, FAREWELL));
        WAIT_FOR(f, f->ended == 1);
}

static void a_watcher_of_a_drained_server_sees_the_jobs_end(void **state)
{
        watch_while_draining(*state, false);
}

static void so_does_one_that_watches_all(void **state)
{
        watch_while_draining(*state, true);
}

static void a_client_without_jobs_is_told_farewell_at_once(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        rpc_drain(f->rpc, 1000 * MS_NS);
        drop(GET(f, &f->peer, STOPPING));
        drop(GET(f, &f->peer, FAREWELL));
        expect_end(f, &f->peer);
}

static void who_comes_while_the_server_drains_hears_why_and_is_not_waited_for(void **state)
{
        static struct peer_end late, silent;
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        start_job(f, "/d");
        rpc_drain(f->rpc, 1500 * MS_NS);
        drop(GET(f, &f->peer, STOPPING));
        peer_init(&silent, f->rpc);
        peer_init(&late, f->rpc);
        turn(f); /* it says hello only after a while */
        PUT(f, &late, HELLO, hello, Hello, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__hello__descriptor),
            .version_min = 1, .version_max = 1, .pages = 16, .client_name = (char *)"test");
        message = GET(f, &late, REFUSED);
        assert_string_equal(message->refused->errno_name, "ESHUTDOWN");
        assert_non_null(strstr(message->refused->reason, "shutting down, jobs that still run: 1"));
        drop(message);
        fake_complete_all(f->engine);
        drop(GET(f, &f->peer, COMPLETION));
        drop(GET(f, &f->peer, FAREWELL));
        drop(GET(f, &late, FAREWELL));
        drop(GET(f, &silent, FAREWELL));
        close(late.fd);
        close(silent.fd);
        WAIT_FOR(f, f->ended == 2);
}

int main(void)
{
#define TEST(name, setup_) cmocka_unit_test_setup_teardown(name, setup_, teardown)
        static const struct CMUnitTest tests[] = {
            TEST(goodbye_waits_for_the_jobs_and_then_says_farewell, setup),
            TEST(a_lost_connection_cancels_its_jobs, setup),
            TEST(a_connection_lost_after_goodbye_cancels_its_jobs, setup),
            TEST(a_peer_that_hangs_up_unread_is_noticed, setup_few_jobs),
            TEST(a_peer_that_says_no_hello_is_hung_up_on, setup_hasty),
            TEST(last_words_reach_a_peer_that_goes_on_talking, setup),
            TEST(a_peer_that_never_stops_talking_is_cut_off, setup_short_linger),
            TEST(a_drained_server_refuses_jobs_and_ends_with_the_last_one, setup),
            TEST(what_the_server_cancels_is_told_as_its_doing, setup),
            TEST(what_a_client_cancels_is_not, setup),
            TEST(a_watcher_of_a_drained_server_sees_the_jobs_end, setup),
            TEST(so_does_one_that_watches_all, setup),
            TEST(a_client_without_jobs_is_told_farewell_at_once, setup),
            TEST(who_comes_while_the_server_drains_hears_why_and_is_not_waited_for, setup),
        };

        signal(SIGPIPE, SIG_IGN); /* as the daemon does */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
