/* Regions and sizes as written on the command line.
 * links: kcopyctl_parts */
#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/names.h"
#include "ctl/region.h"
#include "ctl/units.h"

struct row {
        const char *text;
        const char *device; /* NULL: it is refused */
        uint64_t sector, count_sectors;
        const char *reason; /* refused: part of it */
};

static void check(const struct row *rows, size_t n, enum region_names names)
{
        for (size_t i = 0; i < n; i++) {
                char reason[REGION_REASON_BYTES] = "";
                struct region region;
                bool good = region_parse(rows[i].text, names, "/here", &region, reason);

                if (good != (rows[i].device != NULL))
                        fail_msg("%s: %s", rows[i].text, good ? "is taken" : reason);
                if (!good) {
                        if (!strstr(reason, rows[i].reason))
                                fail_msg("%s: %s", rows[i].text, reason);
                        continue;
                }
                assert_string_equal(region.device, rows[i].device);
                assert_int_equal(region.sector, rows[i].sector);
                assert_int_equal(region.count_sectors, rows[i].count_sectors);
                region_done(&region);
        }
}
#define CHECK(rows, names) check(rows, sizeof(rows) / sizeof(rows[0]), names)

static void test_plain_numbers_are_sectors(void **state)
{
        static const struct row ROWS[] = {
            {"/dev/x", "/dev/x", 0, 0, NULL},
            {"/dev/x#0+0", "/dev/x", 0, 0, NULL},
            {"/dev/x#7+1", "/dev/x", 7, 1, NULL},
            {"/dev/x#007+010", "/dev/x", 7, 10, NULL},
            {"/dev/x#18014398509481983+0", "/dev/x", 18014398509481983u, 0, NULL},
        };

        CHECK(ROWS, REGION_BARE_IS_FILE);
}

static void test_units_are_bytes_in_powers_of_1024(void **state)
{
        static const struct row ROWS[] = {
            {"/d#512B+1024B", "/d", 1, 2, NULL},
            {"/d#1K+1KiB", "/d", 2, 2, NULL},
            {"/d#1M+1MiB", "/d", 2048, 2048, NULL},
            {"/d#1G+1GiB", "/d", 2097152, 2097152, NULL},
            {"/d#1T+1TiB", "/d", 2147483648u, 2147483648u, NULL},
            {"/d#1MiB+8", "/d", 2048, 8, NULL},
            {"/d#0B+0B", "/d", 0, 0, NULL},
        };

        CHECK(ROWS, REGION_BARE_IS_FILE);
}

static void test_a_tail_of_another_form_belongs_to_the_name(void **state)
{
        static const struct row ROWS[] = {
            {"/d#", "/d#", 0, 0, NULL},
            {"/d#1", "/d#1", 0, 0, NULL},
            {"/d#1+", "/d#1+", 0, 0, NULL},
            {"/d#+1", "/d#+1", 0, 0, NULL},
            {"/d#1+2+3", "/d#1+2+3", 0, 0, NULL},
            {"/d#1 +2", "/d#1 +2", 0, 0, NULL},
            {"/d#-1+2", "/d#-1+2", 0, 0, NULL},
            {"/d#1Mega+2", "/d#1Mega+2", 0, 0, NULL},
            {"/d#1MB+x", "/d#1MB+x", 0, 0, NULL},
            {"/d#0x1+2", "/d#0x1+2", 0, 0, NULL},
            {"/d#1.5M+2", "/d#1.5M+2", 0, 0, NULL},
            {"/d#1+2/e", "/d#1+2/e", 0, 0, NULL},
            {"/d#1+2#3+4", "/d#1+2", 3, 4, NULL}, /* the last one counts */
            {"/d#1+2#x", "/d#1+2#x", 0, 0, NULL},
            {"/a b\n#1+2", "/a b\n", 1, 2, NULL},
        };

        CHECK(ROWS, REGION_BARE_IS_FILE);
}

