/* How many chunks of a job are kept in flight on a lane: found by measuring (FACTS: few large ones without
 * delay, many with).
 *
 * Starts at WINDOW_START. Each round (a window's worth of completions) the rate is compared with the round
 * before: while doubling pays (≥ 1.25 ×) it doubles; the first time it does not, it steps back and holds,
 * probing upwards again after WINDOW_PROBE_ROUNDS rounds. Never above what memory allows (the caller's cap).
 * Pure; the clock is handed in. */
#ifndef COPY_WINDOW_H
#define COPY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_START 2u
#define WINDOW_MAX 1024u
#define WINDOW_PROBE_ROUNDS 64u

struct window {
        unsigned chunks; /* the answer */
        bool probing;    /* `chunks` is on trial */
        unsigned before; /* what to step back to */
        unsigned rounds_held;
        unsigned done_in_round;
        uint64_t bytes_in_round, round_start_ns;
        uint64_t rate_before; /* bytes per second, of the round before */
};

void window_init(struct window *window, uint64_t now_ns);
/* A chunk of `bytes` completed; `limited` says whether the window was full since the last one (a round in
 * which something else was the limit teaches nothing). */
void window_completed(struct window *window, uint64_t bytes, bool limited, uint64_t now_ns);

#endif
