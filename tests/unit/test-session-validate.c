/* A session asked to judge jobs without doing them, over a socket pair above an engine that does what the
 * test says: one answer, no job, no event.
 * links: kc_rpc */
#include "lib/session-fixture.h"

static uint64_t put_validate(struct fixture *f, const char *to)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__JobOptions options = KCOPY__V1__JOB_OPTIONS__INIT;
        struct copy_parts parts;

        copy_init(&parts, to);
        options.validate_only = true;
        parts.copy.options = &options;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_COPY;
        message.copy = &parts.copy;
        return put(f, &f->peer, &message);
}

static void expect_no_jobs(struct fixture *f)
{
        Kcopy__V1__ServerMessage *message;

        PUT(f, &f->peer, LIST, list, List, .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__list__descriptor),
            .terminal = true);
        message = GET(f, &f->peer, JOB_LIST);
        assert_int_equal(message->job_list->n_jobs, 0);
        drop(message);
}

static void a_job_that_is_right_is_answered_with_its_plan_and_is_no_job(void **state)
{
        struct fixture *f = *state;
        const Kcopy__V1__Validated *validated;
        Kcopy__V1__ServerMessage *message;
        uint64_t request;

        hello(f, &f->peer);
        request = put_validate(f, "/new/file");
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        message = GET(f, &f->peer, VALIDATED);
        assert_int_equal(message->request_id, request);
        validated = message->validated;
        assert_int_equal(validated->length_bytes, LENGTH_BYTES);
        assert_int_equal(validated->from->kind, KCOPY__V1__DEVICE_KIND__DEVICE_KIND_BLOCK);
        assert_int_equal(validated->from->size_bytes, LENGTH_BYTES);
        assert_int_equal(validated->n_to, 1);
        assert_int_equal(validated->to[0]->kind, KCOPY__V1__DEVICE_KIND__DEVICE_KIND_FILE);
        assert_int_equal(validated->to[0]->size_bytes, 0);
        assert_int_equal(validated->to[0]->size_after_bytes, LENGTH_BYTES);
        assert_true(validated->to[0]->created && !validated->from->created);
        drop(message);
        expect_silence(f, &f->peer);
        expect_no_jobs(f);
        assert_int_equal(f->engine->n_accepted, 0);
}

static void a_zero_has_no_source_in_its_plan(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__JobOptions options = KCOPY__V1__JOB_OPTIONS__INIT;
        Kcopy__V1__IoRegion *to[KC_DESTINATIONS_MAX];
        Kcopy__V1__Zero zero = KCOPY__V1__ZERO__INIT;
        Kcopy__V1__ServerMessage *reply;
        struct copy_parts parts;

        hello(f, &f->peer);
        copy_init(&parts, "/d");
        for (unsigned i = 0; i < KC_DESTINATIONS_MAX; i++)
                to[i] = &parts.to;
        options.validate_only = true;
        zero.options = &options;
        zero.n_to = KC_DESTINATIONS_MAX;
        zero.to = to;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO;
        message.zero = &zero;
        put(f, &f->peer, &message);
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        reply = GET(f, &f->peer, VALIDATED);
        assert_null(reply->validated->from);
        assert_int_equal(reply->validated->n_to, KC_DESTINATIONS_MAX);
        drop(reply);
}

static void what_is_wrong_is_refused_as_ever(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;

        hello(f, &f->peer);
        put_validate(f, "refuse:");
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        message = GET(f, &f->peer, REFUSED);
        assert_string_equal(message->refused->field, "to[0]");
        drop(message);
        put_validate(f, "");
        message = GET(f, &f->peer, REFUSED);
        assert_string_equal(message->refused->field, "to[0].name");
        drop(message);
        expect_silence(f, &f->peer);
}

