/* The timer heap: deadlines first, then the order of starting, whatever is stopped or restarted meanwhile.
 * links: kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/timer.h"

#define N_TIMERS 200

struct alarm {
        struct kc_timer timer;
        unsigned index;
};

static unsigned fired[4 * N_TIMERS], n_fired;

static void on_alarm(struct kc_timer *timer)
{
        assert_false(timer->armed);
        fired[n_fired++] = kc_container_of(timer, struct alarm, timer)->index;
}

static void init_alarms(struct alarm *alarms, unsigned n)
{
        n_fired = 0;
        for (unsigned i = 0; i < n; i++) {
                kc_timer_init(&alarms[i].timer, on_alarm);
                alarms[i].index = i;
        }
}

static void test_fires_what_is_due_in_order(void **state)
{
        struct kc_timer_heap heap = {0};
        struct alarm alarms[4];

        init_alarms(alarms, 4);
        assert_true(kc_timer_next_ns(&heap) == UINT64_MAX);
        kc_timer_start(&heap, &alarms[0].timer, 30);
        kc_timer_start(&heap, &alarms[1].timer, 10);
        kc_timer_start(&heap, &alarms[2].timer, 40);
        kc_timer_start(&heap, &alarms[3].timer, 20);
        assert_int_equal(kc_timer_next_ns(&heap), 10);
        kc_timer_run(&heap, 9);
        assert_int_equal(n_fired, 0);
        kc_timer_run(&heap, 30); /* at its deadline a timer is due */
        assert_int_equal(n_fired, 3);
        assert_memory_equal(fired, ((unsigned[]){1, 3, 0}), sizeof(unsigned) * 3);
        assert_int_equal(kc_timer_next_ns(&heap), 40);
        kc_timer_run(&heap, UINT64_MAX);
        assert_int_equal(fired[3], 2);
        assert_true(kc_timer_next_ns(&heap) == UINT64_MAX);
}

static void test_equal_deadlines_fire_in_the_order_of_starting(void **state)
{
        static struct alarm alarms[N_TIMERS];
        struct kc_timer_heap heap = {0};

        init_alarms(alarms, N_TIMERS);
        for (unsigned i = 0; i < N_TIMERS; i++)
                kc_timer_start(&heap, &alarms[i].timer, 5);
        kc_timer_start(&heap, &alarms[0].timer, 5); /* started again: now the last */
        kc_timer_run(&heap, 5);
        assert_int_equal(n_fired, N_TIMERS);
        for (unsigned i = 0; i < N_TIMERS; i++)
                assert_int_equal(fired[i], (i + 1) % N_TIMERS);
}

static void test_start_and_stop_tell_when_the_earliest_deadline_moves(void **state)
{
        struct kc_timer_heap heap = {0};
        struct alarm alarms[3];

        init_alarms(alarms, 3);
        assert_true(kc_timer_start(&heap, &alarms[0].timer, 20));
        assert_false(kc_timer_start(&heap, &alarms[1].timer, 30));
        assert_true(kc_timer_start(&heap, &alarms[2].timer, 10));
        assert_true(kc_timer_start(&heap, &alarms[2].timer, 25)); /* restarted for later */
        assert_false(kc_timer_start(&heap, &alarms[1].timer, 20));
        assert_false(kc_timer_stop(&heap, &alarms[0].timer)); /* another has the same deadline */
        assert_true(kc_timer_stop(&heap, &alarms[1].timer));
        assert_false(kc_timer_stop(&heap, &alarms[1].timer)); /* stopped already */
        assert_int_equal(kc_timer_next_ns(&heap), 25);
        assert_true(kc_timer_stop(&heap, &alarms[2].timer));
        kc_timer_run(&heap, UINT64_MAX);
        assert_int_equal(n_fired, 0);
}

static struct kc_timer_heap shared_heap;
static struct alarm victim;

static void on_repeat(struct kc_timer *timer)
{
        on_alarm(timer);
        kc_timer_start(&shared_heap, timer, timer->deadline_ns + 10);
}

