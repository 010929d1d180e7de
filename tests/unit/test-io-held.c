/* Files and loop devices that are in use underneath are no destinations: swap, mounts, holders, on both ways
 * to learn what a loop device stands on. In a mount namespace of its own, where it puts its own files over
 * /proc/swaps and sysfs; so root only. links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "unit/io-fixture.h"
#include "unit/loop-device.h"

extern char **environ;

struct held {
        struct lane lane;
        char backing[320];
        char fake[320], fake_sys[320]; /* what is put over /proc/swaps and over a folder of sysfs */
        struct loop_device loop;
};

static void held_init(struct held *held)
{
        lane_init(&held->lane, PROVIDER_LOCAL_THREADS);
        strcpy(held->backing, make_file(&held->lane, "backing", 4 * MIB, NULL));
        strcpy(held->fake, lane_path(&held->lane, "fake"));
        strcpy(held->fake_sys, lane_path(&held->lane, "sys"));
        assert_int_equal(mkdir(held->fake_sys, 0755), 0);
        assert_int_equal(
            loop_attach(held->backing, &(struct loop_options){.partitions = true}, &held->loop), 0);
}

static void held_done(struct held *held)
{
        loop_detach(&held->loop);
        lane_done(&held->lane);
}

static void refused(struct held *held, const char *path, const char *words)
{
        unsigned fds = count_fds();

        lane_refused(&held->lane, path, IO_ACCESS_WRITE, 0, -EBUSY, KC_CLASS_BUSY, words);
        lane_refused(&held->lane, path, IO_ACCESS_READ_WRITE, MAY_CREATE, -EBUSY, KC_CLASS_BUSY,
            "unmount or release it before it is overwritten");
        assert_int_equal(count_fds(), fds);
}

static void granted(struct held *held, const char *path, enum io_access access, unsigned how)
{
        lane_close(&held->lane, lane_open(&held->lane, path, access, how));
}

