/* Opening a local device, the blocking half: see file_probe.h. */
#include "io/file_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/file_held.h"
#include "io/file_mounts.h"
#include "io/identity.h"

#define SUBJECT_MAX_BYTES 120
#define BLOCK_MIN_MAX_BYTES (64u << 10)
#define PREFERRED_MIN_BYTES 4096u /* a page: what buffered I/O works in */

void file_found_done(struct file_found *found)
{
        if (found->fd >= 0)
                close(found->fd);
        if (found->dir_fd >= 0)
                close(found->dir_fd);
        free(found->name);
        found->fd = found->dir_fd = -1;
        found->name = NULL;
}

static enum kc_class class_of_open_errno(int code)
{
        switch (-code) {
        case ENOENT:
        case ENOTDIR:
        case ENXIO:
        case ENODEV:
        case ENOMEDIUM:
                return KC_CLASS_NOT_FOUND;
        case ELOOP:
        case ENAMETOOLONG:
                return KC_CLASS_INVALID;
        case EBUSY:
        case ETXTBSY:
                return KC_CLASS_BUSY;
        case EMFILE:
        case ENFILE:
                return KC_CLASS_LIMIT;
        case ENOMEM:
                return KC_CLASS_INTERNAL;
        default:
                return kc_class_of_errno(code);
        }
}

static int fail_errno(struct kc_error *err, int code, const char *what)
{
        return kc_error_set(
            err, code, class_of_open_errno(code), "%s%s", what, strerrordesc_np(-code) ?: "unknown error");
}

static int check_type(const struct stat *st, struct kc_error *err)
{
        switch (st->st_mode & S_IFMT) {
        case S_IFREG:
        case S_IFBLK:
                return 0;
        case S_IFDIR:
                return kc_error_set(err, -EISDIR, KC_CLASS_INVALID,
                    "is a directory; only regular files and block devices can be copied");
        case S_IFCHR:
                return kc_error_set(err, -EINVAL, KC_CLASS_INVALID,
                    "is a character device; only regular files and block devices can be copied");
        default:
                return kc_error_set(err, -EINVAL, KC_CLASS_INVALID,
                    "is a pipe or socket; only regular files and block devices can be copied");
        }
}

static int open_device(
    int path_fd, const struct stat *st, const struct file_wanted *wanted, int *ret_fd, struct kc_error *err)
{
        bool write = wanted->access & IO_ACCESS_WRITE, block = S_ISBLK(st->st_mode);
        /* Writable is readable as well: tails are read, merged and written. */
        int flags = O_CLOEXEC | O_NOCTTY | (write ? O_RDWR : O_RDONLY);
        char link[32], user[160];
        int fd;

        if (block && write && !wanted->extra)
                flags |= O_EXCL;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
        fd = open(link, flags);
        if (fd >= 0) {
                *ret_fd = fd;
                return 0;
        }
        if (errno != EBUSY || !block)
                return fail_errno(err, -errno, "");
        file_mounts_user(st->st_rdev, user, sizeof(user));
        return kc_error_set(
            err, -EBUSY, KC_CLASS_BUSY, "%s; unmount or release it before it is overwritten", user);
}

static uint32_t preferred_bytes(uint64_t hint, uint32_t min_bytes)
{
        if (hint < min_bytes || hint < PREFERRED_MIN_BYTES)
                hint = PREFERRED_MIN_BYTES;
        return hint > FILE_BLOCK_MAX_BYTES ? FILE_BLOCK_MAX_BYTES : (uint32_t)hint;
}

/* Whether the disk says that it can discard; where it says nothing, a zero request will find out. */
static bool block_can_unmap(dev_t dev)
{
        unsigned long long discard_max_bytes = 1;
        uint64_t start_bytes;
        char path[96];
        dev_t disk;
        FILE *file;

        if (!identity_partition(dev, &disk, &start_bytes))
                disk = dev;
        snprintf(
            path, sizeof(path), "/sys/dev/block/%u:%u/queue/discard_max_bytes", major(disk), minor(disk));
        file = fopen(path, "re");
        if (file == NULL)
                return true;
        if (fscanf(file, "%llu", &discard_max_bytes) != 1)
                discard_max_bytes = 1;
        fclose(file);
        return discard_max_bytes > 0;
}

static int block_geometry(int fd, const struct stat *st, const struct file_wanted *wanted,
    struct endpoint_info *info, struct kc_error *err)
{
        unsigned optimal_bytes = 0;
        int sector_bytes = 0, protected = 0;
        uint64_t size_bytes;

        if (ioctl(fd, BLKGETSIZE64, &size_bytes) < 0 || ioctl(fd, BLKSSZGET, &sector_bytes) < 0)
                return fail_errno(err, -errno, "its size cannot be told: ");
        if (sector_bytes < 1 || sector_bytes > (int)BLOCK_MIN_MAX_BYTES ||
            (sector_bytes & (sector_bytes - 1)) != 0)
                return kc_error_set(err, -EOPNOTSUPP, KC_CLASS_UNSUPPORTED,
                    "has sectors of %d bytes; at most %u are supported", sector_bytes, BLOCK_MIN_MAX_BYTES);
        if (wanted->access & IO_ACCESS_WRITE) {
                if (ioctl(fd, BLKROGET, &protected) == 0 && protected)
                        return kc_error_set(err, -EROFS, KC_CLASS_PERMISSION, "is write-protected");
                info->can_unmap = block_can_unmap(st->st_rdev);
        } else {
                info->mounted_rw = file_mounts_writable(st->st_rdev);
        }
        if (ioctl(fd, BLKIOOPT, &optimal_bytes) < 0)
                optimal_bytes = 0;
        info->kind = IO_KIND_BLOCK;
        info->size_bytes = size_bytes;
        info->block_min_bytes = (uint32_t)sector_bytes;
        info->block_preferred_bytes = preferred_bytes(optimal_bytes, info->block_min_bytes);
        return 0;
}

