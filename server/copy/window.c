/* The window of a job on a lane: see window.h. */
#include "copy/window.h"

#define NS_PER_S 1000000000u

struct round {         /* what it has taught */
        uint64_t rate; /* bytes per second */
        bool near;     /* what was sent came back at once … */
        bool crowded;  /* … though some waited for others */
        bool far;
};

static void begin_round(struct window *window, uint64_t now_ns)
{
        window->done_in_round = 0;
        window->limited_in_round = 0;
        window->bytes_in_round = 0;
        window->took_ns = 0;
        window->took_min_ns = UINT64_MAX;
        window->round_start_ns = now_ns;
}

static void resize(struct window *window, unsigned chunks, enum window_trial trial)
{
        window->settle = trial == WINDOW_LEAP ? 0 : window->chunks; /* as many are under way */
        window->chunks = chunks;
        window->trial = trial;
        window->second = window->settled = false;
        window->rounds_held = 0;
}

static void leap(struct window *window)
{
        if (window->chunks > WINDOW_MAX / WINDOW_LEAP_TIMES) {
                resize(window, window->chunks, WINDOW_HOLD);
                return;
        }
        window->far_ns = window->first_done_ns - window->round_start_ns;
        resize(window, window->chunks * WINDOW_LEAP_TIMES, WINDOW_LEAP);
}

static void try_up(struct window *window)
{
        if (window->chunks <= WINDOW_MAX / 2)
                resize(window, window->chunks * 2, WINDOW_UP);
        else
                resize(window, window->chunks, WINDOW_HOLD);
}

/* Fewer are never enough, even nearby. */
static unsigned least(const struct window *window)
{
        return window->kind == WINDOW_LARGE ? 1 : WINDOW_START;
}

static void try_down(struct window *window)
{
        if (window->chunks >= least(window) * 2)
                resize(window, window->chunks / 2, WINDOW_DOWN);
        else
                resize(window, window->chunks, WINDOW_HOLD);
}

/* What a trial is held against is a mean: it should not be chance itself. */
static void remember(struct window *window, uint64_t rate)
{
        if (window->n_rates < WINDOW_MEAN_ROUNDS)
                window->n_rates++;
        window->rate_before -= window->rate_before / window->n_rates;
        window->rate_before += rate / window->n_rates;
}

/* Twice as many where they come back at once, though they wait for each other already: that is of no use as a
 * rule, and dear, as they do not fit the cache. */
static bool is_due(const struct window *window, const struct round *round, enum window_trial next)
{
        if (next == WINDOW_UP && round->near && round->crowded)
                return window->rounds_held >= WINDOW_PROBE_ROUNDS;
        return window->rounds_held >= window->probe_rounds;
}

static void hold(struct window *window, const struct round *round)
{
        bool down = window->last == WINDOW_UP && window->chunks > least(window);
        enum window_trial next = down ? WINDOW_DOWN : WINDOW_UP;

        remember(window, round->rate);
        window->rounds_held++;
        if (!is_due(window, round, next))
                return;
        if (window->probe_rounds < WINDOW_PROBE_ROUNDS)
                window->probe_rounds *= 2;
        window->last = next;
        if (next == WINDOW_UP)
                try_up(window);
        else
                try_down(window);
}

static void keep(struct window *window, const struct round *round)
{
        window->rate_before = round->rate;
        window->n_rates = 1;
        window->probe_rounds = WINDOW_PROBE_MIN_ROUNDS;
}

static bool is_at_least(uint64_t rate, uint64_t before, unsigned percent)
{
        return (unsigned __int128)rate * 100 >= (unsigned __int128)before * percent;
}

/* Everything was new in the very first round, and slow: it says whether the way is long, and no more. */
static void judge_first(struct window *window, const struct round *round)
{
        if (round->far) {
                keep(window, round);
                leap(window);
        } else if (window->kind == WINDOW_LARGE) {
                resize(window, least(window), WINDOW_HOLD);
        } else {
                window->trial = WINDOW_HOLD;
        }
}

static void judge_up(struct window *window, const struct round *round)
{
        uint64_t rate = window->second ? round->rate / 2 + window->first_rate / 2 : round->rate;

        if (is_at_least(rate, window->rate_before, window->second ? 125 : 160)) {
                keep(window, round);
                if (round->far)
                        leap(window);
                else
                        try_up(window);
        } else if (!window->second) {
                window->second = true;
                window->first_rate = rate;
        } else {
                window->last = WINDOW_UP;
                resize(window, window->chunks / (window->trial == WINDOW_LEAP ? WINDOW_LEAP_TIMES : 2),
                    WINDOW_HOLD);
        }
}

