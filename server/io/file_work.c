/* What a file's commands do on a pool thread because io_uring has no opcode for it: see file.h. */
#include "io/file.h"
#include "io/identity.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct file_cmd *cmd_of(struct file_op *op)
{
        return kc_container_of(op, struct file_cmd, op);
}

static void add_extent(struct file_cmd *cmd, uint64_t length_bytes, bool zero)
{
        if (length_bytes > 0)
                cmd->req->extents[cmd->n_extents++] =
                    (struct io_extent){.length_bytes = length_bytes, .zero = zero};
}

/* Where data (or a hole) begins at or after `at`, at most `end`. Negative errno. */
static int64_t seek(int fd, uint64_t at, uint64_t end, int whence)
{
        off_t found = lseek(fd, (off_t)at, whence);

        if (found < 0)
                return errno == ENXIO ? (int64_t)end : -errno;
        return (uint64_t)found < end ? found : (int64_t)end;
}

int64_t file_work_extents(struct file_op *op)
{
        struct file_cmd *cmd = cmd_of(op);
        uint64_t at = cmd->req->offset_bytes, end = at + cmd->req->length_bytes;
        struct stat st;

        cmd->n_extents = 0;
        /* Two at most each time round: a hole and the data after it. */
        while (at < end && cmd->n_extents + 2 <= IO_EXTENTS_PER_REQ) {
                int64_t data, hole;

                data = seek(op->fd, at, end, SEEK_DATA);
                if (data < 0)
                        return data == -EINVAL ? -EOPNOTSUPP : data;
                hole = (uint64_t)data < end ? seek(op->fd, (uint64_t)data, end, SEEK_HOLE) : data;
                if (hole < 0)
                        return hole == -EINVAL ? -EOPNOTSUPP : hole;
                add_extent(cmd, (uint64_t)data - at, true);
                add_extent(cmd, (uint64_t)(hole - data), false);
                at = (uint64_t)hole;
        }
        /* Behind the end everything looks like a hole: a file that shrank must not read as zeroes. */
        if (fstat(op->fd, &st) < 0)
                return -errno;
        return (uint64_t)st.st_size < end ? -EIO : 0;
}

/* In memory the kernel looks for a hole page by page, which was a tenth of the processor time of a dense copy
 * to NBD (1 GiB). A file with a page for everything has none. */
int64_t file_work_extents_in_memory(struct file_op *op)
{
        struct file_cmd *cmd = cmd_of(op);
        uint64_t end = cmd->req->offset_bytes + cmd->req->length_bytes, size_bytes;
        struct stat st;

        if (fstat(op->fd, &st) < 0)
                return -errno;
        size_bytes = (uint64_t)st.st_size;
        if (size_bytes < end || (uint64_t)st.st_blocks * 512 < size_bytes)
                return file_work_extents(op);
        cmd->n_extents = 0;
        add_extent(cmd, cmd->req->length_bytes, false);
        return 0;
}

/* Make the file, and leave nothing behind if it cannot have its size. */
static int64_t create(struct file_cmd *cmd)
{
        struct file *file = cmd->file;
        struct stat made, named;
        int fd, rc = 0;

        fd = openat(file->dir_fd, file->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
        if (fd < 0)
                return -errno;
        /* Not fstat: TSan takes descriptors of one number for one object, and libuv closes them unseen. */
        if (ftruncate(fd, (off_t)cmd->req->length_bytes) < 0 || fstatat(fd, "", &made, AT_EMPTY_PATH) < 0)
                rc = -errno;
        if (rc == 0) {
                identity_of_open(fd, &made, &cmd->made_identity);
                cmd->made_fd = fd;
                cmd->made_way = file_way_choose(fd, false, true);
                cmd->size_bytes = cmd->req->length_bytes;
                return 0;
        }
        if (fstat(fd, &made) == 0 && fstatat(file->dir_fd, file->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            made.st_dev == named.st_dev && made.st_ino == named.st_ino)
                (void)unlinkat(file->dir_fd, file->name, 0);
        close(fd);
        return rc;
}

/* Somebody else may have made it longer since it was looked at, and ftruncate would cut that off again: the
 * last byte's block is allocated instead, which moves the end outward only. */
static int grow(int fd, uint64_t wanted_bytes)
{
        if (fallocate(fd, 0, (off_t)wanted_bytes - 1, 1) == 0)
                return 0;
        return errno == EOPNOTSUPP ? ftruncate(fd, (off_t)wanted_bytes) : -1;
}

int64_t file_work_resize(struct file_op *op)
{
        struct file_cmd *cmd = cmd_of(op);
        uint64_t wanted_bytes = cmd->req->length_bytes;
        struct stat st;

        if (wanted_bytes > INT64_MAX)
                return -EFBIG;
        if (op->fd < 0)
                return create(cmd);
        if (fstat(op->fd, &st) < 0)
                return -errno;
        cmd->size_bytes = (uint64_t)st.st_size;
        if (cmd->size_bytes == wanted_bytes ||
            ((cmd->req->flags & IO_GROW_ONLY) && cmd->size_bytes > wanted_bytes))
                return 0;
        if (cmd->req->flags & IO_GROW_ONLY ? grow(op->fd, wanted_bytes) < 0
                                           : ftruncate(op->fd, (off_t)wanted_bytes) < 0)
                return -errno;
        cmd->size_bytes = wanted_bytes;
        return 0;
}

int64_t file_work_close(struct file_op *op)
{
        struct file *file = kc_container_of(op, struct file, close_op);

        if (file->fd >= 0)
                close(file->fd);
        if (file->dir_fd >= 0)
                close(file->dir_fd);
        return 0;
}
