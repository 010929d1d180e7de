/* Remote endpoints: asking where a request is on the other lane, and ending it there, between two threads.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/remote-fixture.h"

static void hold_in_queue(struct other *other)
{
        other->hold = other->queues = true;
        other->endpoint.answered_ns = ANSWERED_NS;
}

/* What waited leaves. */
static void send_queue(struct other *other)
{
        other->queues = false;
        kc_list_for_each (pos, &other->waiting) {
                struct io_req *req = kc_list_entry(pos, struct io_req, node);

                req->sent = true;
                req->sent_ns = SENT_NS;
        }
}

static void nothing(struct other *other)
{
}

/* A pair, and one write that goes to the other lane, where `how` has been called before. */
static void start_write(struct pair *pair, void (*how)(struct other *other), struct waited_req *waited)
{
        static char byte;

        pair_init(pair);
        call_there(pair, how);
        req_start(pair->remote, waited, IO_WRITE, 0, 0, 1, &byte);
}

/* ---- where a request is over there, and ending it there */

static void a_look_tells_when_a_request_left(void **state)
{
        struct waited_req waited;
        struct pair pair;

        start_write(&pair, hold_in_queue, &waited);
        assert_true(waited.req.sent && waited.req.sent_ns == 0); /* nobody knows */
        assert_int_equal(endpoint_deadline_ns(pair.remote, &waited.req, 5, 10), 10);
        assert_true(endpoint_expire(pair.remote, &waited.req, FOR_EVER_NS));
        assert_true(endpoint_expire(pair.remote, &waited.req, FOR_EVER_NS)); /* once is asked */
        call_there(&pair, nothing);
        assert_int_equal(waited.req.sent_ns, 0);
        assert_int_equal(waited.req.waited_ns, ANSWERED_NS);
        assert_int_equal(endpoint_deadline_ns(pair.remote, &waited.req, 0, 10), ANSWERED_NS + 10);

        call_there(&pair, send_queue);
        assert_int_equal(waited.req.sent_ns, 0);
        assert_true(endpoint_expire(pair.remote, &waited.req, 1));
        call_there(&pair, nothing);
        assert_int_equal(waited.req.sent_ns, SENT_NS);
        assert_int_equal(endpoint_deadline_ns(pair.remote, &waited.req, 0, 10), SENT_NS + 10);
        assert_false(endpoint_expire(pair.remote, &waited.req, 1)); /* it is known: nothing to ask */
        call_there(&pair, release);
        lane_run_until(&pair.here, &waited.done);
        assert_true(waited.req.status == 0 && waited.req.sent && waited.req.sent_ns == SENT_NS);
        pair_done(&pair);
        assert_int_equal(pair.there.n_withdrawn, 0);
}

static void what_waits_for_a_silent_device_is_ended(void **state)
{
        struct waited_req waited;
        struct pair pair;

        start_write(&pair, hold_in_queue, &waited);
        assert_true(endpoint_expire(pair.remote, &waited.req, 1));
        lane_run_until(&pair.here, &waited.done);
        assert_int_equal(waited.req.status, -ETIMEDOUT);
        assert_int_equal(waited.req.class, KC_CLASS_TIMEOUT);
        assert_false(waited.req.sent || waited.req.unanswered);
        pair_done(&pair);
        assert_int_equal(pair.there.n_withdrawn, 1);
}

static void what_waits_over_there_can_be_withdrawn(void **state)
{
        struct waited_req waited;
        struct pair pair;

        start_write(&pair, hold_in_queue, &waited);
        assert_true(endpoint_expire(pair.remote, &waited.req, FOR_EVER_NS)); /* a question is under way */
        endpoint_withdraw(pair.remote, &waited.req);
        endpoint_withdraw(pair.remote, &waited.req);
        assert_false(waited.done);
        lane_run_until(&pair.here, &waited.done);
        assert_int_equal(waited.req.status, -ECANCELED);
        assert_false(waited.req.sent || waited.req.unanswered);
        pair_done(&pair);
        assert_int_equal(pair.there.n_withdrawn, 1);
}

static void what_has_left_over_there_is_left_alone(void **state)
{
        struct waited_req waited;
        struct pair pair;

        start_write(&pair, hold, &waited);
        endpoint_withdraw(pair.remote, &waited.req);
        call_there(&pair, nothing);
        call_there(&pair, nothing);
        assert_false(waited.done);
        assert_int_equal(waited.req.sent_ns, SENT_NS); /* but that is told */
        call_there(&pair, release);
        lane_run_until(&pair.here, &waited.done);
        assert_true(waited.req.status == 0 && waited.req.sent);
        pair_done(&pair);
        assert_int_equal(pair.there.n_withdrawn, 0);
}

static void fail_queue_and_tell(struct other *other)
{
        other->queue_fails = other->tell = true;
}

static void a_question_that_comes_too_late_finds_nobody(void **state)
{
        struct waited_req waited;
        struct pair pair;

        start_write(&pair, fail_queue_and_tell, &waited);
        uv_sem_wait(&pair.there.ready); /* the answer is under way */
        endpoint_withdraw(pair.remote, &waited.req);
        lane_run_until(&pair.here, &waited.done);
        assert_int_equal(waited.req.status, -ECANCELED);
        pair_done(&pair); /* after the question's answer, too */
        assert_int_equal(pair.there.n_withdrawn, 0);
}

/* Questions and withdrawals that cross the answers, and requests whose wrappers are used again and again:
 * each is answered once, and the question finds nobody else's. */
static void withdrawals_cross_answers(void **state)
{
        enum { N = 8, ROUNDS = 4000 };
        static struct waited_req reqs[N];
        char bytes[N] = {0};
        struct pair pair;
        unsigned n_asked = 0;

        pair_init(&pair);
        for (unsigned i = 0; i < N; i++)
                req_start(pair.remote, &reqs[i], IO_WRITE, 0, i, 1, &bytes[i]);
        for (unsigned round = 0; round < ROUNDS; round++) {
                struct waited_req *one = &reqs[round % N];

                if (round % 2 == 0)
                        uv_run(&pair.here.loop, UV_RUN_NOWAIT);
                n_asked += !one->done;
                if (!one->done && round % 3 == 0)
                        endpoint_withdraw(pair.remote, &one->req);
                else if (!one->done)
                        endpoint_expire(pair.remote, &one->req, 1);
                if (round % 5 == 0)
                        continue;
                lane_run_until(&pair.here, &one->done);
                assert_true(one->req.status == 0 && one->req.sent && one->req.sent_ns == SENT_NS);
                req_start(pair.remote, one, IO_WRITE, 0, round % N, 1, &bytes[round % N]);
        }
        assert_true(n_asked > 0);
        for (unsigned i = 0; i < N; i++)
                if (!reqs[i].done)
                        endpoint_withdraw(pair.remote, &reqs[i].req);
        pair_done(&pair); /* after the questions' answers, too */
        for (unsigned i = 0; i < N; i++)
                assert_true(reqs[i].done);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_look_tells_when_a_request_left),
            cmocka_unit_test(what_waits_for_a_silent_device_is_ended),
            cmocka_unit_test(what_waits_over_there_can_be_withdrawn),
            cmocka_unit_test(what_has_left_over_there_is_left_alone),
            cmocka_unit_test(a_question_that_comes_too_late_finds_nobody),
            cmocka_unit_test(withdrawals_cross_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
