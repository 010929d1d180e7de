/* The floor: what copying NBD to NBD costs with libnbd and nothing else.
 *
 *   limit [--threads N] [--requests N] [--size BYTES] SOURCE DESTINATION…
 *
 * Each thread has a connection of its own to the source and to every destination, and a part of the device;
 * it keeps REQUESTS chunks of SIZE bytes going: read one, write it to all, take the next. No extents, no zero
 * detection, no policy, no locks: a copier cannot be faster with this library, and how far it is behind is
 * what its contract costs. Ends with a flush. Exit status 1 on any error. */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#define DESTINATIONS_MAX 8
#define REQUESTS_MAX 64
#define ALIGN_BYTES 4096u

static unsigned n_threads = 2, n_requests = 2, n_destinations;
static size_t chunk_bytes = 512 * 1024;
static const char *source_uri, *destination_uris[DESTINATIONS_MAX];
static uint64_t size_bytes;

struct slot { /* one chunk on its way */
        void *buf;
        uint64_t offset_bytes;
        size_t length_bytes;
        int64_t read_cookie;                     /* 0: not reading */
        int64_t write_cookies[DESTINATIONS_MAX]; /* 0: written */
};

struct lane { /* one thread */
        pthread_t thread;
        uint64_t next_bytes, end_bytes; /* what is left of its part */
        struct nbd_handle *source, *destinations[DESTINATIONS_MAX];
        struct slot slots[REQUESTS_MAX];
};

static void die(const char *what)
{
        fprintf(stderr, "limit: %s: %s\n", what, nbd_get_error() ? nbd_get_error() : "no memory");
        exit(1);
}

static struct nbd_handle *connect_to(const char *uri)
{
        struct nbd_handle *nbd = nbd_create();

        if (!nbd || nbd_connect_uri(nbd, uri) < 0)
                die(uri);
        return nbd;
}

/* Start the next read in a free slot; false when the part is used up. */
static bool start_read(struct lane *lane, struct slot *slot)
{
        uint64_t left = lane->end_bytes - lane->next_bytes;

        if (left == 0)
                return false;
        slot->offset_bytes = lane->next_bytes;
        slot->length_bytes = left < chunk_bytes ? (size_t)left : chunk_bytes;
        lane->next_bytes += slot->length_bytes;
        slot->read_cookie = nbd_aio_pread(
            lane->source, slot->buf, slot->length_bytes, slot->offset_bytes, NBD_NULL_COMPLETION, 0);
        if (slot->read_cookie < 0)
                die("read");
        return true;
}

static void start_writes(struct lane *lane, struct slot *slot)
{
        for (unsigned i = 0; i < n_destinations; i++) {
                slot->write_cookies[i] = nbd_aio_pwrite(lane->destinations[i], slot->buf, slot->length_bytes,
                    slot->offset_bytes, NBD_NULL_COMPLETION, 0);
                if (slot->write_cookies[i] < 0)
                        die("write");
        }
}

/* Take a slot as far as it goes; false once it is free and there is nothing left to read. */
static bool run_slot(struct lane *lane, struct slot *slot)
{
        bool written = true;
        int done;

        if (slot->read_cookie) {
                done = nbd_aio_command_completed(lane->source, (uint64_t)slot->read_cookie);
                if (done < 0)
                        die("read");
                if (done == 0)
                        return true;
                slot->read_cookie = 0;
                start_writes(lane, slot);
                return true;
        }
        for (unsigned i = 0; i < n_destinations; i++) {
                if (!slot->write_cookies[i])
                        continue;
                done = nbd_aio_command_completed(lane->destinations[i], (uint64_t)slot->write_cookies[i]);
                if (done < 0)
                        die("write");
                if (done == 0)
                        written = false;
                else
                        slot->write_cookies[i] = 0;
        }
        return !written || start_read(lane, slot);
}

static void prepare_poll(struct nbd_handle *nbd, struct pollfd *fd)
{
        unsigned direction = nbd_aio_get_direction(nbd);

        fd->fd = nbd_aio_get_fd(nbd);
        fd->events = 0;
        fd->revents = 0;
        if (direction & LIBNBD_AIO_DIRECTION_READ)
                fd->events |= POLLIN;
        if (direction & LIBNBD_AIO_DIRECTION_WRITE)
                fd->events |= POLLOUT;
}