static void judge_leap(struct window *window, const struct round *round)
{
        if (window->rate_before == 0)
                judge_first(window, round);
        else if (round->far || window->settled)
                judge_up(window, round);
        else
                window->settled = true; /* a part of the round was spent on the way: the next ones tell */
}

static void judge_down(struct window *window, const struct round *round)
{
        if (is_at_least(round->rate, window->rate_before, 95)) {
                keep(window, round);
                try_down(window);
        } else if (!window->second && is_at_least(round->rate, window->rate_before, 75)) {
                window->second = true;
        } else {
                window->last = WINDOW_DOWN;
                resize(window, window->chunks * 2, WINDOW_HOLD);
        }
}

static void judge(struct window *window, const struct round *round)
{
        switch (window->trial) {
        case WINDOW_LEAP:
                judge_leap(window, round);
                break;
        case WINDOW_UP:
                judge_up(window, round);
                break;
        case WINDOW_DOWN:
                judge_down(window, round);
                break;
        case WINDOW_HOLD:
                hold(window, round);
                break;
        }
}

void window_init(struct window *window, enum window_kind kind, uint64_t now_ns)
{
        *window = (struct window){.kind = kind, .trial = WINDOW_LEAP, .last = WINDOW_DOWN};
        window->chunks = kind == WINDOW_DEEP ? WINDOW_START_DEEP : WINDOW_START;
        window->probe_rounds = WINDOW_PROBE_MIN_ROUNDS;
        begin_round(window, now_ns);
}

void window_begins(struct window *window, uint64_t now_ns)
{
        if (window->done_in_round == 0)
                begin_round(window, now_ns);
}

/* What left together comes back together, and late: it is the way that is long, and not the device slow. */
static bool came_from_far(const struct window *window, uint64_t now_ns)
{
        uint64_t elapsed_ns = now_ns - window->round_start_ns;

        return window->trial == WINDOW_LEAP && window->may_leap && window->done_in_round >= window->chunks &&
               elapsed_ns >= WINDOW_FAR_NS && now_ns - window->first_done_ns <= elapsed_ns / 4;
}

/* The first one after a leap, back much sooner than those before it: they were not far, something had held
 * them up. */
static bool came_from_near(struct window *window, uint64_t now_ns)
{
        bool near = now_ns - window->round_start_ns < window->far_ns / 2;

        window->far_ns = 0;
        return near;
}

static bool is_round(const struct window *window, uint64_t elapsed_ns)
{
        if (window->done_in_round < window->chunks || window->done_in_round < WINDOW_ROUND_MIN_CHUNKS)
                return false;
        return elapsed_ns >= WINDOW_ROUND_MIN_NS || window->done_in_round >= WINDOW_ROUND_MANY_CHUNKS;
}

static bool is_limited(const struct window *window)
{
        return window->limited_in_round >= window->done_in_round - window->done_in_round / 4;
}

static bool is_crowded(const struct window *window)
{
        uint64_t mean_ns = window->took_ns / window->done_in_round;

        return window->chunks == 1 || mean_ns > window->took_min_ns + window->took_min_ns / 2;
}

void window_completed(struct window *window, uint64_t bytes, uint64_t took_ns, bool limited, uint64_t now_ns)
{
        uint64_t elapsed_ns = now_ns - window->round_start_ns;
        struct round round;

        if (came_from_near(window, now_ns)) {
                window->rate_before = 0;
                window->n_rates = 0;
                resize(window, window->chunks / WINDOW_LEAP_TIMES, WINDOW_HOLD);
        }
        if (window->settle > 0) {
                window->settle--;
                begin_round(window, now_ns);
                return;
        }
        if (window->done_in_round++ == 0)
                window->first_done_ns = now_ns;
        if (took_ns < window->took_min_ns)
                window->took_min_ns = took_ns;
        window->took_ns += took_ns;
        window->limited_in_round += limited;
        window->bytes_in_round += bytes;

        round.far = came_from_far(window, now_ns);
        if (!round.far && !is_round(window, elapsed_ns))
                return;
        if (is_limited(window)) {
                round.rate =
                    (uint64_t)((unsigned __int128)window->bytes_in_round * NS_PER_S / (elapsed_ns + 1));
                round.near = window->took_ns / window->done_in_round < WINDOW_NEAR_NS;
                round.crowded = is_crowded(window);
                judge(window, &round);
        }
        begin_round(window, now_ns);
}
