/* kcopyctl's parts that need no server: brackets, escaping, the progress line, statuses, JSON lines.
 * links: kcopyctl_parts */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/brackets.h"
#include "ctl/json.h"
#include "ctl/progress.h"
#include "ctl/report.h"
#include "ctl/text.h"

/* ---- brackets */

static void test_brackets_are_taken_out_with_their_options(void **state)
{
        char *argv[] = {"kcopyctl", "copy", "[", "nbdkit", "-v", "memory", "1G", "]", "--rate", "1M", "[",
            "x", "]#1+2", "null:"};
        struct brackets brackets;
        const char *reason = NULL;
        const struct bracket *first, *second;

        assert_true(brackets_init(&brackets, 14, argv, &reason));
        assert_int_equal(brackets.argc, 7);
        assert_null(brackets.argv[7]);
        assert_string_equal(brackets.argv[1], "copy");
        assert_string_equal(brackets.argv[2], "[ nbdkit -v memory 1G ]");
        assert_string_equal(brackets.argv[6], "null:");
        first = brackets_find(&brackets, brackets.argv[2]);
        second = brackets_find(&brackets, brackets.argv[5]);
        assert_non_null(first);
        assert_string_equal(first->argv[1], "-v");
        assert_null(first->argv[4]);
        assert_string_equal(first->tail, "");
        assert_string_equal(second->tail, "#1+2");
        /* the pointer counts, not the text */
        assert_null(brackets_find(&brackets, "[ x ]"));
        assert_null(brackets_find(&brackets, brackets.argv[6]));
        brackets_done(&brackets);
}

static void test_brackets_without_a_command_or_an_end_are_refused(void **state)
{
        char *open[] = {"kcopyctl", "copy", "[", "nbdkit"}, *empty[] = {"kcopyctl", "[", "]"};
        struct brackets brackets;
        const char *reason = NULL;

        assert_false(brackets_init(&brackets, 4, open, &reason));
        assert_string_equal(reason, "[ without its ]");
        assert_false(brackets_init(&brackets, 3, empty, &reason));
        assert_string_equal(reason, "there is no command between the brackets");
}

/* ---- text */

static void test_words_are_escaped_and_said_once(void **state)
{
        char escaped[TEXT_ESCAPED_BYTES], *endless = malloc(10000);

        assert_string_equal(text_escape("a\033[2Jb\r\n\x7f", escaped), "a\\x1b[2Jb\\x0d\\x0a\\x7f");
        assert_string_equal(text_escape("\xc2\x9b"
                                        "5m",
                                escaped),
            "\\x9b5m"); /* a C1 control, as UTF-8 */
        assert_string_equal(text_escape("größe", escaped), "größe");
        memset(endless, 1, 9999);
        endless[9999] = '\0';
        assert_true(strlen(text_escape(endless, escaped)) < TEXT_ESCAPED_BYTES);
        free(endless);
        assert_string_equal(text_without_subject("/a: is gone", "/a"), "is gone");
        assert_string_equal(text_without_subject("/ab: is gone", "/a"), "/ab: is gone");
        assert_string_equal(text_without_subject("null: is one", "null:"), "is one");
        assert_string_equal(text_without_subject("/a\\x0ab\\x5c: is gone", "/a\nb\\"), "is gone");
        assert_string_equal(text_without_subject("/long…: is gone", "/longer than that"), "is gone");
}

/* ---- progress */

static const struct progress_over NONE;

static void test_the_progress_line_fits_every_terminal(void **state)
{
        uint64_t done[] = {400u << 20, 500u << 20};
        struct kcopy_event event = {.type = KCOPY_EVENT_PROGRESS,
            .length_bytes = 1u << 30,
            .rate_bytes_per_s = 100u << 20,
            .n_destinations = 2,
            .done_bytes = done};
        char line[PROGRESS_LINE_BYTES], note[257];

        progress_line(&event, &NONE, "", 100, line);
        assert_string_equal(line,
            " 39% [=======>             ] 400 MiB / 1.0 GiB  100 MiB/s  0:07 left  #0 is 100 MiB behind");
        progress_line(&event, &NONE, "", 40, line);
        assert_string_equal(line, " 39%  400 MiB / 1.0 GiB  100 MiB/s");
        memset(note, 'r', 256);
        note[256] = '\0';
        progress_line(&event, &NONE, note, 0, line);
        assert_non_null(strstr(line, note)); /* whole where nothing limits it */
        progress_line(&event, &NONE, "stalled on x since 5 s", 0, line);
        assert_string_equal(
            line, "39% 400 MiB / 1.0 GiB  100 MiB/s  stalled on x since 5 s  #0 is 100 MiB behind");
        for (unsigned columns = 1; columns < PROGRESS_LINE_BYTES; columns++) {
                progress_line(&event, &NONE, "", columns, line);
                assert_true(strlen(line) < columns);
        }
}

