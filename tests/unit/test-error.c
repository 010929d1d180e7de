/* Errors: the first wins, messages are cut and never overrun, peers' strings come out harmless.
 * links: kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static void test_set_records_and_returns_the_code(void **state)
{
        struct kc_error err = {0};

        assert_int_equal(kc_error_set(&err, -EINVAL, KC_CLASS_INVALID, "to[%d]: too many", 3), -EINVAL);
        assert_int_equal(err.code, -EINVAL);
        assert_int_equal(err.class, KC_CLASS_INVALID);
        assert_string_equal(err.message, "to[3]: too many");
}

static void test_first_error_wins(void **state)
{
        struct kc_error err = {0};

        kc_error_set(&err, -EIO, KC_CLASS_MEDIA, "first");
        assert_int_equal(kc_error_set(&err, -EPERM, KC_CLASS_PERMISSION, "second"), -EPERM);
        assert_int_equal(err.code, -EIO);
        assert_int_equal(err.class, KC_CLASS_MEDIA);
        assert_string_equal(err.message, "first");
}

static void test_no_error_struct_is_fine(void **state)
{
        assert_int_equal(kc_error_set(NULL, -EIO, KC_CLASS_MEDIA, "nobody reads this"), -EIO);
        kc_error_prefix(NULL, "nor this");
}

static void test_prefix_goes_in_front(void **state)
{
        struct kc_error err = {0};

        kc_error_prefix(&err, "nothing is set");
        assert_string_equal(err.message, "");
        kc_error_set(&err, -EIO, KC_CLASS_MEDIA, "read failed");
        kc_error_prefix(&err, "lane %u", 2u);
        kc_error_prefix(&err, "%s", "job 7");
        assert_string_equal(err.message, "job 7: lane 2: read failed");
        assert_int_equal(err.code, -EIO);
}

static void test_long_message_is_cut_between_characters(void **state)
{
        /* "é" is two bytes, "€" three, the clef four: every alignment of the cut */
        static const char *const characters[] = {"x", "é", "€", "𝄞"};

        for (size_t c = 0; c < sizeof(characters) / sizeof(characters[0]); c++) {
                size_t n = strlen(characters[c]);

                for (size_t shift = 0; shift < 4; shift++) {
                        char text[600] = "";
                        struct kc_error err = {0};
                        size_t expected = shift + (KC_ERROR_MESSAGE_MAX_BYTES - 1 - shift) / n * n;

                        memset(text, '-', shift);
                        while (strlen(text) + n < sizeof(text))
                                strcat(text, characters[c]);
                        kc_error_set(&err, -EIO, KC_CLASS_MEDIA, "%s", text);
                        assert_int_equal(strlen(err.message), expected);
                        assert_memory_equal(err.message, text, expected);

                        kc_error_prefix(&err, "p");
                        assert_memory_equal(err.message, "p: ", 3);
                        expected = shift + (KC_ERROR_MESSAGE_MAX_BYTES - 4 - shift) / n * n;
                        assert_int_equal(strlen(err.message), 3 + expected);
                        assert_memory_equal(err.message + 3, text, expected);
                }
        }
}

static void test_long_prefix_leaves_no_room(void **state)
{
        struct kc_error err = {0};
        char prefix[600];

        memset(prefix, 'p', sizeof(prefix) - 1);
        prefix[sizeof(prefix) - 1] = '\0';
        kc_error_set(&err, -EIO, KC_CLASS_MEDIA, "reason");
        kc_error_prefix(&err, "%s", prefix);
        assert_int_equal(strlen(err.message), KC_ERROR_MESSAGE_MAX_BYTES - 1);
        assert_int_equal(err.message[0], 'p');
}

static void *unknown_errno(void *arg)
{
        strcpy(arg, kc_errno_name(-4242));
        return NULL;
}

static void test_errno_names(void **state)
{
        const char *mine;
        char theirs[32];
        pthread_t thread;

        assert_string_equal(kc_errno_name(-EIO), "EIO");
        assert_string_equal(kc_errno_name(ENOSPC), "ENOSPC");
        assert_string_equal(kc_errno_name(0), "errno 0");
        assert_string_equal(kc_errno_name(INT_MIN), "errno -2147483648");
        mine = kc_errno_name(1234);
        assert_string_equal(mine, "errno 1234");
        assert_int_equal(pthread_create(&thread, NULL, unknown_errno, theirs), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_string_equal(theirs, "errno 4242");
        assert_string_equal(mine, "errno 1234");
}

static void test_class_names_are_the_words_of_the_design(void **state)
{
        assert_string_equal(kc_class_name(KC_CLASS_TRANSPORT), "transport");
        assert_string_equal(kc_class_name(KC_CLASS_NO_SPACE), "no space");
        for (int class = KC_CLASS_NONE; class <= KC_CLASS_INTERNAL; class ++) {
                assert_string_not_equal(kc_class_name((enum kc_class) class), "unknown");
                for (int other = KC_CLASS_NONE; other < class; other++)
                        assert_string_not_equal(
                            kc_class_name((enum kc_class) class), kc_class_name((enum kc_class)other));
        }
        assert_string_equal(kc_class_name((enum kc_class)99), "unknown");
}

static void test_class_of_errno(void **state)
{
        static const struct {
                int code;
                enum kc_class class;
        } expected[] = {
            {0, KC_CLASS_NONE},
            {-ENOSPC, KC_CLASS_NO_SPACE},
            {-EDQUOT, KC_CLASS_NO_SPACE},
            {-EFBIG, KC_CLASS_NO_SPACE},
            {-EPERM, KC_CLASS_PERMISSION},
            {-EACCES, KC_CLASS_PERMISSION},
            {-EROFS, KC_CLASS_PERMISSION},
            {-ENOTCONN, KC_CLASS_TRANSPORT},
            {-ECONNRESET, KC_CLASS_TRANSPORT},
            {-ECONNREFUSED, KC_CLASS_TRANSPORT},
            {-ESHUTDOWN, KC_CLASS_TRANSPORT},
            {-EPIPE, KC_CLASS_TRANSPORT},
            {-EHOSTUNREACH, KC_CLASS_TRANSPORT},
            {-ETIMEDOUT, KC_CLASS_TIMEOUT},
            {-EPROTO, KC_CLASS_PROTOCOL},
            {-ECANCELED, KC_CLASS_CANCELLED},
            {-EIO, KC_CLASS_MEDIA},
            {-EINVAL, KC_CLASS_MEDIA},
            {INT_MIN, KC_CLASS_MEDIA},
        };

        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
                assert_int_equal(kc_class_of_errno(expected[i].code), expected[i].class);
                if (expected[i].code != INT_MIN)
                        assert_int_equal(kc_class_of_errno(-expected[i].code), expected[i].class);
        }
}

