/* libkcopy against a scripted server: jobs, batches, events, cancel.
 * links: kcopy kc_proto */
#include "lib/libkcopy_fixture.h"

static void test_welcome_is_kept(void **state)
{
        assert_int_equal(kcopy_client_pages(fx->client), 77);
        assert_memory_equal(kcopy_server_instance(fx->client), "0123456789abcdef", 16);
}

static void test_a_job_is_accepted_and_completes_once(void **state)
{
        uint64_t id = submit(2, &fx->seen[0], NULL);

        peer_accept(&fx->peer, id, 9, 8192);
        peer_complete(&fx->peer, 9, 2, 0, false);
        assert_int_equal(kcopy_pending(fx->client), 1);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(fx->seen[0].n_calls, 1);
        assert_int_equal(fx->seen[0].state, KCOPY_COMPLETED);
        assert_int_equal(fx->seen[0].job, 9);
        assert_int_equal(fx->seen[0].copied_bytes, 8192);
        assert_int_equal(fx->n_events[KCOPY_EVENT_ACCEPTED], 1);
        assert_int_equal(fx->last_event.length_bytes, 8192);
        assert_ptr_equal(fx->last_event.context, &fx->seen[0]);
        assert_int_equal(kcopy_pending(fx->client), 0);
}

static void test_errors_are_told_by_destination_index(void **state)
{
        uint64_t id = submit(64, &fx->seen[0], NULL);
        uint64_t mask = UINT64_C(1) << 63 | 1u << 2;

        peer_accept(&fx->peer, id, 1, 4096);
        peer_complete(&fx->peer, 1, 64, mask, true);
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_int_equal(fx->seen[0].read_err, 1);
        assert_true(fx->seen[0].write_err == mask);
        assert_int_equal(fx->seen[0].n_destinations, 64);
        for (unsigned i = 0; i < 64; i++)
                assert_int_equal(fx->seen[0].dest_error[i], i == 63 || i == 2);
}

static void test_what_is_submitted_reaches_the_server(void **state)
{
        struct kcopy_io_region to[2] = {{.device = "nbd://b/", .sector = 3}, {.handle = 12, .count = 7}};
        struct kcopy_options options = {.flags = KCOPY_CONTINUE | KCOPY_FUA | KCOPY_UNMAP,
            .zero_destinations = 2,
            .rate_bytes_per_s = 1000,
            .timeout_ms = 2000,
            .priority = 7,
            .progress_interval_ms = 50};
        Kcopy__V1__ClientMessage *message;
        const Kcopy__V1__Zero *zero;

        assert_int_equal(kcopy_zero(fx->client, 2, to, &options, on_end, &fx->seen[0], NULL), 0);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        message = peer_hear(&fx->peer);
        assert_int_equal(message->body_case, KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO);
        zero = message->zero;
        assert_int_equal(zero->n_to, 2);
        assert_string_equal(zero->to[0]->name, "nbd://b/");
        assert_int_equal(zero->to[0]->sector, 3);
        assert_int_equal(zero->to[1]->handle, 12);
        assert_int_equal(zero->to[1]->count, 7);
        assert_int_equal(zero->options->on_error, KCOPY__V1__ERROR_POLICY__ERROR_POLICY_CONTINUE);
        assert_int_equal(zero->options->durability, KCOPY__V1__DURABILITY__DURABILITY_FUA);
        assert_true(zero->options->unmap && !zero->options->allocated && !zero->options->no_extents);
        assert_int_equal(zero->options->n_zero_destinations, 1);
        assert_int_equal(zero->options->zero_destinations[0], 1);
        assert_int_equal(zero->options->rate_bytes_per_s, 1000);
        assert_int_equal(zero->options->timeout_ms, 2000);
        assert_int_equal(zero->options->priority, 7);
        assert_int_equal(zero->options->progress_interval_ms, 50);
        kcopy__v1__client_message__free_unpacked(message, NULL);
}

static void test_a_refused_job_says_field_reason_and_limit(void **state)
{
        uint64_t id = submit(3, &fx->seen[0], NULL);

        peer_refuse(&fx->peer, id, "to[2].count", "E2BIG");
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_int_equal(fx->seen[0].n_calls, 1);
        assert_int_equal(fx->seen[0].state, KCOPY_REFUSED);
        assert_int_equal(fx->seen[0].read_err, 1);
        assert_int_equal(fx->seen[0].write_err, 7);
        assert_string_equal(fx->seen[0].field, "to[2].count");
        assert_string_equal(fx->seen[0].reason, "too much");
}

