/* Lists of what could not be read: they stay short, and never say too little. links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "copy/bad_ranges.h"
#include "lib/random.h"

static void assert_is_list(const struct bad_ranges *bad)
{
        for (unsigned i = 0; i < bad->n; i++) {
                assert_true(bad->ranges[i].start_bytes < bad->ranges[i].end_bytes);
                assert_true(i == 0 || bad->ranges[i - 1].end_bytes < bad->ranges[i].start_bytes);
        }
}

static bool lists(const struct bad_ranges *bad, uint64_t at_bytes)
{
        for (unsigned i = 0; i < bad->n; i++)
                if (bad->ranges[i].start_bytes <= at_bytes && at_bytes < bad->ranges[i].end_bytes)
                        return true;
        return false;
}

/* Against a byte for each byte. */
static void what_is_added_in_any_order_is_listed(void **state)
{
        enum { LENGTH = 200 };

        random_seed();
        for (unsigned round = 0; round < 2000; round++) {
                struct bad_ranges bad = {0}, copy = {0};
                unsigned char is[LENGTH] = {0};

                for (unsigned i = 0; i < random_below(30); i++) {
                        unsigned start = random_below(LENGTH), end = start + 1 + random_below(12);

                        end = end < LENGTH ? end : LENGTH;
                        assert_int_equal(bad_ranges_add(&bad, start, end), 0);
                        memset(is + start, 1, end - start);
                        assert_is_list(&bad);
                        if (random_below(8) == 0)
                                assert_int_equal(bad_ranges_copy(&copy, &bad), 0);
                }
                assert_int_equal(bad_ranges_copy(&copy, &bad), 0);
                for (unsigned i = 0; i < LENGTH; i++)
                        assert_true(lists(&bad, i) == is[i] && lists(&copy, i) == is[i]);
                bad_ranges_done(&bad);
                bad_ranges_done(&copy);
        }
}

static void the_closest_are_joined_where_there_are_too_many(void **state)
{
        struct bad_ranges bad = {0};
        uint64_t at_bytes = 0, gap_bytes = 1 << 20;

        for (unsigned i = 0; i < BAD_RANGES_MAX; i++, at_bytes += gap_bytes)
                assert_int_equal(bad_ranges_add(&bad, at_bytes, at_bytes + 512), 0);
        assert_int_equal(bad.n, BAD_RANGES_MAX);
        /* near the third: these two become one */
        assert_int_equal(bad_ranges_add(&bad, 2 * gap_bytes + 4096, 2 * gap_bytes + 4608), 0);
        assert_int_equal(bad.n, BAD_RANGES_MAX);
        assert_is_list(&bad);
        assert_int_equal(bad.ranges[2].start_bytes, 2 * gap_bytes);
        assert_int_equal(bad.ranges[2].end_bytes, 2 * gap_bytes + 4608);
        assert_int_equal(bad.ranges[BAD_RANGES_MAX - 1].end_bytes, at_bytes - gap_bytes + 512);
        bad_ranges_done(&bad);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_added_in_any_order_is_listed),
            cmocka_unit_test(the_closest_are_joined_where_there_are_too_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
