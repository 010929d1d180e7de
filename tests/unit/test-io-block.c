/* Block devices as endpoints, on io_uring and on the thread pool: loop devices, so root only.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "unit/io-fixture.h"
#include "unit/loop-device.h"

extern char **environ;

struct disk {
        struct lane lane;
        const char *backing;
        struct loop_device loop;
};

static void disk_init(struct disk *disk, void **state, size_t bytes, const struct loop_options *options)
{
        lane_init(&disk->lane, *(enum provider_local_io *)*state);
        disk->backing = make_file(&disk->lane, "backing", bytes, NULL);
        assert_int_equal(loop_attach(disk->backing, options, &disk->loop), 0);
}

static void disk_done(struct disk *disk)
{
        loop_detach(&disk->loop);
        lane_done(&disk->lane);
}

static void geometry_is_the_devices_own(void **state)
{
        static const uint32_t block_bytes[] = {512, 4096};
        struct endpoint *endpoint;
        struct disk disk;

        for (int i = 0; i < 2; i++) {
                disk_init(&disk, state, 4 * MIB, &(struct loop_options){.block_bytes = block_bytes[i]});
                endpoint = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ_WRITE, 0);
                assert_int_equal(endpoint->info.kind, IO_KIND_BLOCK);
                assert_int_equal(endpoint->info.size_bytes, 4 * MIB);
                assert_int_equal(endpoint->info.block_min_bytes, block_bytes[i]);
                assert_int_equal(endpoint->info.block_max_bytes, 32 * MIB);
                assert_in_range(endpoint->info.block_preferred_bytes, 4096, 32 * MIB);
                assert_int_equal(endpoint->info.keep_idle_ms, 0);
                assert_true(endpoint->info.can_flush && endpoint->info.can_fua && endpoint->info.can_unmap);
                assert_true(endpoint->info.multi_conn && endpoint->info.deep);
                assert_false(endpoint->info.can_extents || endpoint->info.resizable ||
                             endpoint->info.absent || endpoint->info.mounted_rw || endpoint->info.read_only);
                lane_close(&disk.lane, endpoint);
                disk_done(&disk);
        }
}

static void what_was_flushed_is_in_the_backing_file(void **state)
{
        static char content[MIB], back[MIB];
        struct endpoint *endpoint;
        struct disk disk;
        int fd;

        disk_init(&disk, state, MIB, &(struct loop_options){0});
        endpoint = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ_WRITE, 0);
        fd = open(disk.backing, O_RDONLY | O_CLOEXEC);
        assert_int_equal(lane_io(&disk.lane, endpoint, IO_READ, 0, 0, MIB, content), 0);
        assert_int_equal(pread(fd, back, MIB, 0), MIB);
        assert_memory_equal(content, back, MIB);

        fill_random(content + 512, 99 * 512, 5);
        assert_int_equal(lane_io(&disk.lane, endpoint, IO_WRITE, 0, 512, 99 * 512, content + 512), 0);
        assert_int_equal(lane_io(&disk.lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
        assert_int_equal(pread(fd, back, MIB, 0), MIB);
        assert_memory_equal(content, back, MIB);

        fill_random(content + 65536, 512, 6);
        assert_int_equal(lane_io(&disk.lane, endpoint, IO_WRITE, IO_FUA, 65536, 512, content + 65536), 0);
        assert_int_equal(pread(fd, back, MIB, 0), MIB);
        assert_memory_equal(content, back, MIB);
        close(fd);
        lane_close(&disk.lane, endpoint);
        disk_done(&disk);
}

static void zeroes_unmapped_or_allocated(void **state)
{
        static const unsigned flags[] = {0, IO_FUA, IO_UNMAP, IO_UNMAP | IO_FUA};
        static char content[MIB], back[MIB];
        struct endpoint *endpoint;
        struct stat before, after;
        struct disk disk;

        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
                disk_init(&disk, state, MIB, &(struct loop_options){0});
                endpoint = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_WRITE, 0);
                fill_random(content, MIB, i);
                assert_int_equal(lane_io(&disk.lane, endpoint, IO_WRITE, 0, 0, MIB, content), 0);
                assert_int_equal(lane_io(&disk.lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
                assert_int_equal(stat(disk.backing, &before), 0);
                assert_int_equal(lane_io(&disk.lane, endpoint, IO_ZERO, flags[i], 65536, MIB / 2, NULL), 0);
                memset(content + 65536, 0, MIB / 2);
                assert_int_equal(lane_io(&disk.lane, endpoint, IO_READ, 0, 0, MIB, back), 0);
                assert_memory_equal(content, back, MIB);
                assert_int_equal(stat(disk.backing, &after), 0);
                if (flags[i] & IO_UNMAP)
                        assert_true(after.st_blocks <= before.st_blocks - 1000);
                else
                        assert_true(after.st_blocks >= before.st_blocks);
                lane_close(&disk.lane, endpoint);
                disk_done(&disk);
        }
}

static void a_destination_is_claimed_and_extra_lanes_share_it(void **state)
{
        static char content[MIB], back[MIB];
        struct endpoint *first, *extra, *source;
        struct disk disk;

        disk_init(&disk, state, MIB, &(struct loop_options){0});
        source = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ, 0);
        first = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ_WRITE, 0);
        lane_refused(
            &disk.lane, disk.loop.path, IO_ACCESS_WRITE, 0, -EBUSY, KC_CLASS_BUSY, "in use; unmount");
        extra = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ_WRITE, EXTRA);

        /* Both write and zero, over what the other has dirty in the cache; and one flush covers both. */
        fill_random(content, MIB, 3);
        assert_int_equal(lane_io(&disk.lane, first, IO_WRITE, 0, 0, MIB, content), 0);
        assert_int_equal(lane_io(&disk.lane, extra, IO_ZERO, IO_UNMAP, 8192, 65536, NULL), 0);
        assert_int_equal(lane_io(&disk.lane, extra, IO_WRITE, 0, 512, 512, content), 0);
        assert_int_equal(lane_io(&disk.lane, first, IO_ZERO, 0, 131072, 512, NULL), 0);
        assert_int_equal(lane_io(&disk.lane, first, IO_FLUSH, 0, 0, 0, NULL), 0);
        memset(content + 8192, 0, 65536);
        memcpy(content + 512, content, 512);
        memset(content + 131072, 0, 512);
        assert_int_equal(lane_io(&disk.lane, source, IO_READ, 0, 0, MIB, back), 0);
        assert_memory_equal(content, back, MIB);

        lane_close(&disk.lane, extra);
        lane_close(&disk.lane, first);
        lane_close(&disk.lane, source);
        first = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ_WRITE, 0);
        lane_close(&disk.lane, first);
        disk_done(&disk);
}

