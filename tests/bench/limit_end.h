/* One end of the bare loop: an NBD connection, or a file or block device on the lane's io_uring.
 * Owns the connection or descriptor; borrows the ring and the done list. One thread. */
#ifndef BENCH_LIMIT_END_H
#define BENCH_LIMIT_END_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include <liburing.h>
#include <libnbd.h>

struct limit_io { /* one request */
        struct limit_done *done;
        struct limit_io *next; /* in the done list */
        unsigned slot;
        bool write;
};

struct limit_done { /* answered, not looked at yet */
        struct limit_io *first;
};

struct limit_end {
        const char *name;
        struct nbd_handle *nbd; /* NULL: a file */
        int fd;
        struct io_uring *ring;
};

/* Ends the program: there is nothing to clean up. 77: io_uring is refused here. */
void limit_die(const char *what, const char *why) __attribute__((noreturn));
bool limit_end_is_file(const char *name);
void limit_end_open(struct limit_end *end, const char *name, bool write, bool direct, struct io_uring *ring);
uint64_t limit_end_size_bytes(struct limit_end *end);
void limit_end_submit(
    struct limit_end *end, struct limit_io *io, void *buf, uint64_t length_bytes, uint64_t offset_bytes);
/* NBD only. */
void limit_end_prepare(struct limit_end *end, struct pollfd *ret_poll);
void limit_end_notify(struct limit_end *end, const struct pollfd *fd);
void limit_end_flush(struct limit_end *end);
void limit_end_close(struct limit_end *end);

#endif
