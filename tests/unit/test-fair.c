/* The scheduler: shares in bytes by identity, then priority, then job, exact over time.
 * links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "copy/fair.h"

#define MIB (1u << 20)

struct job {
        struct fair_entry entry;
        uint64_t started_bytes;
        unsigned request_bytes; /* what each of its requests moves */
};

/* The most that a share may be off at any moment: a turn's quanta and a request on every level. */
#define SLACK_BYTES (16.0 * MIB)

static void job_add(
    struct fair *fair, struct job *job, const char *identity, unsigned priority, unsigned bytes)
{
        *job = (struct job){.request_bytes = bytes};
        assert_int_equal(fair_add(fair, &job->entry, identity, priority), 0);
        assert_false(job->entry.ready);
        fair_set_ready(fair, &job->entry, true);
}

static struct job *step(struct fair *fair)
{
        struct fair_entry *entry = fair_next(fair);
        struct job *job = kc_container_of(entry, struct job, entry);

        assert_non_null(entry);
        assert_true(entry->ready);
        assert_ptr_equal(fair_next(fair), entry); /* asking does not change the answer */
        job->started_bytes += job->request_bytes;
        fair_charge(fair, entry, job->request_bytes);
        return job;
}

/* Start requests until `total_bytes` have gone. */
static void run(struct fair *fair, uint64_t total_bytes)
{
        for (uint64_t done_bytes = 0; done_bytes < total_bytes;)
                done_bytes += step(fair)->request_bytes;
}

static void expect_bytes(const struct job *job, double expected_bytes)
{
        double off_bytes = (double)job->started_bytes - expected_bytes;

        if (off_bytes > SLACK_BYTES || off_bytes < -SLACK_BYTES)
                fail_msg("%.1f MiB instead of %.1f", (double)job->started_bytes / MIB, expected_bytes / MIB);
}

static void end(struct fair *fair, struct job *jobs, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                fair_remove(fair, &jobs[i].entry);
        assert_null(fair_next(fair));
        fair_free(fair);
}

static struct fair *begin(void)
{
        struct fair *fair = fair_new();

        assert_non_null(fair);
        assert_null(fair_next(fair));
        return fair;
}

#define TOTAL_BYTES (10000.0 * MIB)

static void test_jobs_share_equally_whatever_their_request_sizes(void **state)
{
        struct fair *fair = begin();
        struct job jobs[4];

        job_add(fair, &jobs[0], "a", 0, 4096);
        job_add(fair, &jobs[1], "a", 0, 300 * 1024 + 512);
        job_add(fair, &jobs[2], "a", 0, MIB);
        job_add(fair, &jobs[3], "a", 0, 5 * MIB + 4096); /* more than a quantum: pays afterwards */
        run(fair, (uint64_t)TOTAL_BYTES);
        for (unsigned i = 0; i < 4; i++)
                expect_bytes(&jobs[i], TOTAL_BYTES / 4);
        end(fair, jobs, 4);
}

static void test_priorities_weigh_one_more_each(void **state)
{
        struct fair *fair = begin();
        struct job jobs[4];

        job_add(fair, &jobs[0], "a", 0, 256 * 1024);
        job_add(fair, &jobs[1], "a", 3, MIB);
        job_add(fair, &jobs[2], "a", 7, 64 * 1024);
        job_add(fair, &jobs[3], "a", 7, 512 * 1024);
        run(fair, (uint64_t)TOTAL_BYTES);
        expect_bytes(&jobs[0], TOTAL_BYTES * 1 / 13);
        expect_bytes(&jobs[1], TOTAL_BYTES * 4 / 13);
        expect_bytes(&jobs[2], TOTAL_BYTES * 4 / 13); /* the two share 8/13 */
        expect_bytes(&jobs[3], TOTAL_BYTES * 4 / 13);
        end(fair, jobs, 4);
}

static void test_identities_share_equally_whatever_their_jobs_and_priorities(void **state)
{
        struct fair *fair = begin();
        struct job jobs[13];

        job_add(fair, &jobs[0], "alone", 0, 128 * 1024);
        for (unsigned i = 1; i <= 10; i++)
                job_add(fair, &jobs[i], "many", 7, 512 * 1024);
        job_add(fair, &jobs[11], "two", 0, MIB);
        job_add(fair, &jobs[12], "two", 1, MIB);
        run(fair, (uint64_t)TOTAL_BYTES);
        expect_bytes(&jobs[0], TOTAL_BYTES / 3);
        for (unsigned i = 1; i <= 10; i++)
                expect_bytes(&jobs[i], TOTAL_BYTES / 30);
        expect_bytes(&jobs[11], TOTAL_BYTES / 9);
        expect_bytes(&jobs[12], TOTAL_BYTES * 2 / 9);
        end(fair, jobs, 13);
}

