/* The token bucket: see throttle.h. */
#include "copy/throttle.h"

#define NS_PER_S 1000000000u
#define WAIT_MAX_NS (1ull << 62)

static void set_burst(struct throttle *throttle)
{
        unsigned __int128 burst =
            (unsigned __int128)throttle->rate_bytes_per_s * THROTTLE_BURST_NS / NS_PER_S;

        if (burst < throttle->min_burst_bytes)
                burst = throttle->min_burst_bytes;
        if (burst < 1)
                burst = 1;
        throttle->burst_bytes = burst < INT64_MAX ? (uint64_t)burst : INT64_MAX;
}

static void fill(struct throttle *throttle, uint64_t now_ns)
{
        unsigned __int128 gain; /* in byte-nanoseconds per second */
        __int128 tokens;

        if (now_ns <= throttle->filled_ns)
                return;
        gain = (unsigned __int128)(now_ns - throttle->filled_ns) * throttle->rate_bytes_per_s +
               throttle->remainder;
        throttle->filled_ns = now_ns;
        tokens = throttle->tokens_bytes + (__int128)(gain / NS_PER_S);
        throttle->remainder = (uint64_t)(gain % NS_PER_S);
        if (tokens >= (__int128)throttle->burst_bytes) {
                tokens = (__int128)throttle->burst_bytes;
                throttle->remainder = 0;
        }
        throttle->tokens_bytes = (int64_t)tokens;
}

void throttle_init(
    struct throttle *throttle, uint64_t rate_bytes_per_s, uint64_t min_burst_bytes, uint64_t now_ns)
{
        *throttle = (struct throttle){
            .rate_bytes_per_s = rate_bytes_per_s,
            .min_burst_bytes = min_burst_bytes,
            .filled_ns = now_ns,
        };
        set_burst(throttle);
        throttle->tokens_bytes = (int64_t)throttle->burst_bytes;
}

uint64_t throttle_wait_ns(struct throttle *throttle, uint64_t now_ns)
{
        unsigned __int128 missing, wait;

        if (throttle->rate_bytes_per_s == 0)
                return 0;
        fill(throttle, now_ns);
        if (throttle->tokens_bytes > 0)
                return 0;
        missing = (unsigned __int128)(1 - (__int128)throttle->tokens_bytes) * NS_PER_S - throttle->remainder;
        wait = (missing + throttle->rate_bytes_per_s - 1) / throttle->rate_bytes_per_s;
        return wait < WAIT_MAX_NS ? (uint64_t)wait : WAIT_MAX_NS;
}

void throttle_take(struct throttle *throttle, uint64_t bytes)
{
        if (throttle->rate_bytes_per_s == 0)
                return;
        if (bytes > INT64_MAX ||
            __builtin_sub_overflow(throttle->tokens_bytes, (int64_t)bytes, &throttle->tokens_bytes))
                throttle->tokens_bytes = INT64_MIN;
}
