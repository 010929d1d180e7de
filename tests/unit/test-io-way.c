/* Which way the bytes of local files and devices go, and that they arrive whichever it is.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/magic.h>
#include <stdalign.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "io/file.h"
#include "unit/io-fixture.h"
#include "unit/loop-device.h"

static alignas(FILE_WAY_ALIGN_BYTES) char content[MIB], back[MIB];

static enum provider_local_io which_of(void **state)
{
        return *(enum provider_local_io *)*state;
}

static enum file_way way_of(struct endpoint *endpoint)
{
        return ((struct file *)endpoint)->way;
}

static bool is_direct(struct endpoint *endpoint)
{
        return fcntl(((struct file *)endpoint)->fd, F_GETFL) & O_DIRECT;
}

/* What everybody else sees there. */
static void assert_holds(const char *path, const char *expected, size_t bytes)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(pread(fd, back, bytes, 0), (ssize_t)bytes);
        assert_memory_equal(back, expected, bytes);
        close(fd);
}

static size_t cached_pages(const char *path, size_t bytes)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        static unsigned char resident[MIB / 4096];
        size_t n = 0;
        void *map;

        assert_true(fd >= 0 && bytes <= MIB);
        map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
        assert_true(map != MAP_FAILED);
        assert_int_equal(mincore(map, bytes, resident), 0);
        for (size_t i = 0; i < bytes / 4096; i++)
                n += resident[i] & 1;
        munmap(map, bytes);
        close(fd);
        return n;
}

static void skip_unless_on(const char *path, long type)
{
        struct statfs fs;

        if (statfs(path, &fs) < 0 || fs.f_type != type || sysconf(_SC_PAGESIZE) != 4096)
                skip();
}

/* ---- in memory */

static void a_file_in_memory_is_the_lanes_own_work(void **state)
{
        char path[64];
        struct endpoint *endpoint;
        struct waited_req waited;
        struct lane lane;
        bool closed = false;

        skip_unless_on("/dev/shm", TMPFS_MAGIC);
        lane_init(&lane, which_of(state));
        fill_random(content, MIB, 1);
        snprintf(path, sizeof(path), "/dev/shm/kcopy-test-way-%d", (int)getpid());
        endpoint = lane_open(&lane, path, IO_ACCESS_WRITE, MAY_CREATE);
        assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, 0, 0, MIB, NULL), 0);
        req_start(endpoint, &waited, IO_WRITE, 0, 0, MIB, content);
        assert_int_equal(lane.io->n_in_flight, 0);
        lane_run_until(&lane, &waited.done);
        assert_int_equal(waited.req.status, 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
        lane_close(&lane, endpoint);
        assert_holds(path, content, MIB);

        endpoint = lane_open(&lane, path, IO_ACCESS_READ, 0);
        memset(back, 0, sizeof(back));
        req_start(endpoint, &waited, IO_READ, 0, 1, MIB - 1, back);
        assert_int_equal(lane.io->n_in_flight, 0);
        lane_run_until(&lane, &waited.done);
        assert_int_equal(waited.req.status, 0);
        assert_memory_equal(back, content + 1, MIB - 1);

        req_start(endpoint, &waited, IO_READ, 0, 0, MIB, back);
        endpoint_close(endpoint, on_flag, &closed);
        lane_run_until(&lane, &closed);
        assert_true(waited.done);
        assert_int_equal(waited.req.status, -ECANCELED);
        unlink(path);
        lane_done(&lane);
}

/* ---- past the cache */

static void whole_pages_of_a_file_on_a_disk_pass_the_cache_by(void **state)
{
        const char *path;
        struct endpoint *endpoint;
        struct lane lane;

        skip_unless_on("/var/tmp", EXT4_SUPER_MAGIC);
        lane_init(&lane, which_of(state));
        fill_random(content, MIB, 2);
        /* One that is made, and one that is there, and cached. */
        for (int there = 0; there < 2; there++) {
                path = there ? make_file(&lane, "there", MIB, NULL) : lane_path(&lane, "made");
                endpoint = lane_open(&lane, path, IO_ACCESS_WRITE, MAY_CREATE);
                assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, 0, 0, MIB, NULL), 0);
                assert_int_equal(lane_io(&lane, endpoint, IO_WRITE, 0, 0, MIB, content), 0);
                assert_int_equal(cached_pages(path, MIB), 0);
                assert_int_equal(lane_io(&lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
                lane_close(&lane, endpoint);
                assert_holds(path, content, MIB);
        }
        lane_done(&lane);
}

