/* Region locks: who holds, who waits and in which order; compared with a naive model; with 100,000 sets.
 * links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "copy/locks.h"
#include "lib/alloc_faults.h"
#include "lib/random.h"

#define RANGES_MAX 3

struct job {
        struct lock_set set;
        struct lock_range ranges[RANGES_MAX];
        struct locks *locks;
        unsigned calls; /* of on_granted */
        bool present, granted_at_once;
        struct job *release_too; /* by on_granted */
};

static unsigned n_calls;

static void on_granted(struct lock_set *set)
{
        struct job *job = kc_container_of(set, struct job, set);

        assert_true(set->held);
        job->calls++;
        n_calls++;
        if (job->release_too != NULL)
                locks_release(job->locks, &job->release_too->set);
}

static struct lock_range reading(const char *key, uint64_t start_bytes, uint64_t end_bytes)
{
        return (struct lock_range){.key = key, .start_bytes = start_bytes, .end_bytes = end_bytes};
}

static struct lock_range writing(const char *key, uint64_t start_bytes, uint64_t end_bytes)
{
        struct lock_range range = reading(key, start_bytes, end_bytes);

        range.exclusive = true;
        return range;
}

/* Request what is in job->ranges. */
static bool request(struct locks *locks, struct job *job, uint64_t id, unsigned n_ranges)
{
        unsigned calls_before = n_calls;

        job->locks = locks;
        job->calls = 0;
        job->release_too = NULL;
        job->set.owner_id = id;
        job->set.on_granted = on_granted;
        job->set.ranges = job->ranges;
        job->set.n_ranges = n_ranges;
        job->present = true;
        job->granted_at_once = locks_request(locks, &job->set);
        assert_int_equal(n_calls, calls_before);
        assert_int_equal(job->granted_at_once, job->set.held);
        return job->granted_at_once;
}

static bool request_one(struct locks *locks, struct job *job, uint64_t id, struct lock_range range)
{
        job->ranges[0] = range;
        return request(locks, job, id, 1);
}

static void release(struct locks *locks, struct job *job)
{
        job->present = false;
        locks_release(locks, &job->set);
}

static void ranges_conflict_over_common_bytes_unless_both_read(void **state)
{
        struct lock_range a = writing("a", 10, 20), b = writing("a", 19, 30);

        assert_true(lock_ranges_conflict(&a, &b));
        b.exclusive = false;
        assert_true(lock_ranges_conflict(&a, &b));
        assert_true(lock_ranges_conflict(&b, &a));
        a.exclusive = false;
        assert_false(lock_ranges_conflict(&a, &b));
        a = writing("a", 10, 20);
        b = writing("a", 20, 30); /* adjacent */
        assert_false(lock_ranges_conflict(&a, &b));
        assert_false(lock_ranges_conflict(&b, &a));
        b = writing("b", 10, 20);
        assert_false(lock_ranges_conflict(&a, &b));
        b = writing("a", 15, 15); /* empty */
        assert_false(lock_ranges_conflict(&a, &b));
        a = writing("", 10, 20);
        assert_false(lock_ranges_conflict(&a, &a));
}

static void readers_share_and_a_writer_waits_its_turn(void **state)
{
        struct locks *locks = locks_new();
        struct job reader1, reader2, writer, reader3, elsewhere;

        assert_true(request_one(locks, &reader1, 1, reading("a", 0, 100)));
        assert_true(request_one(locks, &reader2, 2, reading("a", 50, 150)));
        assert_false(request_one(locks, &writer, 3, writing("a", 90, 200)));
        assert_true(writer.set.blocker_id == 1 || writer.set.blocker_id == 2);
        /* could share with the readers, but the writer was first */
        assert_false(request_one(locks, &reader3, 4, reading("a", 0, 100)));
        assert_int_equal(reader3.set.blocker_id, 3);
        assert_true(request_one(locks, &elsewhere, 5, writing("a", 200, 300)));
        release(locks, &reader2);
        assert_false(writer.set.held);
        assert_int_equal(writer.set.blocker_id, 1);
        release(locks, &reader1);
        assert_int_equal(writer.calls, 1);
        assert_false(reader3.set.held);
        release(locks, &writer);
        assert_int_equal(reader3.calls, 1);
        release(locks, &reader3);
        release(locks, &elsewhere);
        assert_int_equal(elsewhere.calls, 0);
        locks_free(locks);
        locks_free(NULL);
}

