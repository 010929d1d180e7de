/* Lag by time spent blocking, period by period. */
#include "copy/lag.h"

#include <string.h>

void lag_init(struct lag *lag, uint64_t now_ns)
{
        memset(lag, 0, sizeof *lag);
        lag->period_start_ns = lag->since_ns = now_ns;
}

uint64_t lag_update(struct lag *lag, uint64_t blocking, uint64_t now_ns)
{
        uint64_t held_ns = now_ns - lag->since_ns, period_ns = now_ns - lag->period_start_ns, lagging = 0;

        for (uint64_t mask = lag->blocking; mask; mask &= mask - 1)
                lag->blocked_ns[__builtin_ctzll(mask)] += held_ns;
        lag->blocking = blocking;
        lag->since_ns = now_ns;
        if (period_ns < LAG_PERIOD_NS)
                return 0;
        for (unsigned d = 0; d < KC_DESTINATIONS_MAX; d++)
                if (lag->blocked_ns[d] > period_ns / 2)
                        lagging |= 1ull << d;
        memset(lag->blocked_ns, 0, sizeof lag->blocked_ns);
        lag->period_start_ns = now_ns;
        return lagging;
}