static void test_why_a_job_waits_is_printed_whole(void **state)
{
        char reason[257], line[260], *text = NULL;
        const struct kcopy_event event = {
            .type = KCOPY_EVENT_STATE, .state = KCOPY_WAITING, .reason = reason};
        struct progress progress;
        FILE *before = stderr;
        size_t bytes;

        memset(reason, 'r', 256);
        reason[256] = '\0';
        progress_init(&progress, PROGRESS_PLAIN, false);
        stderr = open_memstream(&text, &bytes);
        progress_update(&progress, &event);
        fclose(stderr);
        stderr = before;
        progress_end(&progress);
        snprintf(line, sizeof(line), "%s\n", reason);
        assert_string_equal(text, line);
        free(text);
}

static void test_the_bar_has_one_width_in_all_frames(void **state)
{
        uint64_t done[2] = {0, 0};
        struct kcopy_event event = {.length_bytes = 1u << 30, .done_bytes = done};
        static const uint64_t RATES[] = {0, 1, 1000, 100u << 20, UINT64_C(1023) << 30};
        char line[PROGRESS_LINE_BYTES];

        for (event.n_destinations = 1; event.n_destinations <= 2; event.n_destinations++)
                for (unsigned columns = 20; columns < 200; columns++) {
                        size_t width = 0;

                        for (unsigned i = 0; i < 5; i++)
                                for (uint64_t at = 0; at <= 1u << 30; at += 100u << 20) {
                                        const char *end;

                                        done[0] = at, done[1] = at / 2;
                                        event.rate_bytes_per_s = RATES[i];
                                        progress_line(&event, &NONE,
                                            i == 2 ? "its regions are in use by job 123456789" : "", columns,
                                            line);
                                        end = strchr(line, ']');
                                        if (at || i)
                                                assert_int_equal(end ? end - line : 0, width);
                                        width = end ? (size_t)(end - line) : 0;
                                        assert_true(strlen(line) < columns);
                                }
                        if (columns >= 80)
                                assert_true(width > 10);
                }
}

static void test_a_rate_that_is_not_known_yet_is_none(void **state)
{
        const uint64_t done[] = {1 << 20};
        const struct progress_over over = {0};
        struct kcopy_event event = {
            .type = KCOPY_EVENT_PROGRESS, .length_bytes = 4 << 20, .n_destinations = 1, .done_bytes = done};
        char line[PROGRESS_LINE_BYTES];

        progress_line(&event, &over, "", 0, line);
        assert_string_equal(line, "25% 1.0 MiB / 4.0 MiB");
        event.rate_bytes_per_s = 1 << 20;
        progress_line(&event, &over, "", 0, line);
        assert_string_equal(line, "25% 1.0 MiB / 4.0 MiB  1.0 MiB/s  0:04 left");
}

static void test_a_hundred_percent_is_for_everything_only(void **state)
{
        uint64_t done[] = {(UINT64_C(1) << 60) - 1};
        struct kcopy_event event = {
            .length_bytes = UINT64_C(1) << 60, .n_destinations = 1, .done_bytes = done};
        char line[PROGRESS_LINE_BYTES];

        event.length_bytes = 1000000;
        done[0] = 999999;
        progress_line(&event, &NONE, "", 60, line);
        assert_memory_equal(line, " 99%", 4);
        done[0] = 1000000;
        progress_line(&event, &NONE, "", 60, line);
        assert_memory_equal(line, "100%", 4);
        event.length_bytes = done[0] = 0; /* an empty job is done */
        progress_line(&event, &NONE, "", 60, line);
        assert_memory_equal(line, "100%", 4);
}