static void a_set_is_taken_whole_or_not_at_all(void **state)
{
        struct locks *locks = locks_new();
        struct job a, both, b;

        assert_true(request_one(locks, &a, 1, writing("a", 0, 10)));
        both.ranges[0] = writing("b", 0, 10);
        both.ranges[1] = writing("a", 0, 10);
        assert_false(request(locks, &both, 2, 2));
        /* "b" is not held, but it is the waiting one's turn there */
        assert_false(request_one(locks, &b, 3, writing("b", 5, 6)));
        assert_int_equal(b.set.blocker_id, 2);
        release(locks, &a);
        assert_true(both.set.held);
        assert_false(b.set.held);
        release(locks, &both);
        assert_true(b.set.held);
        release(locks, &b);
        locks_free(locks);
}

static void ranges_of_one_set_and_empty_keys_conflict_with_nothing(void **state)
{
        struct locks *locks = locks_new();
        struct job one, other;

        one.ranges[0] = reading("a", 0, 10);
        one.ranges[1] = writing("a", 5, 20);
        one.ranges[2] = writing("", 0, 10);
        assert_true(request(locks, &one, 1, 3));
        other.ranges[0] = writing("", 0, 10);
        other.ranges[1] = writing("a", 7, 7);
        assert_true(request(locks, &other, 2, 2));
        release(locks, &one);
        release(locks, &other);
        locks_free(locks);
}

static void a_waiting_set_that_leaves_lets_others_pass(void **state)
{
        struct locks *locks = locks_new();
        struct job reader, writer, reader2;

        assert_true(request_one(locks, &reader, 1, reading("a", 0, 10)));
        assert_false(request_one(locks, &writer, 2, writing("a", 0, 10)));
        assert_false(request_one(locks, &reader2, 3, reading("a", 0, 10)));
        release(locks, &writer);
        assert_int_equal(writer.calls, 0);
        assert_int_equal(reader2.calls, 1);
        release(locks, &reader);
        release(locks, &reader2);
        locks_free(locks);
}

static void a_kept_range_stays_locked_and_the_rest_goes(void **state)
{
        struct locks *locks = locks_new();
        struct job writer, first, second, third;
        struct lock_range keep;

        writer.ranges[0] = writing("a", 0, 100);
        writer.ranges[1] = reading("b", 0, 100);
        assert_true(request(locks, &writer, 1, 2));
        assert_false(request_one(locks, &first, 2, writing("a", 0, 50)));
        assert_false(request_one(locks, &second, 3, writing("a", 60, 61)));
        assert_false(request_one(locks, &third, 4, writing("b", 0, 10)));
        keep = writing("a", 50, 70);
        lock_set_keep(locks, &writer.set, &keep, 1);
        assert_true(first.set.held);
        assert_false(second.set.held);
        assert_int_equal(second.set.blocker_id, 1);
        assert_true(third.set.held);
        lock_set_keep(locks, &writer.set, NULL, 0);
        assert_true(second.set.held);
        assert_true(writer.set.held);
        release(locks, &writer);
        release(locks, &first);
        release(locks, &second);
        release(locks, &third);
        locks_free(locks);
}

static void a_set_released_between_its_grant_and_its_call_is_not_called(void **state)
{
        struct locks *locks = locks_new();
        struct job writer, reader1, reader2;

        assert_true(request_one(locks, &writer, 1, writing("a", 0, 10)));
        assert_false(request_one(locks, &reader1, 2, reading("a", 0, 10)));
        assert_false(request_one(locks, &reader2, 3, reading("a", 0, 10)));
        reader1.release_too = &reader2;
        reader2.release_too = &reader1;
        release(locks, &writer);
        assert_int_equal(reader1.calls + reader2.calls, 1);
        release(locks, reader1.calls == 1 ? &reader1 : &reader2);
        locks_free(locks);
}

static void no_memory_for_a_table_is_said(void **state)
{
        alloc_fail_at = 1;
        assert_null(locks_new());
}

/* ---- a naive model: a set holds when no earlier one that is still there conflicts with it */

#define N_JOBS 48u

static struct job jobs[N_JOBS];
static struct job *arrived[N_JOBS]; /* those present, in the order of arrival */
static unsigned n_arrived;