static void an_odd_range_goes_through_the_cache(void **state)
{
        static const struct {
                size_t offset_bytes, length_bytes;
        } parts[] = {
            {0, 65536}, {66048, 4096}, {MIB - 100, 100}, {65537, 4096}, {131072, 65536}, {69633, 61439}};
        static char expected[MIB];
        struct endpoint *endpoint;
        struct lane lane;
        const char *path;

        skip_unless_on("/var/tmp", EXT4_SUPER_MAGIC);
        lane_init(&lane, which_of(state));
        path = make_file(&lane, "odd", MIB, expected);
        fill_random(content, MIB, 3);
        endpoint = lane_open(&lane, path, IO_ACCESS_WRITE, 0);
        for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
                size_t at = parts[i].offset_bytes, bytes = parts[i].length_bytes;

                assert_int_equal(lane_io(&lane, endpoint, IO_WRITE, 0, at, bytes, content + at), 0);
                assert_int_equal(way_of(endpoint), i == 0 ? FILE_WAY_DIRECT : FILE_WAY_CACHED);
                memcpy(expected + at, content + at, bytes);
        }
        assert_false(is_direct(endpoint));
        lane_close(&lane, endpoint);
        assert_holds(path, expected, MIB);
        lane_done(&lane);
}

static void a_source_is_read_through_the_cache(void **state)
{
        struct endpoint *endpoint;
        struct lane lane;

        skip_unless_on("/var/tmp", EXT4_SUPER_MAGIC);
        lane_init(&lane, which_of(state));
        endpoint = lane_open(&lane, make_file(&lane, "source", MIB, NULL), IO_ACCESS_READ, 0);
        assert_int_equal(way_of(endpoint), FILE_WAY_CACHED);
        assert_false(is_direct(endpoint));
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

static void a_device_is_written_past_its_cache_by_sectors(void **state)
{
        struct loop_device loop;
        struct endpoint *endpoint;
        const char *backing;
        struct lane lane;

        if (geteuid() != 0)
                skip();
        lane_init(&lane, which_of(state));
        backing = make_file(&lane, "backing", MIB, content);
        assert_int_equal(loop_attach(backing, &(struct loop_options){.block_bytes = 512}, &loop), 0);
        endpoint = lane_open(&lane, loop.path, IO_ACCESS_WRITE, 0);
        fill_random(content + 512, 65536, 4);
        assert_int_equal(lane_io(&lane, endpoint, IO_WRITE, 0, 512, 65536, content + 512), 0);
        assert_true(is_direct(endpoint));
        /* Memory that no device takes as it stands. */
        fill_random(content + 131072, 512, 5);
        memcpy(back + 1, content + 131072, 512);
        assert_int_equal(lane_io(&lane, endpoint, IO_WRITE, 0, 131072, 512, back + 1), 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
        lane_close(&lane, endpoint);
        assert_holds(loop.path, content, MIB);
        loop_detach(&loop);
        lane_done(&lane);
}

static void a_device_is_read_past_its_cache_from_the_first_large_read_on(void **state)
{
        struct loop_device loop;
        struct endpoint *endpoint;
        const char *backing;
        struct lane lane;

        if (geteuid() != 0)
                skip();
        lane_init(&lane, which_of(state));
        backing = make_file(&lane, "backing", MIB, content);
        assert_int_equal(loop_attach(backing, &(struct loop_options){.block_bytes = 512}, &loop), 0);
        endpoint = lane_open(&lane, loop.path, IO_ACCESS_READ, 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_READ, 0, 512, 4096, back), 0);
        assert_memory_equal(back, content + 512, 4096);
        assert_false(is_direct(endpoint));
        for (size_t bytes = FILE_WAY_LARGE_BYTES; bytes > 0; bytes = bytes == 512 ? 0 : 512) {
                assert_int_equal(lane_io(&lane, endpoint, IO_READ, 0, 65536, bytes, back), 0);
                assert_memory_equal(back, content + 65536, bytes);
                assert_true(is_direct(endpoint));
        }
        /* Memory that no device takes as it stands. */
        assert_int_equal(lane_io(&lane, endpoint, IO_READ, 0, 512, 512, back + 1), 0);
        assert_memory_equal(back + 1, content + 512, 512);
        assert_int_equal(lane_io(&lane, endpoint, IO_READ, 0, 0, MIB, back), 0);
        assert_memory_equal(back, content, MIB);
        assert_false(is_direct(endpoint)); /* once is enough */
        lane_close(&lane, endpoint);
        loop_detach(&loop);
        lane_done(&lane);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH(a_file_in_memory_is_the_lanes_own_work),
            BOTH(whole_pages_of_a_file_on_a_disk_pass_the_cache_by),
            BOTH(an_odd_range_goes_through_the_cache),
            BOTH(a_source_is_read_through_the_cache),
            BOTH(a_device_is_written_past_its_cache_by_sectors),
            BOTH(a_device_is_read_past_its_cache_from_the_first_large_read_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
