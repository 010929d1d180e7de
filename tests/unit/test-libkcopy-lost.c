/* libkcopy and what goes wrong with a connection: loss, garbage, bytes in odd portions.
 * links: kcopy kc_proto */
#include "lib/libkcopy_fixture.h"

/* ---- loss */

static void test_a_lost_connection_ends_every_job_once(void **state)
{
        struct kcopy_io_region null = {.device = "null:"};

        peer_accept(&fx->peer, submit(3, &fx->seen[0], NULL), 5, 4096);
        submit(2, &fx->seen[1], NULL);
        peer_hang_up(&fx->peer);
        /* never sent */
        assert_int_equal(kcopy_zero(fx->client, 1, &null, NULL, on_end, &fx->seen[2], NULL), 0);
        assert_int_equal(kcopy_run(fx->client), -ENOTCONN);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(fx->seen[i].n_calls, 1);
                assert_int_equal(fx->seen[i].state, KCOPY_LOST);
        }
        assert_int_equal(fx->seen[0].write_err, 7);
        assert_int_equal(fx->seen[0].job, 5);
        assert_non_null(strstr(kcopy_error(fx->client), "the server closed the connection"));
        assert_int_equal(kcopy_zero(fx->client, 1, &null, NULL, on_end, NULL, NULL), -ENOTCONN);
        assert_int_equal(kcopy_dispatch(fx->client), -ENOTCONN);
        assert_int_equal(kcopy_wait(fx->client, -1), -ENOTCONN);
        assert_int_equal(kcopy_poll_events(fx->client), 0);
        assert_int_equal(kcopy_cancel_job(fx->client, 3), -ENOTCONN);
}

static void test_what_the_server_said_last_counts_before_the_loss(void **state)
{
        uint64_t id = submit(1, &fx->seen[0], NULL);

        submit(1, &fx->seen[1], NULL);
        peer_accept(&fx->peer, id, 5, 4096);
        peer_complete(&fx->peer, 5, 1, 0, false);
        peer_hang_up(&fx->peer);
        /* something to send as well, which fails first */
        struct kcopy_io_region null = {.device = "null:"};

        assert_int_equal(kcopy_zero(fx->client, 1, &null, NULL, on_end, &fx->seen[2], NULL), 0);
        assert_int_equal(kcopy_run(fx->client), -ENOTCONN);
        assert_int_equal(fx->seen[0].state, KCOPY_COMPLETED);
        assert_int_equal(fx->seen[1].state, KCOPY_LOST);
        assert_int_equal(fx->seen[2].state, KCOPY_LOST);
}

static void test_the_servers_reason_for_hanging_up_is_told(void **state)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__ProtocolError error = KCOPY__V1__PROTOCOL_ERROR__INIT;

        submit(1, &fx->seen[0], NULL);
        error.reason = (char *)(uintptr_t) "no more today";
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_PROTOCOL_ERROR;
        message.protocol_error = &error;
        peer_say(&fx->peer, &message);
        assert_int_equal(kcopy_dispatch(fx->client), -ENOTCONN);
        assert_non_null(strstr(fx->seen[0].reason, "no more today"));
}

static void test_a_server_that_shuts_down_says_so_before_it_goes(void **state)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Stopping stopping = KCOPY__V1__STOPPING__INIT;
        Kcopy__V1__Farewell farewell = KCOPY__V1__FAREWELL__INIT;

        submit(1, &fx->seen[0], NULL);
        stopping.drain_ms = 1500;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_STOPPING;
        message.stopping = &stopping;
        peer_say(&fx->peer, &message);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(fx->n_events[KCOPY_EVENT_STOPPING], 1);
        assert_int_equal(fx->last_event.drain_ms, 1500);
        assert_int_equal(fx->last_event.job, 0);
        assert_int_equal(fx->seen[0].n_calls, 0);
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_FAREWELL;
        message.farewell = &farewell;
        peer_say(&fx->peer, &message);
        assert_int_equal(kcopy_dispatch(fx->client), -ENOTCONN);
        assert_int_equal(fx->seen[0].state, KCOPY_LOST);
        assert_string_equal(fx->seen[0].reason, "the server has shut down");
}

