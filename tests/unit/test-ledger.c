/* The ledger: fates of ranges, sums that add up, copies, gaps; compared with a map of single bytes.
 * links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "copy/ledger.h"
#include "lib/alloc_faults.h"
#include "lib/random.h"

#define NO_FATE 255

static void assert_sums(const struct ledger *ledger, uint64_t copied, uint64_t zeroed, uint64_t skipped,
    uint64_t indeterminate, uint64_t untouched)
{
        assert_int_equal(ledger_sum(ledger, LEDGER_COPIED), copied);
        assert_int_equal(ledger_sum(ledger, LEDGER_ZEROED), zeroed);
        assert_int_equal(ledger_sum(ledger, LEDGER_SKIPPED), skipped);
        assert_int_equal(ledger_sum(ledger, LEDGER_INDETERMINATE), indeterminate);
        assert_int_equal(ledger_sum(ledger, LEDGER_UNTOUCHED), untouched);
}

static void put_out_of_order_folds_when_the_gap_closes(void **state)
{
        struct ledger ledger;

        ledger_init(&ledger, 1000);
        assert_int_equal(ledger_put(&ledger, 300, 400, LEDGER_COPIED), 0);
        assert_int_equal(ledger_put(&ledger, 100, 200, LEDGER_ZEROED), 0);
        assert_int_equal(ledger_put(&ledger, 500, 500, LEDGER_ZEROED), 0);
        assert_int_equal(ledger.n_ranges, 2);
        assert_int_equal(ledger.mark_bytes, 0);
        assert_int_equal(ledger_put(&ledger, 0, 100, LEDGER_COPIED), 0);
        assert_int_equal(ledger.mark_bytes, 200);
        assert_int_equal(ledger.n_ranges, 1);
        assert_sums(&ledger, 200, 100, 0, 0, 700);
        assert_int_equal(ledger_put(&ledger, 200, 300, LEDGER_SKIPPED), 0);
        assert_int_equal(ledger.mark_bytes, 400);
        assert_int_equal(ledger.n_ranges, 0);
        assert_false(ledger_full(&ledger));
        assert_int_equal(ledger_put(&ledger, 400, 1000, LEDGER_UNTOUCHED), 0);
        assert_true(ledger_full(&ledger));
        assert_sums(&ledger, 200, 100, 100, 0, 600);
        ledger_done(&ledger);
}

static void equal_neighbours_are_one_range(void **state)
{
        struct ledger ledger;

        ledger_init(&ledger, 1000);
        assert_int_equal(ledger_put(&ledger, 100, 200, LEDGER_COPIED), 0);
        assert_int_equal(ledger_put(&ledger, 300, 400, LEDGER_COPIED), 0);
        assert_int_equal(ledger.n_ranges, 2);
        assert_int_equal(ledger_put(&ledger, 200, 300, LEDGER_COPIED), 0);
        assert_int_equal(ledger.n_ranges, 1);
        assert_int_equal(ledger_put(&ledger, 400, 500, LEDGER_COPIED), 0);
        assert_int_equal(ledger_put(&ledger, 50, 100, LEDGER_COPIED), 0);
        assert_int_equal(ledger.n_ranges, 1);
        assert_int_equal(ledger_put(&ledger, 500, 600, LEDGER_ZEROED), 0);
        assert_int_equal(ledger.n_ranges, 2);
        ledger_done(&ledger);
}

static void a_copy_is_the_same_and_its_own(void **state)
{
        struct ledger ledger, copy;

        ledger_init(&ledger, 1000);
        ledger_init(&copy, 1000);
        assert_int_equal(ledger_put(&copy, 500, 600, LEDGER_COPIED), 0); /* is replaced */
        assert_int_equal(ledger_put(&ledger, 0, 100, LEDGER_COPIED), 0);
        assert_int_equal(ledger_copy(&copy, &ledger), 0);
        assert_int_equal(copy.n_ranges, 0);
        assert_int_equal(ledger_put(&ledger, 200, 300, LEDGER_ZEROED), 0);
        alloc_fail_at = 1;
        assert_int_equal(ledger_copy(&copy, &ledger), -ENOMEM);
        assert_sums(&copy, 100, 0, 0, 0, 900);
        assert_int_equal(ledger_copy(&copy, &ledger), 0);
        assert_int_equal(ledger_put(&ledger, 100, 200, LEDGER_COPIED), 0);
        assert_sums(&ledger, 200, 100, 0, 0, 700);
        assert_sums(&copy, 100, 100, 0, 0, 800);
        assert_int_equal(ledger_put(&copy, 400, 500, LEDGER_COPIED), 0); /* it has room for more */
        assert_int_equal(copy.n_ranges, 2);
        ledger_done(&copy);
        ledger_done(&ledger);
}

static void a_settled_one_is_full(void **state)
{
        const uint64_t sums_bytes[LEDGER_N_FATES] = {400, 300, 200, 60, 40};
        struct ledger ledger;

        ledger_init(&ledger, 1000);
        assert_int_equal(ledger_put(&ledger, 200, 300, LEDGER_ZEROED), 0);
        ledger_settle(&ledger, sums_bytes);
        assert_true(ledger_full(&ledger));
        assert_sums(&ledger, 400, 300, 200, 60, 40);
        ledger_done(&ledger);
}

