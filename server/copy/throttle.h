/* A token bucket: data bytes per second, of one destination or of a job.
 *
 * Pure arithmetic on a clock that is handed in. rate 0 means no limit. The bucket holds at most
 * THROTTLE_BURST_NS worth of tokens, at least one `min_burst_bytes`. It may go into debt by one take, so that
 * a chunk larger than the burst passes and is paid for after. */
#ifndef COPY_THROTTLE_H
#define COPY_THROTTLE_H

#include <stdint.h>

#define THROTTLE_BURST_NS 100000000ull /* 100 ms */

struct throttle {
        uint64_t rate_bytes_per_s;
        int64_t tokens_bytes; /* negative: debt */
        uint64_t burst_bytes, min_burst_bytes;
        uint64_t filled_ns; /* when tokens_bytes was true */
        uint64_t remainder; /* of the last fill, in byte-nanoseconds per second, so that nothing is lost */
};

void throttle_init(
    struct throttle *throttle, uint64_t rate_bytes_per_s, uint64_t min_burst_bytes, uint64_t now_ns);
/* 0 when something may go now, else how many ns until then (at most 2^62, to be added to a time safely). */
uint64_t throttle_wait_ns(struct throttle *throttle, uint64_t now_ns);
/* Account for `bytes` that go now. */
void throttle_take(struct throttle *throttle, uint64_t bytes);

#endif
