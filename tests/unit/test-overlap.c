/* The words for regions of a job that touch the same bytes: which two, and through what. links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "copy/overlap.h"

static const struct endpoint_info FILE_ = {.kind = IO_KIND_FILE, .identity = {.key = "file:65024:1234"}};
static const struct endpoint_info LOOP = {.kind = IO_KIND_BLOCK, .identity = {.key = "file:65024:1234"}};
static const struct endpoint_info DISK = {.kind = IO_KIND_BLOCK, .identity = {.key = "blk:8:0"}};
static const struct endpoint_info EXPORT = {.kind = IO_KIND_NBD, .identity = {.key = "nbd:unix:1:2/x"}};

/* A copy from /one to `to`. */
static struct copy_spec *spec_new(const char *to)
{
        struct copy_spec *spec = copy_spec_new(2, 64);

        assert_non_null(spec);
        spec->n_to = 2;
        spec->from.device = copy_spec_name(spec, "/one", 4);
        spec->to[0].device = copy_spec_name(spec, "null:", 5);
        spec->to[1].device = copy_spec_name(spec, to, strlen(to));
        return spec;
}

static void check(const struct endpoint_info *one, const struct endpoint_info *other, const char *expected)
{
        static const struct endpoint_info NOTHING = {.kind = IO_KIND_NULL};
        const struct endpoint_info *to[] = {&NOTHING, other};
        struct job_plan plan = {.from = {.lock_end_bytes = 4096}};
        struct copy_spec *spec = spec_new("/other");
        char reason[OVERLAP_REASON_BYTES];
        unsigned first, second;

        plan.to[0].lock_end_bytes = plan.to[1].lock_end_bytes = 4096;
        assert_true(overlap_find(spec, one, to, &plan, &first, &second));
        assert_string_equal(overlap_reason(spec, one, to, first, second, reason), expected);
        free(spec);
}

static void test_it_is_said_through_what_they_meet(void **state)
{
        check(&FILE_, &FILE_,
            "overlaps with from (/one): both are the same file; name regions that share no bytes");
        check(&FILE_, &LOOP,
            "overlaps with from (/one): it is a loop device on that file; name regions that share no bytes");
        check(&LOOP, &FILE_,
            "overlaps with from (/one): it is the file behind that loop device; name regions that share no "
            "bytes");
        check(&LOOP, &LOOP,
            "overlaps with from (/one): both are loop devices on the same file; name regions that share no "
            "bytes");
        check(&DISK, &DISK,
            "overlaps with from (/one): both are the same device, or parts of the same disk; name regions "
            "that share no bytes");
        check(&EXPORT, &EXPORT,
            "overlaps with from (/one): both are the same export of the same NBD server; name regions that "
            "share no bytes");
}

static void test_two_destinations_and_handles_are_named_too(void **state)
{
        const struct endpoint_info *to[] = {&DISK, &DISK};
        struct copy_spec *spec = spec_new("/other");
        char reason[OVERLAP_REASON_BYTES];

        spec->to[0].device = NULL;
        spec->to[0].handle = 7;
        assert_non_null(strstr(
            overlap_reason(spec, NULL, to, 0, 1, reason), "overlaps with to[0] (handle 7): both are "));
        free(spec);
}

static void test_long_and_strange_names_leave_room_for_the_reason(void **state)
{
        const struct endpoint_info *to[] = {&DISK, &DISK};
        struct copy_spec *spec = copy_spec_new(2, 4096);
        char reason[OVERLAP_REASON_BYTES], name[4000];

        memset(name, 'x', sizeof(name));
        name[0] = '\n';
        assert_non_null(spec);
        spec->n_to = 2;
        spec->to[0].device = copy_spec_name(spec, name, sizeof(name));
        overlap_reason(spec, NULL, to, 0, 1, reason);
        assert_null(strchr(reason, '\n'));
        assert_non_null(strstr(reason, "; name regions that share no bytes"));
        free(spec);
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
            cmocka_unit_test(test_it_is_said_through_what_they_meet),
            cmocka_unit_test(test_two_destinations_and_handles_are_named_too),
            cmocka_unit_test(test_long_and_strange_names_leave_room_for_the_reason),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
