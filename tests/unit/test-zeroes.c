/* Zero runs in buffers: none missed, none invented, no byte read beyond, and dense data hardly looked at.
 * links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "copy/zeroes.h"

#define GRANULE 4096u
#define KIB 1024u

static void test_all_zero_buffers_of_every_length_and_alignment(void **state)
{
        for (size_t bytes = 0; bytes < 200; bytes++) {
                for (size_t shift = 0; shift < 17; shift++) {
                        unsigned char *buf = calloc(1, shift + bytes + 1);

                        assert_non_null(buf);
                        memset(buf, 1, shift);
                        buf[shift + bytes] = 1;
                        assert_true(zeroes_all(buf + shift, bytes));
                        free(buf);
                }
        }
}

static void test_one_bit_anywhere_is_seen(void **state)
{
        static const size_t lengths_bytes[] = {1, 2, 15, 16, 17, 31, 32, 33, 100, 4096, 4097};

        for (unsigned i = 0; i < sizeof(lengths_bytes) / sizeof(lengths_bytes[0]); i++) {
                size_t bytes = lengths_bytes[i];
                unsigned char *buf = calloc(1, bytes); /* exactly: a sanitizer sees one byte too many */

                assert_non_null(buf);
                for (size_t at = 0; at < bytes; at++) {
                        buf[at] = (unsigned char)(1u << at % 8);
                        assert_false(zeroes_all(buf, bytes));
                        buf[at] = 0;
                        assert_true(zeroes_all(buf, bytes));
                }
                free(buf);
        }
}

/* What a straightforward reading of the contract gives. */
static unsigned pieces_by_definition(const unsigned char *buf, uint32_t bytes, uint32_t granule_bytes,
    uint32_t min_run_bytes, struct zeroes_piece *ret_pieces)
{
        unsigned n = 0;

        for (uint32_t at = 0; at < bytes;) {
                uint32_t end = at;

                while (end < bytes) {
                        uint32_t next = bytes - end < granule_bytes ? bytes : end + granule_bytes;
                        bool zero = true;

                        for (uint32_t i = end; i < next; i++)
                                zero = zero && buf[i] == 0;
                        if (!zero)
                                break;
                        end = next;
                }
                if (end > at && end - at >= min_run_bytes) {
                        ret_pieces[n++] = (struct zeroes_piece){at, end - at, true};
                        at = end;
                        continue;
                }
                if (end == at)
                        end = bytes - at < granule_bytes ? bytes : at + granule_bytes;
                if (n > 0 && !ret_pieces[n - 1].zero)
                        ret_pieces[n - 1].length_bytes += end - at;
                else
                        ret_pieces[n++] = (struct zeroes_piece){at, end - at, false};
                at = end;
        }
        return n;
}

static void expect_piece(const struct zeroes_piece *piece, const struct zeroes_piece *expected)
{
        assert_int_equal(piece->offset_bytes, expected->offset_bytes);
        assert_int_equal(piece->length_bytes, expected->length_bytes);
        assert_int_equal(piece->zero, expected->zero);
}

static void test_pieces_agree_with_the_definition(void **state)
{
        static unsigned char buf[64 * 64];
        static const uint32_t min_runs_bytes[] = {0, 1, 63, 64, 65, 128, 200, 512, 100000};
        struct zeroes_piece pieces[70], expected[70];
        unsigned seed = 99;

        for (unsigned round = 0; round < 3000; round++) {
                uint32_t bytes = 1 + (unsigned)rand_r(&seed) % (unsigned)sizeof(buf);
                uint32_t min_run_bytes = min_runs_bytes[(unsigned)rand_r(&seed) % 9];
                unsigned density = (unsigned)rand_r(&seed) % 8, n_expected;

                memset(buf, 0, sizeof(buf));
                for (uint32_t at = 0; at < bytes; at += 64) {
                        if ((unsigned)rand_r(&seed) % 8 < density)
                                buf[at + (unsigned)rand_r(&seed) % (bytes - at < 64 ? bytes - at : 64)] = 1;
                }
                n_expected = pieces_by_definition(buf, bytes, 64, min_run_bytes, expected);
                assert_int_equal(zeroes_pieces(buf, bytes, 64, min_run_bytes, pieces, 70), n_expected);
                for (unsigned i = 0; i < n_expected; i++)
                        expect_piece(&pieces[i], &expected[i]);

                /* With fewer pieces: the same beginning, then data, and the buffer is covered. */
                for (unsigned max_pieces = 1; max_pieces <= n_expected; max_pieces++) {
                        unsigned n = zeroes_pieces(buf, bytes, 64, min_run_bytes, pieces, max_pieces);
                        uint32_t covered = 0;

                        assert_true(n >= 1 && n <= max_pieces);
                        for (unsigned i = 0; i < n; i++) {
                                assert_int_equal(pieces[i].offset_bytes, covered);
                                assert_true(pieces[i].length_bytes > 0);
                                if (i > 0)
                                        assert_true(pieces[i].zero != pieces[i - 1].zero);
                                if (i + 1 < n || pieces[i].zero)
                                        expect_piece(&pieces[i], &expected[i]);
                                covered += pieces[i].length_bytes;
                        }
                        assert_int_equal(covered, bytes);
                        if (n_expected - n > 2) /* as many as fit, in pairs */
                                assert_true(n + 1 >= max_pieces);
                }
        }
}

