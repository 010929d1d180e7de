/* The window on modelled devices: as deep as the delay asks for and no deeper, also when times are noisy.
 * links: kc_copy m */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "copy/window.h"

#define S_NS 1000000000.0
#define CHUNK_BYTES (256u << 10)

/* A device that serves one request after another at some speed, at the end of a line with some delay. */
struct device {
        double bytes_per_s, delay_ns; /* delay: there and back together */
        bool noisy; /* service times are exponential, and every hundredth request takes 20 times as long */
        unsigned seed;

        struct window window;
        double now_ns, free_ns; /* free: when the device has served all it was given */
        double sent_ns[WINDOW_MAX], done_ns[WINDOW_MAX]; /* a ring: the requests in flight, in order */
        unsigned first, in_flight, cap;
};

static double chance(struct device *device)
{
        return ((double)rand_r(&device->seed) + 0.5) / ((double)RAND_MAX + 1);
}

static void device_init(struct device *device, double bytes_per_s, double delay_ns)
{
        *device = (struct device){
            .bytes_per_s = bytes_per_s,
            .delay_ns = delay_ns,
            .cap = WINDOW_MAX,
            .seed = 1,
        };
        window_init(&device->window, WINDOW_ORDINARY, 0);
        device->window.may_leap = true;
}

static void submit(struct device *device)
{
        double service_ns = CHUNK_BYTES / device->bytes_per_s * S_NS;
        double start_ns = device->now_ns + device->delay_ns / 2;
        unsigned at;

        if (device->noisy) {
                service_ns *= -log(chance(device));
                if (chance(device) < 0.01)
                        service_ns *= 20;
                service_ns /= 1.19; /* the mean stays what it was */
        }
        if (start_ns < device->free_ns)
                start_ns = device->free_ns;
        device->free_ns = start_ns + service_ns;
        at = (device->first + device->in_flight++) % WINDOW_MAX;
        device->sent_ns[at] = device->now_ns;
        device->done_ns[at] = device->free_ns + device->delay_ns / 2;
}

/* Copy for so long; returns the rate as a part of the device's own. */
static double run(struct device *device, double duration_ns)
{
        double start_ns = device->now_ns;
        unsigned long n_done = 0;

        while (device->now_ns < start_ns + duration_ns) {
                unsigned room = device->window.chunks < device->cap ? device->window.chunks : device->cap;
                uint64_t took_ns;
                bool limited;

                while (device->in_flight < room)
                        submit(device);
                limited = device->in_flight >= device->window.chunks;
                if (device->done_ns[device->first] > device->now_ns)
                        device->now_ns = device->done_ns[device->first];
                took_ns = (uint64_t)(device->now_ns - device->sent_ns[device->first]);
                device->first = (device->first + 1) % WINDOW_MAX;
                device->in_flight--;
                n_done++;
                window_completed(&device->window, CHUNK_BYTES, took_ns, limited, (uint64_t)device->now_ns);
        }
        return (double)n_done * CHUNK_BYTES / ((device->now_ns - start_ns) / S_NS) / device->bytes_per_s;
}

static void test_without_delay_it_stays_shallow(void **state)
{
        struct device device;

        device_init(&device, 1e9, 0);
        assert_true(run(&device, S_NS) > 0.99);
        for (unsigned i = 0; i < 100; i++) {
                assert_true(run(&device, S_NS / 10) > 0.99);
                assert_true(device.window.chunks <= 4); /* the probes go no further */
        }
}

static void test_with_delay_it_goes_as_deep_as_pays(void **state)
{
        /* a rate of 1: bandwidth × delay is one of 1, 4, 38, 380 chunks */
        static const double delays_ns[] = {0.26e6, 1e6, 10e6, 100e6};

        for (unsigned i = 0; i < 4; i++) {
                struct device device;

                device_init(&device, 1e9, delays_ns[i]);
                run(&device, 40 * delays_ns[i] + S_NS / 10); /* it gets there soon: 2 → 512 is 8 steps */
                if (run(&device, S_NS) < 0.75)
                        fail_msg("delay %.1f ms: window %u", delays_ns[i] / 1e6, device.window.chunks);
                assert_true(run(&device, 60 * S_NS) > 0.75);
                assert_true(device.window.chunks <= 4 * (1 + (unsigned)(delays_ns[i] / 0.26e6)));
        }
}

