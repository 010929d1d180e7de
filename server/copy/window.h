/* How many chunks of a job are kept in flight on a lane: found by measuring (FACTS: few large ones without
 * delay, many with).
 *
 * Starts at WINDOW_START, or deeper where its owner knows better. Large chunks (twice as large, on several
 * lanes at once) go one by one as soon as the first round has shown that the way is not long (of halves: the
 * first ones are slow, and large ones looked as if they came from far): what is read is written while it is
 * in the cache, and half as many requests wake half as many threads; the other lanes keep the devices busy
 * meanwhile. (Held at one, 1 GiB of memory exports over Unix sockets 0.25 s instead of 0.33, over TCP 0.23
 * instead of 0.27, to three over TCP 0.48 instead of 0.58; on one lane alone 0.52 instead of 0.39.) The rate
 * of each round is held against the mean of those before: every so many rounds it tries twice as many, or
 * half, in turn. Twice as many are kept, and doubled again, if that pays: if a round has 1.6 × the rate, or
 * two of them 1.25 ×. Half of them are kept, and halved again, if that costs less than 1/20 of the rate in
 * one round of two, so that chance and better times do not leave it too deep for good. What did not do so is
 * taken back. Trials come soon in the beginning and after a change (WINDOW_PROBE_MIN_ROUNDS), and ever more
 * seldom (up to WINDOW_PROBE_ROUNDS) while they change nothing. Upwards they are always seldom where chunks
 * come back at once (WINDOW_NEAR_NS), though some have waited for others (half as long again on average as
 * the quickest; one by one that cannot be seen): there is little to gain, and twice as many do not fit the
 * cache (trials that took an eighth of a copy over TCP made it 10 % slower). The first window's worth after a
 * change is not measured.
 *
 * A round is a window's worth of completions, at least WINDOW_ROUND_MIN_CHUNKS, and as many of them as it
 * takes not to be fooled: WINDOW_ROUND_MIN_NS or WINDOW_ROUND_MANY_CHUNKS. (With rounds of 8 chunks and 2 ms,
 * and the very first one as what the next is held against, copies between neighbours went 4 to 32 deep by
 * chance: the first chunks are always slow. Over TCP that took a third more time.)
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
/* Where only devices work on them (endpoint_info.deep) and no cache is lost: 1 GiB from one loop device to
 * another 6 to 15 % faster than with 2, 16 no better. */
#define WINDOW_START_DEEP 8u
#define WINDOW_MAX 1024u
#define WINDOW_LEAP_TIMES 8u
#define WINDOW_PROBE_MIN_ROUNDS 4u
#define WINDOW_PROBE_ROUNDS 64u
#define WINDOW_NEAR_NS 4000000ull
#define WINDOW_MEAN_ROUNDS 8u
#define WINDOW_ROUND_MIN_CHUNKS 8u
#define WINDOW_ROUND_MANY_CHUNKS 64u
#define WINDOW_ROUND_MIN_NS 16000000ull /* longer than other work keeps a processor to itself */
#define WINDOW_FAR_NS 8000000ull        /* longer than a first chunk nearby takes on a busy machine */

enum window_kind {
        WINDOW_ORDINARY,
        WINDOW_DEEP, /* begins at WINDOW_START_DEEP */
        WINDOW_LARGE /* one large chunk at a time, unless that is too little */
};

enum window_trial { WINDOW_LEAP, WINDOW_HOLD, WINDOW_UP, WINDOW_DOWN };

struct window {
        unsigned chunks; /* the answer: … WINDOW_MAX */
        enum window_kind kind;
        bool may_leap;           /* its owner's: what takes long has not waited for others, but travelled */
        enum window_trial trial; /* what `chunks` is on trial for */
        enum window_trial last;  /* which way the last probe of a hold went */
        unsigned settle;         /* completions still to come that were started before the last change */
        bool settled;            /* a leap's first round, which was spent on the way in part, is over */
        bool second;             /* the trial has not convinced in its first round … */
        uint64_t first_rate;     /* … which had this one */
        unsigned rounds_held;    /* since the last trial */
        unsigned probe_rounds;   /* how many of them make the next one due */
        unsigned n_rates;        /* rounds that rate_before is the mean of, at most WINDOW_MEAN_ROUNDS */
        uint64_t far_ns;         /* how long the first one took of those that made it leap; 0: not just now */
        uint64_t rate_before;    /* bytes per second without the trial; 0: not known yet */
        unsigned done_in_round;
        unsigned limited_in_round;
        uint64_t took_ns, took_min_ns; /* in the round: of all together, of the quickest */
        uint64_t bytes_in_round, round_start_ns, first_done_ns;
};

void window_init(struct window *window, enum window_kind kind, uint64_t now_ns);
/* How long a chunk is to be now, where they are of `chunk_bytes`, which is even where they are large. */
static inline uint32_t window_chunk_bytes(const struct window *window, uint32_t chunk_bytes)
{
        return window->kind == WINDOW_LARGE && window->trial == WINDOW_LEAP ? chunk_bytes / 2 : chunk_bytes;
}
/* Nothing was under way until now: the time before is not the chunks'. */
void window_begins(struct window *window, uint64_t now_ns);
/* A chunk of `bytes` completed, `took_ns` after it had begun; `limited` says whether the window was full
 * since the last one (a round in which something else was the limit teaches nothing). */
void window_completed(struct window *window, uint64_t bytes, uint64_t took_ns, bool limited, uint64_t now_ns);

#endif
