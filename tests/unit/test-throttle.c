/* The token bucket: the rate is kept to the byte over time, and no wait is longer or shorter than it says.
 * links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "copy/throttle.h"

#define S_NS 1000000000ull

/* Send chunks as fast as the throttle lets them, each at the moment it named, until `end_ns`. */
static uint64_t send_until(struct throttle *throttle, uint64_t *now_ns, uint64_t end_ns, uint64_t chunk_bytes)
{
        uint64_t sent_bytes = 0;

        while (*now_ns < end_ns) {
                uint64_t wait_ns = throttle_wait_ns(throttle, *now_ns);

                if (wait_ns == 0) {
                        throttle_take(throttle, chunk_bytes);
                        sent_bytes += chunk_bytes;
                } else {
                        /* not a nanosecond too early */
                        assert_true(throttle_wait_ns(throttle, *now_ns + wait_ns - 1) > 0);
                        *now_ns += wait_ns;
                        assert_int_equal(throttle_wait_ns(throttle, *now_ns), 0);
                }
        }
        return sent_bytes;
}

static void test_rate_holds_over_time(void **state)
{
        static const uint64_t rates[] = {1, 7, 999, 1000003, 32u << 20, 3000000019ull};
        static const uint64_t chunks_bytes[] = {1, 512, 4096, 1u << 20};

        for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
                for (unsigned j = 0; j < sizeof(chunks_bytes) / sizeof(chunks_bytes[0]); j++) {
                        struct throttle throttle;
                        uint64_t start_ns = 123456789, now_ns = start_ns, sent_bytes, due_bytes, burst_bytes;
                        uint64_t seconds = 1 + 1000 * chunks_bytes[j] / rates[i];

                        throttle_init(&throttle, rates[i], 4096, start_ns);
                        burst_bytes = rates[i] / 10 > 4096 ? rates[i] / 10 : 4096;
                        if (seconds * rates[i] / chunks_bytes[j] > 2000000)
                                continue; /* a great many small chunks show nothing more */
                        sent_bytes =
                            send_until(&throttle, &now_ns, start_ns + seconds * S_NS, chunks_bytes[j]);
                        due_bytes = seconds * rates[i];
                        assert_true(sent_bytes <= due_bytes + burst_bytes + chunks_bytes[j]);
                        assert_true(sent_bytes + chunks_bytes[j] >= due_bytes);
                }
        }
}

static void test_nothing_is_lost_to_rounding_however_often_it_is_asked(void **state)
{
        struct throttle throttle;
        uint64_t now_ns = 0;

        throttle_init(&throttle, 3, 1, now_ns);
        throttle_take(&throttle, 1 + 30); /* 30 bytes of debt: 10 s */
        for (now_ns = 0; now_ns < 10 * S_NS; now_ns += 99991)
                assert_true(throttle_wait_ns(&throttle, now_ns) > 0);
        assert_int_equal(throttle_wait_ns(&throttle, 10 * S_NS + S_NS / 3 + 1), 0);
}

static void test_no_rate_is_no_limit(void **state)
{
        struct throttle throttle;

        throttle_init(&throttle, 0, 4096, 5);
        for (unsigned i = 0; i < 100; i++) {
                throttle_take(&throttle, UINT64_MAX);
                assert_int_equal(throttle_wait_ns(&throttle, 5), 0);
        }
}

static void test_a_chunk_larger_than_the_burst_passes_and_is_paid_for(void **state)
{
        struct throttle throttle;

        throttle_init(&throttle, 1000000, 4096, 0); /* burst: 100,000 */
        assert_int_equal(throttle_wait_ns(&throttle, 0), 0);
        throttle_take(&throttle, 1100000);
        assert_int_equal(throttle_wait_ns(&throttle, 0), S_NS + 1000); /* a second, and one byte more */
        assert_int_equal(throttle_wait_ns(&throttle, S_NS), 1000);
        assert_int_equal(throttle_wait_ns(&throttle, S_NS + 1000), 0);
}

static void test_idle_time_is_saved_up_to_the_burst_only(void **state)
{
        struct throttle throttle;
        uint64_t now_ns = 3600 * S_NS, sent_bytes = 0;

        throttle_init(&throttle, 1000000, 4096, 0);
        while (throttle_wait_ns(&throttle, now_ns) == 0) {
                throttle_take(&throttle, 1000);
                sent_bytes += 1000;
        }
        assert_int_equal(sent_bytes, 100000);

        throttle_init(&throttle, 10, 4096, 0); /* the smallest burst wins over 100 ms' worth */
        assert_int_equal(throttle.burst_bytes, 4096);
}

static void test_a_clock_that_stands_or_goes_back_gives_nothing(void **state)
{
        struct throttle throttle;

        throttle_init(&throttle, 1000, 1, 10 * S_NS);
        throttle_take(&throttle, 100 + 999);
        assert_int_equal(throttle_wait_ns(&throttle, 10 * S_NS), S_NS);
        assert_int_equal(throttle_wait_ns(&throttle, 9 * S_NS), S_NS);
        assert_int_equal(throttle_wait_ns(&throttle, 11 * S_NS), 0);
}

static void test_extreme_numbers_do_not_overflow(void **state)
{
        struct throttle throttle;

        throttle_init(&throttle, UINT64_MAX, UINT64_MAX, 0);
        assert_int_equal(throttle_wait_ns(&throttle, UINT64_MAX), 0);
        throttle_take(&throttle, UINT64_MAX);
        throttle_take(&throttle, UINT64_MAX);
        assert_true(throttle_wait_ns(&throttle, 0) > 0);

        throttle_init(&throttle, 1, 1, 0);
        throttle_take(&throttle, UINT64_MAX);
        assert_true(throttle_wait_ns(&throttle, 0) == 1ull << 62);

        throttle_init(&throttle, 1, 0, 0); /* a bucket holds a byte at least, or nothing would ever go */
        assert_int_equal(throttle_wait_ns(&throttle, 0), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_rate_holds_over_time),
            cmocka_unit_test(test_nothing_is_lost_to_rounding_however_often_it_is_asked),
            cmocka_unit_test(test_no_rate_is_no_limit),
            cmocka_unit_test(test_a_chunk_larger_than_the_burst_passes_and_is_paid_for),
            cmocka_unit_test(test_idle_time_is_saved_up_to_the_burst_only),
            cmocka_unit_test(test_a_clock_that_stands_or_goes_back_gives_nothing),
            cmocka_unit_test(test_extreme_numbers_do_not_overflow),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