static bool make_file_system(const char *device)
{
        char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext2", (char *)device, NULL};
        int status;
        pid_t pid;

        if (posix_spawnp(&pid, "mke2fs", NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
                return false;
        return status == 0;
}

static void a_mounted_device_is_no_destination_and_a_doubtful_source(void **state)
{
        struct endpoint *endpoint;
        char place[320];
        struct disk disk;

        disk_init(&disk, state, 4 * MIB, &(struct loop_options){0});
        strcpy(place, lane_path(&disk.lane, "mounted"));
        assert_int_equal(mkdir(place, 0700), 0);
        assert_true(make_file_system(disk.loop.path));
        assert_int_equal(mount(disk.loop.path, place, "ext2", 0, NULL), 0);
        lane_refused(
            &disk.lane, disk.loop.path, IO_ACCESS_WRITE, 0, -EBUSY, KC_CLASS_BUSY, "/mounted; unmount");
        endpoint = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ, 0);
        assert_true(endpoint->info.mounted_rw);
        lane_close(&disk.lane, endpoint);

        assert_int_equal(mount(NULL, place, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
        endpoint = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ, 0);
        assert_false(endpoint->info.mounted_rw);
        lane_close(&disk.lane, endpoint);
        lane_refused(&disk.lane, disk.loop.path, IO_ACCESS_WRITE, 0, -EBUSY, KC_CLASS_BUSY, "mounted on ");

        assert_int_equal(umount(place), 0);
        endpoint = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_WRITE, 0);
        lane_close(&disk.lane, endpoint);
        disk_done(&disk);
}

static void a_write_protected_device_is_no_destination(void **state)
{
        struct endpoint *endpoint;
        struct disk disk;

        disk_init(&disk, state, MIB, &(struct loop_options){.read_only = true});
        lane_refused(
            &disk.lane, disk.loop.path, IO_ACCESS_WRITE, 0, -EROFS, KC_CLASS_PERMISSION, "write-protected");
        endpoint = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ, 0);
        assert_true(endpoint->info.read_only);
        lane_close(&disk.lane, endpoint);
        disk_done(&disk);
}

static void expect_identity(
    struct disk *disk, const char *path, const char *key, uint64_t base_bytes, uint64_t size_bytes)
{
        struct endpoint *endpoint = lane_open(&disk->lane, path, IO_ACCESS_READ, 0);

        assert_string_equal(endpoint->info.identity.key, key);
        assert_int_equal(endpoint->info.identity.base_bytes, base_bytes);
        assert_int_equal(endpoint->info.size_bytes, size_bytes);
        lane_close(&disk->lane, endpoint);
}