static void notify(struct nbd_handle *nbd, const struct pollfd *fd)
{
        int result = 0;

        if (fd->revents & (POLLIN | POLLHUP | POLLERR))
                result = nbd_aio_notify_read(nbd);
        else if (fd->revents & POLLOUT)
                result = nbd_aio_notify_write(nbd);
        if (result < 0)
                die("connection");
}

static void *run_lane(void *arg)
{
        struct lane *lane = arg;
        struct pollfd fds[1 + DESTINATIONS_MAX];
        bool busy = false;

        for (unsigned i = 0; i < n_requests; i++)
                if (lane->slots[i].buf)
                        busy |= start_read(lane, &lane->slots[i]);
        while (busy) {
                prepare_poll(lane->source, &fds[0]);
                for (unsigned i = 0; i < n_destinations; i++)
                        prepare_poll(lane->destinations[i], &fds[1 + i]);
                if (poll(fds, 1 + n_destinations, -1) < 0)
                        die("poll");
                notify(lane->source, &fds[0]);
                for (unsigned i = 0; i < n_destinations; i++)
                        notify(lane->destinations[i], &fds[1 + i]);
                busy = false;
                for (unsigned i = 0; i < n_requests; i++)
                        busy |= run_slot(lane, &lane->slots[i]);
        }
        return NULL;
}

static void init_lane(struct lane *lane, unsigned index)
{
        uint64_t part = size_bytes / n_threads / ALIGN_BYTES * ALIGN_BYTES;

        lane->next_bytes = part * index;
        lane->end_bytes = index + 1 == n_threads ? size_bytes : part * (index + 1);
        lane->source = connect_to(source_uri);
        for (unsigned i = 0; i < n_destinations; i++)
                lane->destinations[i] = connect_to(destination_uris[i]);
        for (unsigned i = 0; i < n_requests; i++)
                if (posix_memalign(&lane->slots[i].buf, ALIGN_BYTES, chunk_bytes) != 0)
                        die("buffers");
}

static void done_lane(struct lane *lane)
{
        for (unsigned i = 0; i < n_destinations; i++) {
                if (nbd_can_flush(lane->destinations[i]) > 0 && nbd_flush(lane->destinations[i], 0) < 0)
                        die("flush");
                nbd_shutdown(lane->destinations[i], 0);
                nbd_close(lane->destinations[i]);
        }
        nbd_shutdown(lane->source, 0);
        nbd_close(lane->source);
        for (unsigned i = 0; i < n_requests; i++)
                free(lane->slots[i].buf);
}

static void parse(int argc, char **argv)
{
        static const struct option options[] = {{"threads", required_argument, NULL, 't'},
            {"requests", required_argument, NULL, 'r'}, {"size", required_argument, NULL, 's'}, {0}};
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (option == 't')
                        n_threads = (unsigned)atoi(optarg);
                else if (option == 'r')
                        n_requests = (unsigned)atoi(optarg);
                else if (option == 's')
                        chunk_bytes = (size_t)atol(optarg);
                else
                        exit(2);
        }
        n_destinations = (unsigned)(argc - optind - 1);
        if (argc - optind < 2 || n_destinations > DESTINATIONS_MAX || n_threads < 1 || n_requests < 1 ||
            n_requests > REQUESTS_MAX || chunk_bytes % ALIGN_BYTES != 0) {
                fprintf(stderr,
                    "usage: limit [--threads N] [--requests N] [--size BYTES] SOURCE DESTINATION...\n");
                exit(2);
        }
        source_uri = argv[optind];
        for (unsigned i = 0; i < n_destinations; i++)
                destination_uris[i] = argv[optind + 1 + (int)i];
}

int main(int argc, char **argv)
{
        struct lane *lanes;
        struct nbd_handle *probe;
        int64_t size;

        parse(argc, argv);
        probe = connect_to(source_uri);
        size = nbd_get_size(probe);
        if (size < 0)
                die("size");
        size_bytes = (uint64_t)size;
        nbd_shutdown(probe, 0);
        nbd_close(probe);

        lanes = calloc(n_threads, sizeof(*lanes));
        if (!lanes)
                die("lanes");
        for (unsigned i = 0; i < n_threads; i++)
                init_lane(&lanes[i], i);
        for (unsigned i = 0; i < n_threads; i++)
                if (pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) != 0)
                        die("thread");
        for (unsigned i = 0; i < n_threads; i++)
                pthread_join(lanes[i].thread, NULL);
        for (unsigned i = 0; i < n_threads; i++)
                done_lane(&lanes[i]);
        free(lanes);
        return 0;
}