static void test_whole_buffer_is_one_piece(void **state)
{
        unsigned char *buf = calloc(1, 64 * KIB + 100);
        struct zeroes_piece piece;

        assert_non_null(buf);
        assert_int_equal(zeroes_pieces(buf, 64 * KIB + 100, GRANULE, 64 * KIB, &piece, 1), 1);
        assert_true(piece.zero);
        assert_int_equal(piece.length_bytes, 64 * KIB + 100);
        assert_int_equal(zeroes_pieces(buf, 64 * KIB - 1, GRANULE, 64 * KIB, &piece, 1), 1);
        assert_false(piece.zero); /* too short for a request of its own */
        assert_int_equal(piece.length_bytes, 64 * KIB - 1);
        assert_int_equal(zeroes_pieces(buf, 0, GRANULE, 64 * KIB, &piece, 1), 0);
        free(buf);
}

/* Dense data: all but the last granule of each shortest run is out of reach, so reading them would crash. */
static void test_dense_data_is_hardly_looked_at(void **state)
{
        const uint32_t bytes = 1024 * KIB, run_bytes = 64 * KIB;
        struct zeroes_piece piece;
        unsigned char *buf = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_ptr_not_equal(buf, MAP_FAILED);
        for (uint32_t at = 0; at < bytes; at += run_bytes) {
                buf[at + run_bytes - GRANULE] = 1;
                assert_int_equal(mprotect(buf + at, run_bytes - GRANULE, PROT_NONE), 0);
        }
        assert_int_equal(zeroes_pieces(buf, bytes, GRANULE, run_bytes, &piece, 1), 1);
        assert_false(piece.zero);
        assert_int_equal(piece.length_bytes, bytes);
        assert_int_equal(munmap(buf, bytes), 0);
}

static void test_when_pieces_run_out_the_rest_is_not_read(void **state)
{
        const uint32_t bytes = 1024 * KIB;
        struct zeroes_piece pieces[3];
        unsigned char *buf = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_ptr_not_equal(buf, MAP_FAILED);
        buf[0] = 1;
        buf[2 * GRANULE] = 1;
        assert_int_equal(mprotect(buf + 3 * GRANULE, bytes - 3 * GRANULE, PROT_NONE), 0);
        assert_int_equal(zeroes_pieces(buf, bytes, GRANULE, GRANULE, pieces, 3), 3);
        assert_false(pieces[0].zero);
        assert_true(pieces[1].zero);
        assert_int_equal(pieces[1].length_bytes, GRANULE);
        assert_false(pieces[2].zero);
        assert_int_equal(pieces[2].length_bytes, bytes - 2 * GRANULE);
        assert_int_equal(munmap(buf, bytes), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_all_zero_buffers_of_every_length_and_alignment),
            cmocka_unit_test(test_one_bit_anywhere_is_seen),
            cmocka_unit_test(test_pieces_agree_with_the_definition),
            cmocka_unit_test(test_whole_buffer_is_one_piece),
            cmocka_unit_test(test_dense_data_is_hardly_looked_at),
            cmocka_unit_test(test_when_pieces_run_out_the_rest_is_not_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