static void test_sixty_four_destinations_have_sixty_four_bits(void **state)
{
        struct kcopy_options options = {.flags = KCOPY_DESTINATION_IS_ZERO};
        struct kcopy_io_region to[64];
        Kcopy__V1__ClientMessage *message;

        for (unsigned i = 0; i < 64; i++)
                to[i] = (struct kcopy_io_region){.device = "null:"};
        assert_int_equal(kcopy_zero(fx->client, 64, to, &options, on_end, &fx->seen[0], NULL), 0);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        message = peer_hear(&fx->peer);
        assert_int_equal(message->zero->options->n_zero_destinations, 64);
        assert_int_equal(message->zero->options->zero_destinations[63], 63);
        peer_refuse(&fx->peer, message->request_id, "to", "E2BIG");
        kcopy__v1__client_message__free_unpacked(message, NULL);
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_true(fx->seen[0].write_err == UINT64_MAX);
}

static void test_wrong_arguments_are_refused_without_a_callback(void **state)
{
        struct kcopy_io_region good = {.device = "null:"}, nothing = {0}, many[65];
        struct kcopy_options options = {.flags = 1u << 20},
                             both = {.flags = KCOPY_CONTINUE | KCOPY_IGNORE_ERROR},
                             beyond = {.zero_destinations = 2};
        struct kcopy_batch_job batch[2] = {{good, 1, &good, on_end, NULL}, {nothing, 1, &good, on_end, NULL}};
        char name[5000];
        struct kcopy_io_region long_name = {.device = name};

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        for (unsigned i = 0; i < 65; i++)
                many[i] = good;
        assert_int_equal(kcopy_copy(fx->client, &good, 0, &good, NULL, on_end, NULL, NULL), -EINVAL);
        assert_int_equal(kcopy_copy(fx->client, &good, 65, many, NULL, on_end, NULL, NULL), -EINVAL);
        assert_int_equal(kcopy_copy(fx->client, NULL, 1, &good, NULL, on_end, NULL, NULL), -EINVAL);
        assert_int_equal(kcopy_copy(fx->client, &good, 1, &good, NULL, NULL, NULL, NULL), -EINVAL);
        assert_int_equal(kcopy_copy(fx->client, &nothing, 1, &good, NULL, on_end, NULL, NULL), -EINVAL);
        assert_int_equal(kcopy_zero(fx->client, 1, &good, &options, on_end, NULL, NULL), -EINVAL);
        assert_int_equal(kcopy_zero(fx->client, 1, &good, &both, on_end, NULL, NULL), -EINVAL);
        assert_int_equal(kcopy_zero(fx->client, 1, &good, &beyond, on_end, NULL, NULL), -EINVAL);
        assert_int_equal(kcopy_zero(fx->client, 1, &long_name, NULL, on_end, NULL, NULL), -ENAMETOOLONG);
        assert_int_equal(kcopy_copy_many(fx->client, 2, batch, NULL), -EINVAL);
        name[4000] = '\0';
        for (unsigned i = 0; i < 64; i++)
                many[i] = long_name;
        assert_int_equal(kcopy_zero(fx->client, 64, many, NULL, on_end, NULL, NULL), -E2BIG);
        assert_int_equal(kcopy_pending(fx->client), 0);
        assert_int_equal(kcopy_poll_events(fx->client), POLLIN);
}

static void test_a_callback_may_submit_but_not_block(void **state)
{
        uint64_t id = submit(1, &fx->seen[0], NULL);

        fx->resubmit = true;
        peer_refuse(&fx->peer, id, "to[0]", "EINVAL");
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(kcopy_pending(fx->client), 1);
        id = peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO);
        assert_int_equal(fx->seen[1].n_calls, 0);
        peer_refuse(&fx->peer, id, "to[0]", "EINVAL");
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_int_equal(fx->seen[1].n_calls, 1);
        assert_int_equal(fx->seen[1].read_err, 0); /* there is no source */
        assert_int_equal(fx->seen[1].write_err, 1);
}

/* ---- batches */

/* Answer every CopyMany until `n_jobs` have been seen; returns the number of frames. */
static unsigned serve_many(unsigned n_jobs, unsigned jobs_max)
{
        unsigned n_seen = 0, n_frames = 0;

        while (n_seen < n_jobs) {
                Kcopy__V1__ClientMessage *message;

                assert_int_equal(kcopy_dispatch(fx->client), 0);
                message = peer_hear(&fx->peer);
                assert_int_equal(message->body_case, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY_MANY);
                for (unsigned i = 0; i < message->copy_many->n_jobs; i++)
                        assert_int_equal(message->copy_many->jobs[i]->from->sector, n_seen + i);
                assert_true(message->copy_many->n_jobs <= jobs_max);
                answer_many(message->request_id, (unsigned)message->copy_many->n_jobs, 1000 + n_seen, 0);
                n_seen += (unsigned)message->copy_many->n_jobs;
                n_frames++;
                kcopy__v1__client_message__free_unpacked(message, NULL);
        }
        assert_int_equal(n_seen, n_jobs);
        return n_frames;
}

