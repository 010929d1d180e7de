/* A session over a socket pair, above an engine that does what the test says: answers, order, batching,
 * backpressure. How sessions end is in test-session-end.c.
 * links: kc_rpc */
#include "lib/session-fixture.h"

/* ---- tests: requests and answers */

static void events_of_a_job_follow_its_acceptance_and_end_with_its_completion(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        struct fake_job *job;
        uint64_t request, id;

        progress_interval_ms = 1;
        hello(f, &f->peer);
        request = put_copy(f, &f->peer, "/destination");
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        job = fake_job_get(f->engine, 1);
        job->state = JOB_RUNNING;
        fake_emit(f->engine, job, JOB_EVENT_STATE, 0);
        fake_emit(f->engine, job, JOB_EVENT_PROGRESS, 0);
        message = GET(f, &f->peer, ACCEPTED);
        assert_int_equal(message->request_id, request);
        id = message->accepted->job;
        drop(message);
        message = GET(f, &f->peer, STATE_CHANGE);
        assert_int_equal(message->request_id, 0);
        assert_int_equal(message->state_change->job, id);
        assert_int_equal(message->state_change->state, JOB_RUNNING);
        drop(message);
        drop(GET(f, &f->peer, PROGRESS));
        fake_emit(f->engine, job, JOB_EVENT_DESTINATION_DONE, 0);
        drop(GET(f, &f->peer, DESTINATION_DONE));
        fake_complete(f->engine, job, JOB_FAILED, 1);
        message = GET(f, &f->peer, COMPLETION);
        assert_int_equal(message->completion->job, id);
        assert_memory_equal(message->completion->context.data, "ctx", 3);
        assert_int_equal(message->completion->write_err, 1);
        assert_string_equal(message->completion->destinations[0]->error->errno_name, "EIO");
        drop(message);
        expect_silence(f, &f->peer);
}

static void progress_coalesces_and_a_completion_says_the_rest(void **state)
{
        struct fixture *f = *state;

        progress_interval_ms = 1;
        start_job(f, "/destination");
        for (unsigned i = 0; i < 100; i++)
                fake_emit(f->engine, fake_job_get(f->engine, 1), JOB_EVENT_PROGRESS, 0);
        drop(GET(f, &f->peer, PROGRESS));
        expect_silence(f, &f->peer);
        fake_emit(f->engine, fake_job_get(f->engine, 1), JOB_EVENT_PROGRESS, 0);
        fake_complete_all(f->engine);
        drop(GET(f, &f->peer, COMPLETION));
        expect_silence(f, &f->peer);
}

static void a_refused_job_leaves_the_connection_and_its_slot(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        hello(f, &f->peer);
        put_copy(f, &f->peer, "refuse:");
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        message = GET(f, &f->peer, REFUSED);
        assert_string_equal(message->refused->field, "to[0]");
        assert_true(message->refused->has_limit);
        assert_int_equal(message->refused->limit, 7);
        drop(message);
        expect_silence(f, &f->peer);
}

static void a_batch_is_answered_at_once_and_completes_in_few_frames(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        size_t n = 0, frames = 0;
        const unsigned n_jobs = 512;

        hello(f, &f->peer);
        put_many(f, &f->peer, n_jobs, "/d");
        WAIT_FOR(f, f->engine->n_submitted == n_jobs);
        /* what happens before the last answer waits for AcceptedMany */
        for (unsigned i = 0; i < n_jobs - 1; i++)
                fake_accept_one(f->engine);
        fake_complete_all(f->engine);
        expect_silence(f, &f->peer);
        fake_accept_one(f->engine);
        message = GET(f, &f->peer, ACCEPTED_MANY);
        assert_int_equal(message->accepted_many->n_answers, n_jobs);
        for (size_t i = 0; i < n_jobs; i++)
                assert_int_equal(message->accepted_many->answers[i]->job, i + 1);
        drop(message);
        fake_complete_all(f->engine);
        for (; n < n_jobs; frames++) {
                message = GET(f, &f->peer, COMPLETIONS);
                for (size_t i = 0; i < message->completions->n_completions; i++)
                        assert_int_equal(message->completions->completions[i]->job, ++n);
                drop(message);
        }
        assert_int_equal(n, n_jobs);
        assert_true(frames <= 3);
        expect_silence(f, &f->peer);
}

static void a_batch_of_refusals_fits_one_frame(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        hello(f, &f->peer);
        put_many(f, &f->peer, 512, "");
        message = GET(f, &f->peer, ACCEPTED_MANY);
        assert_int_equal(message->accepted_many->n_answers, 512);
        assert_string_equal(message->accepted_many->answers[511]->refused->field, "to[0].name");
        drop(message);
        put_many(f, &f->peer, 512, "refuse:");
        WAIT_FOR(f, f->engine->n_submitted == 512);
        fake_accept_all(f->engine);
        message = GET(f, &f->peer, ACCEPTED_MANY);
        assert_int_equal(message->accepted_many->answers[511]->job, 0);
        assert_int_equal(message->accepted_many->answers[511]->refused->limit, 7);
        drop(message);
        expect_silence(f, &f->peer);
}

