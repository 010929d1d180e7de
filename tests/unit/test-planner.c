/* The planner: what it says is zero was told to be zero, what it says is data covers all the rest, whatever
 * the server tells and however little at a time. links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy/planner.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define GRANULE 4096u

/* A source whose allocation is a map with one entry per unit. */
struct source {
        const bool *zero; /* [length / unit], the last unit may be short; NULL: all zero */
        uint64_t length_bytes, unit_bytes;
        unsigned extents_max; /* in one answer */
        bool split;           /* tells adjacent equal units one by one */
        unsigned n_asked;
};

static bool is_zero(const struct source *source, uint64_t at_bytes)
{
        return source->zero == NULL || source->zero[at_bytes / source->unit_bytes];
}

static void answer(struct source *source, struct io_req *req)
{
        uint64_t at_bytes = req->offset_bytes, end_bytes = req->offset_bytes + req->length_bytes;

        assert_int_equal(req->op, IO_EXTENTS);
        assert_true(req->length_bytes > 0 && req->length_bytes <= 2 * GIB);
        assert_true(end_bytes <= source->length_bytes);
        source->n_asked++;
        req->status = 0;
        req->n_extents = 0;
        while (at_bytes < end_bytes && req->n_extents < source->extents_max) {
                uint64_t start_bytes = at_bytes;
                bool zero = is_zero(source, at_bytes);

                do {
                        at_bytes = (at_bytes / source->unit_bytes + 1) * source->unit_bytes;
                        if (at_bytes > end_bytes)
                                at_bytes = end_bytes;
                } while (at_bytes < end_bytes && !source->split && is_zero(source, at_bytes) == zero);
                req->extents[req->n_extents++] = (struct io_extent){at_bytes - start_bytes, zero};
        }
}

static void fetch(struct planner *planner, struct source *source, uint64_t at_bytes)
{
        struct io_req req = {0};

        planner_prepare(planner, at_bytes, &req);
        assert_true(req.offset_bytes <= at_bytes);
        answer(source, &req);
        req.offset_bytes +=
            12345; /* where the region starts in the device is none of the planner's business */
        planner_fetched(planner, at_bytes, &req);
}

static void begin(struct planner *planner, uint64_t length_bytes)
{
        assert_int_equal(planner_init(planner, length_bytes, PLANNER_DATA, true, GRANULE), 0);
}

/* The range at `at_bytes`, fetched if need be: once must do. */
static enum planner_kind range_at(struct planner *planner, struct source *source, uint64_t at_bytes,
    uint64_t max_bytes, uint64_t *ret_length_bytes)
{
        enum planner_kind kind;

        *ret_length_bytes = 0;
        if (!planner_at(planner, at_bytes, max_bytes, &kind, ret_length_bytes)) {
                assert_int_equal(*ret_length_bytes, 0);
                fetch(planner, source, at_bytes);
                assert_true(planner_at(planner, at_bytes, max_bytes, &kind, ret_length_bytes));
        }
        assert_true(*ret_length_bytes > 0 && *ret_length_bytes <= max_bytes);
        return kind;
}

static void expect_range(struct planner *planner, struct source *source, uint64_t at_bytes,
    enum planner_kind expected_kind, uint64_t expected_bytes)
{
        uint64_t length_bytes;

        assert_int_equal(range_at(planner, source, at_bytes, UINT64_MAX, &length_bytes), expected_kind);
        assert_int_equal(length_bytes, expected_bytes);
}

static void test_without_extents_everything_is_of_one_kind(void **state)
{
        enum planner_kind kinds[] = {PLANNER_DATA, PLANNER_ZERO};

        for (unsigned i = 0; i < 2; i++) {
                struct planner planner;
                enum planner_kind kind;
                uint64_t length_bytes;

                assert_int_equal(planner_init(&planner, 10 * GIB + 5, kinds[i], false, GRANULE), 0);
                assert_true(planner_at(&planner, 0, MIB, &kind, &length_bytes));
                assert_int_equal(kind, kinds[i]);
                assert_int_equal(length_bytes, MIB);
                assert_true(planner_at(&planner, 10 * GIB, MIB, &kind, &length_bytes));
                assert_int_equal(length_bytes, 5);
                planner_done(&planner);
        }
}