static void test_numbers_that_cannot_be_are_refused(void **state)
{
        static const struct row ROWS[] = {
            {"/d#1B+1", NULL, 0, 0, "start is no multiple"},
            {"/d#1+513B", NULL, 0, 0, "count is no multiple"},
            {"/d#18014398509481984+0", NULL, 0, 0, "start is too large"},
            {"/d#0+99999999999999999999999", NULL, 0, 0, "count is too large"},
            {"/d#18446744073709551616+1", NULL, 0, 0, "start is too large"},
            {"/d#8388608T+1", NULL, 0, 0, "start is too large"},
            {"/d#18014398509481983+1", NULL, 0, 0, "beyond any device"},
            {"/d#1k+2", NULL, 0, 0, "start has an unknown unit"},
            {"/d#0+10GB", NULL, 0, 0, "count has an unknown unit"},
            {"/d#1MB+2Q", NULL, 0, 0, "start has an unknown unit"},
            {"-", NULL, 0, 0, "./- is a file"},
            {"-#0+1", NULL, 0, 0, "./- is a file"},
            {"", NULL, 0, 0, "a device is needed"},
            {"#1+2", NULL, 0, 0, "a device is needed"},
            {"file:", NULL, 0, 0, "needs a name"},
        };

        CHECK(ROWS, REGION_BARE_IS_FILE);
}

static void test_names_become_absolute(void **state)
{
        static const struct row ROWS[] = {
            {"disk.img", "/here/disk.img", 0, 0, NULL},
            {"a/b#1+2", "/here/a/b", 1, 2, NULL},
            {"./a", "/here/./a", 0, 0, NULL},
            {"null:", "null:", 0, 0, NULL},
            {"null:x", "/here/null:x", 0, 0, NULL},
            {"nbd://h:1/e", "nbd://h:1/e", 0, 0, NULL},
            {"nbd+unix:///?socket=/s#4+4", "nbd+unix:///?socket=/s", 4, 4, NULL},
            {"1bd://x", "/here/1bd://x", 0, 0, NULL},
            {"file:disk.img", "/here/disk.img", 0, 0, NULL},
            {"file:/d#1+2", "/d#1+2", 0, 0, NULL},
            {"file:nbd://x", "/here/nbd://x", 0, 0, NULL},
            {"file:null:", "/here/null:", 0, 0, NULL},
            {"file:///d", "///d", 0, 0, NULL},
        };

        CHECK(ROWS, REGION_BARE_IS_FILE);
}

static void test_a_name_that_is_no_utf8_is_refused(void **state)
{
        static const struct row ROWS[] = {
            {"/d\xc3\xa4", "/d\xc3\xa4", 0, 0, NULL},
            {"/d\xe4", NULL, 0, 0, "is no UTF-8"},
            {"/d\xe4#1+2", NULL, 0, 0, "is no UTF-8"},
            {"file:d\xe4", NULL, 0, 0, "is no UTF-8"},
        };

        CHECK(ROWS, REGION_BARE_IS_FILE);
}

static void test_a_servers_endpoint_is_a_bare_word(void **state)
{
        static const struct row ROWS[] = {
            {"vm1", "vm1", 0, 0, NULL},
            {"vm1#8+8", "vm1", 8, 8, NULL},
            {"./vm1", "/here/./vm1", 0, 0, NULL},
            {"file:vm1", "/here/vm1", 0, 0, NULL},
            {"/vm1", "/vm1", 0, 0, NULL},
        };

        CHECK(ROWS, REGION_BARE_IS_ENDPOINT);
}

static void test_the_current_folder_is_the_default(void **state)
{
        char reason[REGION_REASON_BYTES], *here = getcwd(NULL, 0);
        struct region region;

        assert_true(region_parse("x", REGION_BARE_IS_FILE, NULL, &region, reason));
        assert_int_equal(strncmp(region.device, here, strlen(here)), 0);
        region_done(&region);
        assert_true(region_parse("x", REGION_BARE_IS_FILE, "/", &region, reason));
        assert_string_equal(region.device, "/x");
        region_done(&region);
        free(here);
}

