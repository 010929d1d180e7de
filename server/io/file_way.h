/* Which way the bytes of a local descriptor go: through the page cache, past it, or nowhere, because the file
 * is in memory.
 *
 * The kernel has no buffered write to most file systems, and none to block devices, that does not wait: each
 * is handed to a thread of its own, which costs more than the copying. Past the cache (O_DIRECT) a write is
 * handed over at once, costs no copy, fails by itself instead of at the next flush, and fills nobody's
 * memory. Source files are read through the cache: what is in it is wanted, and the kernel reads ahead. A
 * device's cache is mostly empty, the kernel drops it at the last close: large reads go past it (512 MiB from
 * a loop device not in the cache, to NBD: 145 ms instead of 215, and 79 ms of processor time instead of 165;
 * to another loop device 175 instead of 274, and 51 instead of 148). Small ones are better off with it: 4 KiB
 * jobs at random places were 15 % slower without.
 *
 * Pure functions of a descriptor, its owner's. */
#ifndef IO_FILE_WAY_H
#define IO_FILE_WAY_H

#include <stdbool.h>

#define FILE_WAY_ALIGN_BYTES 4096u /* of direct requests to regular files; block devices: their sector */

#define FILE_WAY_LARGE_BYTES (128u << 10)

enum file_way {
        FILE_WAY_CACHED,
        FILE_WAY_UNDECIDED, /* a device that is only read: FILE_WAY_CACHED until the first large read */
        FILE_WAY_DIRECT,    /* O_DIRECT is set on the descriptor */
        FILE_WAY_MEMORY,    /* tmpfs: nothing to wait for but the copying itself, which any thread may do */
};

/* Sets the descriptor up for it; may block (pool thread). */
enum file_way file_way_choose(int fd, bool block, bool write);
/* After FILE_WAY_UNDECIDED, for good. Any thread. */
enum file_way file_way_go_direct(int fd);
/* FILE_WAY_DIRECT no more, for good; requests under way are served as they were meant. Any thread. */
enum file_way file_way_leave_direct(int fd);

#endif
