/* Regular files as endpoints, on io_uring and on the thread pool: every test runs on both.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mount.h>

#include "unit/io-fixture.h"

static enum provider_local_io which_of(void **state)
{
        return *(enum provider_local_io *)*state;
}

/* ---- data */

static void reads_and_writes_any_range(void **state)
{
        static const struct {
                uint64_t offset, length;
        } ranges[] = {{0, 1}, {0, 300001}, {511, 2}, {4095, 4098}, {123457, 100003}, {300000, 1}};
        static char content[300001], back[300001];
        struct endpoint *endpoint;
        const char *path;
        struct lane lane;
        int fd;

        lane_init(&lane, which_of(state));
        path = make_file(&lane, "odd", sizeof(content), content);
        endpoint = lane_open(&lane, path, IO_ACCESS_READ_WRITE, 0);
        assert_int_equal(endpoint->info.size_bytes, sizeof(content));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
                uint64_t offset = ranges[i].offset, length = ranges[i].length;

                memset(back, 0, sizeof(back));
                assert_int_equal(lane_io(&lane, endpoint, IO_READ, 0, offset, length, back), 0);
                assert_memory_equal(back, content + offset, length);
                assert_true(all_zero(back + length, sizeof(back) - length));
                fill_random(content + offset, length, i + 1);
                assert_int_equal(
                    lane_io(&lane, endpoint, IO_WRITE, i % 2 ? IO_FUA : 0, offset, length, content + offset),
                    0);
                assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(back));
                assert_memory_equal(back, content, sizeof(content));
        }
        close(fd);
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

static void takes_more_requests_than_the_ring_holds(void **state)
{
        enum { N = 700, EACH = 4096 };
        static struct waited_req reqs[N];
        char *content = malloc(N * EACH), *back = malloc(N * EACH);
        struct endpoint *endpoint;
        struct lane lane;

        lane_init(&lane, which_of(state));
        endpoint = lane_open(&lane, make_file(&lane, "many", N * EACH, NULL), IO_ACCESS_READ_WRITE, 0);
        fill_random(content, N * EACH, 9);
        for (unsigned i = 0; i < N; i++)
                req_start(endpoint, &reqs[i], IO_WRITE, 0, i * EACH, EACH, content + i * EACH);
        for (unsigned i = 0; i < N; i++) {
                lane_run_until(&lane, &reqs[i].done);
                assert_int_equal(reqs[i].req.status, 0);
        }
        for (unsigned i = 0; i < N; i++)
                req_start(endpoint, &reqs[i], IO_READ, 0, i * EACH, EACH, back + i * EACH);
        for (unsigned i = 0; i < N; i++) {
                lane_run_until(&lane, &reqs[i].done);
                assert_int_equal(reqs[i].req.status, 0);
        }
        assert_memory_equal(content, back, N * EACH);
        lane_close(&lane, endpoint);
        lane_done(&lane);
        free(content);
        free(back);
}

static void moves_a_whole_maximum_block(void **state)
{
        char *content = malloc(32 * MIB), *back = malloc(32 * MIB);
        struct endpoint *endpoint;
        struct lane lane;

        lane_init(&lane, which_of(state));
        endpoint = lane_open(&lane, make_file(&lane, "max", 32 * MIB, content), IO_ACCESS_READ_WRITE, 0);
        assert_int_equal(endpoint->info.block_max_bytes, 32 * MIB);
        assert_int_equal(lane_io(&lane, endpoint, IO_READ, 0, 0, 32 * MIB, back), 0);
        assert_memory_equal(content, back, 32 * MIB);
        assert_int_equal(lane_io(&lane, endpoint, IO_WRITE, IO_FUA, 0, 32 * MIB, back), 0);
        lane_close(&lane, endpoint);
        lane_done(&lane);
        free(content);
        free(back);
}

