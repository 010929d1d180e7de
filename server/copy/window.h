/* How many chunks of a job are kept in flight on a lane: found by measuring (FACTS: few large ones without
 * delay, many with).
 *
 * Starts at WINDOW_START. The rate of each round (a window's worth of completions, and at least
 * WINDOW_ROUND_MIN_CHUNKS and WINDOW_ROUND_MIN_NS) is compared with the rate before: while doubling pays
 * (≥ 1.25 ×) it doubles; when it does not, twice running, it steps back and holds. Every WINDOW_PROBE_ROUNDS
 * rounds it tries again, in turn upwards and downwards: half the window is kept if it costs less than 1/20 of
 * the rate, so that noise and better times do not leave it too deep for good. The first window's worth after
 * a change is not measured.
 *
 * In the beginning a long way is filled faster: when a whole window comes back together, and late
 * (WINDOW_FAR_NS), it leaps to WINDOW_LEAP_TIMES as many and looks again as soon as those are back, one round
 * trip later. A leap that does not pay is taken back, at once if the first one is back much too soon.
 *
 * Never above WINDOW_MAX; a chunk that finds no pages waits, whatever the window.
 * Pure; the clock is handed in. */
#ifndef COPY_WINDOW_H
#define COPY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_START 2u
#define WINDOW_MAX 1024u
#define WINDOW_LEAP_TIMES 8u
#define WINDOW_PROBE_ROUNDS 64u
#define WINDOW_ROUND_MIN_CHUNKS 8u
#define WINDOW_ROUND_MIN_NS 2000000ull /* completions come in batches, one per turn of the loop */
#define WINDOW_FAR_NS 8000000ull       /* longer than a first chunk nearby takes on a busy machine */

enum window_trial { WINDOW_LEAP, WINDOW_HOLD, WINDOW_UP, WINDOW_DOWN };

struct window {
        unsigned chunks;         /* the answer: WINDOW_START … WINDOW_MAX */
        bool may_leap;           /* its owner's: what takes long has not waited for others, but travelled */
        enum window_trial trial; /* what `chunks` is on trial for */
        enum window_trial last;  /* which way the last probe of a hold went */
        unsigned settle;         /* completions still to come that were started before the last change */
        bool second;             /* the trial failed once */
        unsigned rounds_held;    /* since the last trial */
        uint64_t far_ns;         /* how long the first one took of those that made it leap; 0: not just now */
        uint64_t rate_before;    /* bytes per second without the trial; 0: not known yet */
        unsigned done_in_round;
        unsigned limited_in_round;
        uint64_t bytes_in_round, round_start_ns, first_done_ns;
};

void window_init(struct window *window, uint64_t now_ns);
/* Nothing was under way until now: the time before is not the chunks'. */
void window_begins(struct window *window, uint64_t now_ns);
/* A chunk of `bytes` completed; `limited` says whether the window was full since the last one (a round in
 * which something else was the limit teaches nothing). */
void window_completed(struct window *window, uint64_t bytes, bool limited, uint64_t now_ns);

#endif