static void identity_is_that_of_the_lowest_layer(void **state)
{
        struct loop_device shifted, upper;
        char key[IO_KEY_MAX_BYTES], partition[48];
        struct disk disk;
        struct stat st;

        disk_init(&disk, state, 4 * MIB, &(struct loop_options){.partitions = true});
        assert_int_equal(stat(disk.backing, &st), 0);
        snprintf(
            key, sizeof(key), "file:%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
        expect_identity(&disk, disk.backing, key, 0, 4 * MIB);
        expect_identity(&disk, disk.loop.path, key, 0, 4 * MIB);

        /* another loop over the same file, further on */
        assert_int_equal(
            loop_attach(disk.backing, &(struct loop_options){.offset_bytes = 65536}, &shifted), 0);
        expect_identity(&disk, shifted.path, key, 65536, 4 * MIB - 65536);
        loop_detach(&shifted);

        /* a partition, and a loop over that */
        loop_add_partition(&disk.loop, 1, MIB, 2 * MIB);
        snprintf(partition, sizeof(partition), "%sp1", disk.loop.path);
        expect_identity(&disk, partition, key, MIB, 2 * MIB);
        assert_int_equal(loop_attach(partition, &(struct loop_options){.offset_bytes = 4096}, &upper), 0);
        expect_identity(&disk, upper.path, key, MIB + 4096, 2 * MIB - 4096);
        loop_detach(&upper);
        loop_del_partition(&disk.loop, 1);

        /* a loop over a whole loop */
        assert_int_equal(loop_attach(disk.loop.path, &(struct loop_options){0}, &upper), 0);
        expect_identity(&disk, upper.path, key, 0, 4 * MIB);
        loop_detach(&upper);
        disk_done(&disk);
}

static void a_disk_is_in_use_while_a_partition_is(void **state)
{
        struct endpoint *endpoint;
        char partition[48];
        struct disk disk;

        disk_init(&disk, state, 4 * MIB, &(struct loop_options){.partitions = true});
        loop_add_partition(&disk.loop, 1, MIB, 2 * MIB);
        snprintf(partition, sizeof(partition), "%sp1", disk.loop.path);
        endpoint = lane_open(&disk.lane, partition, IO_ACCESS_WRITE, 0);
        lane_refused(&disk.lane, disk.loop.path, IO_ACCESS_WRITE, 0, -EBUSY, KC_CLASS_BUSY, "in use");
        lane_close(&disk.lane, endpoint);
        loop_del_partition(&disk.loop, 1);
        disk_done(&disk);
}

static void close_in_mid_command_settles_everything_once(void **state)
{
        enum { N = 60 };
        static struct waited_req reqs[N];
        static char buf[N][4096];
        struct disk disk;

        disk_init(&disk, state, MIB, &(struct loop_options){0});
        for (unsigned round = 0; round < 50; round++) {
                struct endpoint *endpoint = lane_open(&disk.lane, disk.loop.path, IO_ACCESS_READ_WRITE, 0);
                bool closed = false;

                for (unsigned i = 0; i < N; i++) {
                        static const enum io_op ops[] = {IO_WRITE, IO_READ, IO_ZERO, IO_FLUSH};

                        req_start(endpoint, &reqs[i], ops[i % 4], 0, i * 4096, 4096, buf[i]);
                }
                for (unsigned i = 0; i < round % 5; i++)
                        uv_run(&disk.lane.loop, UV_RUN_NOWAIT);
                endpoint_close(endpoint, on_flag, &closed);
                lane_run_until(&disk.lane, &closed);
                for (unsigned i = 0; i < N; i++) {
                        assert_true(reqs[i].done);
                        if (reqs[i].req.status != -ECANCELED)
                                assert_int_equal(reqs[i].req.status, 0);
                }
        }
        disk_done(&disk);
}

/* Can loop devices be made here at all? */
static int check_loop(char *why, size_t why_bytes)
{
        char path[] = "/var/tmp/kcopy-test-XXXXXX";
        struct loop_device loop;
        int fd, rc;

        if (geteuid() != 0) {
                snprintf(why, why_bytes, "loop devices need root");
                return -EPERM;
        }
        fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, MIB), 0);
        close(fd);
        rc = loop_attach(path, &(struct loop_options){0}, &loop);
        if (rc == 0)
                loop_detach(&loop);
        unlink(path);
        snprintf(why, why_bytes, "loop devices cannot be made here: %s", strerror(-rc));
        return rc;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH(geometry_is_the_devices_own),
            BOTH(what_was_flushed_is_in_the_backing_file),
            BOTH(zeroes_unmapped_or_allocated),
            BOTH(a_destination_is_claimed_and_extra_lanes_share_it),
            BOTH(a_mounted_device_is_no_destination_and_a_doubtful_source),
            BOTH(a_write_protected_device_is_no_destination),
            BOTH(identity_is_that_of_the_lowest_layer),
            BOTH(a_disk_is_in_use_while_a_partition_is),
            BOTH(close_in_mid_command_settles_everything_once),
        };
        char why[128];

        if (check_loop(why, sizeof(why)) < 0) {
                fprintf(stderr, "skipped: %s\n", why);
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