static void test_small_requests_are_charged_the_minimum(void **state)
{
        struct fair *fair = begin();
        struct job jobs[2];
        unsigned n_zero_requests = 0, n_data_requests = 0;

        job_add(fair, &jobs[0], "a", 0, 0); /* zero requests move nothing */
        job_add(fair, &jobs[1], "a", 0, FAIR_MIN_CHARGE_BYTES);
        for (unsigned i = 0; i < 100000; i++) {
                if (step(fair) == &jobs[0])
                        n_zero_requests++;
                else
                        n_data_requests++;
        }
        assert_true(abs((int)n_zero_requests - (int)n_data_requests) <=
                    (int)(2 * FAIR_QUANTUM_BYTES / FAIR_MIN_CHARGE_BYTES));
        end(fair, jobs, 2);
}

static void test_what_is_not_ready_is_not_served_and_keeps_no_credit(void **state)
{
        struct fair *fair = begin();
        struct job jobs[2];

        job_add(fair, &jobs[0], "a", 0, 64 * 1024);
        job_add(fair, &jobs[1], "b", 0, 64 * 1024);
        fair_set_ready(fair, &jobs[0].entry, false);
        run(fair, 100 * MIB);
        assert_int_equal(jobs[0].started_bytes, 0);
        fair_set_ready(fair, &jobs[0].entry, true);
        fair_set_ready(fair, &jobs[0].entry, true); /* saying it twice changes nothing */
        jobs[1].started_bytes = 0;
        run(fair, 100 * MIB); /* half each from here on: nothing is made up for */
        assert_true(jobs[0].started_bytes >= 49 * MIB && jobs[0].started_bytes <= 51 * MIB);
        fair_set_ready(fair, &jobs[0].entry, false);
        fair_set_ready(fair, &jobs[1].entry, false);
        assert_null(fair_next(fair));
        end(fair, jobs, 2);
}

static void test_a_rest_of_credit_does_not_pile_up_over_pauses(void **state)
{
        struct fair *fair = begin();
        struct job jobs[2];

        /* One is ready for a single small request at a time, and never uses its quantum up. */
        job_add(fair, &jobs[0], "a", 0, 4096);
        job_add(fair, &jobs[1], "a", 0, 256 * 1024);
        for (unsigned i = 0; i < 1000; i++) {
                while (step(fair) != &jobs[0])
                        ;
                fair_set_ready(fair, &jobs[0].entry, false);
                step(fair);
                fair_set_ready(fair, &jobs[0].entry, true);
                assert_true(jobs[0].entry.member.deficit_bytes <= 0);
        }
        end(fair, jobs, 2);
}

static void test_debt_stays_over_pauses(void **state)
{
        struct fair *fair = begin();
        struct job jobs[2];

        /* Not ready for a moment after each large request (its window is full): no way out of the debt. */
        job_add(fair, &jobs[0], "a", 0, 8 * MIB);
        job_add(fair, &jobs[1], "b", 0, 256 * 1024);
        for (uint64_t done_bytes = 0; done_bytes < (uint64_t)TOTAL_BYTES;) {
                struct job *job = step(fair);

                done_bytes += job->request_bytes;
                if (job == &jobs[0]) {
                        fair_set_ready(fair, &job->entry, false);
                        fair_set_ready(fair, &job->entry, true);
                }
        }
        expect_bytes(&jobs[0], TOTAL_BYTES / 2);
        expect_bytes(&jobs[1], TOTAL_BYTES / 2);
        end(fair, jobs, 2);
}

static void test_an_identity_pays_for_its_last_job_with_its_next(void **state)
{
        struct fair *fair = begin();
        struct job jobs[2];
        uint64_t short_jobs_bytes = 0;

        /* One submits job after job of one large request each, and has none in between. */
        job_add(fair, &jobs[0], "a", 0, 8 * MIB);
        job_add(fair, &jobs[1], "b", 0, 256 * 1024);
        for (uint64_t done_bytes = 0; done_bytes < (uint64_t)TOTAL_BYTES;) {
                struct job *job = step(fair);

                done_bytes += job->request_bytes;
                if (job == &jobs[0]) {
                        short_jobs_bytes += job->request_bytes;
                        fair_remove(fair, &job->entry);
                        job_add(fair, job, "a", 0, 8 * MIB);
                }
        }
        assert_true(short_jobs_bytes > TOTAL_BYTES / 2 - SLACK_BYTES);
        assert_true(short_jobs_bytes < TOTAL_BYTES / 2 + SLACK_BYTES);
        end(fair, jobs, 2);
}