static void test_destinations_that_are_over_are_not_behind(void **state)
{
        uint64_t done[] = {400u << 20, 6u << 20, 500u << 20};
        struct kcopy_event event = {.length_bytes = 1u << 30, .n_destinations = 3, .done_bytes = done};
        const struct kcopy_destination_result good = {.durable = true},
                                              bad = {.error.error_class = KCOPY_CLASS_MEDIA};
        struct progress_over over = {0};
        char line[PROGRESS_LINE_BYTES];

        progress_line(&event, &over, "", 0, line);
        assert_string_equal(line, "0% 6.0 MiB / 1.0 GiB  #1 is 494 MiB behind");
        progress_destination_over(&over, 1, &bad);
        progress_line(&event, &over, "", 0, line);
        assert_string_equal(line, "39% 400 MiB / 1.0 GiB  #0 is 100 MiB behind  1 failed");
        done[2] = 1u << 30;
        progress_destination_over(&over, 2, &good);
        progress_line(&event, &over, "", 0, line);
        assert_string_equal(line, "39% 400 MiB / 1.0 GiB  1 failed");
        progress_destination_over(&over, 0, &bad);
        progress_line(&event, &over, "", 0, line);
        assert_string_equal(line, "100% 1.0 GiB / 1.0 GiB  2 failed");
        over = (struct progress_over){.ended = 7, .failed = 7};
        progress_line(&event, &over, "", 0, line);
        assert_string_equal(line, "0% 6.0 MiB / 1.0 GiB  #1 is 1018 MiB behind  3 failed");
}

/* ---- reports */

/* What report_print says on standard output. */
static void check_summary(
    enum kcopy_job_state state, bool json, bool read_err, uint64_t write_err, const char *expected)
{
        const struct kcopy_endpoint_error NO = {
            .error_class = KCOPY_CLASS_MEDIA, .errno_name = "EIO", .message = "no"};
        const struct kcopy_destination_result destinations[] = {
            {.copied_bytes = 3u << 20, .zeroed_bytes = 1u << 20, .error = NO},
            {.untouched_bytes = 4u << 20, .error = NO},
            {.copied_bytes = 4u << 20, .durable = true, .error = NO},
        };
        const struct kcopy_result result = {.state = state,
            .length_bytes = 4u << 20,
            .elapsed_ms = 2000,
            .source_error = NO,
            .n_destinations = 3,
            .destinations = destinations};
        FILE *before = stdout;
        char *text = NULL;
        size_t bytes;

        stdout = open_memstream(&text, &bytes);
        report_print(&(struct report){.own = true, .json = json}, read_err, write_err, &result);
        fclose(stdout);
        stdout = before;
        assert_string_equal(text, expected);
        free(text);
}

static void test_the_summary_is_of_the_complete_destinations(void **state)
{
        check_summary(KCOPY_COMPLETED, false, false, 0,
            "copied 4.0 MiB in 2.00 s (2.0 MiB/s) to 3 destinations, 1.0 MiB of it zeroes; not flushed\n");
        check_summary(KCOPY_FAILED, false, false, 2,
            "copied 4.0 MiB in 2.00 s (2.0 MiB/s) to 2 of 3 destinations, 1.0 MiB of it zeroes; not "
            "flushed\n");
        check_summary(KCOPY_FAILED, false, false, 3,
            "copied 4.0 MiB in 2.00 s (2.0 MiB/s) to 1 of 3 destinations; durable\n");
        check_summary(KCOPY_FAILED, false, false, 7, "");
        check_summary(KCOPY_FAILED, false, true, 2, "");
        check_summary(KCOPY_CANCELLED, false, false, 2, "");
        check_summary(KCOPY_FAILED, true, false, 2, ""); /* JSON's */
}

static char *summary_of(const struct report *report, const struct kcopy_destination_result *destination)
{
        const struct kcopy_result result = {.state = KCOPY_COMPLETED,
            .length_bytes = 4u << 20,
            .elapsed_ms = 30000,
            .n_destinations = 1,
            .destinations = destination};
        FILE *before = stdout;
        char *text = NULL;
        size_t bytes;

        stdout = open_memstream(&text, &bytes);
        report_print(report, false, 0, &result);
        fclose(stdout);
        stdout = before;
        return text;
}

