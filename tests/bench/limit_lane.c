/* One thread of the bare loop (limit_lane.h). */
#include "limit_lane.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SQ_MAX 4096u
#define NOT_HERE 77

static uint64_t n_chunks(const struct limit_plan *plan)
{
        return (plan->size_bytes + plan->chunk_bytes - 1) / plan->chunk_bytes;
}

/* Start the next read; false when the part is used up. */
static bool start_read(struct limit_lane *lane, struct limit_slot *slot)
{
        const struct limit_plan *plan = lane->plan;
        uint64_t place, left;

        if (lane->next == lane->end)
                return false;
        place = plan->random ? percentiles_place(lane->next, n_chunks(plan)) : lane->next;
        lane->next++;
        slot->offset_bytes = place * plan->chunk_bytes;
        left = plan->size_bytes - slot->offset_bytes;
        slot->length_bytes = left < plan->chunk_bytes ? left : plan->chunk_bytes;
        if (plan->latency)
                slot->start_ns = percentiles_now_ns();
        limit_end_submit(&lane->source, &slot->read, slot->buf, slot->length_bytes, slot->offset_bytes);
        return true;
}

static void start_writes(struct limit_lane *lane, struct limit_slot *slot)
{
        slot->n_writing = lane->plan->n_destinations;
        for (unsigned i = 0; i < lane->plan->n_destinations; i++)
                limit_end_submit(&lane->destinations[i], &slot->writes[i], slot->buf, slot->length_bytes,
                    slot->offset_bytes);
}

/* A request was answered: take its slot a step further. */
static void step(struct limit_lane *lane, struct limit_io *io)
{
        struct limit_slot *slot = &lane->slots[io->slot];

        if (!io->write) {
                start_writes(lane, slot);
                return;
        }
        if (--slot->n_writing > 0)
                return;
        if (lane->plan->latency)
                percentiles_add(&lane->latencies, percentiles_now_ns() - slot->start_ns);
        if (!start_read(lane, slot))
                lane->n_busy--;
}

static void reap(struct limit_lane *lane)
{
        struct io_uring_cqe *cqe;
        struct limit_io *io;

        while (io_uring_peek_cqe(&lane->ring, &cqe) == 0) {
                io = io_uring_cqe_get_data(cqe);
                if (cqe->res < 0)
                        limit_die(io->write ? "write" : "read", strerror(-cqe->res));
                if ((uint64_t)cqe->res != lane->slots[io->slot].length_bytes)
                        limit_die(io->write ? "write" : "read", "short");
                io_uring_cqe_seen(&lane->ring, cqe);
                io->next = lane->done.first;
                lane->done.first = io;
        }
}

static void poll_nbd(struct limit_lane *lane)
{
        struct pollfd fds[2 + LIMIT_DESTINATIONS_MAX];
        struct limit_end *ends[2 + LIMIT_DESTINATIONS_MAX];
        nfds_t n = 0;

        for (unsigned i = 0; i <= lane->plan->n_destinations; i++) {
                ends[n] = i ? &lane->destinations[i - 1] : &lane->source;
                if (ends[n]->nbd) {
                        limit_end_prepare(ends[n], &fds[n]);
                        n++;
                }
        }
        if (lane->has_ring)
                fds[n] = (struct pollfd){.fd = lane->ring.ring_fd, .events = POLLIN};
        if (poll(fds, n + (lane->has_ring ? 1 : 0), lane->done.first ? 0 : -1) < 0)
                limit_die("poll", NULL);
        for (nfds_t i = 0; i < n; i++)
                limit_end_notify(ends[i], &fds[i]);
}

void *limit_lane_run(void *arg)
{
        struct limit_lane *lane = arg;
        struct limit_io *io;

        for (unsigned i = 0; i < lane->plan->n_requests; i++)
                lane->n_busy += start_read(lane, &lane->slots[i]);
        while (lane->n_busy) {
                if (lane->has_ring) {
                        if (io_uring_submit_and_wait(&lane->ring, lane->has_nbd ? 0 : 1) < 0)
                                limit_die("io_uring", "submit");
                        reap(lane);
                }
                if (lane->has_nbd)
                        poll_nbd(lane);
                while ((io = lane->done.first)) {
                        lane->done.first = io->next;
                        step(lane, io);
                }
        }
        return NULL;
}

static void init_slot(struct limit_lane *lane, unsigned index, char *pool)
{
        struct limit_slot *slot = &lane->slots[index];

        slot->buf = pool + index * lane->plan->chunk_bytes;
        slot->read = (struct limit_io){.done = &lane->done, .slot = index};
        for (unsigned i = 0; i < LIMIT_DESTINATIONS_MAX; i++)
                slot->writes[i] = (struct limit_io){.done = &lane->done, .slot = index, .write = true};
}

static void init_pool(struct limit_lane *lane)
{
        size_t bytes = lane->plan->n_requests * lane->plan->chunk_bytes;
        void *pool = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (pool == MAP_FAILED)
                limit_die("buffers", "no memory");
        madvise(pool, bytes, MADV_HUGEPAGE);
        for (unsigned i = 0; i < lane->plan->n_requests; i++)
                init_slot(lane, i, pool);
}

static void init_ring(struct limit_lane *lane)
{
        unsigned entries = lane->plan->n_requests * (1 + lane->plan->n_destinations);

        for (unsigned i = 0; i <= lane->plan->n_destinations; i++) {
                bool file = limit_end_is_file(i ? lane->plan->destinations[i - 1] : lane->plan->source);

                lane->has_ring |= file;
                lane->has_nbd |= !file;
        }
        if (lane->has_ring && io_uring_queue_init(entries < SQ_MAX ? entries : SQ_MAX, &lane->ring, 0) < 0)
                exit(NOT_HERE);
}

void limit_lane_init(struct limit_lane *lane, const struct limit_plan *plan, unsigned index)
{
        uint64_t n = n_chunks(plan);

        *lane = (struct limit_lane){
            .plan = plan, .next = n * index / plan->n_threads, .end = n * (index + 1) / plan->n_threads};
        init_ring(lane);
        limit_end_open(&lane->source, plan->source, false, plan->direct, &lane->ring);
        for (unsigned i = 0; i < plan->n_destinations; i++)
                limit_end_open(
                    &lane->destinations[i], plan->destinations[i], true, plan->direct, &lane->ring);
        init_pool(lane);
        if (plan->latency && percentiles_init(&lane->latencies, lane->end - lane->next) < 0)
                limit_die("latencies", "no memory");
}

void limit_lane_done(struct limit_lane *lane)
{
        for (unsigned i = 0; i < lane->plan->n_destinations; i++)
                limit_end_close(&lane->destinations[i]);
        limit_end_close(&lane->source);
        if (lane->has_ring)
                io_uring_queue_exit(&lane->ring);
        munmap(lane->slots[0].buf, lane->plan->n_requests * lane->plan->chunk_bytes);
        percentiles_done(&lane->latencies);
}