static void gaps_are_found_from_anywhere(void **state)
{
        struct ledger ledger;
        uint64_t start_bytes = 1, end_bytes = 2;

        ledger_init(&ledger, 1000);
        assert_int_equal(ledger_put(&ledger, 0, 100, LEDGER_COPIED), 0);
        assert_int_equal(ledger_put(&ledger, 200, 300, LEDGER_COPIED), 0);
        assert_int_equal(ledger_put(&ledger, 300, 400, LEDGER_ZEROED), 0);
        assert_true(ledger_gap(&ledger, 0, &start_bytes, &end_bytes));
        assert_int_equal(start_bytes, 100);
        assert_int_equal(end_bytes, 200);
        assert_true(ledger_gap(&ledger, 250, &start_bytes, &end_bytes));
        assert_int_equal(start_bytes, 400);
        assert_int_equal(end_bytes, 1000);
        assert_int_equal(ledger_put(&ledger, 400, 1000, LEDGER_COPIED), 0);
        assert_false(ledger_gap(&ledger, 250, &start_bytes, &end_bytes));
        assert_int_equal(start_bytes, 400);
        assert_false(ledger_gap(&ledger, 1000, &start_bytes, &end_bytes));
        ledger_done(&ledger);
}

static void a_failed_allocation_changes_nothing(void **state)
{
        struct ledger ledger;

        ledger_init(&ledger, 1000);
        alloc_fail_at = 1;
        assert_int_equal(ledger_put(&ledger, 10, 20, LEDGER_COPIED), -ENOMEM);
        assert_sums(&ledger, 0, 0, 0, 0, 1000);
        for (unsigned i = 1; i <= 8; i++)
                assert_int_equal(ledger_put(&ledger, i * 100, i * 100 + 10, LEDGER_COPIED), 0);
        alloc_fail_at = 1;
        assert_int_equal(ledger_put(&ledger, 50, 60, LEDGER_ZEROED), -ENOMEM);
        assert_int_equal(ledger.n_ranges, 8);
        assert_sums(&ledger, 80, 0, 0, 0, 920);
        ledger_done(&ledger);
}

#define MAP_BYTES 160u

static void assert_like_map(const struct ledger *ledger, const unsigned char *map)
{
        uint64_t sums_bytes[LEDGER_N_FATES] = {0}, start_bytes = 0, end_bytes = 0;
        unsigned from = random_below(MAP_BYTES + 1);
        unsigned gap = from, gap_end;

        for (unsigned i = 0; i < MAP_BYTES; i++)
                sums_bytes[map[i] == NO_FATE ? LEDGER_UNTOUCHED : map[i]]++;
        for (unsigned fate = 0; fate < LEDGER_N_FATES; fate++)
                assert_int_equal(ledger_sum(ledger, fate), sums_bytes[fate]);
        start_bytes = 0;
        for (unsigned i = 0; i < MAP_BYTES; i++)
                start_bytes += map[i] == NO_FATE;
        assert_int_equal(ledger_undecided(ledger), start_bytes);
        while (gap < MAP_BYTES && map[gap] != NO_FATE)
                gap++;
        for (gap_end = gap; gap_end < MAP_BYTES && map[gap_end] == NO_FATE;)
                gap_end++;
        assert_int_equal(ledger_gap(ledger, from, &start_bytes, &end_bytes), gap < MAP_BYTES);
        if (gap < MAP_BYTES) {
                assert_int_equal(start_bytes, gap);
                assert_int_equal(end_bytes, gap_end);
        }
        assert_int_equal(ledger_full(ledger), memchr(map, NO_FATE, MAP_BYTES) == NULL);
        for (unsigned i = 0; i < ledger->n_ranges; i++) {
                const struct ledger_range *range = &ledger->ranges[i];

                assert_true(range->start_bytes < range->end_bytes && range->start_bytes > ledger->mark_bytes);
                if (i == 0)
                        continue;
                assert_true(range[-1].end_bytes <= range->start_bytes);
                /* merged as far as can be */
                assert_true(range[-1].end_bytes < range->start_bytes || range[-1].fate != range->fate);
        }
}

static void a_random_ledger_is_like_a_map_of_bytes(void **state)
{
        random_seed();
        for (unsigned round = 0; round < 400; round++) {
                unsigned char map[MAP_BYTES];
                struct ledger ledger, copy;

                memset(map, NO_FATE, sizeof(map));
                ledger_init(&ledger, MAP_BYTES);
                ledger_init(&copy, MAP_BYTES);
                for (unsigned step = 0; step < 80; step++) {
                        unsigned start = random_below(MAP_BYTES), end = start;
                        unsigned most = 1 + random_below(20);
                        enum ledger_fate fate = (enum ledger_fate)random_below(LEDGER_N_FATES);

                        while (end < MAP_BYTES && end - start < most && map[end] == NO_FATE)
                                end++;
                        assert_int_equal(ledger_put(&ledger, start, end, fate), 0);
                        memset(map + start, (int)fate, end - start);
                        if (random_below(20) == 0) { /* a copy is as good */
                                assert_int_equal(ledger_copy(&copy, &ledger), 0);
                                ledger_done(&ledger);
                                ledger = copy;
                                ledger_init(&copy, MAP_BYTES);
                        }
                        assert_like_map(&ledger, map);
                }
                ledger_done(&ledger);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(put_out_of_order_folds_when_the_gap_closes),
            cmocka_unit_test(equal_neighbours_are_one_range),
            cmocka_unit_test(a_copy_is_the_same_and_its_own),
            cmocka_unit_test(a_settled_one_is_full),
            cmocka_unit_test(gaps_are_found_from_anywhere),
            cmocka_unit_test(a_failed_allocation_changes_nothing),
            cmocka_unit_test(a_random_ledger_is_like_a_map_of_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