static void test_a_long_way_is_filled_at_once(void **state)
{
        /* bandwidth × delay is 38 and 77 chunks; the first leap is from 2 to 16 */
        static const double delays_ns[] = {10e6, 20e6};

        for (unsigned i = 0; i < 2; i++) {
                struct device device;

                device_init(&device, 1e9, delays_ns[i]);
                run(&device, 1.1 * delays_ns[i]);
                assert_true(device.window.chunks >= 16);
                run(&device, 5 * delays_ns[i]);
                assert_true(device.window.chunks >= 32);
        }
}

static void test_others_in_the_way_do_not_make_it_leap(void **state)
{
        struct device device;

        device_init(&device, 1e9, 20e6);
        device.window.may_leap = false;
        run(&device, 60e6);
        assert_int_equal(device.window.chunks, WINDOW_START);
}

static void test_a_slow_device_is_not_taken_for_a_far_one(void **state)
{
        struct device device;

        device_init(&device, 20e6, 0); /* a chunk takes 13 ms */
        for (unsigned i = 0; i < 100; i++) {
                run(&device, S_NS / 20);
                assert_true(device.window.chunks <= 4);
        }
}

static void test_a_start_that_was_held_up_is_not_taken_for_a_long_way(void **state)
{
        struct device device;

        device_init(&device, 1e9, 0);
        device.free_ns = 20e6;
        run(&device, 20.3e6);
        assert_int_equal(device.window.chunks, WINDOW_START * WINDOW_LEAP_TIMES); /* it looks like one … */
        run(&device, 1e6);
        assert_int_equal(device.window.chunks, WINDOW_START); /* … until the next one is back */
        for (unsigned i = 0; i < 100; i++) {
                run(&device, S_NS / 100);
                assert_true(device.window.chunks <= 4);
        }
}

/* Come back all together, `delay_ns` after they left. */
static void complete_together(struct window *window, uint64_t *now_ns, uint64_t delay_ns)
{
        unsigned chunks = window->chunks;

        *now_ns += delay_ns;
        for (unsigned i = 0; i < chunks && window->chunks == chunks; i++)
                window_completed(window, CHUNK_BYTES, delay_ns, true, *now_ns);
}

static void test_only_a_leap_that_was_made_is_taken_back(void **state)
{
        struct window window;
        uint64_t now_ns = 0;

        window_init(&window, WINDOW_ORDINARY, now_ns);
        window.may_leap = true;
        while (window.chunks <= WINDOW_MAX / WINDOW_LEAP_TIMES)
                complete_together(&window, &now_ns, 100000000);
        complete_together(&window, &now_ns, 100000000); /* it pays, and there is no room for another one */
        assert_int_equal(window.chunks, WINDOW_MAX);
        window_completed(&window, CHUNK_BYTES, 1000000, true, now_ns + 1000000);
        assert_int_equal(window.chunks, WINDOW_MAX);
}

static void test_what_was_before_the_first_chunk_does_not_count(void **state)
{
        struct window window;
        uint64_t now_ns = 0;

        window_init(&window, WINDOW_ORDINARY, now_ns);
        window.may_leap = true;
        window_begins(&window, now_ns += 50000000);
        for (unsigned i = 0; i < WINDOW_START; i++)
                window_completed(&window, CHUNK_BYTES, 1000000, true, now_ns += 1000000);
        assert_int_equal(window.chunks, WINDOW_START); /* no leap */
        while (window.rate_before == 0) {
                window_begins(&window, now_ns); /* in the middle of a round it changes nothing */
                window_completed(&window, CHUNK_BYTES, 1000000, true, now_ns += 1000000);
                assert_true(now_ns < 200000000);
        }
        assert_in_range(window.rate_before, CHUNK_BYTES * 999ull, CHUNK_BYTES * 1001ull);
}