/* ---- tests: backpressure */

static void few_jobs(struct rpc_config *config)
{
        config->jobs_max = 10;
}

static void few_bytes_of_jobs(struct rpc_config *config)
{
        config->jobs_max_bytes = 9001; /* ten of the fake engine's */
}

static int setup_few_bytes_of_jobs(void **state)
{
        return setup_with(state, few_bytes_of_jobs);
}

static int setup_few_jobs(void **state)
{
        return setup_with(state, few_jobs);
}

static int setup_few_jobs_narrow(void **state)
{
        send_buffer_bytes = 4096;
        setup_with(state, few_jobs);
        send_buffer_bytes = 0;
        return 0;
}

static void ten_jobs_are_read_at_a_time(struct fixture *f)
{

        hello(f, &f->peer);
        for (unsigned i = 0; i < 30; i++)
                put_copy(f, &f->peer, "/d");
        WAIT_FOR(f, f->engine->n_submitted == 10);
        fake_accept_all(f->engine);
        for (unsigned i = 0; i < 20; i++)
                turn(f);
        assert_int_equal(f->engine->n_submitted, 10);
        for (unsigned round = 2; round <= 3; round++) {
                fake_complete_all(f->engine);
                WAIT_FOR(f, f->engine->n_submitted == round * 10);
                fake_accept_all(f->engine);
        }
        fake_complete_all(f->engine);
}

static void a_client_with_all_its_jobs_queued_is_not_read_from(void **state)
{
        ten_jobs_are_read_at_a_time(*state);
}

static void a_client_whose_jobs_take_all_their_memory_is_not_read_from(void **state)
{
        ten_jobs_are_read_at_a_time(*state);
}

static void terminal_events_keep_their_slots_until_they_are_written(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        unsigned seen = 0, submitted;

        hello(f, &f->peer);
        /* a peer that submits and does not read: the sockets hold little */
        f->engine->automatic = true;
        for (unsigned i = 0; i < 200; i++) {
                ssize_t n;
                Kcopy__V1__ClientMessage m = KCOPY__V1__CLIENT_MESSAGE__INIT;
                struct copy_parts parts;
                uint8_t frame[256];
                uint32_t bytes;
                unsigned header_bytes;

                copy_init(&parts, "/d");
                m.request_id = 1000 + i;
                m.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_COPY;
                m.copy = &parts.copy;
                bytes = (uint32_t)kcopy__v1__client_message__get_packed_size(&m);
                header_bytes = kc_frame_header(frame, bytes);
                kcopy__v1__client_message__pack(&m, frame + header_bytes);
                n = send(f->peer.fd, frame, header_bytes + bytes, MSG_NOSIGNAL);
                assert_int_equal(n, header_bytes + bytes);
        }
        for (unsigned i = 0; i < 50; i++)
                turn(f);
        submitted = f->engine->n_submitted;
        assert_in_range(submitted, 10, 199);
        for (unsigned i = 0; i < 20; i++)
                turn(f);
        assert_int_equal(f->engine->n_submitted, submitted);
        /* it reads after all: nothing was lost */
        while (seen < 200) {
                int r = 0;

                WAIT_FOR(f, (r = take(&f->peer, &message)) != 0);
                assert_int_equal(r, 1);
                seen += message->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION;
                drop(message);
        }
        assert_int_equal(f->engine->n_submitted, 200);
        expect_silence(f, &f->peer);
}

static void low_ceiling(struct rpc_config *config)
{
        config->high_water_bytes = 1 << 10;
        config->ceiling_bytes = 64 << 10;
}

static int setup_low_ceiling(void **state)
{
        return setup_with(state, low_ceiling);
}

static void a_peer_beyond_its_ceiling_is_cut_off(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        for (unsigned i = 0; i < 20; i++) {
                put_many(f, &f->peer, 512, "/d");
                WAIT_FOR(f, f->engine->n_submitted == (i + 1) * 512 || f->ended);
                fake_accept_all(f->engine);
        }
        /* 10,240 completions of 30 bytes and more, and a peer that reads none */
        fake_complete_all(f->engine);
        WAIT_FOR(f, f->ended == 1);
}