static void test_a_batch_is_split_at_the_servers_limit(void **state)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Completions completions = KCOPY__V1__COMPLETIONS__INIT;
        Kcopy__V1__Completion items[200], *pointers[200];
        Kcopy__V1__DestinationResult result = KCOPY__V1__DESTINATION_RESULT__INIT, *results[] = {&result};

        submit_many(2000, 1, "/dev/x");
        assert_int_equal(kcopy_pending(fx->client), 2000);
        assert_int_equal(serve_many(2000, 512), 4);
        for (unsigned k = 0; k < 10; k++) {
                for (unsigned i = 0; i < 200; i++) {
                        kcopy__v1__completion__init(&items[i]);
                        items[i].job = 1000 + k * 200 + i;
                        items[i].state = KCOPY__V1__JOB_STATE__JOB_STATE_COMPLETED;
                        items[i].n_destinations = 1;
                        items[i].destinations = results;
                        pointers[i] = &items[i];
                }
                completions.n_completions = 200;
                completions.completions = pointers;
                message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETIONS;
                message.completions = &completions;
                peer_say(&fx->peer, &message);
        }
        assert_int_equal(kcopy_run(fx->client), 0);
        for (unsigned i = 0; i < 2000; i++) {
                assert_int_equal(fx->seen[i].n_calls, 1);
                assert_int_equal(fx->seen[i].job, 1000 + i);
        }
}

static void test_a_batch_is_split_at_a_frames_size(void **state)
{
        char name[2001];

        memset(name, 'n', 2000);
        name[2000] = '\0';
        submit_many(100, 1, name);
        assert_in_range(serve_many(100, 16), 7, 7);
}

static void test_a_batch_is_split_at_the_number_of_fields(void **state)
{
        submit_many(512, 12, "a");
        assert_in_range(serve_many(512, 512), 4, 8);
}

static void test_a_batch_may_be_refused_in_part_or_as_a_whole(void **state)
{
        submit_many(10, 2, "/dev/x");
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        answer_many(peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY_MANY), 10, 50, 2);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(kcopy_pending(fx->client), 5);
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(fx->seen[i].n_calls, i % 2 == 0);

        submit_many(10, 2, "/dev/x");
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        peer_refuse(
            &fx->peer, peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY_MANY), "jobs", "EAGAIN");
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(kcopy_pending(fx->client), 5);
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(fx->seen[i].n_calls, (i % 2 == 0) + 1);
}

static void test_a_batch_that_cannot_be_sent_is_not_sent_in_part(void **state)
{
        struct kcopy_batch_job jobs[600];
        struct kcopy_io_region null = {.device = "null:"}, many[64];
        char name[4001];

        memset(name, 'x', 4000);
        name[4000] = '\0';
        for (unsigned i = 0; i < 64; i++)
                many[i] = (struct kcopy_io_region){.device = name};
        for (unsigned i = 0; i < 600; i++)
                jobs[i] = (struct kcopy_batch_job){{.device = "/x"}, 1, &null, on_end, &fx->seen[i]};
        jobs[599].n_to = 64; /* in the second frame, and too long for any */
        jobs[599].to = many;
        assert_int_equal(kcopy_zero(fx->client, 1, &null, NULL, on_end, &fx->seen[0], NULL), 0);
        assert_int_equal(kcopy_copy_many(fx->client, 600, jobs, NULL), -E2BIG);
        assert_int_equal(kcopy_pending(fx->client), 1);
        /* tickets and frames go on as if nothing had been */
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO), HELLO_ID + 1);
        assert_int_equal(submit(1, &fx->seen[1], NULL), HELLO_ID + 2);
}

/* ---- events */