static void test_it_follows_a_delay_that_comes_and_goes(void **state)
{
        struct device device;

        device_init(&device, 1e9, 0);
        run(&device, S_NS);
        device.delay_ns = 10e6;
        run(&device, 10 * S_NS);
        assert_true(run(&device, S_NS) > 0.75);
        assert_true(device.window.chunks >= 32);
        device.delay_ns = 0;
        run(&device, 10 * S_NS);
        assert_true(run(&device, S_NS) > 0.99);
        assert_true(device.window.chunks <= 4);
}

/* Where one fills it, one at a time, and trials are seldom; where it takes more, more. */
static void test_large_chunks_go_one_by_one_where_that_is_enough(void **state)
{
        struct device device;

        device_init(&device, 1e9, 0);
        window_init(&device.window, WINDOW_LARGE, 0);
        assert_int_equal(device.window.chunks, WINDOW_START); /* to see whether the way is long */
        run(&device, S_NS / 20);
        for (unsigned i = 0; i < 75; i++) { /* a copy is over before the first trial */
                run(&device, S_NS / 100);
                assert_int_equal(device.window.chunks, 1);
        }
        run(&device, 10 * S_NS);
        device.delay_ns = 10e6;
        run(&device, 10 * S_NS);
        assert_true(run(&device, S_NS) > 0.75);
        device.delay_ns = 0;
        run(&device, 20 * S_NS);
        assert_true(device.window.chunks <= 2);
}

/* From all beginnings, for 1 GB/s and 100 MB/s: it gets to where the rate is, and stays within a factor. */
static void test_from_any_start_it_comes_to_rest_near_bandwidth_times_delay(void **state)
{
        static const double delays_ns[] = {0, 2e6, 20e6, 100e6}; /* there and back */
        static const double rates[] = {1e9, 1e8};
        static const enum window_kind kinds[] = {WINDOW_ORDINARY, WINDOW_DEEP, WINDOW_LARGE};

        for (unsigned i = 0; i < 4 * 2 * 3; i++) {
                double delay_ns = delays_ns[i / 6], bytes_per_s = rates[i / 3 % 2];
                double fit = 1 + delay_ns / S_NS * bytes_per_s / CHUNK_BYTES;
                struct device device;

                device_init(&device, bytes_per_s, delay_ns);
                window_init(&device.window, kinds[i % 3], 0);
                device.window.may_leap = true;
                run(&device, 20 * S_NS);
                for (unsigned j = 0; j < 200; j++) {
                        double rate = run(&device, S_NS / 2);

                        if (rate < 0.6 || device.window.chunks > 4 * fit + 4)
                                fail_msg("delay %.0f ms, %.0f MB/s, kind %u: window %u for %.0f, rate %.2f",
                                    delay_ns / 1e6, bytes_per_s / 1e6, kinds[i % 3], device.window.chunks,
                                    fit, rate);
                }
        }
}

static void test_it_follows_a_bandwidth_that_falls_to_a_tenth_and_comes_back(void **state)
{
        struct device device;
        unsigned before;

        device_init(&device, 1e9, 20e6);
        run(&device, 10 * S_NS);
        assert_true(run(&device, S_NS) > 0.75);
        before = device.window.chunks;
        device.bytes_per_s = 1e8;
        run(&device, 60 * S_NS);
        assert_true(run(&device, S_NS) > 0.75);
        assert_true(device.window.chunks <= before / 2);
        device.bytes_per_s = 1e9;
        run(&device, 60 * S_NS);
        assert_true(run(&device, S_NS) > 0.75);
}