static void a_peer_that_only_does_not_read_is_not_cut_off(void **state)
{
        struct fixture *f = *state;
        unsigned pongs = 0, pings = 0;

        hello(f, &f->peer);
        /* as many as the sockets take, both ways */
        for (;;) {
                static const uint8_t frame[] = "\x04\x08\x07\x62\x00";
                ssize_t n = send(f->peer.fd, frame, 5, MSG_NOSIGNAL);
                struct pollfd writable = {.fd = f->peer.fd, .events = POLLOUT};

                if (n == 5) {
                        pings++;
                        continue;
                }
                assert_int_equal(n, -1);
                for (unsigned i = 0; i < 5; i++)
                        turn(f);
                if (poll(&writable, 1, 0) == 0)
                        break;
        }
        assert_int_equal(f->ended, 0);
        while (pongs < pings) {
                Kcopy__V1__ServerMessage *message;
                int r = 0;

                WAIT_FOR(f, (r = take(&f->peer, &message)) != 0);
                assert_int_equal(r, 1);
                pongs += message->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_ENDPOINT_LIST;
                drop(message);
        }
}

/* ---- tests: other clients' jobs */

static void a_job_that_waits_is_told_of_as_untouched(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        const Kcopy__V1__JobInfo *job;

        progress_interval_ms = 1;
        start_job(f, "/d");
        PUT(f, &f->peer, LIST, list, List, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__list__descriptor));
        message = GET(f, &f->peer, JOB_LIST);
        assert_int_equal(message->job_list->n_jobs, 1);
        job = message->job_list->jobs[0];
        assert_int_equal(job->state, JOB_WAITING);
        assert_false(job->destinations[0]->done);
        assert_int_equal(job->destinations[0]->ledger->untouched_bytes, job->length_bytes);
        drop(message);
        /* nor may a progress event that comes too early be its end */
        fake_emit(f->engine, fake_job_get(f->engine, 1), JOB_EVENT_PROGRESS, 0);
        message = GET(f, &f->peer, PROGRESS);
        assert_int_equal(message->progress->done_bytes[0], 0);
        drop(message);
}

static void a_request_for_an_unknown_job_names_it_once(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        hello(f, &f->peer);
        PUT(f, &f->peer, GET, get, Get, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__get__descriptor),
            .job = 77);
        message = GET(f, &f->peer, REFUSED);
        assert_string_equal(message->refused->field, "job");
        assert_string_equal(message->refused->reason, "job 77: there is no such job");
        drop(message);
}

static void a_watcher_hears_of_other_connections_jobs(void **state)
{
        static struct peer_end watcher;
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        uint64_t id;

        id = start_job(f, "/d");
        peer_init(&watcher, f->rpc);
        hello(f, &watcher);
        PUT(f, &watcher, WATCH, watch, Watch, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__watch__descriptor),
            .n_jobs = 1, .jobs = &id);
        drop(GET(f, &watcher, DONE));
        message = GET(f, &watcher, STATE_CHANGE); /* as it stands */
        assert_int_equal(message->state_change->job, id);
        drop(message);
        fake_job_get(f->engine, id)->state = JOB_RUNNING;
        fake_emit(f->engine, fake_job_get(f->engine, id), JOB_EVENT_STATE, 0);
        drop(GET(f, &watcher, STATE_CHANGE));
        fake_complete_all(f->engine);
        drop(GET(f, &watcher, COMPLETION));
        expect_silence(f, &watcher);
        /* what is over is told at once */
        PUT(f, &watcher, WATCH, watch, Watch, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__watch__descriptor),
            .n_jobs = 1, .jobs = &id);
        drop(GET(f, &watcher, DONE));
        drop(GET(f, &watcher, COMPLETION));
        close(watcher.fd);
        WAIT_FOR(f, f->ended == 1);
}

int main(void)
{
#define TEST(name, setup_) cmocka_unit_test_setup_teardown(name, setup_, teardown)
        static const struct CMUnitTest tests[] = {
            TEST(events_of_a_job_follow_its_acceptance_and_end_with_its_completion, setup),
            TEST(progress_coalesces_and_a_completion_says_the_rest, setup),
            TEST(a_refused_job_leaves_the_connection_and_its_slot, setup),
            TEST(a_batch_is_answered_at_once_and_completes_in_few_frames, setup),
            TEST(a_batch_of_refusals_fits_one_frame, setup),
            TEST(a_client_with_all_its_jobs_queued_is_not_read_from, setup_few_jobs),
            TEST(a_client_whose_jobs_take_all_their_memory_is_not_read_from, setup_few_bytes_of_jobs),
            TEST(terminal_events_keep_their_slots_until_they_are_written, setup_few_jobs_narrow),
            TEST(a_peer_beyond_its_ceiling_is_cut_off, setup_low_ceiling),
            TEST(a_peer_that_only_does_not_read_is_not_cut_off, setup_low_ceiling),
            TEST(a_job_that_waits_is_told_of_as_untouched, setup),
            TEST(a_request_for_an_unknown_job_names_it_once, setup),
            TEST(a_watcher_hears_of_other_connections_jobs, setup),
        };

        signal(SIGPIPE, SIG_IGN); /* as the daemon does */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