static void expect_escaped(const char *src, size_t src_bytes, const char *expected)
{
        char dst[256];

        assert_ptr_equal(kc_error_escape(dst, sizeof(dst), src, src_bytes), dst);
        assert_string_equal(dst, expected);
}

#define ESCAPED(src, expected) expect_escaped(src, sizeof(src) - 1, expected)

static void test_escape_leaves_text_alone(void **state)
{
        ESCAPED("", "");
        ESCAPED("nbd://host/disk-1 (déjà vu, 日本語, 𝄞)", "nbd://host/disk-1 (déjà vu, 日本語, 𝄞)");
        ESCAPED("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"); /* the last code point there is */
}

static void test_escape_disarms_what_terminals_and_quoting_act_on_but_no_apostrophe(void **state)
{
        ESCAPED("a\0b", "a\\x00b");
        ESCAPED("\x1b[31m\r\n\x7f", "\\x1b[31m\\x0d\\x0a\\x7f");
        ESCAPED("say \"it's\" \\", "say \\x22it's\\x22 \\x5c");
        ESCAPED("\xc2\x9b", "\\xc2\\x9b"); /* C1: a one-character escape sequence */
        ESCAPED("\xe2\x80\xae"
                "cod.exe",
            "\\xe2\\x80\\xae"
            "cod.exe"); /* right-to-left override */
}

static void test_escape_disarms_invalid_utf8(void **state)
{
        ESCAPED("\xff", "\\xff");
        ESCAPED("\x80z", "\\x80z");                          /* a stray continuation */
        ESCAPED("\xc3", "\\xc3");                            /* cut */
        ESCAPED("\xe2\x82z", "\\xe2\\x82z");                 /* cut */
        ESCAPED("\xc0\xaf", "\\xc0\\xaf");                   /* overlong "/" */
        ESCAPED("\xe0\x80\xaf", "\\xe0\\x80\\xaf");          /* overlong */
        ESCAPED("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* a surrogate */
        ESCAPED("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
        ESCAPED("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
}

static void test_escape_never_overruns_and_marks_the_cut(void **state)
{
        static const char src[] = "ab\x01"
                                  "cdé€\xff";
        char whole[64];
        size_t whole_bytes;

        kc_error_escape(whole, sizeof(whole), src, sizeof(src) - 1);
        whole_bytes = strlen(whole);
        for (size_t room = 1; room < whole_bytes + 4; room++) {
                char *dst = malloc(room); /* exactly so much: a sanitizer sees one byte too many */
                size_t n;

                assert_non_null(dst);
                kc_error_escape(dst, room, src, sizeof(src) - 1);
                n = strlen(dst);
                assert_true(n < room);
                if (room > whole_bytes) {
                        assert_string_equal(dst, whole);
                } else if (room > 3) {
                        assert_string_equal(dst + n - 3, "…");
                        assert_memory_equal(dst, whole, n - 3);
                } else {
                        assert_int_equal(n, 0);
                }
                free(dst);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_set_records_and_returns_the_code),
            cmocka_unit_test(test_first_error_wins),
            cmocka_unit_test(test_no_error_struct_is_fine),
            cmocka_unit_test(test_prefix_goes_in_front),
            cmocka_unit_test(test_long_message_is_cut_between_characters),
            cmocka_unit_test(test_long_prefix_leaves_no_room),
            cmocka_unit_test(test_errno_names),
            cmocka_unit_test(test_class_names_are_the_words_of_the_design),
            cmocka_unit_test(test_class_of_errno),
            cmocka_unit_test(test_escape_leaves_text_alone),
            cmocka_unit_test(test_escape_disarms_what_terminals_and_quoting_act_on_but_no_apostrophe),
            cmocka_unit_test(test_escape_disarms_invalid_utf8),
            cmocka_unit_test(test_escape_never_overruns_and_marks_the_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