static void test_data_and_zeroes_alternate(void **state)
{
        static const bool zero[] = {false, true, true, false, true};
        struct source source = {zero, 5 * 128 * KIB, 128 * KIB, 128, false, 0};
        struct planner planner;

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_DATA, 128 * KIB);
        expect_range(&planner, &source, 128 * KIB, PLANNER_ZERO, 256 * KIB);
        expect_range(&planner, &source, 200 * KIB, PLANNER_ZERO, 184 * KIB); /* from the middle, too */
        expect_range(&planner, &source, 384 * KIB, PLANNER_DATA, 128 * KIB);
        expect_range(&planner, &source, 512 * KIB, PLANNER_ZERO, 128 * KIB);
        expect_range(&planner, &source, 0, PLANNER_DATA, 128 * KIB); /* back, still known */
        assert_int_equal(source.n_asked, 1);
        planner_done(&planner);
}

static void test_equal_neighbours_are_told_as_one(void **state)
{
        static const bool zero[] = {true, true, true, true, false, false, true, true};
        struct source source = {zero, 8 * 32 * KIB, 32 * KIB, 128, true, 0};
        struct planner planner;

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_ZERO, 128 * KIB); /* four that would be too short alone */
        expect_range(&planner, &source, 128 * KIB, PLANNER_DATA, 64 * KIB);
        expect_range(&planner, &source, 192 * KIB, PLANNER_ZERO, 64 * KIB);
        planner_done(&planner);
}

static void test_short_zero_runs_are_data(void **state)
{
        static const bool zero[] = {false, true, false, true, true, true};
        struct source source = {zero, 6 * 32 * KIB, 32 * KIB, 128, false, 0};
        struct planner planner;

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_DATA, 96 * KIB);
        expect_range(&planner, &source, 96 * KIB, PLANNER_ZERO, 96 * KIB);
        planner_done(&planner);
}

static void test_data_grows_and_zero_shrinks_to_granules(void **state)
{
        static const bool zero[] = {false, true, true, false, true, true};
        /* units of 40,000 bytes: zero [40000, 120000) and [160000, 239999), the end of the job */
        struct source source = {zero, 239999, 40000, 128, false, 0};
        struct planner planner;

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_DATA, 40960);
        expect_range(&planner, &source, 40960, PLANNER_ZERO, 118784 - 40960);
        expect_range(&planner, &source, 118784, PLANNER_DATA, 163840 - 118784);
        expect_range(&planner, &source, 163840, PLANNER_ZERO, 239999 - 163840); /* to the last byte */
        planner_done(&planner);
}

static void test_where_little_is_told_more_is_asked_for_up_to_the_limit(void **state)
{
        struct source source = {NULL, 5 * GIB, GIB, 128, false, 0};
        struct planner planner;
        uint64_t length_bytes;

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_ZERO, 64 * MIB);
        expect_range(&planner, &source, 64 * MIB, PLANNER_ZERO, 512 * MIB);
        expect_range(&planner, &source, 576 * MIB, PLANNER_ZERO, 2 * GIB);
        expect_range(&planner, &source, 576 * MIB + 2 * GIB, PLANNER_ZERO, 2 * GIB);
        expect_range(&planner, &source, 576 * MIB + 4 * GIB, PLANNER_ZERO, GIB - 576 * MIB);
        assert_int_equal(source.n_asked, 5);
        assert_int_equal(range_at(&planner, &source, 4 * GIB + 576 * MIB, MIB, &length_bytes), PLANNER_ZERO);
        assert_int_equal(length_bytes, MIB);
        planner_done(&planner);
}