static void test_a_tail_alone(void **state)
{
        char reason[REGION_REASON_BYTES];
        uint64_t sector = 9, count = 9;

        assert_true(region_parse_tail("", &sector, &count, reason));
        assert_int_equal(sector + count, 0);
        assert_true(region_parse_tail("#1K+2", &sector, &count, reason));
        assert_int_equal(sector, 2);
        assert_int_equal(count, 2);
        assert_false(region_parse_tail("x", &sector, &count, reason));
        assert_false(region_parse_tail("#1", &sector, &count, reason));
        assert_false(region_parse_tail("#1B+1", &sector, &count, reason));
}

static void test_sizes_are_printed_as_people_read_them(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } ROWS[] = {
            {0, "0 B"},
            {1023, "1023 B"},
            {1024, "1.0 KiB"},
            {1536, "1.5 KiB"},
            {1024 * 1024 - 1, "1.0 MiB"},
            {120u << 20, "120 MiB"},
            {1u << 30, "1.0 GiB"},
            {UINT64_MAX, "16.0 EiB"},
        };
        char text[UNITS_TEXT_BYTES];

        for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++)
                assert_string_equal(units_format(ROWS[i].bytes, text), ROWS[i].text);
        assert_string_equal(units_format_duration(7, text), "0:07");
        assert_string_equal(units_format_duration(3600 * 3 + 25 * 60 + 1, text), "3:25:01");
        assert_string_equal(units_format_duration(UINT64_MAX, text), "?");
}

static void test_seconds_may_have_a_fraction(void **state)
{
        uint64_t ms = 0;

        assert_true(units_parse_seconds_ms("30", &ms) && ms == 30000);
        assert_true(units_parse_seconds_ms("0.25", &ms) && ms == 250);
        assert_true(units_parse_seconds_ms(".5", &ms) && ms == 500);
        assert_false(units_parse_seconds_ms("", &ms));
        assert_false(units_parse_seconds_ms(".", &ms));
        assert_false(units_parse_seconds_ms("0", &ms));
        assert_false(units_parse_seconds_ms("-1", &ms));
        assert_false(units_parse_seconds_ms("5s", &ms));
        assert_false(units_parse_seconds_ms("99999999999999999999999", &ms));
}

static void check_name(enum names_place place, const char *word, bool source, const char *reason)
{
        char why[NAMES_REASON_BYTES] = "";
        bool good = names_check(place, word, source, why);

        if (good != (reason == NULL) || (reason && !strstr(why, reason)))
                fail_msg("%s: %s", word, good ? "is taken" : why);
}