static void write_file(const char *path, const char *text)
{
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* /proc/swaps says that `path` (escaped) is swap, until swaps_end. */
static void swaps_begin(struct held *held, const char *path)
{
        char text[512];

        snprintf(text, sizeof(text),
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/no/where file\t1\t0\t-3\n"
            "%s                            file\t\t1020\t\t0\t\t-2\n",
            path);
        write_file(held->fake, text);
        assert_int_equal(mount(held->fake, "/proc/swaps", NULL, MS_BIND, NULL), 0);
}

static void swaps_end(void)
{
        assert_int_equal(umount("/proc/swaps"), 0);
}

/* ---- swap */

static void a_swap_file_is_refused_by_any_name(void **state)
{
        struct held held;
        char name[320];

        held_init(&held);
        strcpy(name, make_file(&held.lane, "swap file\\1", 4096, NULL));
        assert_int_equal(link(name, lane_path(&held.lane, "hard")), 0);
        granted(&held, name, IO_ACCESS_WRITE, 0);
        swaps_begin(&held, lane_path(&held.lane, "swap\\040file\\1341"));
        refused(&held, name, "is used as swap");
        refused(&held, lane_path(&held.lane, "hard"), "/hard: is used as swap");
        granted(&held, name, IO_ACCESS_READ, 0);
        granted(&held, held.backing, IO_ACCESS_WRITE, 0);
        swaps_end();
        held_done(&held);
}

static void a_file_under_a_loop_device_that_is_swap_is_refused(void **state)
{
        char words[192], partition[48];
        struct held held;

        held_init(&held);
        swaps_begin(&held, held.loop.path);
        snprintf(words, sizeof(words), "/backing: backs %s, which is used as swap", held.loop.path);
        refused(&held, held.backing, words);
        swaps_end();
        granted(&held, held.backing, IO_ACCESS_WRITE, 0);

        loop_add_partition(&held.loop, 1, MIB, MIB);
        loop_add_partition(&held.loop, 2, 2 * MIB, MIB);
        snprintf(partition, sizeof(partition), "%sp1", held.loop.path);
        swaps_begin(&held, partition);
        refused(&held, held.backing, words);
        /* The one next to it is free to be written. */
        partition[strlen(partition) - 1] = '2';
        granted(&held, partition, IO_ACCESS_WRITE, 0);
        /* A file that is empty by now may grow into what is in use. */
        assert_int_equal(truncate(held.backing, 0), 0);
        refused(&held, held.backing, words);
        swaps_end();
        loop_del_partition(&held.loop, 1);
        loop_del_partition(&held.loop, 2);
        held_done(&held);
}

/* ---- mounts */

static void make_file_system(const char *device)
{
        char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext2", (char *)device, "1024", NULL};
        int status;
        pid_t pid;

        assert_int_equal(posix_spawnp(&pid, "mke2fs", NULL, NULL, argv, environ), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void mount_begin(struct held *held, const char *device)
{
        const char *place = lane_path(&held->lane, "mounted");

        make_file_system(device);
        (void)mkdir(place, 0700);
        assert_int_equal(mount(device, place, "ext2", MS_RDONLY, NULL), 0);
}

static void mount_end(struct held *held)
{
        assert_int_equal(umount(lane_path(&held->lane, "mounted")), 0);
}

static void a_file_under_a_mount_is_refused_until_it_is_unmounted(void **state)
{
        char content[4096], back[4096], words[192];
        struct held held;
        int fd;

        held_init(&held);
        granted(&held, held.backing, IO_ACCESS_READ_WRITE, 0); /* a loop device that lies idle is no matter */
        mount_begin(&held, held.loop.path);
        fd = open(held.backing, O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, content, sizeof(content), 0), sizeof(content));
        snprintf(words, sizeof(words), "/backing: backs %s, which is mounted on %s/mounted; unmount",
            held.loop.path, held.lane.dir);
        refused(&held, held.backing, words);
        assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(back));
        assert_memory_equal(content, back, sizeof(back));
        assert_int_equal(lseek(fd, 0, SEEK_END), 4 * MIB);
        close(fd);
        granted(&held, held.backing, IO_ACCESS_READ, 0);
        granted(&held, held.backing, IO_ACCESS_WRITE, EXTRA); /* the lane that came first has asked */
        mount_end(&held);
        granted(&held, held.backing, IO_ACCESS_READ_WRITE, 0);
        held_done(&held);
}

static void what_lies_between_file_and_mount_is_seen_through(void **state)
{
        char words[192], partition[48], moved[320];
        struct loop_device upper;
        struct held held;

        held_init(&held);
        loop_add_partition(&held.loop, 1, MIB, 2 * MIB);
        snprintf(partition, sizeof(partition), "%sp1", held.loop.path);
        mount_begin(&held, partition);
        snprintf(words, sizeof(words), "backs %s, which is mounted on", held.loop.path);
        refused(&held, held.backing, words);
        mount_end(&held);

        assert_int_equal(loop_attach(partition, &(struct loop_options){0}, &upper), 0);
        mount_begin(&held, upper.path);
        snprintf(words, sizeof(words), "backs %s, which is mounted on", upper.path);
        refused(&held, held.backing, words);
        /* The file may have another name by now, and none that anybody can look up. */
        strcpy(moved, lane_path(&held.lane, "moved"));
        assert_int_equal(link(held.backing, moved), 0);
        assert_int_equal(unlink(held.backing), 0);
        refused(&held, moved, words);
        mount_end(&held);
        granted(&held, moved, IO_ACCESS_WRITE, 0);
        loop_detach(&upper);
        loop_del_partition(&held.loop, 1);
        held_done(&held);
}

static void loop_devices_over_the_same_bytes_are_refused_too(void **state)
{
        struct loop_device same, before, behind, below;
        char words[192], partition[48];
        struct held held;

        held_init(&held);
        /* the mount takes the second MiB */
        assert_int_equal(loop_attach(held.backing, &(struct loop_options){.offset_bytes = MIB}, &below), 0);
        loop_add_partition(&held.loop, 1, 0, MIB);
        loop_add_partition(&held.loop, 2, MIB, MIB);
        snprintf(partition, sizeof(partition), "%sp2", held.loop.path);
        assert_int_equal(loop_attach(partition, &(struct loop_options){0}, &same), 0);
        mount_begin(&held, same.path);
        snprintf(words, sizeof(words), "backs %s, which is mounted on", same.path);
        refused(&held, below.path, words);
        refused(&held, held.loop.path, words);
        refused(&held, partition, words);

        snprintf(partition, sizeof(partition), "%sp1", held.loop.path);
        granted(&held, partition, IO_ACCESS_WRITE, 0);
        assert_int_equal(loop_attach(partition, &(struct loop_options){0}, &before), 0);
        assert_int_equal(
            loop_attach(held.backing, &(struct loop_options){.offset_bytes = 2 * MIB}, &behind), 0);
        granted(&held, before.path, IO_ACCESS_WRITE, 0);
        granted(&held, behind.path, IO_ACCESS_WRITE, 0);
        loop_detach(&before);
        loop_detach(&behind);
        mount_end(&held);
        granted(&held, below.path, IO_ACCESS_WRITE, 0);
        loop_detach(&same);
        loop_detach(&below);
        loop_del_partition(&held.loop, 1);
        loop_del_partition(&held.loop, 2);
        held_done(&held);
}

/* ---- without the right to open /dev/loopN, and holders */

/* As nobody, who may write the file but open no loop device. */
static void without_rights_the_path_tells(void **state)
{
        char words[192];
        struct held held;

        held_init(&held);
        assert_int_equal(chmod(held.lane.dir, 0755), 0);
        assert_int_equal(chmod(held.backing, 0666), 0);
        mount_begin(&held, held.loop.path);
        snprintf(words, sizeof(words), "backs %s, which is mounted on", held.loop.path);
        assert_int_equal(seteuid(65534), 0); /* of all threads */
        refused(&held, held.backing, words);
        assert_int_equal(seteuid(0), 0);
        mount_end(&held);
        assert_int_equal(seteuid(65534), 0);
        granted(&held, held.backing, IO_ACCESS_WRITE, 0);
        assert_int_equal(seteuid(0), 0);
        held_done(&held);
}

static void put_fake(struct held *held, const char *name, const char *text)
{
        char path[700];

        snprintf(path, sizeof(path), "%s/%s", held->fake_sys, name);
        if (text == NULL)
                assert_int_equal(mkdir(path, 0755), 0);
        else
                write_file(path, text);
}

/* sysfs is made to say of the loop device what a test puts there. */
static void sysfs_begin(struct held *held)
{
        char number[32], device[64];
        struct stat st;

        assert_int_equal(stat(held->loop.path, &st), 0);
        snprintf(number, sizeof(number), "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
        put_fake(held, "dev", number);
        put_fake(held, "size", "8192\n");
        put_fake(held, "loop", NULL);
        put_fake(held, "loop/offset", "0\n");
        put_fake(held, "loop/backing_file", held->backing);
        put_fake(held, "holders", NULL);
        snprintf(device, sizeof(device), "/sys/block/%s", strrchr(held->loop.path, '/') + 1);
        assert_int_equal(mount(held->fake_sys, device, NULL, MS_BIND, NULL), 0);
}

static void sysfs_end(struct held *held)
{
        char device[64];

        snprintf(device, sizeof(device), "/sys/block/%s", strrchr(held->loop.path, '/') + 1);
        assert_int_equal(umount(device), 0);
}

static void a_file_under_a_loop_device_that_is_held_is_refused(void **state)
{
        char words[192], holder[340];
        struct held held;

        held_init(&held);
        sysfs_begin(&held);
        granted(&held, held.backing, IO_ACCESS_WRITE, 0);
        put_fake(&held, "holders/dm-7", NULL);
        snprintf(words, sizeof(words), "backs %s, which is held by dm-7", held.loop.path);
        refused(&held, held.backing, words);
        granted(&held, held.backing, IO_ACCESS_READ, 0);

        /* a partition of it */
        snprintf(holder, sizeof(holder), "%s/holders/dm-7", held.fake_sys);
        assert_int_equal(rmdir(holder), 0);
        put_fake(&held, "p1", NULL);
        put_fake(&held, "p1/partition", "1\n");
        put_fake(&held, "p1/holders", NULL);
        granted(&held, held.backing, IO_ACCESS_WRITE, 0);
        put_fake(&held, "p1/holders/md0", NULL);
        snprintf(words, sizeof(words), "backs %s, which is held by md0", held.loop.path);
        refused(&held, held.backing, words);
        sysfs_end(&held);
        held_done(&held);
}

/* Of a device that says it cannot discard nothing is unmapped, though this one could. */
static void a_device_that_cannot_discard_is_not_asked_to(void **state)
{
        static const char *const says[] = {"0\n", "4096\n"};
        struct endpoint *endpoint;
        struct stat before, after;
        struct held held;

        held_init(&held);
        put_fake(&held, "queue", NULL);
        for (int i = 0; i < 2; i++) {
                put_fake(&held, "queue/discard_max_bytes", says[i]);
                if (i == 0)
                        sysfs_begin(&held);
                endpoint = lane_open(&held.lane, held.loop.path, IO_ACCESS_READ_WRITE, 0);
                assert_int_equal(endpoint->info.can_unmap, i == 1);
                assert_int_equal(stat(held.backing, &before), 0);
                assert_int_equal(lane_io(&held.lane, endpoint, IO_ZERO, IO_UNMAP, 0, MIB, NULL), 0);
                assert_int_equal(lane_io(&held.lane, endpoint, IO_FLUSH, 0, 0, 0, NULL), 0);
                assert_int_equal(stat(held.backing, &after), 0);
                assert_int_equal(after.st_blocks < before.st_blocks, i == 1);
                lane_close(&held.lane, endpoint);
        }
        sysfs_end(&held);
        held_done(&held);
}

/* A mount namespace whose mounts nobody else sees, and a loop device. */
static const char *check_rights(void)
{
        char path[] = "/var/tmp/kcopy-test-XXXXXX";
        struct loop_device loop;
        int fd, rc;

        if (geteuid() != 0)
                return "loop devices need root";
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return "no mount namespaces here";
        fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, MIB), 0);
        close(fd);
        rc = loop_attach(path, &(struct loop_options){0}, &loop);
        if (rc == 0)
                loop_detach(&loop);
        unlink(path);
        return rc < 0 ? "loop devices cannot be made here" : NULL;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_swap_file_is_refused_by_any_name),
            cmocka_unit_test(a_file_under_a_loop_device_that_is_swap_is_refused),
            cmocka_unit_test(a_file_under_a_mount_is_refused_until_it_is_unmounted),
            cmocka_unit_test(what_lies_between_file_and_mount_is_seen_through),
            cmocka_unit_test(loop_devices_over_the_same_bytes_are_refused_too),
            cmocka_unit_test(without_rights_the_path_tells),
            cmocka_unit_test(a_file_under_a_loop_device_that_is_held_is_refused),
            cmocka_unit_test(a_device_that_cannot_discard_is_not_asked_to),
        };
        const char *why = check_rights(); /* before there are threads */

        if (why != NULL) {
                fprintf(stderr, "skipped: %s\n", why);
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
