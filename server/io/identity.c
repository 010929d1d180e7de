/* Device identity: see identity.h. */
#include "io/identity.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Loop on partition on loop on …: deeper than anybody builds, and an end to any circle. */
#define LAYERS_MAX 16
#define NAME_KEPT_BYTES 96

/* The first line of /sys/dev/block/MAJ:MIN/`attribute`, without its newline. */
static bool sysfs_read(dev_t dev, const char *attribute, char *line, int line_bytes)
{
        char path[128];
        FILE *file;
        bool ok;

        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), attribute);
        file = fopen(path, "re");
        if (file == NULL)
                return false;
        ok = fgets(line, line_bytes, file) != NULL;
        fclose(file);
        if (ok)
                line[strcspn(line, "\n")] = '\0';
        return ok;
}

bool identity_partition(dev_t dev, dev_t *ret_disk, uint64_t *ret_start_bytes)
{
        char number[32], start[32], disk[32];
        unsigned long long start_sectors;
        unsigned disk_major, disk_minor;

        /* The link leads to …/block/sda/sda1, so ".." is the disk. */
        if (!sysfs_read(dev, "partition", number, sizeof(number)) ||
            !sysfs_read(dev, "start", start, sizeof(start)) ||
            !sysfs_read(dev, "../dev", disk, sizeof(disk)) || sscanf(start, "%llu", &start_sectors) != 1 ||
            sscanf(disk, "%u:%u", &disk_major, &disk_minor) != 2)
                return false;
        *ret_disk = makedev(disk_major, disk_minor);
        *ret_start_bytes = start_sectors * IO_SECTOR_BYTES;
        return true;
}

/* Open a block device by its number; -1 where its node cannot be found. */
static int open_by_number(dev_t dev)
{
        char name[64] = "", line[64], path[80], attribute[80];
        struct stat st;
        FILE *file;
        int fd;

        snprintf(attribute, sizeof(attribute), "/sys/dev/block/%u:%u/uevent", major(dev), minor(dev));
        file = fopen(attribute, "re");
        if (file == NULL)
                return -1;
        while (fgets(line, sizeof(line), file) != NULL)
                if (sscanf(line, "DEVNAME=%63s", name) == 1)
                        break;
        fclose(file);
        if (*name == '\0')
                return -1;
        snprintf(path, sizeof(path), "/dev/%s", name);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != dev)) {
                close(fd);
                fd = -1;
        }
        return fd;
}

/* What sysfs says of a loop device whose node may not be opened. It has a path only, which leads nowhere or
 * astray if the file was deleted or belongs to another mount namespace. */
static bool loop_status_by_path(dev_t dev, struct loop_info64 *ret_info)
{
        char path[PATH_MAX], offset[32];
        unsigned long long offset_bytes;
        struct stat st;

        if (!sysfs_read(dev, "loop/backing_file", path, sizeof(path)) ||
            !sysfs_read(dev, "loop/offset", offset, sizeof(offset)) ||
            sscanf(offset, "%llu", &offset_bytes) != 1 || stat(path, &st) < 0)
                return false;
        *ret_info = (struct loop_info64){
            .lo_device = st.st_dev,
            .lo_inode = st.st_ino,
            .lo_rdevice = S_ISBLK(st.st_mode) ? st.st_rdev : 0,
            .lo_offset = offset_bytes,
        };
        return true;
}

/* What backs the loop device `dev`. `fd`: open on it or a partition of it, or -1. */
static bool loop_status(int fd, dev_t dev, struct loop_info64 *ret_info)
{
        int own_fd = fd >= 0 ? -1 : open_by_number(dev);
        bool ok = ioctl(fd >= 0 ? fd : own_fd, LOOP_GET_STATUS64, ret_info) == 0;

        if (own_fd >= 0)
                close(own_fd);
        return ok || loop_status_by_path(dev, ret_info);
}

static void identity_of_file(dev_t dev, uint64_t inode, struct io_identity *ret_identity)
{
        snprintf(ret_identity->key, sizeof(ret_identity->key), "file:%llu:%llu", (unsigned long long)dev,
            (unsigned long long)inode);
}

