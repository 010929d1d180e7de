/* What the store writes into its columns, and reads back: random marks are the same again, and nothing that
 * is damaged is taken for one. links: kc_store kc_rpc kc_copy kc_io */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/random.h"
#include "store/codec.h"

#define LENGTH 100000u

static void put_random(struct ledger *ledger)
{
        unsigned at = 0;

        while (at < LENGTH) {
                unsigned end = at + 1 + random_below(LENGTH / 8);

                if (end > LENGTH)
                        end = LENGTH;
                if (random_below(3) > 0)
                        assert_int_equal(
                            ledger_put(ledger, at, end, (enum ledger_fate)random_below(LEDGER_N_FATES)), 0);
                at = end;
        }
}

static struct store_mark *random_mark(void)
{
        struct store_mark *mark = store_mark_new(1 + random_below(4), LENGTH);

        assert_non_null(mark);
        for (unsigned i = 0; i < 1 + mark->n_to; i++) {
                snprintf(mark->ends[i].identity, sizeof mark->ends[i].identity, "dev:%u", random_below(99));
                mark->ends[i].size_bytes = random_below(1u << 30);
                mark->ends[i].base_bytes = random_below(1u << 30);
                snprintf(mark->ends[i].instance, sizeof mark->ends[i].instance, "born:%u", random_below(99));
                mark->ends[i].told = random_below(2);
                mark->ends[i].durable = random_below(2);
                if (i > 0)
                        put_random(&mark->ends[i].ledger);
        }
        for (unsigned i = 0; i < random_below(40); i++) {
                unsigned start = random_below(LENGTH - 1);

                assert_int_equal(
                    bad_ranges_add(&mark->bad, start, start + 1 + random_below(LENGTH - start)), 0);
        }
        if (mark->bad.n > 0) {
                kc_error_set(&mark->ends[0].error.error, -EIO, KC_CLASS_MEDIA, "disk: bad");
                mark->ends[0].error_bytes = mark->bad.ranges[0].start_bytes;
        }
        return mark;
}

static void assert_same_ledger(const struct ledger *a, const struct ledger *b)
{
        assert_int_equal(a->length_bytes, b->length_bytes);
        assert_int_equal(a->mark_bytes, b->mark_bytes);
        assert_memory_equal(a->sums_bytes, b->sums_bytes, sizeof a->sums_bytes);
        assert_int_equal(a->n_ranges, b->n_ranges);
        for (unsigned i = 0; i < a->n_ranges; i++) {
                assert_int_equal(a->ranges[i].start_bytes, b->ranges[i].start_bytes);
                assert_int_equal(a->ranges[i].end_bytes, b->ranges[i].end_bytes);
                assert_int_equal(a->ranges[i].fate, b->ranges[i].fate);
        }
}

static void assert_same_bad(const struct bad_ranges *a, const struct bad_ranges *b)
{
        assert_int_equal(a->n, b->n);
        for (unsigned i = 0; i < a->n; i++) {
                assert_int_equal(a->ranges[i].start_bytes, b->ranges[i].start_bytes);
                assert_int_equal(a->ranges[i].end_bytes, b->ranges[i].end_bytes);
        }
}

static void a_random_mark_is_the_same_again(void **state)
{
        random_seed();
        for (unsigned round = 0; round < 300; round++) {
                struct store_mark *mark = random_mark(), *read;
                struct codec_bytes bytes;

                assert_int_equal(codec_pack_mark(mark, &bytes), 0);
                read = codec_unpack_mark(bytes.data, bytes.bytes);
                assert_non_null(read);
                assert_int_equal(read->n_to, mark->n_to);
                assert_same_bad(&read->bad, &mark->bad);
                assert_int_equal(read->ends[0].error.error.code, mark->ends[0].error.error.code);
                assert_int_equal(read->ends[0].error_bytes, mark->ends[0].error_bytes);
                for (unsigned i = 0; i < 1 + mark->n_to; i++) {
                        assert_string_equal(read->ends[i].identity, mark->ends[i].identity);
                        assert_int_equal(read->ends[i].size_bytes, mark->ends[i].size_bytes);
                        assert_int_equal(read->ends[i].base_bytes, mark->ends[i].base_bytes);
                        assert_string_equal(read->ends[i].instance, mark->ends[i].instance);
                        assert_int_equal(read->ends[i].told, mark->ends[i].told);
                        assert_int_equal(read->ends[i].durable, mark->ends[i].durable);
                        assert_same_ledger(&read->ends[i].ledger, &mark->ends[i].ledger);
                }
                codec_bytes_done(&bytes);
                store_mark_free(read);
                store_mark_free(mark);
        }
}

static uint64_t sum(const struct ledger *ledger)
{
        uint64_t bytes = 0;

        for (unsigned fate = 0; fate < LEDGER_N_FATES; fate++)
                bytes += ledger_sum(ledger, (enum ledger_fate)fate);
        return bytes;
}

/* Whatever is changed in it, it is refused, or it is a mark whose sums are sound. */
static void a_damaged_mark_is_refused_or_sound(void **state)
{
        unsigned n_refused = 0;

        random_seed();
        for (unsigned round = 0; round < 3000; round++) {
                struct store_mark *mark = random_mark(), *read;
                struct codec_bytes bytes;

                assert_int_equal(codec_pack_mark(mark, &bytes), 0);
                store_mark_free(mark);
                for (unsigned i = 0; i <= random_below(3); i++)
                        bytes.data[random_below(bytes.bytes)] = (uint8_t)random_below(256);
                read = codec_unpack_mark(bytes.data, bytes.bytes - random_below(2));
                n_refused += read == NULL;
                for (unsigned i = 0; read && i < 1 + read->n_to; i++) {
                        assert_int_equal(sum(&read->ends[i].ledger), read->length_bytes);
                        assert_true(read->ends[i].ledger.mark_bytes <= read->length_bytes);
                }
                store_mark_free(read);
                codec_bytes_done(&bytes);
        }
        assert_true(n_refused > 300); /* it does look */
}

