/* The look at a body before it is unpacked: what is malformed or too much is an error, what the schema does
 * not know is found at any level. links: kc_proto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "budget.h"
#include "kc_limits.h"
#include "kcopy.pb-c.h"
#include "scan.h"

/* A copy of its own, so that ASan sees a read beyond the end. */
static int scan(const void *body, size_t bytes, struct kc_scan *ret_scan)
{
        uint8_t *copy = malloc(bytes);
        int r;

        memcpy(copy, body, bytes);
        r = kc_scan_body(copy, bytes, &kcopy__v1__client_message__descriptor, KC_FIELDS_MAX, ret_scan);
        free(copy);
        return r;
}

#define SCAN(text, ret_scan) scan(text, sizeof(text) - 1, ret_scan)

/* request_id 1, copy { from { name "a" sector 5 } to { name "b" } options { zero_destinations [0, 1] } } */
#define COPY                                                                                                 \
        "\x08\x01"                                                                                           \
        "\x2a\x12"                                                                                           \
        "\x12\x05\x0a\x01\x61\x18\x05"                                                                       \
        "\x1a\x03\x0a\x01\x62"                                                                               \
        "\x22\x04\x42\x02\x00\x01"

static void a_sound_request_passes_and_its_fields_are_counted(void **state)
{
        struct kc_scan result;

        assert_int_equal(SCAN(COPY, &result), 0);
        assert_int_equal(result.finding, KC_SCAN_FINE);
        /* request_id, copy, from, name, sector, to, name, options, zero_destinations and its two elements */
        assert_int_equal(result.n_fields, 11);
        assert_int_equal(SCAN("", &result), 0);
        assert_int_equal(result.n_fields, 0);
}

static void every_cut_of_a_request_is_malformed_or_shorter(void **state)
{
        struct kc_scan result;

        for (size_t bytes = 1; bytes < sizeof(COPY) - 1; bytes++) {
                /* after request_id a message may end */
                assert_int_equal(scan(COPY, bytes, &result), bytes == 2 ? 0 : -EPROTO);
        }
}