/* The server looks through all that it is asked about. */
static void test_where_much_is_told_no_more_is_asked_for_than_is_of_use(void **state)
{
        static bool zero[2048];
        struct source source = {zero, 2048 * 128 * KIB, 128 * KIB, IO_EXTENTS_PER_REQ, false, 0};
        struct planner planner;
        struct io_req req = {0};

        for (unsigned i = 0; i < 2048; i++)
                zero[i] = i % 2 == 1;
        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_DATA, 128 * KIB);
        planner_prepare(&planner, 16 * MIB, &req);
        assert_int_equal(req.length_bytes, 2 * IO_EXTENTS_PER_REQ * 128 * KIB);
        planner_done(&planner);
}

static void test_what_comes_next_may_be_asked_for_ahead(void **state)
{
        static const bool zero[] = {false, true, false, true};
        struct source source = {zero, 4 * MIB, MIB, 2, false, 0};
        struct planner planner;
        uint64_t ahead_bytes = 1;

        assert_int_equal(planner_init(&planner, MIB, PLANNER_DATA, false, GRANULE), 0);
        assert_false(planner_ahead(&planner, &ahead_bytes)); /* without extents there is nothing to ask */
        planner_done(&planner);

        begin(&planner, source.length_bytes);
        assert_false(planner_ahead(&planner, &ahead_bytes)); /* first where it begins */
        assert_int_equal(ahead_bytes, 1);
        expect_range(&planner, &source, 0, PLANNER_DATA, MIB);
        assert_true(planner_ahead(&planner, &ahead_bytes));
        assert_int_equal(ahead_bytes, 2 * MIB);
        expect_range(&planner, &source, 2 * MIB, PLANNER_DATA, MIB);
        assert_false(planner_ahead(&planner, &ahead_bytes)); /* all is known */
        planner_done(&planner);
}

static void test_going_back_costs_a_fetch(void **state)
{
        static const bool zero[] = {false, true, false, true};
        struct source source = {zero, 4 * MIB, MIB, 1, false, 0};
        struct planner planner;

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 2 * MIB, PLANNER_DATA, MIB);
        expect_range(&planner, &source, 3 * MIB, PLANNER_ZERO, MIB);
        expect_range(&planner, &source, MIB, PLANNER_ZERO, MIB);
        assert_int_equal(source.n_asked, 3);
        planner_done(&planner);
}

static void test_a_zero_run_cut_by_the_answer_is_asked_about_again(void **state)
{
        static const bool zero[] = {false, true, true, true, false, false, false, false};
        /* two extents an answer, told unit by unit: [data][zero…], and the zero's 32 KiB alone are too short
         */
        struct source source = {zero, 8 * 32 * KIB, 32 * KIB, 2, true, 0};
        struct planner planner;

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_DATA, 32 * KIB);
        expect_range(&planner, &source, 32 * KIB, PLANNER_ZERO, 64 * KIB);
        expect_range(&planner, &source, 96 * KIB, PLANNER_DATA, 64 * KIB);
        planner_done(&planner);
}

static void test_a_server_that_tells_little_is_not_asked_for_ever(void **state)
{
        struct source source = {NULL, 64 * 10000, 10000, 1, true, 0};
        struct planner planner;
        uint64_t at_bytes = 0, length_bytes;

        begin(&planner, source.length_bytes);
        while (at_bytes < source.length_bytes) {
                range_at(&planner, &source, at_bytes, UINT64_MAX, &length_bytes);
                at_bytes += length_bytes;
        }
        assert_int_equal(at_bytes, source.length_bytes);
        assert_true(source.n_asked <= 64);
        planner_done(&planner);
}

static void expect_all_data_unasked(struct planner *planner, uint64_t at_bytes, uint64_t length_bytes)
{
        enum planner_kind kind;
        uint64_t told_bytes;

        assert_true(planner_at(planner, at_bytes, UINT64_MAX, &kind, &told_bytes));
        assert_int_equal(kind, PLANNER_DATA);
        assert_int_equal(told_bytes, length_bytes);
}

