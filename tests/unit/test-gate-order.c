/* The gate in front of a device: in which order it lets out what waits.
 * links: kc_copy kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/gate-fixture.h"

static uint64_t out_bytes_of(const struct bench *bench, const struct job *job)
{
        uint64_t bytes = 0;

        kc_list_for_each (pos, &bench->out) {
                const struct io_req *req = kc_list_entry(pos, struct io_req, node);

                bytes += req->flow == &job->flow ? req->length_bytes : 0;
        }
        return bytes;
}

/* Answer what is out, one by one, and count what leaves instead of whose it is. */
static uint64_t left_meanwhile(struct bench *bench, const struct job *job, unsigned n_answers)
{
        uint64_t before = out_bytes_of(bench, job), answered = 0;

        while (n_answers-- > 0) {
                if (first_out(bench)->flow == &job->flow)
                        answered += first_out(bench)->length_bytes;
                answer(bench);
        }
        return out_bytes_of(bench, job) + answered - before;
}

static void identities_take_turns_in_bytes(void **state)
{
        struct bench *bench = bench_new();
        struct job *many[4], *one = job_new("b", 0);
        uint64_t of_many = 0, of_one;

        for (unsigned i = 0; i < 4; i++) {
                many[i] = job_new("a", 0);
                submit_many(bench, many[i], 60, 64 * KIB);
        }
        submit_many(bench, one, 100, 64 * KIB);
        while (out_bytes_of(bench, one) == 0)
                answer(bench);
        for (unsigned i = 0; i < 4; i++)
                of_many -= many[i]->n_done;
        of_one = left_meanwhile(bench, one, 80);
        for (unsigned i = 0; i < 4; i++)
                of_many += many[i]->n_done;
        assert_true(of_one / (64 * KIB) >= of_many - 4 && of_one / (64 * KIB) <= of_many + 4);
        answer_all(bench);
        for (unsigned i = 0; i < 4; i++)
                job_free(many[i]);
        job_free(one);
        bench_free(bench);
}

static void priorities_weigh(void **state)
{
        struct bench *bench = bench_new();
        struct job *low = job_new("a", 0), *high = job_new("a", 7);
        uint64_t of_low;

        submit(bench, low, 64 * KIB);
        submit_many(bench, high, 200, 64 * KIB);
        submit_many(bench, low, 100, 64 * KIB);
        left_meanwhile(bench, low, 20);
        of_low = left_meanwhile(bench, low, 90); /* a ninth of it */
        assert_true(of_low >= 8 * 64 * KIB && of_low <= 12 * 64 * KIB);
        answer_all(bench);
        job_free(low);
        job_free(high);
        bench_free(bench);
}

static bool answer_one_of(struct bench *bench, const struct job *a, const struct job *b)
{
        kc_list_for_each (pos, &bench->out) {
                struct io_req *req = kc_list_entry(pos, struct io_req, node);

                if (req->flow != &a->flow && req->flow != &b->flow)
                        continue;
                kc_list_del(&req->node);
                kc_list_push_head(&bench->out, &req->node);
                answer(bench);
                return true;
        }
        return false;
}

/* One job has three long pieces in flight, the other many short ones: equals, by bytes. At times all the long
 * ones are out, so nothing of that job waits for a moment. */
static void a_queue_that_is_empty_for_a_moment_keeps_its_debts(void **state)
{
        struct bench *bench = bench_new();
        struct job *third = job_new("b", 0), *lengthy = job_new("a", 0), *brief = job_new("a", 0);
        unsigned n_empty = 0;

        submit(bench, third, 64 * KIB); /* its device, too, for as long as this takes */
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(submit_op(bench, lengthy, IO_READ, 256 * KIB, 832 * KIB, true), 0);
        submit_many(bench, brief, 250, 16 * KIB);
        while (brief->n_done < 250) {
                n_empty += kc_list_empty(&lengthy->flow.waiting);
                assert_true(answer_one_of(bench, lengthy, brief));
                while (lengthy->n_submitted - lengthy->n_done < 3)
                        assert_int_equal(submit_op(bench, lengthy, IO_READ, 256 * KIB, 832 * KIB, true), 0);
        }
        assert_true(n_empty > 0); /* or it shows nothing */
        assert_in_range(lengthy->n_done, 250 / 16 - 4, 250 / 16 + 4);
        answer_all(bench);
        job_free(third);
        job_free(lengthy);
        job_free(brief);
        bench_free(bench);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(identities_take_turns_in_bytes),
            cmocka_unit_test(priorities_weigh),
            cmocka_unit_test(a_queue_that_is_empty_for_a_moment_keeps_its_debts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