static void wire_types_that_the_schema_has_not_are_malformed(void **state)
{
        struct kc_scan result = {.n_fields = 99};

        assert_int_equal(SCAN("\x0b\x0c", &result), -EPROTO);                 /* group of field 1 */
        assert_int_equal(SCAN("\x9b\x06\x9c\x06", &result), -EPROTO);         /* group of field 99 */
        assert_int_equal(SCAN("\x0e\x00", &result), -EPROTO);                 /* wire type 6 */
        assert_int_equal(SCAN("\x0f\x00", &result), -EPROTO);                 /* wire type 7 */
        assert_int_equal(SCAN("\x0d\x00\x00\x00\x00", &result), -EPROTO);     /* request_id as a fixed32 */
        assert_int_equal(SCAN("\x0a\x01\x00", &result), -EPROTO);             /* request_id packed */
        assert_int_equal(SCAN("\x28\x01", &result), -EPROTO);                 /* copy as a number */
        assert_int_equal(SCAN("\x00\x00", &result), -EPROTO);                 /* field 0 */
        assert_int_equal(SCAN("\x80\x80\x80\x80\x10\x00", &result), -EPROTO); /* field 2^29 */
        assert_int_equal(
            SCAN("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &result), -EPROTO); /* 11 bytes */
        assert_int_equal(result.n_fields, 99);
}

static void expect_unknown(const char *body, size_t bytes, const char *message, uint32_t number)
{
        struct kc_scan result;

        assert_int_equal(scan(body, bytes, &result), 0);
        assert_int_equal(result.finding, KC_SCAN_UNKNOWN_FIELD);
        assert_string_equal(result.message->short_name, message);
        assert_int_equal(result.field_number, number);
}

static void unknown_fields_are_found_at_every_level(void **state)
{
        expect_unknown("\x98\x06\x01", 3, "ClientMessage", 99);
        expect_unknown("\x9d\x06\x01\x02\x03\x04", 6, "ClientMessage", 99);
        expect_unknown("\x99\x06\x01\x02\x03\x04\x05\x06\x07\x08", 10, "ClientMessage", 99);
        expect_unknown("\x9a\x06\x01\x61", 4, "ClientMessage", 99);
        expect_unknown("\x2a\x03\x98\x06\x01", 5, "Copy", 99);
        expect_unknown("\x2a\x05\x12\x03\x98\x06\x01", 7, "IoRegion", 99);
        expect_unknown("\x32\x07\x0a\x05\x12\x03\x98\x06\x01", 9, "IoRegion", 99);
}

static void an_unknown_field_is_found_even_where_unpacking_loses_it(void **state)
{
        /* two `from`: protobuf merges them, and with that drops what it does not know of the first */
        static const char body[] = "\x2a\x0a\x12\x03\x98\x06\x01\x12\x03\x0a\x01\x61";

        expect_unknown(body, sizeof(body) - 1, "IoRegion", 99);
}

static void text_with_a_nul_or_bad_utf8_is_found_by_field(void **state)
{
        static const struct {
                const char *text;
                bool good;
        } texts[] = {
            {"\x1a\x04\x0a\x02\x61\x62", true},
            {"\x1a\x04\x0a\x02\x61\x00", false},
            {"\x1a\x04\x0a\x02\xc3\xa4", true},
            {"\x1a\x04\x0a\x02\x61\xc3", false},
            {"\x1a\x04\x0a\x02\xc0\xaf", false},         /* overlong */
            {"\x1a\x05\x0a\x03\xed\xa0\x80", false},     /* surrogate */
            {"\x1a\x05\x0a\x03\xe0\x80\x80", false},     /* overlong */
            {"\x1a\x05\x0a\x03\xe2\x82\xac", true},      /* € */
            {"\x1a\x06\x0a\x04\xf0\x9f\x98\x80", true},  /* beyond the first plane */
            {"\x1a\x06\x0a\x04\xf4\x90\x80\x80", false}, /* beyond the last */
            {"\x1a\x04\x0a\x02\x80\x61", false},
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct kc_scan result;

                assert_int_equal(scan(texts[i].text, 2 + (size_t)texts[i].text[1], &result), 0);
                assert_int_equal(result.finding, texts[i].good ? KC_SCAN_FINE : KC_SCAN_BAD_TEXT);
                if (!texts[i].good)
                        assert_string_equal(result.field->name, "name");
        }
}

static void too_many_fields_are_an_error(void **state)
{
        uint8_t body[2 * (KC_FIELDS_MAX + 1)];
        struct kc_scan result;

        for (size_t i = 0; i < sizeof(body); i += 2)
                memcpy(body + i, "\x08\x01", 2);
        assert_int_equal(scan(body, sizeof(body) - 2, &result), 0);
        assert_int_equal(result.n_fields, KC_FIELDS_MAX);
        assert_int_equal(scan(body, sizeof(body), &result), -E2BIG);
}

static void elements_of_packed_fields_count(void **state)
{
        /* watch { jobs [KC_FIELDS_MAX zeroes] } */
        uint8_t body[8 + KC_FIELDS_MAX] = "\x5a\x83\x40\x0a\x80\x40";
        struct kc_scan result;

        assert_int_equal(scan(body, 6 + KC_FIELDS_MAX, &result), -E2BIG);
        memcpy(body, "\x5a\x82\x40\x0a\xff\x3f", 6);
        assert_int_equal(scan(body, 6 + KC_FIELDS_MAX - 1, &result), -E2BIG); /* with the two around them */
        memcpy(body, "\x5a\x81\x40\x0a\xfe\x3f", 6);
        assert_int_equal(scan(body, 6 + KC_FIELDS_MAX - 2, &result), 0);
}

static void what_unpacks_to_too_much_runs_out_of_budget(void **state)
{
        /* copy_many { jobs {} jobs {} … }: 2 bytes each, 88 and more when unpacked */
        static uint8_t body[KC_FRAME_MAX_BYTES];
        uint32_t n = 8000, bytes = 2 * n;
        Kcopy__V1__ClientMessage *message;
        struct kc_budget budget;
        struct kc_scan result;

        memcpy(body, "\x32\x80\x7d", 3);
        for (uint32_t i = 0; i < n; i++)
                memcpy(body + 3 + 2 * i, "\x0a\x00", 2);
        assert_int_equal(scan(body, 3 + bytes, &result), 0);
        assert_int_equal(kc_budget_init(&budget, 32 * bytes), 0);
        message = kcopy__v1__client_message__unpack(&budget.allocator, 3 + bytes, body);
        assert_null(message);
        assert_true(budget.exceeded);
        kc_budget_done(&budget);
}

/* The most fields that a frame has: a list of jobs with bad ranges. */
static void whatever_the_server_sends_fits_what_a_client_unpacks(void **state)
{
        static Kcopy__V1__SectorRange ranges[8000], *of_ranges[8000];
        Kcopy__V1__JobInfo job = KCOPY__V1__JOB_INFO__INIT, *jobs[] = {&job};
        Kcopy__V1__Completion completion = KCOPY__V1__COMPLETION__INIT;
        Kcopy__V1__JobList list = KCOPY__V1__JOB_LIST__INIT;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT, *unpacked;
        static uint8_t body[KC_FRAME_MAX_BYTES];
        struct kc_budget budget;
        struct kc_scan result;
        size_t bytes;

        for (unsigned i = 0; i < 8000; i++) {
                kcopy__v1__sector_range__init(&ranges[i]);
                ranges[i].sector = 1 + i;
                ranges[i].count = 1;
                of_ranges[i] = &ranges[i];
        }
        completion.n_bad_ranges = 8000;
        completion.bad_ranges = of_ranges;
        job.completion = &completion;
        list.n_jobs = 1;
        list.jobs = jobs;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_JOB_LIST;
        message.job_list = &list;
        bytes = kcopy__v1__server_message__get_packed_size(&message);
        assert_in_range(bytes, KC_FRAME_MAX_BYTES * 3 / 4, KC_FRAME_MAX_BYTES);
        kcopy__v1__server_message__pack(&message, body);
        assert_int_equal(
            kc_scan_body(body, bytes, &kcopy__v1__server_message__descriptor, KC_REPLY_FIELDS_MAX, &result),
            0);
        assert_true(result.n_fields > 2 * KC_FIELDS_MAX);
        assert_int_equal(kc_budget_init(&budget, KC_UNPACK_BUDGET_BYTES), 0);
        unpacked = kcopy__v1__server_message__unpack(&budget.allocator, bytes, body);
        assert_non_null(unpacked);
        kc_budget_done(&budget);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_sound_request_passes_and_its_fields_are_counted),
            cmocka_unit_test(every_cut_of_a_request_is_malformed_or_shorter),
            cmocka_unit_test(wire_types_that_the_schema_has_not_are_malformed),
            cmocka_unit_test(unknown_fields_are_found_at_every_level),
            cmocka_unit_test(an_unknown_field_is_found_even_where_unpacking_loses_it),
            cmocka_unit_test(text_with_a_nul_or_bad_utf8_is_found_by_field),
            cmocka_unit_test(too_many_fields_are_an_error),
            cmocka_unit_test(elements_of_packed_fields_count),
            cmocka_unit_test(what_unpacks_to_too_much_runs_out_of_budget),
            cmocka_unit_test(whatever_the_server_sends_fits_what_a_client_unpacks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