static void test_a_failed_request_turns_what_is_unknown_into_data(void **state)
{
        static const bool zero[] = {true, false, true, true};
        struct source source = {zero, 4 * MIB, MIB, 2, false, 0};
        struct planner planner;
        struct io_req req = {0};

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_ZERO, MIB);
        planner_prepare(&planner, 2 * MIB, &req);
        req.status = -EOPNOTSUPP;
        planner_fetched(&planner, 2 * MIB, &req);
        expect_all_data_unasked(&planner, 2 * MIB, 2 * MIB);
        expect_range(&planner, &source, 0, PLANNER_ZERO, MIB); /* what was known still is */
        expect_range(&planner, &source, MIB, PLANNER_DATA, MIB);
        assert_int_equal(source.n_asked, 1);
        planner_done(&planner);
}

static void test_an_answer_without_content_counts_as_failed(void **state)
{
        struct planner planner;
        struct io_req req = {0};

        begin(&planner, MIB);
        planner_prepare(&planner, 0, &req);
        req.n_extents = 0;
        planner_fetched(&planner, 0, &req);
        expect_all_data_unasked(&planner, 0, MIB);
        planner_done(&planner);

        begin(&planner, MIB);
        planner_prepare(&planner, 0, &req);
        req.n_extents = 2;
        req.extents[0] = req.extents[1] = (struct io_extent){0, true};
        planner_fetched(&planner, 0, &req);
        expect_all_data_unasked(&planner, 0, MIB);
        planner_done(&planner);
}

static void test_overlong_and_empty_extents_do_no_harm(void **state)
{
        struct planner planner;
        struct source source = {NULL, 4 * MIB, MIB, 128, false, 0};
        struct io_req req = {0};

        begin(&planner, 4 * MIB);
        planner_prepare(&planner, MIB, &req);
        req.extents[0] = (struct io_extent){0, false};
        req.extents[1] = (struct io_extent){MIB, true};
        req.extents[2] = (struct io_extent){0, false}; /* does not cut the run */
        req.extents[3] = (struct io_extent){UINT64_MAX, true};
        req.extents[4] = (struct io_extent){MIB, false};
        req.n_extents = 5;
        planner_fetched(&planner, MIB, &req);
        expect_range(&planner, &source, MIB, PLANNER_ZERO, 3 * MIB);
        assert_int_equal(source.n_asked, 0);
        planner_done(&planner);
}

static void test_what_is_known_stays_while_more_is_fetched(void **state)
{
        static const bool zero[] = {true, false, true, false};
        struct source source = {zero, 4 * MIB, MIB, 2, false, 0};
        struct planner planner;
        struct io_req req = {0};

        begin(&planner, source.length_bytes);
        expect_range(&planner, &source, 0, PLANNER_ZERO, MIB);
        planner_prepare(&planner, 2 * MIB, &req);
        answer(&source, &req); /* the endpoint has filled the array in; its callback is still to come */
        expect_range(&planner, &source, 0, PLANNER_ZERO, MIB);
        expect_range(&planner, &source, MIB, PLANNER_DATA, MIB);
        planner_fetched(&planner, 2 * MIB, &req);
        expect_range(&planner, &source, 2 * MIB, PLANNER_ZERO, MIB);
        planner_done(&planner);
}

/* How much the contract makes zero: whole runs, shrunk to granules, unless they are too short then. */
static uint64_t zero_by_definition(const struct source *source, unsigned n_units, uint32_t granule_bytes)
{
        uint64_t sum_bytes = 0;

        for (unsigned start = 0, end; start < n_units; start = end + 1) {
                uint64_t from_bytes, to_bytes;

                for (end = start; end < n_units && source->zero[end]; end++)
                        ;
                from_bytes = (start * source->unit_bytes + granule_bytes - 1) / granule_bytes * granule_bytes;
                to_bytes = end * source->unit_bytes / granule_bytes * granule_bytes;
                if (end == n_units)
                        to_bytes = source->length_bytes;
                if (to_bytes >= from_bytes + PLANNER_ZERO_MIN_BYTES)
                        sum_bytes += to_bytes - from_bytes;
        }
        return sum_bytes;
}

/* Go through the whole job: nothing allocated is told as zero, bounds are granules, one fetch always does. */
static uint64_t zero_as_told(
    struct planner *planner, struct source *source, uint32_t granule_bytes, uint64_t max_bytes)
{
        uint64_t sum_bytes = 0, length_bytes;

