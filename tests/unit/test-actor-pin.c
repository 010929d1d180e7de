/* The libuv actor on a processor of its own, and which one each lane is given.
 * links: kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpus.h"
#include "unit/actor-fixture.h"

static cpu_set_t mine(void)
{
        cpu_set_t set;

        assert_int_equal(pthread_getaffinity_np(pthread_self(), sizeof set, &set), 0);
        return set;
}

static int last_of(const cpu_set_t *set)
{
        int last = -1;

        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET((size_t)cpu, set))
                        last = cpu;
        return last;
}

static void assert_on(int cpu)
{
        cpu_set_t now = mine();

        assert_int_equal(CPU_COUNT(&now), 1);
        assert_true(CPU_ISSET((size_t)cpu, &now));
        assert_int_equal(sched_getcpu(), cpu);
}

static void assert_same(const cpu_set_t *before)
{
        cpu_set_t now = mine();

        assert_true(CPU_EQUAL(&now, before));
}

static void test_pinned_until_the_last_unpin(void **state)
{
        struct fixture fixture;
        cpu_set_t before = mine();
        int cpu = last_of(&before);

        fixture_init(&fixture);
        kc_actor_uv_own_cpu(&fixture.actor, cpu);
        assert_same(&before);
        kc_actor_pin(&fixture.actor.actor);
        assert_on(cpu);
        kc_actor_pin(&fixture.actor.actor);
        kc_actor_unpin(&fixture.actor.actor);
        assert_on(cpu);
        kc_actor_unpin(&fixture.actor.actor);
        assert_same(&before);
        fixture_done(&fixture);
}

static void test_no_processor_no_pin(void **state)
{
        cpu_set_t before = mine();

        for (int cpu = -1; cpu < CPU_SETSIZE; cpu += CPU_SETSIZE) { /* none, and one that is not there */
                struct fixture fixture;

                fixture_init(&fixture);
                kc_actor_uv_own_cpu(&fixture.actor, cpu);
                kc_actor_pin(&fixture.actor.actor);
                assert_same(&before);
                kc_actor_unpin(&fixture.actor.actor);
                assert_same(&before);
                fixture_done(&fixture);
        }
}

static void test_each_lane_another_processor(void **state)
{
        struct cpus cpus = {.n = 3, .first = 5};

        CPU_SET(2, &cpus.allowed);
        CPU_SET(5, &cpus.allowed);
        CPU_SET(700, &cpus.allowed);
        assert_int_equal(cpus_pick(&cpus, 0, 3), 5);
        assert_int_equal(cpus_pick(&cpus, 1, 3), 700);
        assert_int_equal(cpus_pick(&cpus, 2, 3), 2);
        assert_int_equal(cpus_pick(&cpus, 0, 4), -1);
        cpus.first = -1; /* not known */
        assert_int_equal(cpus_pick(&cpus, 0, 2), 2);
        cpus_read(&cpus);
        assert_true(cpus.n >= 1);
        assert_true(CPU_ISSET((size_t)cpus.first, &cpus.allowed));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_pinned_until_the_last_unpin),
            cmocka_unit_test(test_no_processor_no_pin),
            cmocka_unit_test(test_each_lane_another_processor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
