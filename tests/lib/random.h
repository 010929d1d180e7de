/* Random numbers from a printed seed, for randomised unit tests; KCOPY_SEED=N replays one.
 * One program, one thread. */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t random_state;

/* Call at the start of a randomised test. */
static inline void random_seed(void)
{
        const char *text = getenv("KCOPY_SEED");
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        random_state = text != NULL ? strtoull(text, NULL, 0)
                                    : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        fprintf(stderr, "KCOPY_SEED=%llu\n", (unsigned long long)random_state);
}

/* 0 … n - 1 (splitmix64) */
static inline uint32_t random_below(uint32_t n)
{
        uint64_t x = random_state += 0x9e3779b97f4a7c15u;

        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        return (uint32_t)((x ^ (x >> 31)) % n);
}

#endif