static bool sets_conflict(const struct lock_set *a, const struct lock_set *b)
{
        for (unsigned i = 0; i < a->n_ranges; i++)
                for (unsigned j = 0; j < b->n_ranges; j++)
                        if (lock_ranges_conflict(&a->ranges[i], &b->ranges[j]))
                                return true;
        return false;
}

static void assert_like_model(void)
{
        for (unsigned i = 0; i < n_arrived; i++) {
                const struct job *job = arrived[i];
                bool blocked = false, blocker_named = false;

                for (unsigned j = 0; j < i; j++) {
                        if (!sets_conflict(&job->set, &arrived[j]->set))
                                continue;
                        blocked = true;
                        blocker_named = blocker_named || job->set.blocker_id == arrived[j]->set.owner_id;
                }
                assert_int_equal(job->set.held, !blocked);
                assert_int_equal(blocker_named, blocked);
                assert_int_equal(job->calls, job->set.held && !job->granted_at_once);
        }
}

static void request_at_random(struct locks *locks, struct job *job, uint64_t id)
{
        static const char *const keys[] = {"a", "b", "a:c", ""};
        unsigned n_ranges = 1 + random_below(RANGES_MAX);

        for (unsigned i = 0; i < n_ranges; i++) {
                uint64_t start_bytes = random_below(100), length_bytes = random_below(40);
                const char *key = keys[random_below(10) == 0 ? 3 : random_below(3)];

                job->ranges[i] = random_below(2) == 0 ? reading(key, start_bytes, start_bytes + length_bytes)
                                                      : writing(key, start_bytes, start_bytes + length_bytes);
        }
        arrived[n_arrived++] = job;
        request(locks, job, id, n_ranges);
}

static void keep_at_random(struct locks *locks, struct job *job)
{
        struct lock_range keep[RANGES_MAX];
        unsigned n_keep = 0;

        for (unsigned i = 0; i < job->set.n_ranges; i++) {
                uint64_t cut_bytes = random_below(10);

                if (random_below(2) == 0)
                        continue;
                keep[n_keep] = job->ranges[i];
                if (keep[n_keep].end_bytes - keep[n_keep].start_bytes > cut_bytes)
                        keep[n_keep].start_bytes += cut_bytes;
                n_keep++;
        }
        lock_set_keep(locks, &job->set, keep, n_keep);
}

static void leave(struct locks *locks, struct job *job)
{
        unsigned i = 0;

        while (arrived[i] != job)
                i++;
        n_arrived--;
        memmove(&arrived[i], &arrived[i + 1], (n_arrived - i) * sizeof(arrived[0]));
        release(locks, job);
}

static void at_random_it_is_like_the_model(void **state)
{
        struct locks *locks = locks_new();
        uint64_t last_id = 0;

        random_seed();
        memset(jobs, 0, sizeof(jobs));
        for (unsigned step = 0; step < 20000; step++) {
                struct job *job = &jobs[random_below(1 + random_below(N_JOBS))];

                if (!job->present)
                        request_at_random(locks, job, ++last_id);
                else if (job->set.held && random_below(4) == 0)
                        keep_at_random(locks, job);
                else
                        leave(locks, job);
                assert_like_model();
        }
        while (n_arrived > 0) {
                leave(locks, arrived[random_below(n_arrived)]);
                assert_like_model();
        }
        locks_free(locks);
}

/* ---- 100,000 sets */

#ifdef __SANITIZE_THREAD__
#define N_CROWD 10000u /* nothing here has threads, and it is ten times slower with it */
#else
#define N_CROWD 100000u
#endif
#define CROWD_SECONDS_MAX 20 /* of processor time; anything quadratic takes many minutes */

struct crowd {
        struct job *jobs;
        struct locks *locks;
        clock_t start;
};

static struct crowd crowd_new(void)
{
        struct crowd crowd = {.jobs = calloc(N_CROWD, sizeof(struct job)), .locks = locks_new()};

        assert_non_null(crowd.jobs);
        n_calls = 0;
        crowd.start = clock();
        return crowd;
}

static void crowd_free(struct crowd *crowd)
{
        assert_true((clock() - crowd->start) / CLOCKS_PER_SEC < CROWD_SECONDS_MAX);
        locks_free(crowd->locks);
        free(crowd->jobs);
}