static void test_noise_neither_stops_it_short_nor_drives_it_up(void **state)
{
        unsigned n_deep = 0, n_slow = 0;

        for (unsigned seed = 1; seed <= 50; seed++) {
                struct device near, far;
                double rate;

                device_init(&near, 1e9, 0);
                near.noisy = true;
                near.seed = seed;
                run(&near, 20 * S_NS);
                n_deep += near.window.chunks > 16;

                device_init(&far, 1e9, 10e6);
                far.noisy = true;
                far.seed = seed;
                run(&far, 2 * S_NS);
                rate = run(&far, 20 * S_NS);
                n_slow += rate < 0.6;
        }
        if (n_deep > 3 || n_slow > 3)
                fail_msg("of 50: %u too deep, %u too slow", n_deep, n_slow);
}

static void test_a_round_that_something_else_limited_teaches_nothing(void **state)
{
        struct window window;
        uint64_t now_ns = 0;

        window_init(&window, WINDOW_ORDINARY, 0);
        for (unsigned i = 1; i < 10000; i++) { /* ever faster, but not for the window's sake */
                window_completed(&window, (uint64_t)CHUNK_BYTES * i, 1000000, i % 2 == 0, now_ns += 1000000);
                assert_int_equal(window.chunks, WINDOW_START);
        }
}

/* Complete what was under way before the last change, then a round of chunks of this size, far enough away
 * for trials to come soon. */
static void complete_round(struct window *window, uint64_t *now_ns, uint64_t bytes)
{
        unsigned n = window->chunks > WINDOW_ROUND_MIN_CHUNKS ? window->chunks : WINDOW_ROUND_MIN_CHUNKS;

        while (window->settle > 0)
                window_completed(window, 1, WINDOW_NEAR_NS, true, *now_ns += WINDOW_NEAR_NS);
        while (n-- > 0)
                window_completed(window, bytes, WINDOW_NEAR_NS, true, *now_ns += WINDOW_NEAR_NS);
}

static void complete_rounds(
    struct window *window, uint64_t *now_ns, uint64_t bytes, unsigned n, unsigned chunks)
{
        while (n-- > 0) {
                assert_int_equal(window->chunks, chunks);
                complete_round(window, now_ns, bytes);
        }
}

static void test_a_trial_has_two_rounds(void **state)
{
        struct window window;
        uint64_t now_ns = 0;

        window_init(&window, WINDOW_ORDINARY, now_ns);
        complete_rounds(&window, &now_ns, 10, 1, 2); /* the first one is forgotten */
        complete_rounds(&window, &now_ns, 1000, WINDOW_PROBE_MIN_ROUNDS, 2);
        complete_rounds(&window, &now_ns, 1001, 1, 4); /* on trial */
        complete_rounds(&window, &now_ns, 1510, 1, 4);
        complete_rounds(&window, &now_ns, 2300, 1, 8); /* both together paid: on; this does not … */
        complete_rounds(&window, &now_ns, 1260, 1, 8); /* … even so */
        complete_rounds(&window, &now_ns, 1510, WINDOW_PROBE_MIN_ROUNDS, 4);
        complete_rounds(&window, &now_ns, 1200, 1, 2); /* a probe downwards comes first after one upwards */
        complete_rounds(&window, &now_ns, 1400, 1, 2); /* it costs too much, twice: back */
        complete_rounds(&window, &now_ns, 1510, 2 * WINDOW_PROBE_MIN_ROUNDS, 4); /* and wait for longer */
        complete_rounds(&window, &now_ns, 1550, 2, 8);
        complete_rounds(&window, &now_ns, 1510, 4 * WINDOW_PROBE_MIN_ROUNDS, 4);
        complete_rounds(&window, &now_ns, 1100, 1, 2); /* much too much: back at once */
        complete_rounds(&window, &now_ns, 1510, 1, 4);
}

static void test_a_slow_first_round_does_not_drive_it_up(void **state)
{
        struct window window;
        uint64_t now_ns = 0;

        window_init(&window, WINDOW_ORDINARY, now_ns);
        for (unsigned i = 0; i < 50; i++) /* everything was new: a third of what comes later */
                window_completed(&window, CHUNK_BYTES, i % 2 ? 900000 : 1800000, true, now_ns += 900000);
        for (unsigned i = 0; i < 1000; i++) {
                window_completed(&window, CHUNK_BYTES, i % 2 ? 300000 : 700000, true, now_ns += 300000);
                assert_int_equal(window.chunks, WINDOW_START);
        }
}