static void a_file_that_shrank_is_a_media_error(void **state)
{
        struct io_extent extents[IO_EXTENTS_PER_REQ];
        struct endpoint *endpoint;
        struct waited_req waited;
        const char *path;
        struct lane lane;
        char buf[8192];

        lane_init(&lane, which_of(state));
        path = make_file(&lane, "shrinks", 65536, NULL);
        endpoint = lane_open(&lane, path, IO_ACCESS_READ, 0);
        assert_int_equal(truncate(path, 10000), 0);
        req_start(endpoint, &waited, IO_READ, 0, 8192, 8192, buf);
        lane_run_until(&lane, &waited.done);
        assert_int_equal(waited.req.status, -EIO);
        assert_int_equal(waited.req.class, KC_CLASS_MEDIA);
        /* Its lost end must not pass for a hole either. */
        waited = (struct waited_req){
            .req = {.op = IO_EXTENTS, .length_bytes = 65536, .extents = extents, .on_done = on_req_done}};
        assert_int_equal(endpoint_submit(endpoint, &waited.req), 0);
        lane_run_until(&lane, &waited.done);
        assert_int_equal(waited.req.status, -EIO);
        assert_int_equal(waited.req.n_extents, 0);
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

static void a_full_file_system_is_no_space(void **state)
{
        static char buf[MIB];
        struct endpoint *endpoint;
        struct waited_req waited;
        struct lane lane;

        if (geteuid() != 0)
                skip();
        lane_init(&lane, which_of(state));
        assert_int_equal(mount("tmpfs", lane.dir, "tmpfs", 0, "size=256k"), 0);
        endpoint = lane_open(&lane, lane_path(&lane, "big"), IO_ACCESS_READ_WRITE, MAY_CREATE);
        assert_int_equal(lane_io(&lane, endpoint, IO_RESIZE, 0, 0, MIB, NULL), 0);
        req_start(endpoint, &waited, IO_WRITE, 0, 0, MIB, buf);
        lane_run_until(&lane, &waited.done);
        assert_int_equal(waited.req.status, -ENOSPC);
        assert_int_equal(waited.req.class, KC_CLASS_NO_SPACE);
        /* tmpfs punches holes but does not zero ranges: the caller writes zeroes. */
        assert_int_equal(lane_io(&lane, endpoint, IO_ZERO, IO_UNMAP, 0, 65536, NULL), 0);
        assert_int_equal(lane_io(&lane, endpoint, IO_ZERO, 0, 0, 65536, NULL), -EOPNOTSUPP);
        assert_int_equal(lane_io(&lane, endpoint, IO_ZERO, 0, 0, 65536, NULL), -EOPNOTSUPP);
        lane_close(&lane, endpoint);
        assert_int_equal(umount(lane.dir), 0);
        lane_done(&lane);
}

/* ---- zeroes and holes */

static void zeroes_unmapped_or_allocated(void **state)
{
        static const unsigned flags[] = {0, IO_UNMAP, IO_FUA, IO_UNMAP | IO_FUA};
        static char content[MIB], back[MIB];
        struct lane lane;

        lane_init(&lane, which_of(state));
        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
                const char *path = make_file(&lane, "zero", MIB, content);
                struct endpoint *endpoint = lane_open(&lane, path, IO_ACCESS_WRITE, 0);
                struct stat before, after;

                assert_int_equal(lane_io(&lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
                assert_int_equal(stat(path, &before), 0);
                assert_int_equal(lane_io(&lane, endpoint, IO_ZERO, flags[i], 65536, 524289, NULL), 0);
                assert_int_equal(lane_io(&lane, endpoint, IO_READ, 0, 0, MIB, back), 0);
                memset(content + 65536, 0, 524289);
                assert_memory_equal(content, back, MIB);
                assert_int_equal(stat(path, &after), 0);
                assert_int_equal(after.st_size, MIB);
                if (flags[i] & IO_UNMAP)
                        assert_true(after.st_blocks <= before.st_blocks - 1000);
                else
                        assert_true(after.st_blocks >= before.st_blocks);
                lane_close(&lane, endpoint);
        }
        lane_done(&lane);
}

static unsigned get_extents(struct lane *lane, struct endpoint *endpoint, uint64_t offset_bytes,
    uint64_t length_bytes, struct io_extent *extents)
{
        struct waited_req waited = {.req = {.op = IO_EXTENTS,
                                        .offset_bytes = offset_bytes,
                                        .length_bytes = length_bytes,
                                        .extents = extents,
                                        .on_done = on_req_done}};

        assert_int_equal(endpoint_submit(endpoint, &waited.req), 0);
        assert_false(waited.done);
        lane_run_until(lane, &waited.done);
        assert_int_equal(waited.req.status, 0);
        assert_in_range(waited.req.n_extents, 1, IO_EXTENTS_PER_REQ);
        return waited.req.n_extents;
}

static void extents_tell_holes_from_data(void **state)
{
        struct io_extent extents[IO_EXTENTS_PER_REQ];
        struct endpoint *endpoint;
        const char *path;
        struct lane lane;
        int fd;

        lane_init(&lane, which_of(state));
        path = lane_path(&lane, "sparse");
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        assert_int_equal(ftruncate(fd, 10 * MIB + 77), 0);
        assert_int_equal(pwrite(fd, path, 8, 2 * MIB), 8);
        assert_int_equal(pwrite(fd, path, 8, 2 * MIB + 4096), 8);
        endpoint = lane_open(&lane, path, IO_ACCESS_READ, 0);
        assert_true(endpoint->info.can_extents);

        assert_int_equal(get_extents(&lane, endpoint, 0, 10 * MIB + 77, extents), 3);
        assert_true(extents[0].zero && extents[0].length_bytes == 2 * MIB);
        assert_true(!extents[1].zero && extents[1].length_bytes == 8192);
        assert_true(extents[2].zero && extents[2].length_bytes == 8 * MIB + 77 - 8192);
        /* cut to the range, on both sides */
        assert_int_equal(get_extents(&lane, endpoint, 2 * MIB + 100, 200, extents), 1);
        assert_true(!extents[0].zero && extents[0].length_bytes == 200);
        assert_int_equal(get_extents(&lane, endpoint, 2 * MIB - 1, 8193, extents), 2);
        assert_true(extents[0].zero && extents[0].length_bytes == 1);
        assert_true(!extents[1].zero && extents[1].length_bytes == 8192);
        assert_int_equal(get_extents(&lane, endpoint, 5 * MIB, 1, extents), 1);
        assert_true(extents[0].zero && extents[0].length_bytes == 1);
        lane_close(&lane, endpoint);
        close(fd);
        lane_done(&lane);
}

static void a_file_in_memory_is_dense_until_it_has_a_hole(void **state)
{
        static char content[MIB];
        struct io_extent extents[IO_EXTENTS_PER_REQ];
        struct endpoint *endpoint;
        const char *path;
        struct lane lane;

        if (geteuid() != 0)
                skip();
        lane_init(&lane, which_of(state));
        assert_int_equal(mount("tmpfs", lane.dir, "tmpfs", 0, "size=2m"), 0);
        path = make_file(&lane, "dense", MIB - 77, content);
        endpoint = lane_open(&lane, path, IO_ACCESS_READ_WRITE, 0);
        assert_int_equal(get_extents(&lane, endpoint, 4096, MIB - 77 - 4096, extents), 1);
        assert_true(!extents[0].zero && extents[0].length_bytes == MIB - 77 - 4096);
        assert_int_equal(lane_io(&lane, endpoint, IO_ZERO, IO_UNMAP, 65536, 8192, NULL), 0);
        assert_int_equal(get_extents(&lane, endpoint, 4096, MIB - 77 - 4096, extents), 3);
        assert_true(!extents[0].zero && extents[0].length_bytes == 65536 - 4096);
        assert_true(extents[1].zero && extents[1].length_bytes == 8192);
        assert_true(!extents[2].zero && extents[2].length_bytes == MIB - 77 - 65536 - 8192);
        lane_close(&lane, endpoint);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(umount(lane.dir), 0);
        lane_done(&lane);
}

static void more_extents_than_fit_are_told_in_turn(void **state)
{
        enum { N = 500, STEP = 16384 };
        struct io_extent extents[IO_EXTENTS_PER_REQ];
        uint64_t at = 0, end = (uint64_t)N * STEP, data = 0;
        struct endpoint *endpoint;
        const char *path;
        struct lane lane;
        int fd;

        lane_init(&lane, which_of(state));
        path = lane_path(&lane, "comb");
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        assert_int_equal(ftruncate(fd, (off_t)end), 0);
        for (unsigned i = 0; i < N; i++)
                assert_int_equal(pwrite(fd, path, 1, i * STEP), 1);
        close(fd);
        endpoint = lane_open(&lane, path, IO_ACCESS_READ, 0);
        while (at < end) {
                unsigned n = get_extents(&lane, endpoint, at, end - at, extents);

                for (unsigned i = 0; i < n; i++) {
                        assert_true(extents[i].length_bytes > 0);
                        assert_true(i == 0 || extents[i].zero != extents[i - 1].zero);
                        at += extents[i].length_bytes;
                        if (!extents[i].zero)
                                data += extents[i].length_bytes;
                }
        }
        assert_int_equal(at, end);
        assert_int_equal(data, N * 4096);
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

/* ---- the callback contract */

struct again {
        struct io_req req;
        struct endpoint *endpoint;
        unsigned left;
        bool *done;
        char byte;
};

static void on_again(struct io_req *req)
{
        struct again *again = kc_container_of(req, struct again, req);

        assert_int_equal(req->status, 0);
        if (again->left-- > 0) {
                assert_int_equal(endpoint_submit(again->endpoint, req), 0);
                return;
        }
        *again->done = true;
        free(again);
}

static void a_request_may_be_submitted_again_or_freed_in_its_callback(void **state)
{
        struct again *again = calloc(1, sizeof(*again));
        struct endpoint *endpoint;
        struct lane lane;
        bool done = false;

        lane_init(&lane, which_of(state));
        endpoint = lane_open(&lane, make_file(&lane, "again", 100, NULL), IO_ACCESS_READ_WRITE, 0);
        again->endpoint = endpoint;
        again->left = 20;
        again->done = &done;
        again->req = (struct io_req){
            .op = IO_WRITE, .length_bytes = 1, .buf = &again->byte, .on_done = on_again, .flags = IO_FUA};
        assert_int_equal(endpoint_submit(endpoint, &again->req), 0);
        lane_run_until(&lane, &done);
        lane_close(&lane, endpoint);
        lane_done(&lane);
}

static void close_in_mid_command_settles_everything_once(void **state)
{
        enum { N = 200 };
        static struct waited_req reqs[N];
        static char buf[N][4096];
        struct lane lane;
        unsigned fds;

        lane_init(&lane, which_of(state));
        make_file(&lane, "mid", MIB, NULL);
        fds = count_fds();
        for (unsigned round = 0; round < 50; round++) {
                struct endpoint *endpoint =
                    lane_open(&lane, lane_path(&lane, "mid"), IO_ACCESS_READ_WRITE, 0);
                bool closed = false;

                for (unsigned i = 0; i < N; i++) {
                        static const enum io_op ops[] = {IO_WRITE, IO_READ, IO_ZERO, IO_FLUSH, IO_RESIZE};
                        enum io_op op = ops[i % 5];

                        req_start(endpoint, &reqs[i], op, op == IO_WRITE || op == IO_ZERO ? i & IO_FUA : 0,
                            op == IO_RESIZE ? 0 : i * 4096, op == IO_RESIZE ? MIB : 4096, buf[i]);
                }
                for (unsigned i = 0; i < round % 7; i++)
                        uv_run(&lane.loop, UV_RUN_NOWAIT);
                endpoint_close(endpoint, on_flag, &closed);
                assert_false(closed);
                while (!closed) {
                        uv_run(&lane.loop, UV_RUN_ONCE);
                }
                for (unsigned i = 0; i < N; i++) {
                        assert_true(reqs[i].done);
                        if (reqs[i].req.status != -ECANCELED)
                                assert_int_equal(reqs[i].req.status, 0);
                }
                assert_int_equal(count_fds(), fds);
        }
        lane_done(&lane);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH(reads_and_writes_any_range),
            BOTH(takes_more_requests_than_the_ring_holds),
            BOTH(moves_a_whole_maximum_block),
            BOTH(a_file_that_shrank_is_a_media_error),
            BOTH(a_full_file_system_is_no_space),
            BOTH(zeroes_unmapped_or_allocated),
            BOTH(extents_tell_holes_from_data),
            BOTH(a_file_in_memory_is_dense_until_it_has_a_hole),
            BOTH(more_extents_than_fit_are_told_in_turn),
            BOTH(a_request_may_be_submitted_again_or_freed_in_its_callback),
            BOTH(close_in_mid_command_settles_everything_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