static void test_progress_states_and_destinations_are_told(void **state)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Progress progress = KCOPY__V1__PROGRESS__INIT;
        Kcopy__V1__StateChange change = KCOPY__V1__STATE_CHANGE__INIT;
        Kcopy__V1__DestinationDone done = KCOPY__V1__DESTINATION_DONE__INIT;
        Kcopy__V1__DestinationResult result = KCOPY__V1__DESTINATION_RESULT__INIT;
        Kcopy__V1__Ledger ledger = KCOPY__V1__LEDGER__INIT;
        uint64_t done_bytes[] = {1000};

        peer_accept(&fx->peer, submit(1, &fx->seen[0], NULL), 3, 4096);
        progress.job = 3;
        progress.length_bytes = 4096;
        progress.rate_bytes_per_s = 12;
        progress.n_done_bytes = 1;
        progress.done_bytes = done_bytes;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_PROGRESS;
        message.progress = &progress;
        peer_say(&fx->peer, &message);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(fx->n_events[KCOPY_EVENT_PROGRESS], 1);
        assert_int_equal(fx->last_event.rate_bytes_per_s, 12);
        assert_ptr_equal(fx->last_event.context, &fx->seen[0]);

        change.job = 4;
        change.state = KCOPY__V1__JOB_STATE__JOB_STATE_WAITING;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_STATE_CHANGE;
        message.state_change = &change;
        peer_say(&fx->peer, &message);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(fx->last_event.state, KCOPY_WAITING);
        assert_null(fx->last_event.context); /* another's */

        ledger.zeroed_bytes = 77;
        result.ledger = &ledger;
        done.job = 3;
        done.result = &result;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_DESTINATION_DONE;
        message.destination_done = &done;
        peer_say(&fx->peer, &message);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(fx->last_destination.zeroed_bytes, 77);

        peer_complete(&fx->peer, 4, 2, 1, false);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(fx->n_events[KCOPY_EVENT_COMPLETION], 1);
        assert_int_equal(fx->last_event.write_err, 1);
        assert_int_equal(fx->seen[0].n_calls, 0);
}

static void test_events_and_fields_of_a_newer_server_are_ignored(void **state)
{
        /* field 99, a varint; then field 100, two bytes */
        static const uint8_t FRAME[] = {8, 0x98, 0x06, 1, 0xa2, 0x06, 2, 'h', 'i'};

        peer_say_bytes(&fx->peer, FRAME, sizeof(FRAME));
        assert_int_equal(kcopy_dispatch(fx->client), 0);
}

/* ---- cancel */

static void test_cancel_waits_for_the_jobs_id(void **state)
{
        Kcopy__V1__ClientMessage *message;
        uint64_t ticket, id = submit(1, &fx->seen[0], &ticket);

        assert_int_equal(kcopy_cancel(fx->client, ticket), 0);
        assert_int_equal(kcopy_cancel(fx->client, ticket), 0);
        assert_int_equal(kcopy_poll_events(fx->client), POLLIN); /* nothing to send yet */
        peer_accept(&fx->peer, id, 21, 4096);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        message = peer_hear(&fx->peer);
        assert_int_equal(message->body_case, KCOPY__V1__CLIENT_MESSAGE__BODY_CANCEL);
        assert_int_equal(message->cancel->job, 21);
        peer_reply_empty(&fx->peer, message->request_id, KCOPY__V1__SERVER_MESSAGE__BODY_DONE);
        kcopy__v1__client_message__free_unpacked(message, NULL);
        peer_complete(&fx->peer, 21, 1, 1, false);
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_int_equal(fx->seen[0].n_calls, 1);
        assert_int_equal(kcopy_cancel(fx->client, ticket), -ENOENT);
}

static void test_a_cancel_that_comes_too_late_is_no_error(void **state)
{
        uint64_t ticket, id = submit(1, &fx->seen[0], &ticket);

        peer_accept(&fx->peer, id, 21, 4096);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(kcopy_cancel(fx->client, ticket), 0);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        peer_complete(&fx->peer, 21, 1, 0, false);
        peer_refuse(
            &fx->peer, peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_CANCEL), "job", "ENOENT");
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        assert_int_equal(fx->seen[0].state, KCOPY_COMPLETED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
            TEST(test_welcome_is_kept),
            TEST(test_a_job_is_accepted_and_completes_once),
            TEST(test_errors_are_told_by_destination_index),
            TEST(test_what_is_submitted_reaches_the_server),
            TEST(test_a_refused_job_says_field_reason_and_limit),
            TEST(test_sixty_four_destinations_have_sixty_four_bits),
            TEST(test_wrong_arguments_are_refused_without_a_callback),
            TEST(test_a_callback_may_submit_but_not_block),
            TEST(test_a_batch_is_split_at_the_servers_limit),
            TEST(test_a_batch_is_split_at_a_frames_size),
            TEST(test_a_batch_is_split_at_the_number_of_fields),
            TEST(test_a_batch_may_be_refused_in_part_or_as_a_whole),
            TEST(test_a_batch_that_cannot_be_sent_is_not_sent_in_part),
            TEST(test_progress_states_and_destinations_are_told),
            TEST(test_events_and_fields_of_a_newer_server_are_ignored),
            TEST(test_cancel_waits_for_the_jobs_id),
            TEST(test_a_cancel_that_comes_too_late_is_no_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