/* Twice as many do not fit the cache: every trial costs. */
static void test_trials_between_neighbours_are_few(void **state)
{
        unsigned n_deep = 0, n = 0;

        for (unsigned seed = 1; seed <= 20; seed++) {
                struct device near;

                device_init(&near, 1e9, 0);
                near.noisy = true;
                near.seed = seed;
                for (unsigned i = 0; i < 5000; i++) {
                        run(&near, 1e6);
                        n_deep += near.window.chunks > WINDOW_START;
                        n++;
                }
        }
        if (n_deep > n / 5)
                fail_msg("%.1f %% of the time too deep", 100.0 * n_deep / n);
}

static void test_a_lack_of_memory_does_not_drive_it_up(void **state)
{
        struct device device;

        device_init(&device, 1e9, 100e6);
        device.cap = 5; /* pages for five chunks */
        run(&device, 100 * S_NS);
        assert_true(device.window.chunks <= WINDOW_START * WINDOW_LEAP_TIMES); /* no more than a leap */
        device.cap = WINDOW_MAX; /* and when there is more, it goes on */
        run(&device, 100 * S_NS);
        assert_true(run(&device, S_NS) > 0.75);
}

static void test_it_stays_within_its_bounds_whatever_it_is_told(void **state)
{
        for (unsigned seed = 1; seed <= 20; seed++) {
                unsigned chance = seed;
                struct window window;
                uint64_t now_ns = 0;

                window_init(&window, WINDOW_ORDINARY, now_ns);
                for (unsigned i = 0; i < 50000; i++) {
                        uint64_t bytes = rand_r(&chance) % 3 == 0 ? 0 : (uint64_t)rand_r(&chance);

                        if (seed % 4 == 0) /* ever faster: up to the top */
                                bytes = (uint64_t)i * i * i * 1000;
                        else if (rand_r(&chance) % 2 == 0)
                                now_ns += (uint64_t)rand_r(&chance);
                        if (seed % 4 == 0)
                                now_ns += 1000000;
                        window_completed(&window, bytes, bytes % 10000000,
                            seed % 4 == 0 || rand_r(&chance) % 8 > 0, now_ns);
                        assert_true(window.chunks >= WINDOW_START && window.chunks <= WINDOW_MAX);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_without_delay_it_stays_shallow),
            cmocka_unit_test(test_with_delay_it_goes_as_deep_as_pays),
            cmocka_unit_test(test_a_long_way_is_filled_at_once),
            cmocka_unit_test(test_others_in_the_way_do_not_make_it_leap),
            cmocka_unit_test(test_a_slow_device_is_not_taken_for_a_far_one),
            cmocka_unit_test(test_a_start_that_was_held_up_is_not_taken_for_a_long_way),
            cmocka_unit_test(test_only_a_leap_that_was_made_is_taken_back),
            cmocka_unit_test(test_what_was_before_the_first_chunk_does_not_count),
            cmocka_unit_test(test_it_follows_a_delay_that_comes_and_goes),
            cmocka_unit_test(test_large_chunks_go_one_by_one_where_that_is_enough),
            cmocka_unit_test(test_from_any_start_it_comes_to_rest_near_bandwidth_times_delay),
            cmocka_unit_test(test_it_follows_a_bandwidth_that_falls_to_a_tenth_and_comes_back),
            cmocka_unit_test(test_noise_neither_stops_it_short_nor_drives_it_up),
            cmocka_unit_test(test_a_round_that_something_else_limited_teaches_nothing),
            cmocka_unit_test(test_a_trial_has_two_rounds),
            cmocka_unit_test(test_a_slow_first_round_does_not_drive_it_up),
            cmocka_unit_test(test_trials_between_neighbours_are_few),
            cmocka_unit_test(test_a_lack_of_memory_does_not_drive_it_up),
            cmocka_unit_test(test_it_stays_within_its_bounds_whatever_it_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
