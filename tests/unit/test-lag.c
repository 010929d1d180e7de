/* Lag: only a destination that the others really wait for is noticed.
 * links: kc_copy kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "copy/lag.h"

#define MS 1000000ull

static void one_that_blocks_most_of_a_period_is_lagging(void **state)
{
        struct lag lag;
        uint64_t lagging = 0, now_ns = 5 * MS;

        lag_init(&lag, now_ns);
        /* nine parts of ten everybody waits for destination 2 */
        for (unsigned i = 0; i < 10; i++) {
                lagging |= lag_update(&lag, 1ull << 2, now_ns);
                now_ns += 9 * MS;
                lagging |= lag_update(&lag, 0, now_ns);
                now_ns += 1 * MS;
        }
        assert_int_equal(lagging, 1ull << 2);
}

static void those_that_block_in_turn_are_not(void **state)
{
        struct lag lag;
        uint64_t now_ns = 0;

        lag_init(&lag, now_ns);
        for (unsigned i = 0; i < 300; i++) {
                assert_int_equal(lag_update(&lag, 1ull << (i % 3), now_ns), 0);
                now_ns += MS;
        }
}

static void it_is_said_once_when_half_a_period_is_certain(void **state)
{
        struct lag lag;

        lag_init(&lag, 0);
        assert_int_equal(lag_update(&lag, 1ull << 63, 0), 0);
        assert_int_equal(lag_update(&lag, 1ull << 63, LAG_PERIOD_NS / 2), 0);
        assert_int_equal(lag_update(&lag, 1ull << 63, LAG_PERIOD_NS / 2 + 1), 1ull << 63);
        assert_int_equal(lag_update(&lag, 0, LAG_PERIOD_NS), 0);
        /* the next period begins anew */
        assert_int_equal(lag_update(&lag, 0, 2 * LAG_PERIOD_NS), 0);
}

static void what_was_looked_at_late_is_judged_by_all_of_the_time(void **state)
{
        struct lag lag;

        lag_init(&lag, 0);
        lag_update(&lag, 1, LAG_PERIOD_NS);
        assert_int_equal(lag_update(&lag, 0, 2 * LAG_PERIOD_NS), 1);
        lag_update(&lag, 0, 3 * LAG_PERIOD_NS);
        lag_update(&lag, 1, 3 * LAG_PERIOD_NS);
        assert_int_equal(lag_update(&lag, 0, 3 * LAG_PERIOD_NS + LAG_PERIOD_NS / 2), 0);
        assert_int_equal(lag_update(&lag, 0, 5 * LAG_PERIOD_NS), 0);
}

static void several_may_lag_each_in_its_time(void **state)
{
        struct lag lag;

        lag_init(&lag, 0);
        lag_update(&lag, 1, 0);
        lag_update(&lag, 3, LAG_PERIOD_NS / 8);
        assert_int_equal(lag_update(&lag, 3, LAG_PERIOD_NS * 9 / 16), 1);
        assert_int_equal(lag_update(&lag, 3, LAG_PERIOD_NS * 11 / 16), 2);
}

static void several_may_be_lagging_together(void **state)
{
        struct lag lag;

        lag_init(&lag, 0);
        lag_update(&lag, 6, 0);
        assert_int_equal(lag_update(&lag, 0, LAG_PERIOD_NS), 6);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(one_that_blocks_most_of_a_period_is_lagging),
            cmocka_unit_test(those_that_block_in_turn_are_not),
            cmocka_unit_test(it_is_said_once_when_half_a_period_is_certain),
            cmocka_unit_test(what_was_looked_at_late_is_judged_by_all_of_the_time),
            cmocka_unit_test(several_may_lag_each_in_its_time),
            cmocka_unit_test(several_may_be_lagging_together),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
