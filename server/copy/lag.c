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
        uint64_t whole_ns = period_ns > LAG_PERIOD_NS ? period_ns : LAG_PERIOD_NS;

        for (uint64_t mask = lag->blocking; mask; mask &= mask - 1) {
                unsigned d = (unsigned)__builtin_ctzll(mask);

                lag->blocked_ns[d] += held_ns;
                if (lag->blocked_ns[d] <= whole_ns / 2)
                        continue;
                lagging |= 1ull << d;
                lag->blocked_ns[d] = 0;
        }
        lag->blocking = blocking;
        lag->since_ns = now_ns;
        if (period_ns < LAG_PERIOD_NS)
                return lagging;
        memset(lag->blocked_ns, 0, sizeof lag->blocked_ns);
        lag->period_start_ns = now_ns;
        return lagging;
}
