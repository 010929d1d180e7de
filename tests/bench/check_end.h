/* One device to be filled or looked at: an NBD export, a file or a block device, read and written
 * synchronously. Owns the connection or descriptor and a piece of the extents' list. One thread. */
#ifndef BENCH_CHECK_END_H
#define BENCH_CHECK_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libnbd.h>

#define CHECK_EXTENTS_MAX 4096

struct check_extent {
        uint64_t end_bytes;
        bool zero;
};

struct check_end {
        const char *name;
        struct nbd_handle *nbd; /* NULL: a file or device */
        int fd;
        uint64_t size_bytes;
        bool has_extents;
        unsigned n_extents, next; /* what is known ahead */
        struct check_extent extents[CHECK_EXTENTS_MAX];
};

/* All end the program when they fail. */
void check_die(const char *what, const char *why) __attribute__((noreturn));
void check_end_open(struct check_end *end, const char *name, bool write);
void check_end_read(struct check_end *end, void *buf, size_t length_bytes, uint64_t offset_bytes);
void check_end_write(struct check_end *end, const void *buf, size_t length_bytes, uint64_t offset_bytes);
/* Where the run of data or zeroes at `offset_bytes` ends. Offsets only grow. */
uint64_t check_end_extent(struct check_end *end, uint64_t offset_bytes, bool *ret_zero);
void check_end_close(struct check_end *end);

#endif
