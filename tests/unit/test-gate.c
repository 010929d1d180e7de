/* The gate in front of a device: who is held back, and what ends what waits.
 * links: kc_copy kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/gate-fixture.h"

static bool malloc_fails;

/* The program's own stands in for libc's. */
void *malloc(size_t bytes)
{
        void *volatile none = NULL; /* or the compiler makes it a call of malloc */

        return malloc_fails ? NULL : realloc(none, bytes);
}

/* ---- who is held back */

static void one_alone_is_never_held(void **state)
{
        struct bench *bench = bench_new();
        struct job *job = job_new("a", 0);

        submit_many(bench, job, 200, 256 * KIB);
        assert_int_equal(bench->n_out, 200);
        assert_true(job->reqs[199].req.sent && !job->reqs[199].req.held);
        answer_all(bench);
        job_free(job);
        bench_free(bench);
}

static void equals_share_plenty(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 3), *second = job_new("a", 3);

        submit(bench, first, 256 * KIB);
        submit_many(bench, second, 100, 256 * KIB);
        assert_int_equal(bench->n_out, GATE_SHARED_MIN_BYTES / (256 * KIB));
        assert_true(second->reqs[99].req.held && !second->reqs[99].req.sent);
        /* deeper windows, more of it */
        assert_int_equal(submit_op(bench, first, IO_READ, 256 * KIB, 4u << 20, true), 0);
        answer(bench);
        assert_int_equal(bench->n_out, (16u << 20) / (256 * KIB));
        answer_all(bench);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

static void others_get_what_keeps_the_device_busy(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("a", 1), *third = job_new("b", 0);

        submit(bench, first, 64 * KIB);
        submit_many(bench, second, 20, 64 * KIB);
        assert_int_equal(bench->n_out, 2); /* the least that there is */
        submit(bench, third, 256 * KIB);   /* whose window is 512 KiB */
        answer(bench);
        assert_true(bench->gate.out_bytes >= 512 * KIB && bench->gate.out_bytes <= (512 + 256) * KIB);
        answer_all(bench);
        job_free(first);
        job_free(second);
        job_free(third);
        bench_free(bench);
}

