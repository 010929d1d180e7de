/* Devices that a connection keeps open: as many as it may have and no more. Above an engine that does what
 * the test says. links: kc_rpc */
#include "lib/session-fixture.h"

#define HANDLES_MAX 3

static void few_handles(struct rpc_config *config)
{
        config->handles_max = HANDLES_MAX;
}

static int setup_few_handles(void **state)
{
        return setup_with(state, few_handles);
}

static void open_one(struct fixture *f)
{
        PUT(f, &f->peer, OPEN, open, Open, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__open__descriptor),
            .name = (char *)"/d");
}

static uint64_t opened_one(struct fixture *f)
{
        Kcopy__V1__ServerMessage *message;
        uint64_t handle;

        WAIT_FOR(f, !kc_list_empty(&f->engine->opens));
        fake_accept_all(f->engine);
        message = GET(f, &f->peer, OPENED);
        handle = message->opened->handle;
        drop(message);
        return handle;
}

static void expect_no_more(struct fixture *f)
{
        Kcopy__V1__ServerMessage *message;

        open_one(f);
        message = GET(f, &f->peer, REFUSED);
        assert_string_equal(message->refused->errno_name, "EMFILE");
        assert_int_equal(message->refused->error_class, KC_CLASS_LIMIT);
        assert_int_equal(message->refused->limit, HANDLES_MAX);
        drop(message);
}

static void a_connection_has_so_many_handles_and_no_more(void **state)
{
        struct fixture *f = *state;
        uint64_t handle = 0;

        hello(f, &f->peer);
        for (unsigned i = 0; i < HANDLES_MAX; i++) {
                open_one(f);
                handle = opened_one(f);
        }
        expect_no_more(f);
        PUT(f, &f->peer, CLOSE, close, Close, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__close__descriptor),
            .handle = handle);
        drop(GET(f, &f->peer, DONE));
        open_one(f);
        opened_one(f);
        expect_no_more(f);
}

static void those_under_way_count(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        for (unsigned i = 0; i < HANDLES_MAX; i++)
                open_one(f);
        expect_no_more(f);
}

static void a_handle_that_is_not_open_frees_none(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        for (unsigned i = 0; i < HANDLES_MAX; i++) {
                open_one(f);
                opened_one(f);
        }
        PUT(f, &f->peer, CLOSE, close, Close, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__close__descriptor),
            .handle = 999);
        drop(GET(f, &f->peer, REFUSED));
        expect_no_more(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_few_handles, teardown)
        static const struct CMUnitTest tests[] = {
            TEST(a_connection_has_so_many_handles_and_no_more),
            TEST(those_under_way_count),
            TEST(a_handle_that_is_not_open_frees_none),
        };

        signal(SIGPIPE, SIG_IGN); /* as the daemon does */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