static void test_abandon_notifies_and_does_not_wait(void **state)
{
        submit(1, &fx->seen[0], NULL);
        submit_many(3, 1, "/x");
        kcopy_client_abandon(fx->client);
        fx->client = NULL;
        assert_int_equal(fx->seen[0].n_calls, 2); /* submit_many uses it, too */
        assert_int_equal(fx->seen[2].n_calls, 1);
        assert_int_equal(fx->seen[2].state, KCOPY_LOST);
}

/* ---- garbage */

/* The client must give up, and end its job, on these bytes. */
static void expect_garbage(const void *bytes, size_t n)
{
        submit(1, &fx->seen[0], NULL);
        peer_say_bytes(&fx->peer, bytes, n);
        assert_int_equal(kcopy_run(fx->client), -ENOTCONN);
        assert_int_equal(fx->seen[0].n_calls, 1);
        assert_int_equal(fx->seen[0].state, KCOPY_LOST);
        assert_non_null(strstr(kcopy_error(fx->client), "protocol"));
}

static void test_a_frame_that_is_too_large_is_garbage(void **state)
{
        expect_garbage("\x81\x80\x04", 3);
}

static void test_a_length_that_is_none_is_garbage(void **state)
{
        expect_garbage("\xff\xff\xff\xff\xff\xff", 6);
}

static void test_a_body_that_is_no_message_is_garbage(void **state)
{
        expect_garbage("\x04\xff\xff\xff\xff", 5);
}

static void test_text_that_is_no_utf8_is_garbage(void **state)
{
        /* StateChange {job 1, state 1, reason "\xff"} */
        expect_garbage("\x0a\xb2\x01\x07\x08\x01\x10\x01\x1a\x01\xff", 11);
}

static void expect_lost_after_dispatch(void)
{
        assert_int_equal(kcopy_dispatch(fx->client), -ENOTCONN);
        assert_int_equal(kcopy_pending(fx->client), 0);
        assert_int_equal(fx->seen[0].n_calls, 1);
        assert_int_equal(fx->seen[0].state, KCOPY_LOST);
}

static void test_a_reply_to_nothing_is_garbage(void **state)
{
        submit(1, &fx->seen[0], NULL);
        peer_accept(&fx->peer, 999, 1, 1);
        expect_lost_after_dispatch();
}

static void test_a_job_accepted_twice_is_garbage(void **state)
{
        uint64_t id = submit(1, &fx->seen[0], NULL);

        peer_accept(&fx->peer, id, 1, 1);
        peer_accept(&fx->peer, id, 2, 1);
        expect_lost_after_dispatch();
}

static void test_one_id_for_two_jobs_is_garbage(void **state)
{
        peer_accept(&fx->peer, submit(1, &fx->seen[0], NULL), 4, 1);
        peer_accept(&fx->peer, submit(1, &fx->seen[1], NULL), 4, 1);
        expect_lost_after_dispatch();
        assert_int_equal(fx->seen[1].n_calls, 1);
}

static void test_a_job_answered_by_something_else_is_garbage(void **state)
{
        peer_reply_empty(&fx->peer, submit(1, &fx->seen[0], NULL), KCOPY__V1__SERVER_MESSAGE__BODY_DONE);
        expect_lost_after_dispatch();
}

static void test_a_batch_with_too_few_answers_is_garbage(void **state)
{
        submit_many(3, 1, "/x");
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        answer_many(peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY_MANY), 2, 1, 0);
        expect_lost_after_dispatch();
}

static void test_a_completion_of_other_destinations_is_garbage(void **state)
{
        peer_accept(&fx->peer, submit(2, &fx->seen[0], NULL), 4, 1);
        peer_complete(&fx->peer, 4, 3, 0, false);
        expect_lost_after_dispatch();
}