static void test_names_that_mean_something_else_are_refused_unless_they_exist(void **state)
{
        static const char *const TAILS[] = {
            "#2048", "#1M", "#1M+", "#0x10+1", "#-1+2", "#+1M", "#1M-2M", "#0,1M"};
        char folder[] = "/tmp/test-region-XXXXXX", path[64], literal[96];

        assert_non_null(mkdtemp(folder));
        for (unsigned i = 0; i < sizeof(TAILS) / sizeof(TAILS[0]); i++) {
                int fd;

                snprintf(path, sizeof(path), "%s/f%s", folder, TAILS[i]);
                snprintf(literal, sizeof(literal), "file:%s", path);
                check_name(NAMES_PRIVATE, path, false, "#START+COUNT");
                check_name(NAMES_SERVER, path, true, "file:NAME");
                check_name(NAMES_FAR, path, false, "file:NAME");
                check_name(NAMES_FAR, path, true, NULL); /* the server refuses what it has not got */
                check_name(NAMES_PRIVATE, literal, false, NULL);
                fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
                assert_true(fd >= 0);
                close(fd);
                check_name(NAMES_PRIVATE, path, false, NULL);
                unlink(path);
        }
        snprintf(path, sizeof(path), "%s/f#0+1", folder);
        snprintf(literal, sizeof(literal), "file:%s is the file", path);
        check_name(NAMES_PRIVATE, path, false, NULL);
        close(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600));
        check_name(NAMES_PRIVATE, path, true, literal);
        check_name(NAMES_SERVER, path, false, literal);
        check_name(NAMES_FAR, path, false, NULL);
        path[strlen(folder) + 2] = '\0';
        close(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600));
        path[strlen(folder) + 2] = '#';
        check_name(NAMES_PRIVATE, path, true, NULL); /* both are there */
        unlink(path);
        path[strlen(folder) + 2] = '\0';
        unlink(path);
        rmdir(folder);
        check_name(NAMES_PRIVATE, "/nowhere/x#0+1", false, NULL);
        check_name(NAMES_PRIVATE, "/nowhere/x#name", false, NULL);
        check_name(NAMES_PRIVATE, "nbd://h/x#1", false, NULL); /* the server's: a fragment */
        check_name(NAMES_SERVER, "gold#1", false, NULL);       /* an endpoint's name */
        check_name(NAMES_PRIVATE, "nbd:localhost:10809", false, "write nbd://localhost:10809/");
        check_name(NAMES_SERVER, "nbd:h:1:exportname=x", true, "write nbd://h:1/x");
        check_name(NAMES_PRIVATE, "nbd:unix:/s:exportname=x", true, "write nbd+unix:///x?socket=/s");
        check_name(NAMES_PRIVATE, "null", false, "null: with a colon");
        check_name(NAMES_PRIVATE, "NULL", false, "./NULL");
        check_name(NAMES_SERVER, "null", false, NULL);
        check_name(NAMES_PRIVATE, "null:foo", false, "null: and nothing");
        check_name(NAMES_SERVER, "NULL:", false, "null: and nothing");
        check_name(NAMES_FAR, "null:#2048", false, "null: and nothing");
        check_name(NAMES_PRIVATE, "null:#0+8", false, NULL);
        check_name(NAMES_PRIVATE, "null:", false, NULL);
        check_name(NAMES_FAR, "./x", true, "server's machine");
        check_name(NAMES_FAR_LOOPBACK, "file:x", true, "server's machine");
        check_name(NAMES_FAR, "gold", true, NULL);
        check_name(NAMES_FAR, "/x", true, NULL);
}

static void test_a_server_is_here_or_far(void **state)
{
        static const char *const HERE[] = {
            "tcp:localhost", "tcp:localhost:1", "tcp:127.0.0.1:1", "tcp:[::1]:1"};
        static const char *const FAR[] = {
            "tcp:host", "tcp:localhost.org", "tcp:127.evil.org:1", "tcp:[::2]:1"};

        assert_int_equal(names_place(NULL), NAMES_PRIVATE);
        assert_int_equal(names_place("unix:/x"), NAMES_SERVER);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(names_place(HERE[i]), NAMES_FAR_LOOPBACK);
                assert_int_equal(names_place(FAR[i]), NAMES_FAR);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_plain_numbers_are_sectors),
            cmocka_unit_test(test_units_are_bytes_in_powers_of_1024),
            cmocka_unit_test(test_a_tail_of_another_form_belongs_to_the_name),
            cmocka_unit_test(test_numbers_that_cannot_be_are_refused),
            cmocka_unit_test(test_names_become_absolute),
            cmocka_unit_test(test_a_name_that_is_no_utf8_is_refused),
            cmocka_unit_test(test_a_servers_endpoint_is_a_bare_word),
            cmocka_unit_test(test_the_current_folder_is_the_default),
            cmocka_unit_test(test_a_tail_alone),
            cmocka_unit_test(test_sizes_are_printed_as_people_read_them),
            cmocka_unit_test(test_seconds_may_have_a_fraction),
            cmocka_unit_test(test_names_that_mean_something_else_are_refused_unless_they_exist),
            cmocka_unit_test(test_a_server_is_here_or_far),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
