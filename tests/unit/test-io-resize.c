/* Creating and resizing regular files, on io_uring and on the thread pool.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <signal.h>

#include "unit/io-fixture.h"

static enum provider_local_io which_of(void **state)
{
        return *(enum provider_local_io *)*state;
}

static void resize_creates_what_is_absent(void **state)
{
        char buf[100], back[100];
        struct endpoint *endpoint;
        const char *path;
        struct lane lane;
        struct stat st;
        mode_t mask;

        lane_init(&lane, which_of(state));
        path = lane_path(&lane, "made");
        endpoint = lane_open(&lane, path, IO_ACCESS_READ_WRITE, MAY_CREATE);
        assert_true(endpoint->info.absent);
        assert_true(endpoint->info.resizable);
        assert_int_equal(endpoint->info.size_bytes, 0);
        assert_int_equal(endpoint->info.kind, IO_KIND_FILE);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(lane_io(&lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, 0, 0, 12345, NULL), 0);
        assert_false(endpoint->info.absent);
        assert_int_equal(endpoint->info.size_bytes, 12345);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 12345);
        mask = umask(0);
        umask(mask);
        assert_int_equal(st.st_mode & 07777, 0666 & ~mask);
        fill_random(buf, sizeof(buf), 1);
        assert_int_equal(lane_io(&lane, endpoint, IO_WRITE, 0, 12245, 100, buf), 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_READ, 0, 12245, 100, back), 0);
        assert_memory_equal(buf, back, 100);
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

static void resize_fails_if_the_file_appeared_meanwhile(void **state)
{
        struct endpoint *endpoint;
        struct waited_req waited;
        const char *path;
        struct lane lane;
        struct stat st;

        lane_init(&lane, which_of(state));
        path = lane_path(&lane, "race");
        endpoint = lane_open(&lane, path, IO_ACCESS_WRITE, MAY_CREATE);
        make_file(&lane, "race", 10, NULL);
        req_start(endpoint, &waited, IO_RESIZE, 0, 0, 12345, NULL);
        lane_run_until(&lane, &waited.done);
        assert_int_equal(waited.req.status, -EEXIST);
        assert_int_equal(waited.req.class, KC_CLASS_BUSY);
        assert_true(endpoint->info.absent);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 10);
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

static void resize_is_exact_or_grows_only(void **state)
{
        struct endpoint *endpoint;
        struct lane lane;

        lane_init(&lane, which_of(state));
        endpoint = lane_open(&lane, make_file(&lane, "size", 5000, NULL), IO_ACCESS_READ_WRITE, 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, IO_GROW_ONLY, 0, 4000, NULL), 0);
        assert_int_equal(endpoint->info.size_bytes, 5000);
        assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, IO_GROW_ONLY, 0, 6000, NULL), 0);
        assert_int_equal(endpoint->info.size_bytes, 6000);
        assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, 0, 0, 100, NULL), 0);
        assert_int_equal(endpoint->info.size_bytes, 100);
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

static void an_extra_endpoint_works_on_what_another_has_grown(void **state)
{
        struct endpoint *first, *extra;
        char buf[100], back[100];
        struct lane lane;

        lane_init(&lane, which_of(state));
        first = lane_open(&lane, make_file(&lane, "grown", 10, NULL), IO_ACCESS_READ_WRITE, 0);
        extra = lane_open(&lane, lane_path(&lane, "grown"), IO_ACCESS_READ_WRITE, EXTRA);
        assert_int_equal(lane_io(&lane, first, IO_RESIZE, IO_GROW_ONLY, 0, 1000, NULL), 0);
        fill_random(buf, sizeof(buf), 1);
        assert_int_equal(lane_io(&lane, extra, IO_WRITE, 0, 900, 100, buf), 0);
        assert_int_equal(lane_io(&lane, first, IO_READ, 0, 900, 100, back), 0);
        assert_memory_equal(buf, back, 100);
        lane_close(&lane, extra);
        lane_close(&lane, first);
        lane_done(&lane);
}

static void a_size_that_cannot_be_leaves_nothing_behind(void **state)
{
        struct rlimit before, limit;
        struct endpoint *endpoint;
        struct waited_req waited;
        const char *path;
        struct lane lane;

        lane_init(&lane, which_of(state));
        path = lane_path(&lane, "huge");
        endpoint = lane_open(&lane, path, IO_ACCESS_WRITE, MAY_CREATE);
        assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, 0, 0, 1ull << 63, NULL), -EFBIG);
        assert_int_equal(access(path, F_OK), -1);
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        limit = before;
        limit.rlim_cur = MIB;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        req_start(endpoint, &waited, IO_RESIZE, 0, 0, 2 * MIB, NULL);
        lane_run_until(&lane, &waited.done);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(waited.req.status, -EFBIG);
        assert_int_equal(waited.req.class, KC_CLASS_NO_SPACE);
        assert_int_equal(access(path, F_OK), -1);
        assert_true(endpoint->info.absent);
        /* and it can be tried again */
        assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, 0, 0, 2 * MIB, NULL), 0);
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH(resize_creates_what_is_absent),
            BOTH(resize_fails_if_the_file_appeared_meanwhile),
            BOTH(resize_is_exact_or_grows_only),
            BOTH(an_extra_endpoint_works_on_what_another_has_grown),
            BOTH(a_size_that_cannot_be_leaves_nothing_behind),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
