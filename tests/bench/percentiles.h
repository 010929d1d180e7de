/* Latencies of many small operations, and what they come to. Owns the array. One thread. */
#ifndef BENCH_PERCENTILES_H
#define BENCH_PERCENTILES_H

#include <stddef.h>
#include <stdint.h>

struct percentiles {
        uint64_t *values_ns;
        size_t n, room;
};

/* 0, or -ENOMEM. */
int percentiles_init(struct percentiles *all, size_t room);
void percentiles_add(struct percentiles *all, uint64_t value_ns);
/* Prints one JSON object about `n` operations of `bytes` each in `seconds`. */
void percentiles_print(struct percentiles *all, double seconds, uint64_t bytes);
void percentiles_done(struct percentiles *all);

uint64_t percentiles_now_ns(void);
/* The place of the i-th of n chunks: every place once, far from the one before. */
uint64_t percentiles_place(uint64_t i, uint64_t n);

#endif