/* Of what keeps its name when it is made again. Not of what backs a loop device: it need not have a path. */
static void instance_of_file(int fd, struct io_identity *ret_identity)
{
        struct statx info;

        if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &info) == 0 && (info.stx_mask & STATX_BTIME))
                snprintf(ret_identity->instance, sizeof ret_identity->instance, "born:%lld.%09u",
                    (long long)info.stx_btime.tv_sec, info.stx_btime.tv_nsec);
}

static void instance_of_disk(dev_t dev, struct io_identity *ret_identity)
{
        static const char *const names[] = {"wwid", "device/wwid", "serial"};
        char line[100], boot[40] = "";
        FILE *file;

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (sysfs_read(dev, names[i], line, sizeof line) && *line != '\0') {
                        snprintf(ret_identity->instance, sizeof ret_identity->instance, "wwid:%s", line);
                        return;
                }
        file = fopen("/proc/sys/kernel/random/boot_id", "re");
        if (file == NULL)
                return;
        if (fscanf(file, "%39s", boot) == 1 && sysfs_read(dev, "diskseq", line, sizeof line))
                snprintf(ret_identity->instance, sizeof ret_identity->instance, "seq:%s:%.20s", boot, line);
        fclose(file);
}

static void identity_of_block(int fd, dev_t dev, struct io_identity *ret_identity)
{
        uint64_t start_bytes;
        struct loop_info64 loop;
        dev_t disk;

        for (int layer = 0; layer < LAYERS_MAX; layer++) {
                if (identity_partition(dev, &disk, &start_bytes)) {
                        dev = disk;
                        ret_identity->base_bytes += start_bytes;
                        continue; /* a loop's ioctls work on its partitions: fd is good still */
                }
                if (major(dev) != LOOP_MAJOR || !loop_status(fd, dev, &loop))
                        break;
                ret_identity->base_bytes += loop.lo_offset;
                if (loop.lo_rdevice == 0) {
                        identity_of_file(loop.lo_device, loop.lo_inode, ret_identity);
                        return;
                }
                dev = loop.lo_rdevice;
                fd = -1;
        }
        snprintf(ret_identity->key, sizeof(ret_identity->key), "blk:%u:%u", major(dev), minor(dev));
        instance_of_disk(dev, ret_identity);
}

void identity_of_open(int fd, const struct stat *st, struct io_identity *ret_identity)
{
        memset(ret_identity, 0, sizeof(*ret_identity));
        if (S_ISBLK(st->st_mode)) {
                identity_of_block(fd, st->st_rdev, ret_identity);
                ret_identity->number = st->st_rdev;
        } else {
                identity_of_file(st->st_dev, st->st_ino, ret_identity);
                instance_of_file(fd, ret_identity);
        }
}

void identity_of_device(dev_t dev, struct io_identity *ret_identity)
{
        memset(ret_identity, 0, sizeof(*ret_identity));
        identity_of_block(-1, dev, ret_identity);
        ret_identity->number = dev;
}

/* FNV-1a, 64 bits. A collision makes two jobs wait for each other, no worse. */
static uint64_t digest(const char *text)
{
        uint64_t hash = 0xcbf29ce484222325u;

        for (; *text != '\0'; text++)
                hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
        return hash;
}

void identity_of_new(const struct stat *dir, const char *name, struct io_identity *ret_identity)
{
        memset(ret_identity, 0, sizeof(*ret_identity));
        if (strlen(name) <= NAME_KEPT_BYTES)
                snprintf(ret_identity->key, sizeof(ret_identity->key), "new:%llu:%llu/%s",
                    (unsigned long long)dir->st_dev, (unsigned long long)dir->st_ino, name);
        else
                snprintf(ret_identity->key, sizeof(ret_identity->key), "new:%llu:%llu/%.*s~%016llx",
                    (unsigned long long)dir->st_dev, (unsigned long long)dir->st_ino, NAME_KEPT_BYTES, name,
                    (unsigned long long)digest(name));
}
