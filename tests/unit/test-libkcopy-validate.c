/* libkcopy against a scripted server: KCOPY_VALIDATE_ONLY.
 * links: kcopy kc_proto */
#include "lib/libkcopy_fixture.h"

struct judged {
        struct seen seen;
        bool has_plan, has_source;
        uint64_t length_bytes;
        struct kcopy_planned_device source, destination;
};

static void on_judged(int read_err, uint64_t write_err, void *context, const struct kcopy_result *result)
{
        struct judged *judged = context;

        on_end(read_err, write_err, &judged->seen, result);
        judged->has_plan = result->plan != NULL;
        judged->length_bytes = result->length_bytes;
        if (!result->plan)
                return;
        judged->has_source = result->plan->source != NULL;
        if (judged->has_source)
                judged->source = *result->plan->source;
        judged->destination = result->plan->destinations[result->plan->n_destinations - 1];
}

/* Returns the request's id; the server has seen the option. */
static uint64_t submit_judged(unsigned n_to, bool zero, struct judged *judged)
{
        struct kcopy_options options = {.flags = KCOPY_VALIDATE_ONLY};
        struct kcopy_io_region from = {.device = "/from"}, to[2] = {{.device = "/a"}, {.device = "/b"}};
        const Kcopy__V1__JobOptions *sent;
        Kcopy__V1__ClientMessage *message;
        uint64_t id;

        if (zero)
                assert_int_equal(kcopy_zero(fx->client, n_to, to, &options, on_judged, judged, NULL), 0);
        else
                assert_int_equal(
                    kcopy_copy(fx->client, &from, n_to, to, &options, on_judged, judged, NULL), 0);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        message = peer_hear(&fx->peer);
        sent = zero ? message->zero->options : message->copy->options;
        assert_true(sent->validate_only);
        id = message->request_id;
        kcopy__v1__client_message__free_unpacked(message, NULL);
        return id;
}

static void say_validated(uint64_t id, unsigned n_to, bool source)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Validated validated = KCOPY__V1__VALIDATED__INIT;
        Kcopy__V1__PlannedDevice from = KCOPY__V1__PLANNED_DEVICE__INIT, to = KCOPY__V1__PLANNED_DEVICE__INIT;
        Kcopy__V1__PlannedDevice *pointers[4] = {&to, &to, &to, &to};

        from.kind = KCOPY__V1__DEVICE_KIND__DEVICE_KIND_BLOCK;
        from.size_bytes = from.size_after_bytes = 8192;
        from.mounted_for_writing = true;
        to.kind = (Kcopy__V1__DeviceKind)99; /* of a newer server */
        to.size_after_bytes = 4096;
        to.created = true;
        validated.length_bytes = 4096;
        validated.from = source ? &from : NULL;
        validated.n_to = n_to;
        validated.to = pointers;
        message.request_id = id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_VALIDATED;
        message.validated = &validated;
        peer_say(&fx->peer, &message);
}

static void test_a_validated_job_ends_once_with_its_plan_and_nothing_complete(void **state)
{
        struct judged judged = {0};

        say_validated(submit_judged(2, false, &judged), 2, true);
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_int_equal(judged.seen.n_calls, 1);
        assert_int_equal(judged.seen.state, KCOPY_VALIDATED);
        assert_int_equal(judged.seen.job, 0);
        assert_int_equal(judged.seen.n_destinations, 0);
        assert_int_equal(judged.seen.read_err, 1);
        assert_int_equal(judged.seen.write_err, 3);
        assert_true(judged.has_plan && judged.has_source);
        assert_int_equal(judged.length_bytes, 4096);
        assert_int_equal(judged.source.kind, KCOPY_DEVICE_BLOCK);
        assert_int_equal(judged.source.size_bytes, 8192);
        assert_true(judged.source.mounted_for_writing && !judged.source.created);
        assert_int_equal(judged.destination.kind, KCOPY_DEVICE_OTHER);
        assert_int_equal(judged.destination.size_bytes, 0);
        assert_int_equal(judged.destination.size_after_bytes, 4096);
        assert_true(judged.destination.created);
        assert_int_equal(fx->n_events[KCOPY_EVENT_ACCEPTED], 0);
        assert_int_equal(kcopy_pending(fx->client), 0);
}

static void test_a_validated_zero_has_no_source(void **state)
{
        struct judged judged = {0};

        say_validated(submit_judged(1, true, &judged), 1, false);
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_int_equal(judged.seen.state, KCOPY_VALIDATED);
        assert_int_equal(judged.seen.read_err, 0);
        assert_int_equal(judged.seen.write_err, 1);
        assert_true(judged.has_plan && !judged.has_source);
}

static void test_a_refusal_has_no_plan(void **state)
{
        struct judged judged = {0};

        peer_refuse(&fx->peer, submit_judged(1, false, &judged), "to[0]", "EBUSY");
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_int_equal(judged.seen.state, KCOPY_REFUSED);
        assert_false(judged.has_plan);
}

/* The connection is given up, so that a job that has begun all the same is cancelled. */
static void test_an_answer_that_does_not_fit_loses_the_connection(void **state)
{
        enum { WRONG_COUNT, NO_SOURCE, ACCEPTED, REAL_JOB, N_ANSWERS };

        for (unsigned answer = WRONG_COUNT; answer < N_ANSWERS; answer++) {
                struct judged judged = {0};
                uint64_t id;

                if (answer == REAL_JOB)
                        id = submit(1, &judged.seen, NULL);
                else
                        id = submit_judged(2, false, &judged);
                if (answer == ACCEPTED)
                        peer_accept(&fx->peer, id, 9, 4096);
                else
                        say_validated(id, answer == NO_SOURCE ? 2 : 1, answer != NO_SOURCE);
                assert_int_equal(kcopy_run(fx->client), -ENOTCONN);
                assert_int_equal(judged.seen.n_calls, 1);
                assert_int_equal(judged.seen.state, KCOPY_LOST);
                teardown(state);
                setup(state);
        }
}

static void test_cancelled_before_the_answer_it_still_ends_once(void **state)
{
        struct judged judged = {0};
        uint64_t id = submit_judged(1, false, &judged);

        assert_int_equal(kcopy_cancel(fx->client, id), 0);
        say_validated(id, 1, true);
        assert_int_equal(kcopy_run(fx->client), 0);
        assert_int_equal(judged.seen.n_calls, 1);
        assert_int_equal(judged.seen.state, KCOPY_VALIDATED);
}

static void test_a_batch_cannot_ask_for_it(void **state)
{
        struct kcopy_options options = {.flags = KCOPY_VALIDATE_ONLY};
        struct kcopy_io_region region = {.device = "null:"};
        struct kcopy_batch_job job = {region, 1, &region, on_end, &fx->seen[0]};

        assert_int_equal(kcopy_copy_many(fx->client, 1, &job, &options), -EINVAL);
        assert_int_equal(kcopy_pending(fx->client), 0);
        assert_int_equal(fx->seen[0].n_calls, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                test_a_validated_job_ends_once_with_its_plan_and_nothing_complete, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_validated_zero_has_no_source, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_refusal_has_no_plan, setup, teardown),
            cmocka_unit_test_setup_teardown(
                test_an_answer_that_does_not_fit_loses_the_connection, setup, teardown),
            cmocka_unit_test_setup_teardown(
                test_cancelled_before_the_answer_it_still_ends_once, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_batch_cannot_ask_for_it, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
