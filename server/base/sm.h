/* A state machine whose moves are checked against a table, in dqlite's manner.
 *
 * The table has one row per state: the name, whether it may be first or last, and the mask of states it may
 * move to. A move that the table does not allow is a programmer error and asserts. Only kc_sm_move logs
 * moves (at debug level), so a log shows every one of them once. */
#ifndef KC_SM_H
#define KC_SM_H

#include <stdbool.h>
#include <stdint.h>

#define KC_SM_TO(state) (1u << (state))

struct kc_sm_state {
        const char *name;
        uint32_t allowed; /* mask of KC_SM_TO(next) */
        bool initial, final;
};

struct kc_sm {
        const struct kc_sm_state *states; /* borrowed, static */
        const char *object;               /* "job", "session": for the log; borrowed, static */
        uint64_t id;                      /* which one; for the log */
        unsigned n_states;
        unsigned state;
};

void kc_sm_init(struct kc_sm *sm, const struct kc_sm_state *states, unsigned n_states, unsigned initial,
    const char *object, uint64_t id);
void kc_sm_move(struct kc_sm *sm, unsigned to);
void kc_sm_done(struct kc_sm *sm); /* asserts that the state is final */

static inline unsigned kc_sm_state(const struct kc_sm *sm)
{
        return sm->state;
}

static inline const char *kc_sm_name(const struct kc_sm *sm)
{
        return sm->states[sm->state].name;
}

#endif
