/* State machines with a table of allowed moves: see sm.h. A forbidden move ends the process in every build,
 * also one without assert(): going on in a state that nobody thought of is how data get lost. */
#include "base/sm.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"

static const char *name_of(const struct kc_sm *sm, unsigned state)
{
        return state < sm->n_states ? sm->states[state].name : "no such state";
}

static void check(const struct kc_sm *sm, bool allowed, const char *from, const char *to)
{
        if (allowed)
                return;
        kc_log_error("base/sm", "%s %" PRIu64 " may not go from %s to %s", sm->object, sm->id, from, to);
        abort();
}

void kc_sm_init(struct kc_sm *sm, const struct kc_sm_state *states, unsigned n_states, unsigned initial,
    const char *object, uint64_t id)
{
        assert(n_states <= 32); /* the width of `allowed` */
        sm->states = states;
        sm->n_states = n_states;
        sm->object = object;
        sm->id = id;
        sm->state = initial;
        check(sm, initial < n_states && states[initial].initial, "nothing", name_of(sm, initial));
}

void kc_sm_move(struct kc_sm *sm, unsigned to)
{
        check(sm, to < sm->n_states && (sm->states[sm->state].allowed & KC_SM_TO(to)) != 0, kc_sm_name(sm),
            name_of(sm, to));
        kc_log_debug(
            "base/sm", "%s %" PRIu64 " %s -> %s", sm->object, sm->id, kc_sm_name(sm), name_of(sm, to));
        sm->state = to;
}

void kc_sm_done(struct kc_sm *sm)
{
        check(sm, sm->states[sm->state].final, kc_sm_name(sm), "its end");
}