static void test_a_completion_with_an_error_and_no_bit_is_garbage(void **state)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Completion completion = KCOPY__V1__COMPLETION__INIT;
        Kcopy__V1__EndpointError error = KCOPY__V1__ENDPOINT_ERROR__INIT;
        Kcopy__V1__DestinationResult result = KCOPY__V1__DESTINATION_RESULT__INIT, *results[] = {&result};

        peer_accept(&fx->peer, submit(1, &fx->seen[0], NULL), 4, 1);
        result.error = &error;
        completion.job = 4;
        completion.state = KCOPY__V1__JOB_STATE__JOB_STATE_COMPLETED;
        completion.n_destinations = 1;
        completion.destinations = results;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION;
        message.completion = &completion;
        peer_say(&fx->peer, &message);
        expect_lost_after_dispatch();
}

/* ---- in a loop, bytes in any portions */

static void test_frames_arrive_byte_by_byte(void **state)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Accepted accepted = KCOPY__V1__ACCEPTED__INIT;
        uint64_t id = submit(1, &fx->seen[0], NULL);
        size_t bytes;
        uint8_t *frame;

        accepted.job = 11;
        message.request_id = id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_ACCEPTED;
        message.accepted = &accepted;
        frame = peer_pack(&message, &bytes);
        for (size_t i = 0; i < bytes; i++) {
                assert_int_equal(fx->n_events[KCOPY_EVENT_ACCEPTED], 0);
                peer_say_bytes(&fx->peer, frame + i, 1);
                assert_int_equal(kcopy_dispatch(fx->client), 0);
        }
        free(frame);
        assert_int_equal(fx->n_events[KCOPY_EVENT_ACCEPTED], 1);
}

static void test_a_server_that_does_not_read_blocks_nobody(void **state)
{
        unsigned n = 0, n_seen = 0;
        int small = 4096;

        assert_int_equal(setsockopt(kcopy_fd(fx->client), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
        /* more than the socket takes: dispatch must come back, and say that it has more to write */
        for (; n < 500; n++) {
                struct kcopy_io_region null = {.device = "null:"};

                assert_int_equal(kcopy_zero(fx->client, 1, &null, NULL, on_end, &fx->seen[n], NULL), 0);
                assert_int_equal(kcopy_dispatch(fx->client), 0);
        }
        assert_int_equal(kcopy_poll_events(fx->client), POLLIN | POLLOUT);
        while (n_seen < n) {
                uint64_t id = peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO);

                peer_refuse(&fx->peer, id, "to[0]", "EINVAL");
                n_seen++;
                assert_int_equal(kcopy_dispatch(fx->client), 0);
                assert_int_equal(fx->seen[n_seen - 1].n_calls, 1);
        }
        assert_int_equal(kcopy_poll_events(fx->client), POLLIN);
        assert_int_equal(kcopy_pending(fx->client), 0);
}

static void test_wait_ends_after_its_time(void **state)
{
        submit(1, &fx->seen[0], NULL);
        assert_int_equal(kcopy_wait(fx->client, 30), -ETIMEDOUT);
        assert_int_equal(kcopy_wait(fx->client, 0), -ETIMEDOUT);
        assert_int_equal(kcopy_pending(fx->client), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
            TEST(test_a_lost_connection_ends_every_job_once),
            TEST(test_what_the_server_said_last_counts_before_the_loss),
            TEST(test_the_servers_reason_for_hanging_up_is_told),
            TEST(test_a_server_that_shuts_down_says_so_before_it_goes),
            TEST(test_abandon_notifies_and_does_not_wait),
            TEST(test_a_frame_that_is_too_large_is_garbage),
            TEST(test_a_length_that_is_none_is_garbage),
            TEST(test_a_body_that_is_no_message_is_garbage),
            TEST(test_text_that_is_no_utf8_is_garbage),
            TEST(test_a_reply_to_nothing_is_garbage),
            TEST(test_a_job_accepted_twice_is_garbage),
            TEST(test_one_id_for_two_jobs_is_garbage),
            TEST(test_a_job_answered_by_something_else_is_garbage),
            TEST(test_a_batch_with_too_few_answers_is_garbage),
            TEST(test_a_completion_of_other_destinations_is_garbage),
            TEST(test_a_completion_with_an_error_and_no_bit_is_garbage),
            TEST(test_frames_arrive_byte_by_byte),
            TEST(test_a_server_that_does_not_read_blocks_nobody),
            TEST(test_wait_ends_after_its_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
