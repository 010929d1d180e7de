/* One thread of the bare loop: its own connections, ring and buffers, and a part of the chunks.
 * Owns all of that; borrows the plan. */
#ifndef BENCH_LIMIT_LANE_H
#define BENCH_LIMIT_LANE_H

#include <pthread.h>

#include "limit_end.h"
#include "percentiles.h"

#define LIMIT_DESTINATIONS_MAX 8
#define LIMIT_REQUESTS_MAX 256

struct limit_plan { /* what the command line said; read only */
        unsigned n_threads, n_requests, n_destinations;
        uint64_t chunk_bytes, size_bytes;
        const char *source, *destinations[LIMIT_DESTINATIONS_MAX];
        bool direct, random, latency, no_flush;
};

struct limit_slot { /* one chunk on its way */
        void *buf;
        uint64_t offset_bytes, length_bytes, start_ns;
        unsigned n_writing;
        struct limit_io read, writes[LIMIT_DESTINATIONS_MAX];
};

struct limit_lane {
        const struct limit_plan *plan;
        pthread_t thread;
        uint64_t next, end; /* chunks: what is left of its part */
        unsigned n_busy;
        bool has_ring, has_nbd;
        struct io_uring ring;
        struct limit_end source, destinations[LIMIT_DESTINATIONS_MAX];
        struct limit_done done;
        struct limit_slot slots[LIMIT_REQUESTS_MAX];
        struct percentiles latencies;
};

void limit_lane_init(struct limit_lane *lane, const struct limit_plan *plan, unsigned index);
void *limit_lane_run(void *lane);
void limit_lane_done(struct limit_lane *lane);

#endif