static void test_a_charge_after_the_entry_was_set_not_ready_counts_once(void **state)
{
        struct fair *fair = begin();
        struct job jobs[2];
        struct fair_entry *entry;

        job_add(fair, &jobs[0], "a", 0, 512 * 1024);
        job_add(fair, &jobs[1], "a", 0, 512 * 1024);
        entry = fair_next(fair);
        assert_ptr_equal(entry, &jobs[0].entry);
        fair_set_ready(fair, entry, false);
        fair_charge(fair, entry, FAIR_QUANTUM_BYTES / 2);
        fair_set_ready(fair, entry, true);
        assert_int_equal(entry->member.deficit_bytes, 0); /* out of its quantum: no debt */
        end(fair, jobs, 2);
}

static void test_newcomers_wait_for_one_round_at_most(void **state)
{
        struct fair *fair = begin();
        struct job jobs[5];
        unsigned n_steps = 0;

        for (unsigned i = 0; i < 4; i++)
                job_add(fair, &jobs[i], "a", 0, MIB);
        run(fair, 100 * MIB);
        job_add(fair, &jobs[4], "a", 0, MIB);
        while (step(fair) != &jobs[4])
                n_steps++;
        assert_true(n_steps <= 4);
        end(fair, jobs, 5);
}

static void test_removing_whose_turn_it_is_goes_on_with_the_next(void **state)
{
        struct fair *fair = begin();
        struct job jobs[3];

        for (unsigned i = 0; i < 3; i++)
                job_add(fair, &jobs[i], i == 0 ? "a" : "b", i, MIB);
        for (unsigned i = 0; i < 3; i++) {
                struct fair_entry *entry = fair_next(fair);

                assert_non_null(entry);
                fair_remove(fair, entry);
        }
        assert_null(fair_next(fair));
        fair_free(fair);
}

/* How much the others get before this identity's first job is served. */
static uint64_t wait_of(struct fair *fair, const char *identity)
{
        struct job newcomer, other;
        uint64_t waited_bytes;

        job_add(fair, &newcomer, identity, 0, 4096);
        job_add(fair, &other, "other", 0, 4096);
        while (step(fair) != &newcomer)
                ;
        waited_bytes = other.started_bytes;
        fair_remove(fair, &newcomer.entry);
        fair_remove(fair, &other.entry);
        return waited_bytes;
}

static void test_few_indebted_identities_are_remembered(void **state)
{
        struct fair *fair = begin();
        struct job job;

        for (unsigned i = 0; i < 1000; i++) {
                char name[16];

                snprintf(name, sizeof(name), "client %u", i);
                job_add(fair, &job, name, 0, 8 * MIB);
                step(fair);
                fair_remove(fair, &job.entry);
        }
        assert_true(wait_of(fair, "client 999") >= 6 * MIB); /* pays first */
        assert_true(wait_of(fair, "client 0") <= MIB);       /* forgotten long ago: memory has a bound */
        fair_free(fair);
        fair_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_jobs_share_equally_whatever_their_request_sizes),
            cmocka_unit_test(test_priorities_weigh_one_more_each),
            cmocka_unit_test(test_identities_share_equally_whatever_their_jobs_and_priorities),
            cmocka_unit_test(test_small_requests_are_charged_the_minimum),
            cmocka_unit_test(test_what_is_not_ready_is_not_served_and_keeps_no_credit),
            cmocka_unit_test(test_a_rest_of_credit_does_not_pile_up_over_pauses),
            cmocka_unit_test(test_debt_stays_over_pauses),
            cmocka_unit_test(test_an_identity_pays_for_its_last_job_with_its_next),
            cmocka_unit_test(test_a_charge_after_the_entry_was_set_not_ready_counts_once),
            cmocka_unit_test(test_newcomers_wait_for_one_round_at_most),
            cmocka_unit_test(test_removing_whose_turn_it_is_goes_on_with_the_next),
            cmocka_unit_test(test_few_indebted_identities_are_remembered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
