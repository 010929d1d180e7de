/* How often a session's peer hears of jobs, and what: progress at the owner's pace, rates for everybody.
 * Above an engine that does what the test says. links: kc_rpc */
#include "lib/session-fixture.h"

static struct fake_job *running_job(struct fixture *f)
{
        uint64_t id;

        put_copy(f, &f->peer, "/d");
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        id = accepted_job(f, &f->peer);
        fake_job_get(f->engine, id)->state = JOB_RUNNING;
        return fake_job_get(f->engine, id);
}

static void who_wants_no_progress_hears_none(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        fake_emit(f->engine, running_job(f), JOB_EVENT_PROGRESS, 0);
        expect_silence(f, &f->peer);
}

static void progress_comes_at_the_owners_pace(void **state)
{
        struct fixture *f = *state;
        struct fake_job *job;

        progress_interval_ms = 3600000;
        hello(f, &f->peer);
        job = running_job(f);
        fake_emit(f->engine, job, JOB_EVENT_PROGRESS, 0);
        drop(GET(f, &f->peer, PROGRESS));
        fake_emit(f->engine, job, JOB_EVENT_PROGRESS, 0);
        expect_silence(f, &f->peer);
}

/* Whatever the owner wants to hear, the engine is to look often enough for everybody else, and at whole
 * fractions of what the owner wants. */
static void the_engine_looks_at_jobs_four_times_a_second(void **state)
{
        static const struct {
                uint32_t wanted_ms, look_ms;
        } CASES[] = {{0, 250}, {3000, 250}, {300, 150}, {250, 250}, {100, 100}, {1, 100}};
        struct fixture *f = *state;

        hello(f, &f->peer);
        for (unsigned i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
                uint64_t id;

                progress_interval_ms = CASES[i].wanted_ms;
                put_copy(f, &f->peer, "/d");
                WAIT_FOR(f, f->engine->n_submitted == i + 1);
                fake_accept_all(f->engine);
                id = accepted_job(f, &f->peer);
                assert_int_equal(fake_job_get(f->engine, id)->spec->options.progress_interval_ns,
                    CASES[i].look_ms * MS_NS);
        }
}

static void watch(struct fixture *f, struct peer_end *watcher, unsigned n_jobs, uint64_t *jobs)
{
        peer_init(watcher, f->rpc);
        hello(f, watcher);
        PUT(f, watcher, WATCH, watch, Watch, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__watch__descriptor),
            .n_jobs = n_jobs, .jobs = jobs, .progress_interval_ms = 100);
        drop(GET(f, watcher, DONE));
        drop(GET(f, watcher, STATE_CHANGE));
}

static void a_watchers_first_line_has_the_rate(void **state)
{
        static struct peer_end one, all;
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        struct fake_job *job;
        uint64_t id;

        hello(f, &f->peer);
        job = running_job(f);
        id = job->id;
        fake_emit(f->engine, job, JOB_EVENT_PROGRESS, 0); /* before anybody watches */
        watch(f, &one, 1, &id);
        watch(f, &all, 0, NULL);
        for (unsigned i = 0; i < 2; i++) {
                message = GET(f, &one, PROGRESS);
                assert_int_equal(message->progress->rate_bytes_per_s, 1000);
                drop(message);
                message = GET(f, &all, PROGRESS);
                assert_int_equal(message->progress->rate_bytes_per_s, 1000);
                drop(message);
        }
        close(one.fd);
        close(all.fd);
        WAIT_FOR(f, f->ended == 2);
}

static void a_device_with_a_name_is_told_of_once(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        hello(f, &f->peer);
        PUT(f, &f->peer, ENDPOINTS, endpoints, Endpoints,
            .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__endpoints__descriptor), .after_name = (char *)"");
        message = GET(f, &f->peer, ENDPOINT_LIST);
        assert_int_equal(message->endpoint_list->n_endpoints, 2);
        assert_string_equal(message->endpoint_list->endpoints[0]->name, "archive");
        assert_false(message->endpoint_list->endpoints[0]->unnamed);
        assert_int_equal(message->endpoint_list->endpoints[0]->users, 2);
        assert_string_equal(message->endpoint_list->endpoints[1]->name, "nbd://other");
        assert_true(message->endpoint_list->endpoints[1]->unnamed);
        drop(message);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        static const struct CMUnitTest tests[] = {
            TEST(who_wants_no_progress_hears_none),
            TEST(progress_comes_at_the_owners_pace),
            TEST(the_engine_looks_at_jobs_four_times_a_second),
            TEST(a_watchers_first_line_has_the_rate),
            TEST(a_device_with_a_name_is_told_of_once),
        };

        signal(SIGPIPE, SIG_IGN); /* as the daemon does */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
