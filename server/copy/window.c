/* The window of a job on a lane: see window.h. */
#include "copy/window.h"

#define NS_PER_S 1000000000u

static void begin_round(struct window *window, uint64_t now_ns)
{
        window->done_in_round = 0;
        window->limited_in_round = 0;
        window->bytes_in_round = 0;
        window->round_start_ns = now_ns;
}

static void resize(struct window *window, unsigned chunks, enum window_trial trial)
{
        window->settle = trial == WINDOW_LEAP ? 0 : window->chunks; /* as many are under way */
        window->chunks = chunks;
        window->trial = trial;
        window->second = false;
        window->rounds_held = 0;
}

static void leap(struct window *window)
{
        window->far_ns = window->first_done_ns - window->round_start_ns;
        if (window->chunks <= WINDOW_MAX / WINDOW_LEAP_TIMES)
                resize(window, window->chunks * WINDOW_LEAP_TIMES, WINDOW_LEAP);
        else
                resize(window, window->chunks, WINDOW_HOLD);
}

static void try_up(struct window *window)
{
        if (window->chunks <= WINDOW_MAX / 2)
                resize(window, window->chunks * 2, WINDOW_UP);
        else
                resize(window, window->chunks, WINDOW_HOLD);
}

static void try_down(struct window *window)
{
        if (window->chunks >= WINDOW_START * 2)
                resize(window, window->chunks / 2, WINDOW_DOWN);
        else
                resize(window, window->chunks, WINDOW_HOLD);
}

static void hold(struct window *window, uint64_t rate)
{
        /* an average over about 8 rounds: what a trial is compared with should not be chance itself */
        window->rate_before = window->rate_before - window->rate_before / 8 + rate / 8;
        if (++window->rounds_held < WINDOW_PROBE_ROUNDS)
                return;
        window->rounds_held = 0;
        window->last = window->last == WINDOW_UP && window->chunks > WINDOW_START ? WINDOW_DOWN : WINDOW_UP;
        if (window->last == WINDOW_UP)
                try_up(window);
        else
                try_down(window);
}

static bool is_at_least(uint64_t rate, uint64_t before, unsigned percent)
{
        return (unsigned __int128)rate * 100 >= (unsigned __int128)before * percent;
}

static void judge_up(struct window *window, uint64_t rate, bool far)
{
        if (is_at_least(rate, window->rate_before, 125)) { /* the very first round, too */
                window->rate_before = rate;
                if (far)
                        leap(window);
                else
                        try_up(window);
        } else if (!window->second) {
                window->second = true;
        } else {
                window->last = WINDOW_UP;
                resize(window, window->chunks / (window->trial == WINDOW_LEAP ? WINDOW_LEAP_TIMES : 2),
                    WINDOW_HOLD);
        }
}

static void judge_down(struct window *window, uint64_t rate)
{
        if (is_at_least(rate, window->rate_before, 95)) {
                window->rate_before = rate;
                try_down(window);
        } else if (!window->second) {
                window->second = true;
        } else {
                window->last = WINDOW_DOWN;
                resize(window, window->chunks * 2, WINDOW_HOLD);
        }
}

static void judge(struct window *window, uint64_t rate, bool far)
{
        switch (window->trial) {
        case WINDOW_LEAP:
                if (!far && !window->second && window->rate_before > 0)
                        window->second =
                            true; /* a part of the round was spent on the way: the next one tells */
                else
                        judge_up(window, rate, far);
                break;
        case WINDOW_UP:
                judge_up(window, rate, false);
                break;
        case WINDOW_DOWN:
                judge_down(window, rate);
                break;
        case WINDOW_HOLD:
                hold(window, rate);
                break;
        }
}

void window_init(struct window *window, uint64_t now_ns)
{
        *window = (struct window){.chunks = WINDOW_START, .trial = WINDOW_LEAP, .last = WINDOW_UP};
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

void window_completed(struct window *window, uint64_t bytes, bool limited, uint64_t now_ns)
{
        uint64_t elapsed_ns = now_ns - window->round_start_ns;
        unsigned n_round = window->chunks;
        bool taught, far;

        if (came_from_near(window, now_ns)) {
                window->rate_before = 0;
                resize(window, window->chunks / WINDOW_LEAP_TIMES, WINDOW_UP);
        }
        if (window->settle > 0) {
                window->settle--;
                begin_round(window, now_ns);
                return;
        }
        if (window->done_in_round++ == 0)
                window->first_done_ns = now_ns;
        window->limited_in_round += limited;
        window->bytes_in_round += bytes;

        far = came_from_far(window, now_ns);
        if (n_round < WINDOW_ROUND_MIN_CHUNKS && !far)
                n_round = WINDOW_ROUND_MIN_CHUNKS;
        if (window->done_in_round < n_round || elapsed_ns < WINDOW_ROUND_MIN_NS)
                return;
        taught = window->limited_in_round >= window->done_in_round - window->done_in_round / 4;
        if (taught)
                judge(window, (uint64_t)((unsigned __int128)window->bytes_in_round * NS_PER_S / elapsed_ns),
                    far);
        begin_round(window, now_ns);
}