static void test_a_job_of_others_has_only_the_time_since_it_was_accepted(void **state)
{
        char *text = summary_of(&(struct report){0},
            &(struct kcopy_destination_result){.copied_bytes = 4u << 20, .durable = true});

        assert_string_equal(text, "copied 4.0 MiB; durable; ended 30.00 s after it was accepted\n");
        free(text);
}

static void test_a_rate_is_of_data_and_of_the_time_that_was_copied(void **state)
{
        const struct report waited = {.own = true, .waited_ms = 28000}, at_once = {.own = true};
        char *text = summary_of(
            &waited, &(struct kcopy_destination_result){.copied_bytes = 2u << 20, .zeroed_bytes = 2u << 20});

        assert_string_equal(text,
            "copied 4.0 MiB in 2.00 s after waiting 28.00 s (1.0 MiB/s), 2.0 MiB of it zeroes; "
            "not flushed\n");
        free(text);
        text = summary_of(
            &at_once, &(struct kcopy_destination_result){.zeroed_bytes = 4u << 20, .durable = true});
        assert_string_equal(text, "copied 4.0 MiB in 30.00 s, 4.0 MiB of it zeroes; durable\n");
        free(text);
        text = summary_of(
            &at_once, &(struct kcopy_destination_result){.skipped_bytes = 4u << 20, .durable = true});
        assert_string_equal(
            text, "copied 4.0 MiB in 30.00 s, 4.0 MiB of it skipped, declared zero already; durable\n");
        free(text);
}

/* ---- statuses */

static const char *const TO[] = {"/a", "null:"};

static enum ctl_status status_of(enum kcopy_job_state state, bool read_err, uint64_t write_err,
    bool want_durable, bool first_durable, bool second_durable)
{
        struct kcopy_destination_result destinations[2] = {
            {.durable = first_durable}, {.durable = second_durable}};
        struct kcopy_result result = {.state = state, .n_destinations = 2, .destinations = destinations};
        struct report report = {.want_durable = want_durable, .to = TO};

        return report_status(&report, read_err, write_err, &result);
}

static void test_the_status_says_how_it_ended(void **state)
{
        assert_int_equal(status_of(KCOPY_COMPLETED, false, 0, true, true, true), CTL_DONE);
        assert_int_equal(status_of(KCOPY_COMPLETED, false, 0, true, true, false), CTL_DONE); /* null: */
        assert_int_equal(status_of(KCOPY_COMPLETED, false, 0, true, false, false), CTL_FAILED);
        assert_int_equal(status_of(KCOPY_COMPLETED, false, 0, false, false, false), CTL_DONE);
        assert_int_equal(status_of(KCOPY_COMPLETED, true, 0, true, true, true), CTL_FAILED);
        assert_int_equal(status_of(KCOPY_COMPLETED, false, 2, true, true, true), CTL_FAILED);
        assert_int_equal(status_of(KCOPY_FAILED, false, 0, true, true, true), CTL_FAILED);
        assert_int_equal(status_of(KCOPY_CANCELLED, false, 0, true, true, true), CTL_FAILED);
        assert_int_equal(status_of(KCOPY_REFUSED, true, 3, true, false, false), CTL_REFUSED);
        assert_int_equal(status_of(KCOPY_LOST, true, 3, true, false, false), CTL_UNKNOWN);
        assert_int_equal(status_of(KCOPY_VALIDATED, true, 3, true, false, false), CTL_DONE);
}

/* ---- JSON */

static void check_json(json_t *object, const char *expected)
{
        char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);

        assert_string_equal(text, expected);
        free(text);
        json_decref(object);
}