static void what_others_leave_behind_goes_out_at_once(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("b", 0);

        submit(bench, first, 128 * KIB);
        submit_many(bench, second, 50, 64 * KIB);
        assert_int_equal(bench->n_out, 3);
        answer(bench); /* the other's only one */
        assert_int_equal(bench->n_out, 50);
        answer_all(bench);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

static void without_a_flow_nothing_is_held(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("b", 0);

        submit_many(bench, first, 10, 64 * KIB);
        submit_many(bench, second, 10, 64 * KIB);
        assert_int_equal(bench->n_out, 10);
        assert_int_equal(submit_op(bench, second, IO_FLUSH, 0, 0, false), 0);
        assert_int_equal(bench->n_out, 11);
        answer_all(bench);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

static void without_memory_nothing_is_held(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("b", 0);

        submit_many(bench, first, 10, 64 * KIB);
        malloc_fails = true;
        submit_many(bench, second, 10, 64 * KIB);
        malloc_fails = false;
        assert_int_equal(bench->n_out, 20);
        submit(bench, second, 64 * KIB);
        assert_int_equal(bench->n_out, 20);
        answer_all(bench);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

/* ---- what ends what waits */

static void what_is_held_can_be_withdrawn(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("b", 0);
        struct io_req *held, *kept, *late;

        submit_many(bench, first, 2, 64 * KIB);
        held = submit(bench, second, 64 * KIB);
        kept = submit(bench, second, 64 * KIB);
        late = submit(bench, second, 64 * KIB);
        endpoint_withdraw(&bench->endpoint, held);
        endpoint_withdraw(&bench->endpoint, held);
        endpoint_withdraw_as(&bench->endpoint, late, -ETIMEDOUT);
        endpoint_withdraw(&bench->endpoint, first_out(bench)); /* has left */
        assert_int_equal(second->n_done, 0);                   /* never inside the call */
        deliver_messages(bench);
        assert_int_equal(second->n_done, 2);
        assert_int_equal(first->n_done, 0);
        assert_true(held->status == -ECANCELED && held->class == KC_CLASS_CANCELLED && !held->sent);
        assert_true(late->status == -ETIMEDOUT && late->class == KC_CLASS_TIMEOUT && !late->sent);
        assert_false(held->unanswered || late->unanswered);
        answer(bench);
        assert_true(kept->sent);
        answer_all(bench);
        assert_int_equal(kept->status, 0);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

static void a_withdrawal_can_leave_the_others_alone(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("b", 0);
        struct io_req *held;

        submit_many(bench, first, 2, 64 * KIB);
        held = submit(bench, second, 64 * KIB);
        submit_many(bench, first, 10, 64 * KIB);
        assert_int_equal(bench->n_out, 2);
        endpoint_withdraw(&bench->endpoint, held);
        deliver_messages(bench);
        assert_int_equal(bench->n_out, 12);
        answer_all(bench);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

static void a_dead_endpoint_fails_what_waits(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("b", 0);

        submit_many(bench, first, 2, 64 * KIB);
        submit_many(bench, second, 5, 64 * KIB);
        bench->endpoint.dead = true;
        bench->refuse = -ENOTCONN;
        end_first(bench, -ENOTCONN);
        assert_int_equal(second->n_done, 5);
        for (unsigned i = 0; i < 5; i++) {
                assert_int_equal(second->reqs[i].req.status, -ENOTCONN);
                assert_int_equal(second->reqs[i].req.class, KC_CLASS_TRANSPORT);
                assert_false(second->reqs[i].req.sent);
        }
        end_first(bench, -ENOTCONN);
        assert_int_equal(submit_op(bench, second, IO_READ, 4096, 0, true), -ENOTCONN);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

/* ---- when the device last answered, and whose time runs */

static void the_last_answer_is_noted(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("b", 0);

        bench->now_ns = 2000;
        submit_many(bench, first, 2, 64 * KIB); /* it had nothing to do before */
        assert_int_equal(bench->endpoint.answered_ns, 2000);
        bench->now_ns = 3000;
        assert_int_equal(submit_op(bench, first, IO_FLUSH, 0, 0, false), 0);
        endpoint_withdraw(&bench->endpoint, submit(bench, second, 64 * KIB));
        deliver_messages(bench);
        assert_int_equal(second->n_done, 1); /* that was not the device */
        assert_int_equal(bench->endpoint.answered_ns, 2000);
        answer(bench);
        assert_int_equal(bench->endpoint.answered_ns, 3000);
        answer(bench);
        bench->now_ns = 4000;
        answer(bench); /* the flush */
        assert_int_equal(bench->endpoint.answered_ns, 4000);
        bench->now_ns = 5000;
        assert_int_equal(submit_op(bench, first, IO_EXTENTS, 0, 0, false), 0);
        assert_int_equal(bench->endpoint.answered_ns, 5000);
        bench->now_ns = 6000;
        bench->endpoint.dead = true;
        end_first(bench, -ENOTCONN);
        assert_int_equal(bench->endpoint.answered_ns, 5000);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

static void waiting_takes_no_time_while_the_device_answers(void **state)
{
        struct bench *bench = bench_new();
        struct job *first = job_new("a", 0), *second = job_new("b", 0);
        struct endpoint *endpoint = &bench->endpoint;
        struct io_req *sent, *held;

        submit_many(bench, first, 3, 128 * KIB);
        sent = &first->reqs[0].req;
        held = submit(bench, second, 64 * KIB);
        assert_int_equal(endpoint_deadline_ns(endpoint, held, 1500, 500), 1500);
        bench->now_ns = 1400;
        answer(bench);
        assert_true(held->held);
        assert_int_equal(endpoint_deadline_ns(endpoint, held, 1500, 500), 1900);
        bench->now_ns = 1800;
        answer(bench);
        assert_false(held->held); /* and its own time begins */
        assert_int_equal(endpoint_deadline_ns(endpoint, held, 1500, 500), 2300);
        bench->now_ns = 2200;
        answer(bench);
        assert_int_equal(endpoint_deadline_ns(endpoint, held, 1500, 500), 2300);
        assert_false(endpoint_expire(endpoint, held, 500)); /* it has left: nothing ends it */
        assert_true(held->sent);
        assert_int_equal(endpoint_deadline_ns(endpoint, held, 0, UINT64_MAX), UINT64_MAX);
        answer_all(bench);
        assert_int_equal(sent->status, 0);

        submit_many(bench, first, 3, 128 * KIB);
        held = submit(bench, second, 64 * KIB);
        assert_true(endpoint_expire(endpoint, held, 500));
        deliver_messages(bench);
        assert_true(held->status == -ETIMEDOUT && !held->sent);
        answer_all(bench);
        job_free(first);
        job_free(second);
        bench_free(bench);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(one_alone_is_never_held),
            cmocka_unit_test(equals_share_plenty),
            cmocka_unit_test(others_get_what_keeps_the_device_busy),
            cmocka_unit_test(what_others_leave_behind_goes_out_at_once),
            cmocka_unit_test(without_a_flow_nothing_is_held),
            cmocka_unit_test(without_memory_nothing_is_held),
            cmocka_unit_test(what_is_held_can_be_withdrawn),
            cmocka_unit_test(a_withdrawal_can_leave_the_others_alone),
            cmocka_unit_test(a_dead_endpoint_fails_what_waits),
            cmocka_unit_test(the_last_answer_is_noted),
            cmocka_unit_test(waiting_takes_no_time_while_the_device_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
