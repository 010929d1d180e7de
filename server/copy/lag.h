/* Lag: which destinations hold the others up.
 *
 * While a leg can begin nothing new because every chunk in flight waits for the same few destinations and the
 * others are done with it, those few are blocking. One that blocks for more than half of a period is lagging,
 * and told of as soon as that is certain.
 * Destinations of equal speed block each other now and then, but not for long: they are busy at the same
 * time. Pure; the clock is handed in. Thread: its leg's lane. */
#ifndef COPY_LAG_H
#define COPY_LAG_H

#include <stdint.h>

#include "kc_limits.h"

#define LAG_PERIOD_NS 50000000ull

struct lag {
        uint64_t period_start_ns;
        uint64_t since_ns;                        /* `blocking` holds from then on */
        uint64_t blocking;                        /* mask of destinations */
        uint64_t blocked_ns[KC_DESTINATIONS_MAX]; /* in this period */
};

void lag_init(struct lag *lag, uint64_t now_ns);
/* From now on these are blocking (0: nobody). Returns the mask of those that are found to be lagging in this
 * period, each once, or 0. */
uint64_t lag_update(struct lag *lag, uint64_t blocking, uint64_t now_ns);

#endif