static void test_the_completion_line_is_as_documented(void **state)
{
        struct kcopy_destination_result destinations[2] = {
            {.copied_bytes = 1,
                .zeroed_bytes = 2,
                .skipped_bytes = 3,
                .durable = true,
                .error = {.errno_name = "", .message = ""}},
            {.indeterminate_bytes = 4,
                .untouched_bytes = 2,
                .error = {.error_class = KCOPY_CLASS_NO_SPACE,
                    .errno_name = "ENOSPC",
                    .message = "full\033",
                    .has_sector = true,
                    .sector = 8}},
        };
        struct kcopy_result result = {.job = 7,
            .state = KCOPY_FAILED,
            .length_bytes = 6,
            .elapsed_ms = 9,
            .n_destinations = 2,
            .destinations = destinations,
            .n_bad_ranges = 1,
            .bad_ranges = &(struct kcopy_sector_range){3, 2}};

        check_json(json_completion("/s", TO, false, 2, &result),
            "{\"event\":\"completion\",\"job\":7,\"state\":\"failed\",\"read_err\":false,\"write_err\":[1],"
            "\"durable\":false,\"length_bytes\":6,\"elapsed_ms\":9,\"source\":{\"device\":\"/"
            "s\",\"error\":null,\"bad_ranges\":[{\"sector\":3,\"count\":2}]},"
            "\"destinations\":[{\"index\":0,\"device\":\"/"
            "a\",\"durable\":true,\"error\":null,\"bytes\":{\"copied\":1,"
            "\"zeroed\":2,\"skipped\":3,\"indeterminate\":0,\"untouched\":0}},{\"index\":1,\"device\":\"null:"
            "\","
            "\"durable\":false,\"error\":{\"class\":\"no_space\",\"errno\":\"ENOSPC\",\"sector\":8,"
            "\"message\":"
            "\"full\\u001B\"},\"bytes\":{\"copied\":0,\"zeroed\":0,\"skipped\":0,\"indeterminate\":4,"
            "\"untouched\":2}}]}");
}

static void test_refused_and_lost_lines(void **state)
{
        struct kcopy_result refused = {.state = KCOPY_REFUSED,
            .refused_field = "to[0].count",
            .refusal = {.error_class = KCOPY_CLASS_LIMIT, .errno_name = "E2BIG", .message = "too long"},
            .has_limit = true,
            .limit = 5};
        struct kcopy_result lost = {.state = KCOPY_LOST, .job = 3, .refusal = {.message = "gone"}};

        check_json(json_completion("/s", TO, true, 3, &refused),
            "{\"event\":\"refused\",\"field\":\"to[0].count\",\"class\":\"limit\",\"errno\":\"E2BIG\","
            "\"message\":"
            "\"too long\",\"limit\":5}");
        check_json(json_refused("pages", -E2BIG, "none left"),
            "{\"event\":\"refused\",\"field\":\"pages\",\"class\":\"limit\",\"errno\":\"E2BIG\","
            "\"message\":\"none left\",\"limit\":null}");
        check_json(
            json_completion("/s", TO, true, 3, &lost), "{\"event\":\"lost\",\"job\":3,\"message\":\"gone\"}");
}

static void test_a_name_that_is_no_utf8_is_a_string_all_the_same(void **state)
{
        json_t *text = json_text("/a\xff");

        assert_string_equal(json_string_value(text), "/a?");
        json_decref(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_brackets_are_taken_out_with_their_options),
            cmocka_unit_test(test_brackets_without_a_command_or_an_end_are_refused),
            cmocka_unit_test(test_words_are_escaped_and_said_once),
            cmocka_unit_test(test_the_progress_line_fits_every_terminal),
            cmocka_unit_test(test_why_a_job_waits_is_printed_whole),
            cmocka_unit_test(test_the_bar_has_one_width_in_all_frames),
            cmocka_unit_test(test_a_rate_that_is_not_known_yet_is_none),
            cmocka_unit_test(test_a_hundred_percent_is_for_everything_only),
            cmocka_unit_test(test_destinations_that_are_over_are_not_behind),
            cmocka_unit_test(test_the_summary_is_of_the_complete_destinations),
            cmocka_unit_test(test_a_job_of_others_has_only_the_time_since_it_was_accepted),
            cmocka_unit_test(test_a_rate_is_of_data_and_of_the_time_that_was_copied),
            cmocka_unit_test(test_the_status_says_how_it_ended),
            cmocka_unit_test(test_the_completion_line_is_as_documented),
            cmocka_unit_test(test_refused_and_lost_lines),
            cmocka_unit_test(test_a_name_that_is_no_utf8_is_a_string_all_the_same),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
