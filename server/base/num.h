/* Small arithmetic that C lacks, and units of time. */
#ifndef KC_NUM_H
#define KC_NUM_H

#include <stdint.h>

#define KC_NS_PER_MS 1000000ull
#define KC_NS_PER_S 1000000000ull

static inline uint64_t kc_min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static inline uint64_t kc_max_u64(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

#endif