        for (uint64_t at_bytes = 0; at_bytes < source->length_bytes; at_bytes += length_bytes) {
                assert_int_equal(at_bytes % granule_bytes, 0);
                if (range_at(planner, source, at_bytes, max_bytes, &length_bytes) == PLANNER_DATA)
                        continue;
                sum_bytes += length_bytes;
                for (uint64_t i = at_bytes / source->unit_bytes;
                     i <= (at_bytes + length_bytes - 1) / source->unit_bytes; i++)
                        assert_true(source->zero[i]);
        }
        return sum_bytes;
}

static void test_random_maps(void **state)
{
        static const uint64_t units_bytes[] = {512, 4096, 10000, 40000, 65536, 200000};
        static const uint32_t granules_bytes[] = {1, 512, 4096, 65536};
        static bool zero[400];
        unsigned seed = 7;

        for (unsigned round = 0; round < 2000; round++) {
                unsigned n_units = 1 + (unsigned)rand_r(&seed) % 400,
                         run_max = 1 + (unsigned)rand_r(&seed) % 60;
                uint32_t granule_bytes = granules_bytes[(unsigned)rand_r(&seed) % 4];
                uint64_t max_bytes = rand_r(&seed) % 2 == 0 ? UINT64_MAX : 30 * granule_bytes;
                struct source source = {
                    .zero = zero,
                    .unit_bytes = units_bytes[(unsigned)rand_r(&seed) % 6],
                    .extents_max = 1 + (unsigned)rand_r(&seed) % IO_EXTENTS_PER_REQ,
                    .split = rand_r(&seed) % 4 == 0,
                };
                struct planner planner;
                uint64_t defined_bytes, told_bytes;

                for (unsigned i = 0, run = 0; i < n_units; i++) {
                        bool turn = run == 0;

                        run = turn ? (unsigned)rand_r(&seed) % run_max : run - 1;
                        zero[i] = i == 0 ? round % 2 == 0 : zero[i - 1] != turn;
                }
                source.length_bytes =
                    n_units * source.unit_bytes - (unsigned)rand_r(&seed) % source.unit_bytes;
                assert_int_equal(
                    planner_init(&planner, source.length_bytes, PLANNER_DATA, true, granule_bytes), 0);
                told_bytes = zero_as_told(&planner, &source, granule_bytes, max_bytes);
                defined_bytes = zero_by_definition(&source, n_units, granule_bytes);
                if (source.split) /* an answer may end in mid-run, and leave a rest that looks short */
                        assert_true(told_bytes <= defined_bytes);
                else
                        assert_int_equal(told_bytes, defined_bytes);
                planner_done(&planner);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_without_extents_everything_is_of_one_kind),
            cmocka_unit_test(test_data_and_zeroes_alternate),
            cmocka_unit_test(test_equal_neighbours_are_told_as_one),
            cmocka_unit_test(test_short_zero_runs_are_data),
            cmocka_unit_test(test_data_grows_and_zero_shrinks_to_granules),
            cmocka_unit_test(test_where_little_is_told_more_is_asked_for_up_to_the_limit),
            cmocka_unit_test(test_where_much_is_told_no_more_is_asked_for_than_is_of_use),
            cmocka_unit_test(test_what_comes_next_may_be_asked_for_ahead),
            cmocka_unit_test(test_going_back_costs_a_fetch),
            cmocka_unit_test(test_a_zero_run_cut_by_the_answer_is_asked_about_again),
            cmocka_unit_test(test_a_server_that_tells_little_is_not_asked_for_ever),
            cmocka_unit_test(test_a_failed_request_turns_what_is_unknown_into_data),
            cmocka_unit_test(test_an_answer_without_content_counts_as_failed),
            cmocka_unit_test(test_overlong_and_empty_extents_do_no_harm),
            cmocka_unit_test(test_what_is_known_stays_while_more_is_fetched),
            cmocka_unit_test(test_random_maps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
