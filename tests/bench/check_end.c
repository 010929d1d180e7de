/* One device to be filled or looked at (check_end.h). */
#include "check_end.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_BYTES (UINT64_C(2) << 30)

void check_die(const char *what, const char *why)
{
        fprintf(stderr, "check: %s: %s\n", what, why ? why : "failed");
        exit(2);
}

void check_end_open(struct check_end *end, const char *name, bool write)
{
        int64_t size;

        *end = (struct check_end){.name = name, .fd = -1};
        if (name[0] == '/') {
                end->fd = open(name, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
                if (end->fd < 0)
                        check_die(name, strerror(errno));
                size = lseek(end->fd, 0, SEEK_END);
                end->has_extents = lseek(end->fd, 0, SEEK_HOLE) >= 0;
        } else {
                end->nbd = nbd_create();
                if (!end->nbd || nbd_add_meta_context(end->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
                    nbd_connect_uri(end->nbd, name) < 0)
                        check_die(name, nbd_get_error());
                size = nbd_get_size(end->nbd);
                end->has_extents = nbd_can_meta_context(end->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
        }
        if (size < 0)
                check_die(name, "size");
        end->size_bytes = (uint64_t)size;
}

void check_end_read(struct check_end *end, void *buf, size_t length_bytes, uint64_t offset_bytes)
{
        char *to = buf;

        if (end->nbd && nbd_pread(end->nbd, buf, length_bytes, offset_bytes, 0) < 0)
                check_die(end->name, nbd_get_error());
        while (!end->nbd && length_bytes) {
                ssize_t n = pread(end->fd, to, length_bytes, (off_t)offset_bytes);

                if (n <= 0)
                        check_die(end->name, n < 0 ? strerror(errno) : "short");
                to += n;
                length_bytes -= (size_t)n;
                offset_bytes += (uint64_t)n;
        }
}

void check_end_write(struct check_end *end, const void *buf, size_t length_bytes, uint64_t offset_bytes)
{
        if (end->nbd ? nbd_pwrite(end->nbd, buf, length_bytes, offset_bytes, 0) < 0
                     : pwrite(end->fd, buf, length_bytes, (off_t)offset_bytes) != (ssize_t)length_bytes)
                check_die(end->name, end->nbd ? nbd_get_error() : strerror(errno));
}

static int on_extents(
    void *opaque, const char *context, uint64_t offset, uint32_t *entries, size_t n, int *error)
{
        struct check_end *end = opaque;

        for (size_t i = 0; i + 1 < n && end->n_extents < CHECK_EXTENTS_MAX; i += 2) {
                offset += entries[i];
                end->extents[end->n_extents++] =
                    (struct check_extent){offset, (entries[i + 1] & LIBNBD_STATE_ZERO) != 0};
        }
        return 0;
}

static void ask_nbd(struct check_end *end, uint64_t offset_bytes)
{
        nbd_extent_callback extents = {.callback = on_extents, .user_data = end};
        uint64_t left = end->size_bytes - offset_bytes;

        if (nbd_block_status(end->nbd, left < ASK_BYTES ? left : ASK_BYTES, offset_bytes, extents, 0) < 0)
                check_die(end->name, nbd_get_error());
}

static void ask_file(struct check_end *end, uint64_t offset_bytes)
{
        off_t data = lseek(end->fd, (off_t)offset_bytes, SEEK_DATA);
        off_t hole = data == (off_t)offset_bytes ? lseek(end->fd, data, SEEK_HOLE) : data;

        end->extents[0].zero = data != (off_t)offset_bytes;
        end->extents[0].end_bytes = hole < 0 ? end->size_bytes : (uint64_t)hole;
        end->n_extents = 1;
}

uint64_t check_end_extent(struct check_end *end, uint64_t offset_bytes, bool *ret_zero)
{
        *ret_zero = false;
        if (!end->has_extents)
                return end->size_bytes;
        while (end->next < end->n_extents && end->extents[end->next].end_bytes <= offset_bytes)
                end->next++;
        if (end->next == end->n_extents) {
                end->n_extents = end->next = 0;
                if (end->nbd)
                        ask_nbd(end, offset_bytes);
                else
                        ask_file(end, offset_bytes);
                if (end->n_extents == 0 || end->extents[0].end_bytes <= offset_bytes)
                        check_die(end->name, "its extents make no sense");
        }
        *ret_zero = end->extents[end->next].zero;
        return end->extents[end->next].end_bytes;
}

void check_end_close(struct check_end *end)
{
        if (end->nbd) {
                nbd_shutdown(end->nbd, 0);
                nbd_close(end->nbd);
        } else if (close(end->fd) < 0) {
                check_die(end->name, strerror(errno));
        }
}