/* By an option of the job, or of the batch; the other jobs of the batch go on. */
static void in_a_batch_it_is_refused(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__JobOptions validate = KCOPY__V1__JOB_OPTIONS__INIT, plain = KCOPY__V1__JOB_OPTIONS__INIT;
        Kcopy__V1__CopyMany many = KCOPY__V1__COPY_MANY__INIT;
        const Kcopy__V1__BatchAnswer *answer;
        struct copy_parts parts[3];
        Kcopy__V1__Copy *jobs[3];
        Kcopy__V1__ServerMessage *reply;

        hello(f, &f->peer);
        for (unsigned i = 0; i < 3; i++) {
                copy_init(&parts[i], "/d");
                jobs[i] = &parts[i].copy;
        }
        validate.validate_only = true;
        parts[0].copy.options = &validate;
        parts[1].copy.options = &plain;
        parts[2].copy.options = NULL;
        many.options = &validate;
        many.n_jobs = 3;
        many.jobs = jobs;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_COPY_MANY;
        message.copy_many = &many;
        put(f, &f->peer, &message);
        WAIT_FOR(f, f->engine->n_submitted == 1);
        fake_accept_all(f->engine);
        reply = GET(f, &f->peer, ACCEPTED_MANY);
        for (unsigned i = 0; i < 3; i += 2) {
                answer = reply->accepted_many->answers[i];
                assert_int_equal(answer->job, 0);
                assert_string_equal(answer->refused->field, "options.validate_only");
                assert_int_equal(
                    answer->refused->error_class, KCOPY__V1__ERROR_CLASS__ERROR_CLASS_UNSUPPORTED);
        }
        assert_int_equal(reply->accepted_many->answers[1]->job, 1);
        drop(reply);
        assert_int_equal(f->engine->n_submitted, 1);
}

static void few_jobs(struct rpc_config *config)
{
        config->jobs_max = 2;
}

static int setup_few_jobs(void **state)
{
        return setup_with(state, few_jobs);
}

/* It counts among the jobs until it is answered, and no longer. */
static void it_gives_its_place_back(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        for (unsigned i = 0; i < 3; i++)
                put_validate(f, "/d");
        WAIT_FOR(f, f->engine->n_submitted == 2);
        for (unsigned i = 0; i < 10; i++)
                turn(f);
        assert_int_equal(f->engine->n_submitted, 2);
        fake_accept_all(f->engine);
        WAIT_FOR(f, f->engine->n_submitted == 3);
        fake_accept_all(f->engine);
        for (unsigned i = 0; i < 3; i++)
                drop(GET(f, &f->peer, VALIDATED));
}

static void goodbye_waits_for_the_answer(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        put_validate(f, "/d");
        put_goodbye(f, &f->peer);
        WAIT_FOR(f, f->engine->n_submitted == 1);
        for (unsigned i = 0; i < 10; i++)
                turn(f);
        fake_accept_all(f->engine);
        drop(GET(f, &f->peer, VALIDATED));
        drop(GET(f, &f->peer, FAREWELL));
        expect_end(f, &f->peer);
}

/* The engine's answer comes after the peer has gone; it may be either. */
static void an_answer_to_nobody_is_dropped(void **state)
{
        struct fixture *f = *state;

        hello(f, &f->peer);
        put_validate(f, "/d");
        WAIT_FOR(f, f->engine->n_submitted == 1);
        shutdown(f->peer.fd, SHUT_RDWR);
        for (unsigned i = 0; i < 10 && !f->ended; i++)
                turn(f);
        fake_accept_all(f->engine);
        WAIT_FOR(f, f->ended == 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                a_job_that_is_right_is_answered_with_its_plan_and_is_no_job, setup, teardown),
            cmocka_unit_test_setup_teardown(a_zero_has_no_source_in_its_plan, setup, teardown),
            cmocka_unit_test_setup_teardown(what_is_wrong_is_refused_as_ever, setup, teardown),
            cmocka_unit_test_setup_teardown(in_a_batch_it_is_refused, setup, teardown),
            cmocka_unit_test_setup_teardown(it_gives_its_place_back, setup_few_jobs, teardown),
            cmocka_unit_test_setup_teardown(goodbye_waits_for_the_answer, setup, teardown),
            cmocka_unit_test_setup_teardown(an_answer_to_nobody_is_dropped, setup, teardown),
        };

        signal(SIGPIPE, SIG_IGN); /* as the daemon does */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