/* As sectors of the device, and back; the last one is not whole. */
static void a_result_keeps_its_bad_ranges(void **state)
{
        struct copy_spec *spec = copy_spec_new(1, 2);
        struct job_result *result = job_result_new(1), *read;
        struct codec_bytes bytes;

        assert_non_null(spec);
        assert_non_null(result);
        spec->from.device = copy_spec_name(spec, "a", 1);
        spec->from.sector = 7;
        result->state = JOB_FAILED;
        result->length_bytes = 100 * 512 + 100;
        result->read_err = true;
        kc_error_set(&result->source_error.error, -EIO, KC_CLASS_MEDIA, "a: bad");
        assert_int_equal(bad_ranges_add(&result->bad, 512, 1536), 0);
        assert_int_equal(bad_ranges_add(&result->bad, 100 * 512, 100 * 512 + 100), 0);
        assert_int_equal(codec_pack_result(1, spec, result, &bytes), 0);
        read = codec_unpack_result(spec, bytes.data, bytes.bytes);
        assert_non_null(read);
        assert_same_bad(&read->bad, &result->bad);
        job_result_free(read);
        spec->from.sector = 9; /* then the first would begin before the job */
        assert_null(codec_unpack_result(spec, bytes.data, bytes.bytes));
        spec->from.sector = 6; /* and now the last would pass its end */
        assert_null(codec_unpack_result(spec, bytes.data, bytes.bytes));
        codec_bytes_done(&bytes);
        job_result_free(result);
        free(spec);
}

/* Whatever has gone wrong, one frame takes it. */
static void the_largest_result_fits_a_frame(void **state)
{
        struct copy_spec *spec = copy_spec_new(KC_DESTINATIONS_MAX, 2);
        struct job_result *result = job_result_new(KC_DESTINATIONS_MAX), *read;
        const uint64_t far_sectors = 1ull << 53, step_bytes = 1ull << 40;
        struct codec_bytes bytes;
        char text[KC_MESSAGE_MAX_BYTES];

        assert_non_null(spec);
        assert_non_null(result);
        memset(text, 'x', sizeof text);
        spec->from.device = copy_spec_name(spec, "a", 1);
        spec->from.sector = far_sectors;
        spec->context_bytes = KC_CONTEXT_MAX_BYTES;
        result->state = JOB_FAILED;
        result->length_bytes = BAD_RANGES_MAX * step_bytes;
        result->read_err = true;
        result->write_err = UINT64_MAX;
        for (unsigned i = 0; i <= KC_DESTINATIONS_MAX; i++) {
                struct job_error *error = i ? &result->destinations[i - 1].error : &result->source_error;

                kc_error_set(&error->error, -EPROTONOSUPPORT, KC_CLASS_MEDIA, "%.*s", (int)sizeof text, text);
                error->has_sector = true;
                error->sector = UINT64_MAX;
        }
        for (unsigned i = 0; i < KC_DESTINATIONS_MAX; i++)
                memset(&result->destinations[i].ledger, 0xff, sizeof result->destinations[i].ledger);
        for (unsigned i = 0; i < BAD_RANGES_MAX; i++)
                assert_int_equal(bad_ranges_add(&result->bad, i * step_bytes, (i + 1) * step_bytes - 512), 0);
        assert_int_equal(codec_pack_result(UINT64_MAX, spec, result, &bytes), 0);
        assert_true(bytes.bytes < KC_FRAME_MAX_BYTES - 64); /* of the message around it */
        read = codec_unpack_result(spec, bytes.data, bytes.bytes);
        assert_non_null(read);
        assert_same_bad(&read->bad, &result->bad);
        assert_int_equal(read->bad.n, BAD_RANGES_MAX);
        codec_bytes_done(&bytes);
        job_result_free(read);
        job_result_free(result);
        free(spec);
}

static void a_damaged_spec_or_result_is_refused(void **state)
{
        static const uint8_t damaged[] = {0xff, 0xff, 0xff, 0xff}, empty[1];

        assert_null(codec_unpack_spec(damaged, sizeof damaged));
        assert_null(codec_unpack_spec(empty, 0)); /* it names no device */
        assert_null(codec_unpack_result(NULL, damaged, sizeof damaged));
}

static void errors_keep_their_numbers(void **state)
{
        assert_int_equal(kc_errno_of_name("EIO"), -EIO);
        assert_int_equal(kc_errno_of_name("ENOTCONN"), -ENOTCONN);
        assert_int_equal(kc_errno_of_name(""), 0);
        assert_int_equal(kc_errno_of_name("EWHAT"), -EIO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_random_mark_is_the_same_again),
            cmocka_unit_test(a_damaged_mark_is_refused_or_sound),
            cmocka_unit_test(a_result_keeps_its_bad_ranges),
            cmocka_unit_test(the_largest_result_fits_a_frame),
            cmocka_unit_test(a_damaged_spec_or_result_is_refused),
            cmocka_unit_test(errors_keep_their_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
