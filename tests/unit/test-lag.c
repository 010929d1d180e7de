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

static void nothing_is_said_before_a_period_is_over(void **state)
{
        struct lag lag;

        lag_init(&lag, 0);
        assert_int_equal(lag_update(&lag, 1ull << 63, 0), 0);
        assert_int_equal(lag_update(&lag, 1ull << 63, LAG_PERIOD_NS - 1), 0);
        assert_int_equal(lag_update(&lag, 0, LAG_PERIOD_NS), 1ull << 63);
        /* the next period begins anew */
        assert_int_equal(lag_update(&lag, 0, 2 * LAG_PERIOD_NS), 0);
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
            cmocka_unit_test(nothing_is_said_before_a_period_is_over),
            cmocka_unit_test(several_may_be_lagging_together),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
