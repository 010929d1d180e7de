/* Through the page cache, past it, or in memory: see file_way.h. */
#include "io/file_way.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* Direct writes that overwrite or fill holes run side by side here and keep their promises. Elsewhere they
 * cost something (btrfs: compression) or mean something else (FUSE, NFS: what the server makes of it). */
static bool good_at_direct(const struct statfs *fs)
{
        return fs->f_type == EXT4_SUPER_MAGIC || fs->f_type == XFS_SUPER_MAGIC;
}

static bool in_memory(const struct statfs *fs)
{
        return fs->f_type == TMPFS_MAGIC || fs->f_type == RAMFS_MAGIC;
}

static bool set_direct(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        return flags >= 0 && fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
}

enum file_way file_way_choose(int fd, bool block, bool write)
{
        struct statfs fs; /* of a block device: of the folder its node is in */

        if (!block && fstatfs(fd, &fs) < 0)
                return FILE_WAY_CACHED;
        if (!block && in_memory(&fs))
                return FILE_WAY_MEMORY;
        if (write && (block || good_at_direct(&fs)) && set_direct(fd))
                return FILE_WAY_DIRECT;
        return block && !write ? FILE_WAY_UNDECIDED : FILE_WAY_CACHED;
}

enum file_way file_way_go_direct(int fd)
{
        return set_direct(fd) ? FILE_WAY_DIRECT : FILE_WAY_CACHED;
}

enum file_way file_way_leave_direct(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags >= 0)
                (void)fcntl(fd, F_SETFL, flags & ~O_DIRECT); /* clearing cannot fail */
        return FILE_WAY_CACHED;
}