static void on_stop_the_victim(struct kc_timer *timer)
{
        on_alarm(timer);
        assert_false(kc_timer_stop(&shared_heap, &victim.timer));
}

static void on_free(struct kc_timer *timer)
{
        n_fired++;
        free(timer);
}

static void test_a_callback_may_restart_stop_and_free(void **state)
{
        struct kc_timer *gone = malloc(sizeof(*gone));
        struct alarm repeat = {.index = 1}, stopper = {.index = 2};

        assert_non_null(gone);
        n_fired = 0;
        kc_timer_init(&repeat.timer, on_repeat);
        kc_timer_init(&stopper.timer, on_stop_the_victim);
        kc_timer_init(&victim.timer, on_alarm);
        kc_timer_init(gone, on_free);
        kc_timer_start(&shared_heap, &stopper.timer, 5);
        kc_timer_start(&shared_heap, &victim.timer, 50); /* due in the same run as what stops it */
        kc_timer_start(&shared_heap, &repeat.timer, 10);
        kc_timer_start(&shared_heap, gone, 12);
        kc_timer_run(&shared_heap, 55);
        /* the stopper, the freed one, and the repeater at 10, 20, 30, 40, 50 */
        assert_int_equal(n_fired, 7);
        assert_int_equal(kc_timer_next_ns(&shared_heap), 60);
        kc_timer_stop(&shared_heap, &repeat.timer);
}

static int by_deadline_and_order(const void *a, const void *b)
{
        const struct alarm *left = *(struct alarm *const *)a, *right = *(struct alarm *const *)b;

        if (left->timer.deadline_ns != right->timer.deadline_ns)
                return left->timer.deadline_ns < right->timer.deadline_ns ? -1 : 1;
        return left->timer.order < right->timer.order ? -1 : 1;
}

static void test_agrees_with_a_sorted_list_under_random_use(void **state)
{
        static struct alarm alarms[N_TIMERS];
        struct alarm *sorted[N_TIMERS];
        struct kc_timer_heap heap = {0};
        unsigned seed = 12345;
        uint64_t now = 0;

        init_alarms(alarms, N_TIMERS);
        for (unsigned round = 0; round < 500; round++) {
                unsigned n_sorted = 0, n_due = 0;

                for (unsigned i = 0; i < 40; i++) {
                        struct alarm *alarm = &alarms[(unsigned)rand_r(&seed) % N_TIMERS];

                        if (rand_r(&seed) % 3 == 0)
                                kc_timer_stop(&heap, &alarm->timer);
                        else
                                kc_timer_start(&heap, &alarm->timer, now + (unsigned)rand_r(&seed) % 100);
                }
                for (unsigned i = 0; i < N_TIMERS; i++) {
                        if (alarms[i].timer.armed)
                                sorted[n_sorted++] = &alarms[i];
                }
                qsort(sorted, n_sorted, sizeof(sorted[0]), by_deadline_and_order);
                assert_true(
                    kc_timer_next_ns(&heap) == (n_sorted > 0 ? sorted[0]->timer.deadline_ns : UINT64_MAX));
                now += (unsigned)rand_r(&seed) % 20;
                while (n_due < n_sorted && sorted[n_due]->timer.deadline_ns <= now)
                        n_due++;
                n_fired = 0;
                kc_timer_run(&heap, now);
                assert_int_equal(n_fired, n_due);
                for (unsigned i = 0; i < n_due; i++)
                        assert_int_equal(fired[i], sorted[i]->index);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_fires_what_is_due_in_order),
            cmocka_unit_test(test_equal_deadlines_fire_in_the_order_of_starting),
            cmocka_unit_test(test_start_and_stop_tell_when_the_earliest_deadline_moves),
            cmocka_unit_test(test_a_callback_may_restart_stop_and_free),
            cmocka_unit_test(test_agrees_with_a_sorted_list_under_random_use),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
