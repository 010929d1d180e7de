/* Ranges that could not be read: found, cut, and tried in smaller pieces until they are as small as they can
 * be. links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "copy/suspects.h"
#include "lib/random.h"

#define ALIGN 512u

static void a_failed_chunk_is_tried_in_eighths(void **state)
{
        struct suspects suspects = {0};
        uint64_t bound, piece;

        assert_int_equal(suspects_add(&suspects, 524288, 1048576, ALIGN, 1), 0);
        assert_false(suspects_at(&suspects, 0, &bound, &piece));
        assert_int_equal(bound, 524288);
        assert_true(suspects_at(&suspects, 524288, &bound, &piece));
        assert_int_equal(bound, 1048576);
        assert_int_equal(piece, 65536);
        assert_false(suspects_at(&suspects, 1048576, &bound, &piece));
        assert_int_equal(bound, UINT64_MAX);
        suspects_done(&suspects);
}

static void pieces_end_with_one_block(void **state)
{
        struct suspects suspects = {0};
        uint64_t bound, piece = 524288;
        unsigned n = 1, n_alone = 0;

        for (; suspects_add(&suspects, 0, piece, ALIGN, n) == 0; n++) {
                assert_int_equal(suspects_tries(&suspects, 0), n);
                n_alone += piece == ALIGN;
                assert_true(suspects_at(&suspects, 0, &bound, &piece));
                assert_int_equal(piece % ALIGN, 0);
                assert_int_equal(suspects_clear(&suspects, 0, bound), 0);
                assert_int_equal(suspects.n, 0);
        }
        assert_int_equal(piece, ALIGN);
        assert_int_equal(n, SUSPECTS_TRIES);
        assert_int_equal(n_alone, 2); /* and once before */
        assert_int_equal(suspects_tries(&suspects, 0), 0);
        suspects_done(&suspects);
}

static void there_is_an_end_to_them(void **state)
{
        struct suspects suspects = {0};

        for (unsigned i = 0; i < SUSPECTS_MAX; i++)
                assert_int_equal(suspects_add(&suspects, i * 8192ull, i * 8192ull + 4096, ALIGN, 1), 0);
        assert_int_equal(
            suspects_add(&suspects, SUSPECTS_MAX * 8192ull, SUSPECTS_MAX * 8192ull + 4096, ALIGN, 1),
            -ENOSPC);
        suspects_done(&suspects);
}

/* Against a byte for each block. */
static void cuts_leave_the_rest_as_it_was(void **state)
{
        enum { BLOCKS = 64 };

        random_seed();
        for (unsigned round = 0; round < 2000; round++) {
                struct suspects suspects = {0};
                unsigned char is[BLOCKS] = {0};

                for (unsigned step = 0; step < 20; step++) {
                        uint64_t start = random_below(BLOCKS),
                                 end = start + 1 + random_below((uint32_t)(BLOCKS - start));
                        bool add = random_below(2) == 0;
                        uint64_t bound, piece;

                        assert_int_equal(suspects_clear(&suspects, start * ALIGN, end * ALIGN), 0);
                        if (add && end - start > 1)
                                assert_int_equal(
                                    suspects_add(&suspects, start * ALIGN, end * ALIGN, ALIGN, 1), 0);
                        for (uint64_t i = start; i < end; i++)
                                is[i] = add && end - start > 1;
                        for (uint64_t i = 0; i < BLOCKS; i++)
                                assert_int_equal(suspects_at(&suspects, i * ALIGN, &bound, &piece), is[i]);
                        for (unsigned i = 1; i < suspects.n; i++)
                                assert_true(
                                    suspects.ranges[i - 1].end_bytes <= suspects.ranges[i].start_bytes);
                }
                suspects_done(&suspects);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_failed_chunk_is_tried_in_eighths),
            cmocka_unit_test(pieces_end_with_one_block),
            cmocka_unit_test(there_is_an_end_to_them),
            cmocka_unit_test(cuts_leave_the_rest_as_it_was),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
