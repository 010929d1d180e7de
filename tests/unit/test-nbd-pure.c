/* What is judged without a server: covered ranges of a read, block status, an export's numbers.
 * links: kc_io */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io/nbd_cover.h"
#include "io/nbd_extents.h"
#include "io/nbd_export.h"

static void cover_in_order_is_one_run(void **state)
{
        struct nbd_cover cover;

        nbd_cover_init(&cover);
        assert_false(nbd_cover_complete(&cover, 4096));
        for (uint32_t i = 0; i < 4096; i += 64) {
                assert_false(nbd_cover_complete(&cover, 4096));
                assert_int_equal(nbd_cover_add(&cover, i, i + 64), 0);
                assert_int_equal(cover.n, 1);
        }
        assert_true(nbd_cover_complete(&cover, 4096));
        assert_false(nbd_cover_complete(&cover, 4097));
        assert_int_equal(nbd_cover_add(&cover, 0, 0), 0);
}

static void cover_in_any_order_is_complete_in_the_end(void **state)
{
        static const uint32_t orders[][5] = {
            {0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {0, 2, 4, 1, 3}, {3, 1, 4, 0, 2}};

        for (int o = 0; o < 4; o++) {
                struct nbd_cover cover;

                nbd_cover_init(&cover);
                for (int i = 0; i < 5; i++) {
                        assert_false(nbd_cover_complete(&cover, 50));
                        assert_int_equal(nbd_cover_add(&cover, orders[o][i] * 10, orders[o][i] * 10 + 10), 0);
                }
                assert_true(nbd_cover_complete(&cover, 50));
        }
}

static void cover_refuses_what_came_before(void **state)
{
        static const uint32_t overlaps[][2] = {
            {0, 1}, {0, 30}, {5, 15}, {10, 20}, {12, 13}, {19, 21}, {15, 40}};

        for (size_t i = 0; i < sizeof overlaps / sizeof *overlaps; i++) {
                struct nbd_cover cover = {0};
                bool overlaps_any = overlaps[i][1] > 10 && overlaps[i][0] < 20;

                assert_int_equal(nbd_cover_add(&cover, 10, 20), 0);
                assert_int_equal(nbd_cover_add(&cover, 35, 36), 0);
                assert_int_equal(
                    nbd_cover_add(&cover, overlaps[i][0], overlaps[i][1]), overlaps_any ? -EPROTO : 0);
        }
}

static void cover_refuses_what_is_scattered(void **state)
{
        struct nbd_cover cover = {0};

        for (uint32_t i = 0; i < NBD_COVER_RUNS_MAX; i++)
                assert_int_equal(nbd_cover_add(&cover, i * 4, i * 4 + 2), 0);
        assert_int_equal(nbd_cover_add(&cover, 1000, 1001), -EPROTO);
        assert_int_equal(nbd_cover_add(&cover, 2, 4), 0); /* joins two: there is room again */
        assert_int_equal(nbd_cover_add(&cover, 1000, 1001), 0);
}

static struct io_extent extents[IO_EXTENTS_PER_REQ];
static unsigned n_extents;

static void cleaned(
    const uint32_t *entries, size_t n_entries, uint64_t length, uint32_t min, const char *expected)
{
        char text[256] = "";

        assert_int_equal(nbd_extents_clean(entries, n_entries, length, min, extents, &n_extents), 0);
        assert_in_range(n_extents, 1, IO_EXTENTS_PER_REQ);
        for (unsigned i = 0; i < n_extents; i++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%lu%c ", extents[i].length_bytes,
                    extents[i].zero ? 'z' : 'd');
        assert_string_equal(text, expected);
}

#define CLEANED(length, min, expected, ...)                                                                  \
        cleaned((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4, length, min,   \
            expected)

static void extents_act_on_zero_not_on_hole(void **state)
{
        CLEANED(20, 1, "20d ", 10, 0, 10, 1); /* a hole may read as anything */
        CLEANED(30, 1, "10d 10z 10d ", 10, 1, 10, 2, 10, 0);
        CLEANED(20, 1, "10d 10z ", 10, 1, 10, 3);
}

static void extents_are_merged_and_cut(void **state)
{
        CLEANED(40, 1, "20d 20z ", 10, 0, 10, 1, 10, 2, 10, 3);
        CLEANED(40, 1, "10d 30z ", 10, 0, 4000000000u, 3);
        CLEANED(40, 1, "10d ", 10, 0);
        CLEANED(40, 1, "40z ", 40, 2, 10, 0);
        CLEANED(1ull << 33, 1, "8589934590z ", 4294967295u, 2, 4294967295u, 2);
        CLEANED(40, 1, "40d ", 40, 0, 7); /* half an entry */
}

static void extents_shrink_zeroes_to_whole_blocks(void **state)
{
        CLEANED(4096, 512, "1024d 512z 2560d ", 1000, 0, 600, 2, 2496, 0);
        CLEANED(4096, 512, "512z 3584d ", 1000, 2, 3096, 0);
        CLEANED(4096, 512, "4096d ", 600, 0, 300, 2, 3196, 0);
        CLEANED(4096, 512, "512d ", 100, 2);
        CLEANED(1000, 512, "512d 488z ", 100, 0, 900, 2);
        CLEANED(1000, 512, "512z ", 600, 2);
}

static void extents_that_say_nothing_are_refused(void **state)
{
        static const uint32_t no_length[] = {10, 0, 0, 2, 10, 0};

        n_extents = 77;
        assert_int_equal(nbd_extents_clean(no_length, 6, 40, 1, extents, &n_extents), -EPROTO);
        assert_int_equal(nbd_extents_clean(no_length, 0, 40, 1, extents, &n_extents), -EPROTO);
        assert_int_equal(nbd_extents_clean(no_length, 1, 40, 1, extents, &n_extents), -EPROTO);
        assert_int_equal(n_extents, 77);
}

static void extents_end_where_the_array_ends(void **state)
{
        uint32_t entries[1000];
        uint64_t sum = 0;

        for (uint32_t i = 0; i < 500; i++) {
                entries[2 * i] = 512;
                entries[2 * i + 1] = i % 2 == 0 ? 0 : 2;
        }
        assert_int_equal(nbd_extents_clean(entries, 1000, 500 * 512, 1, extents, &n_extents), 0);
        assert_int_equal(n_extents, IO_EXTENTS_PER_REQ);
        for (unsigned i = 0; i < n_extents; i++)
                sum += extents[i].length_bytes;
        assert_int_equal(sum, IO_EXTENTS_PER_REQ * 512);
}

static const struct provider_config config = {
    .idle_keep_single_ns = 1000000000, .idle_keep_multi_ns = 5000000000};

static int check(
    struct nbd_export export, enum io_access access, struct endpoint_info *info, enum kc_class class)
{
        struct kc_error err = {0};
        int result = nbd_export_check(&export, access, &config, info, &err);

        assert_int_equal(err.code, result);
        assert_int_equal(err.class, result == 0 ? KC_CLASS_NONE : class);
        return result;
}

static void export_numbers_out_of_range_are_refused(void **state)
{
        static const int64_t blocks[][3] = {{-1, 4096, 4096}, {3, 4096, 4096}, {131072, 131072, 131072},
            {512, 256, 4096}, {512, -5, 4096}, {512, 1ll << 33, 1ll << 33}, {4096, 4096, 512}, {1, 512, -1},
            {1, 512, 1ll << 32}, {1, 512, 512}};
        struct endpoint_info info = {.size_bytes = 77};

        for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
                assert_int_equal(check((struct nbd_export){.size_bytes = 1 << 20,
                                           .block_min_bytes = blocks[i][0],
                                           .block_preferred_bytes = blocks[i][1],
                                           .block_max_bytes = blocks[i][2]},
                                     IO_ACCESS_READ, &info, KC_CLASS_PROTOCOL),
                    -EPROTO);
        for (int64_t size = -3; size < 0; size++)
                assert_int_equal(
                    check((struct nbd_export){.size_bytes = size}, IO_ACCESS_READ, &info, KC_CLASS_PROTOCOL),
                    -EPROTO);
        assert_int_equal(
            check((struct nbd_export){.size_bytes = INT64_MIN}, IO_ACCESS_READ, &info, KC_CLASS_PROTOCOL),
            -EPROTO);
        assert_int_equal(
            check((struct nbd_export){.can_zero = -1}, IO_ACCESS_READ, &info, KC_CLASS_PROTOCOL), -EPROTO);
        assert_int_equal(
            check((struct nbd_export){.read_only = 1}, IO_ACCESS_WRITE, &info, KC_CLASS_PERMISSION), -EROFS);
        assert_int_equal(info.size_bytes, 77);
}

static void export_limits_are_derived(void **state)
{
        static const struct {
                int64_t min, preferred, max;
                uint32_t expected_min, expected_preferred, expected_max;
        } cases[] = {
            {0, 0, 0, 1, 4096, 32 << 20},
            {512, 4096, 65536, 512, 4096, 65536},
            {65536, 65536, 0, 65536, 65536, 32 << 20},
            {1, 1 << 20, 0xffffffff, 1, 1 << 20, 32 << 20},
            {4096, 4096, 10000, 4096, 4096, 8192},
        };
        struct endpoint_info info;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct nbd_export export = {.size_bytes = 1 << 20,
                    .block_min_bytes = cases[i].min,
                    .block_preferred_bytes = cases[i].preferred,
                    .block_max_bytes = cases[i].max,
                    .can_zero = 1};

                assert_int_equal(check(export, IO_ACCESS_READ_WRITE, &info, KC_CLASS_NONE), 0);
                assert_int_equal(info.block_min_bytes, cases[i].expected_min);
                assert_int_equal(info.block_preferred_bytes, cases[i].expected_preferred);
                assert_int_equal(info.block_max_bytes, cases[i].expected_max);
                assert_int_equal(info.zero_max_bytes % info.block_min_bytes, 0);
                assert_int_equal(info.keep_idle_ms, 1000);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(cover_in_order_is_one_run),
            cmocka_unit_test(cover_in_any_order_is_complete_in_the_end),
            cmocka_unit_test(cover_refuses_what_came_before),
            cmocka_unit_test(cover_refuses_what_is_scattered),
            cmocka_unit_test(extents_act_on_zero_not_on_hole),
            cmocka_unit_test(extents_are_merged_and_cut),
            cmocka_unit_test(extents_shrink_zeroes_to_whole_blocks),
            cmocka_unit_test(extents_that_say_nothing_are_refused),
            cmocka_unit_test(extents_end_where_the_array_ends),
            cmocka_unit_test(export_numbers_out_of_range_are_refused),
            cmocka_unit_test(export_limits_are_derived),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