static void a_crowd_beside_each_other_all_hold(void **state)
{
        struct crowd crowd = crowd_new();

        for (unsigned i = 0; i < N_CROWD; i++)
                assert_true(request_one(crowd.locks, &crowd.jobs[i], i, writing("a", 8 * i, 8 * i + 8)));
        for (unsigned i = 0; i < N_CROWD; i++)
                release(crowd.locks, &crowd.jobs[i]);
        crowd_free(&crowd);
}

static void a_crowd_for_one_range_goes_one_by_one_in_order(void **state)
{
        struct crowd crowd = crowd_new();

        for (unsigned i = 0; i < N_CROWD; i++)
                assert_int_equal(request_one(crowd.locks, &crowd.jobs[i], i, writing("a", 0, 8)), i == 0);
        for (unsigned i = 0; i < N_CROWD; i++) {
                assert_true(crowd.jobs[i].set.held);
                assert_int_equal(n_calls, i);
                release(crowd.locks, &crowd.jobs[i]);
        }
        crowd_free(&crowd);
}

static void a_crowd_of_overlapping_ranges_goes_in_order(void **state)
{
        struct crowd crowd = crowd_new();

        random_seed();
        for (unsigned i = 0; i < N_CROWD; i++)
                request_one(crowd.locks, &crowd.jobs[i], i,
                    writing("a", random_below(1u << 30), (1u << 30) + random_below(1u << 30)));
        /* every other one gives up while it waits */
        for (unsigned i = 1; i < N_CROWD; i += 2)
                release(crowd.locks, &crowd.jobs[i]);
        for (unsigned i = 0; i < N_CROWD; i += 2) {
                assert_true(crowd.jobs[i].set.held);
                release(crowd.locks, &crowd.jobs[i]);
        }
        crowd_free(&crowd);
}

static void a_crowd_behind_one_set_all_follow_it(void **state)
{
        struct crowd crowd = crowd_new();

        for (unsigned i = 0; i < N_CROWD; i++)
                assert_int_equal(request_one(crowd.locks, &crowd.jobs[i], i,
                                     writing("a", i == 0 ? 0 : 8 * i, i == 0 ? 8 * N_CROWD : 8 * i + 8)),
                    i == 0);
        release(crowd.locks, &crowd.jobs[0]);
        assert_int_equal(n_calls, N_CROWD - 1);
        for (unsigned i = N_CROWD - 1; i > 0; i--)
                release(crowd.locks, &crowd.jobs[i]);
        crowd_free(&crowd);
}

static void a_crowd_whose_owners_leave_when_called_needs_no_deep_stack(void **state)
{
        struct crowd crowd = crowd_new();

        for (unsigned i = 0; i < N_CROWD; i++)
                request_one(crowd.locks, &crowd.jobs[i], i, writing("a", 0, 8));
        for (unsigned i = 1; i < N_CROWD; i++)
                crowd.jobs[i].release_too = &crowd.jobs[i];
        release(crowd.locks, &crowd.jobs[0]);
        assert_int_equal(n_calls, N_CROWD - 1);
        crowd_free(&crowd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(ranges_conflict_over_common_bytes_unless_both_read),
            cmocka_unit_test(readers_share_and_a_writer_waits_its_turn),
            cmocka_unit_test(a_set_is_taken_whole_or_not_at_all),
            cmocka_unit_test(ranges_of_one_set_and_empty_keys_conflict_with_nothing),
            cmocka_unit_test(a_waiting_set_that_leaves_lets_others_pass),
            cmocka_unit_test(a_kept_range_stays_locked_and_the_rest_goes),
            cmocka_unit_test(a_set_released_between_its_grant_and_its_call_is_not_called),
            cmocka_unit_test(no_memory_for_a_table_is_said),
            cmocka_unit_test(at_random_it_is_like_the_model),
            cmocka_unit_test(a_crowd_beside_each_other_all_hold),
            cmocka_unit_test(a_crowd_for_one_range_goes_one_by_one_in_order),
            cmocka_unit_test(a_crowd_of_overlapping_ranges_goes_in_order),
            cmocka_unit_test(a_crowd_behind_one_set_all_follow_it),
            cmocka_unit_test(a_crowd_whose_owners_leave_when_called_needs_no_deep_stack),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
