/* For tests: loop devices, made by ioctl, which go by themselves when the last descriptor closes, whatever
 * becomes of the test. Included by one file of a program, after cmocka.h. */
#ifndef UNIT_LOOP_DEVICE_H
#define UNIT_LOOP_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct loop_device {
        int fd;
        char path[32];
};

struct loop_options {
        uint32_t block_bytes; /* 0: 512 */
        uint64_t offset_bytes;
        bool read_only, partitions;
};

/* 0, or negative errno. */
static inline int loop_attach(
    const char *backing, const struct loop_options *options, struct loop_device *ret_loop)
{
        int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        int flags = (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
        struct loop_config config = {.block_size = options->block_bytes,
            .info = {
                .lo_offset = options->offset_bytes,
                .lo_flags = LO_FLAGS_AUTOCLEAR | (options->read_only ? LO_FLAGS_READ_ONLY : 0u) |
                            (options->partitions ? LO_FLAGS_PARTSCAN : 0u),
            }};
        int backing_fd, rc = -errno;

        if (control < 0)
                return rc;
        backing_fd = open(backing, flags);
        assert_true(backing_fd >= 0);
        config.fd = (uint32_t)backing_fd;
        do { /* somebody else may take the free one in between */
                int number = ioctl(control, LOOP_CTL_GET_FREE);

                rc = -errno;
                if (number < 0)
                        break;
                snprintf(ret_loop->path, sizeof(ret_loop->path), "/dev/loop%d", number);
                ret_loop->fd = open(ret_loop->path, flags);
                rc = -errno;
                if (ret_loop->fd < 0)
                        break;
                rc = ioctl(ret_loop->fd, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
                if (rc < 0)
                        close(ret_loop->fd);
        } while (rc == -EBUSY);
        close(backing_fd);
        close(control);
        return rc;
}

static inline void loop_detach(struct loop_device *loop)
{
        close(loop->fd);
}

static inline void loop_add_partition(
    struct loop_device *loop, int number, uint64_t start_bytes, uint64_t length_bytes)
{
        struct blkpg_partition partition = {
            .pno = number, .start = (long long)start_bytes, .length = (long long)length_bytes};
        struct blkpg_ioctl_arg arg = {
            .op = BLKPG_ADD_PARTITION, .datalen = sizeof(partition), .data = &partition};

        assert_int_equal(ioctl(loop->fd, BLKPG, &arg), 0);
}

static inline void loop_del_partition(struct loop_device *loop, int number)
{
        struct blkpg_partition partition = {.pno = number};
        struct blkpg_ioctl_arg arg = {
            .op = BLKPG_DEL_PARTITION, .datalen = sizeof(partition), .data = &partition};

        assert_int_equal(ioctl(loop->fd, BLKPG, &arg), 0);
}

#endif
