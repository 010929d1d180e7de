/* One end of the bare loop (limit_end.h). */
#include "limit_end.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void limit_die(const char *what, const char *why)
{
        fprintf(stderr, "limit: %s: %s\n", what, why ? why : "failed");
        exit(1);
}

static void die_nbd(const struct limit_end *end)
{
        limit_die(end->name, nbd_get_error());
}

bool limit_end_is_file(const char *name)
{
        return name[0] == '/';
}

void limit_end_open(struct limit_end *end, const char *name, bool write, bool direct, struct io_uring *ring)
{
        *end = (struct limit_end){.name = name, .fd = -1, .ring = ring};
        if (limit_end_is_file(name)) {
                end->fd = open(name, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | (direct ? O_DIRECT : 0));
                if (end->fd < 0)
                        limit_die(name, strerror(errno));
                return;
        }
        end->nbd = nbd_create();
        if (!end->nbd || nbd_set_pread_initialize(end->nbd, false) < 0 || nbd_connect_uri(end->nbd, name) < 0)
                die_nbd(end);
}

uint64_t limit_end_size_bytes(struct limit_end *end)
{
        int64_t size = end->nbd ? nbd_get_size(end->nbd) : (int64_t)lseek(end->fd, 0, SEEK_END);

        if (size < 0)
                limit_die(end->name, "size");
        return (uint64_t)size;
}

static int on_answer(void *opaque, int *error)
{
        struct limit_io *io = opaque;

        if (*error)
                limit_die("a request", strerror(*error));
        io->next = io->done->first;
        io->done->first = io;
        return 1;
}

void limit_end_submit(
    struct limit_end *end, struct limit_io *io, void *buf, uint64_t length_bytes, uint64_t offset_bytes)
{
        nbd_completion_callback answer = {.callback = on_answer, .user_data = io};
        struct io_uring_sqe *sqe;

        if (!end->nbd) {
                sqe = io_uring_get_sqe(end->ring); /* as large as all slots and ends together */
                if (!sqe)
                        limit_die(end->name, "the ring is full");
                if (io->write)
                        io_uring_prep_write(sqe, end->fd, buf, (unsigned)length_bytes, offset_bytes);
                else
                        io_uring_prep_read(sqe, end->fd, buf, (unsigned)length_bytes, offset_bytes);
                io_uring_sqe_set_data(sqe, io);
                return;
        }
        if ((io->write ? nbd_aio_pwrite(end->nbd, buf, length_bytes, offset_bytes, answer, 0)
                       : nbd_aio_pread(end->nbd, buf, length_bytes, offset_bytes, answer, 0)) < 0)
                die_nbd(end);
}

void limit_end_prepare(struct limit_end *end, struct pollfd *ret_poll)
{
        unsigned direction = nbd_aio_get_direction(end->nbd);

        *ret_poll = (struct pollfd){.fd = nbd_aio_get_fd(end->nbd)};
        if (direction & LIBNBD_AIO_DIRECTION_READ)
                ret_poll->events |= POLLIN;
        if (direction & LIBNBD_AIO_DIRECTION_WRITE)
                ret_poll->events |= POLLOUT;
}

void limit_end_notify(struct limit_end *end, const struct pollfd *fd)
{
        int result = 0;

        if (fd->revents & (POLLIN | POLLHUP | POLLERR))
                result = nbd_aio_notify_read(end->nbd);
        else if (fd->revents & POLLOUT)
                result = nbd_aio_notify_write(end->nbd);
        if (result < 0)
                die_nbd(end);
}

void limit_end_flush(struct limit_end *end)
{
        if (!end->nbd && fsync(end->fd) < 0)
                limit_die(end->name, strerror(errno));
        if (end->nbd && nbd_can_flush(end->nbd) > 0 && nbd_flush(end->nbd, 0) < 0)
                die_nbd(end);
}

void limit_end_close(struct limit_end *end)
{
        if (end->nbd) {
                nbd_shutdown(end->nbd, 0);
                nbd_close(end->nbd);
        } else {
                close(end->fd);
        }
}