static void file_geometry(const struct stat *st, struct endpoint_info *info)
{
        info->kind = IO_KIND_FILE;
        info->size_bytes = (uint64_t)st->st_size;
        info->block_min_bytes = 1;
        info->block_preferred_bytes = preferred_bytes((uint64_t)st->st_blksize, 1);
        info->can_extents = info->can_unmap = true;
        info->resizable = !info->read_only;
}

static void common_geometry(const struct file_wanted *wanted, struct endpoint_info *info)
{
        memset(info, 0, sizeof(*info));
        info->block_max_bytes = FILE_BLOCK_MAX_BYTES;
        info->zero_max_bytes = FILE_ZERO_MAX_BYTES;
        info->read_only = !(wanted->access & IO_ACCESS_WRITE);
        info->can_flush = info->can_fua = info->multi_conn = true;
}

static int check_held(const struct stat *st, const struct endpoint_info *info, struct kc_error *err)
{
        char user[200];

        if (!file_held(st, info, user, sizeof(user)))
                return 0;
        return kc_error_set(
            err, -EBUSY, KC_CLASS_BUSY, "%s; unmount or release it before it is overwritten", user);
}

static int probe_present(
    int path_fd, const struct file_wanted *wanted, struct file_found *found, struct kc_error *err)
{
        struct stat st;
        int rc;

        if (fstat(path_fd, &st) < 0)
                return fail_errno(err, -errno, "");
        rc = check_type(&st, err);
        if (rc < 0)
                return rc;
        rc = open_device(path_fd, &st, wanted, &found->fd, err);
        if (rc == -EBUSY)
                found->busy_number = st.st_rdev;
        if (rc < 0)
                return rc;
        if (fstat(found->fd, &st) < 0) /* again: an automounter or a FUSE file may know more by now */
                return fail_errno(err, -errno, "");
        if (S_ISBLK(st.st_mode))
                rc = block_geometry(found->fd, &st, wanted, &found->info, err);
        else
                file_geometry(&st, &found->info);
        if (rc < 0)
                return rc;
        identity_of_open(found->fd, &st, &found->info.identity);
        found->way = file_way_choose(found->fd, S_ISBLK(st.st_mode), wanted->access & IO_ACCESS_WRITE);
        /* Whoever opens it once more has passed this already. */
        return (wanted->access & IO_ACCESS_WRITE) && !wanted->extra ? check_held(&st, &found->info, err) : 0;
}

/* There is no such file, and it may be created: its directory is kept open instead. */
static int probe_absent(const struct file_wanted *wanted, struct file_found *found, struct kc_error *err)
{
        const char *name = strrchr(wanted->path, '/') + 1;
        struct stat st, dev;
        char *dir;

        if (*name == '\0')
                return kc_error_set(err, -EISDIR, KC_CLASS_INVALID, "names a directory; add a file name");
        dir = strndup(wanted->path, (size_t)(name - wanted->path));
        found->name = strdup(name);
        if (dir != NULL)
                found->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        free(dir);
        if (dir == NULL || found->name == NULL)
                return fail_errno(err, -ENOMEM, "");
        if (found->dir_fd < 0 || fstat(found->dir_fd, &st) < 0)
                return fail_errno(err, -errno, "its directory: ");
        if (faccessat(found->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
                return fail_errno(err, -errno, "cannot be created in its directory: ");
        /* A slip of the pen, or a device that is not there: nobody wants a file of that name. */
        if (stat("/dev", &dev) == 0 && dev.st_dev == st.st_dev)
                return kc_error_set(err, -ENOENT, KC_CLASS_NOT_FOUND,
                    "no such device; regular files are not created among devices");
        found->info.absent = found->info.resizable = true;
        identity_of_new(&st, name, &found->info.identity);
        st.st_size = 0;
        file_geometry(&st, &found->info);
        if (fstatat(found->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return S_ISLNK(st.st_mode)
                           ? kc_error_set(err, -ENOENT, KC_CLASS_NOT_FOUND,
                                 "is a symbolic link to nothing; files are not created through links")
                           : kc_error_set(err, -EEXIST, KC_CLASS_BUSY,
                                 "appeared while it was being opened; try again");
        return errno == ENOENT ? 0 : fail_errno(err, -errno, "");
}

int file_probe(const struct file_wanted *wanted, struct file_found *ret_found, struct kc_error *err)
{
        struct file_found found = {.fd = -1, .dir_fd = -1};
        char subject[SUBJECT_MAX_BYTES];
        int path_fd, rc;

        common_geometry(wanted, &found.info);
        path_fd = open(wanted->path, O_PATH | O_CLOEXEC);
        if (path_fd >= 0)
                rc = probe_present(path_fd, wanted, &found, err);
        else if (errno == ENOENT && wanted->may_create && (wanted->access & IO_ACCESS_WRITE))
                rc = probe_absent(wanted, &found, err);
        else
                rc = fail_errno(err, -errno, "");
        if (path_fd >= 0)
                close(path_fd);
        if (rc < 0) {
                ret_found->busy_number = found.busy_number;
                file_found_done(&found);
                kc_error_prefix(
                    err, "%s", kc_error_escape(subject, sizeof(subject), wanted->path, strlen(wanted->path)));
                return rc;
        }
        *ret_found = found;
        return 0;
}
