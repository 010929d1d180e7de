/* The simulated world: virtual time, chance from a seed, actors with mailboxes, and a heap of future events.
 *
 * Each ordered pair of actors has its own FIFO mailbox. A step draws one of what can happen now (the head of
 * a mailbox, an actor's due timers, a due event) at random, so messages of different senders overtake each
 * other while those of one pair do not. Time moves only when nothing is runnable, or randomly a little. Every
 * step goes into a hash; two runs of one seed have the same one.
 *
 * In some worlds (`hasty`) a receiver may run before the sender is back from its post, as another thread may:
 * whoever still touches what it has handed over is then seen to (with ASan, which knows what was freed).
 *
 * Owns: actors, mailboxes, heap. Borrows: messages and events, embedded in their owners' objects.
 * Thread: one. Close: world_done, when nothing is queued any more (world_idle says so). */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/actor.h"
#include "base/list.h"

#define WORLD_LANES_MAX 4u
#define WORLD_ACTORS_MAX (1u + WORLD_LANES_MAX)
#define WORLD_MESSAGE_MAX_BYTES 512

#define MS_NS 1000000ull
#define SECOND_NS 1000000000ull

struct world;

struct world_actor {
        struct kc_actor actor; /* first: the ops cast */
        struct world *world;
        uint64_t random_state;
        unsigned n_pins;
        unsigned timer_laziness; /* 1: its due timers are as likely as anything else; n: a n-th of that */
};

struct world_mailbox {
        struct kc_msg *head, **tail;
        uint64_t n_delivered;
        unsigned laziness;
};

/* Something that happens at a time, in the context of an actor. */
struct world_event {
        void (*on_event)(struct world_event *event); /* may start the event again or free it */
        uint64_t due_ns;
        uint64_t order;
        unsigned actor_index;
        unsigned position; /* in the heap or among the ready, from 1; 0: not started */
        bool ready;
};

struct world {
        uint64_t seed, random_state;
        uint64_t now_ns, step;
        uint64_t moment; /* counts what devices see, finer than steps */
        uint64_t hash;   /* of everything that happened */
        unsigned n_actors;
        struct world_actor actors[WORLD_ACTORS_MAX];
        struct world_mailbox boxes[WORLD_ACTORS_MAX][WORLD_ACTORS_MAX]; /* [from][to] */
        struct world_event **heap, **ready;
        unsigned n_heap, heap_room, n_ready, ready_room;
        uint64_t next_order;
        unsigned current; /* index of the actor that runs */
        unsigned running; /* bit i: actor i is inside a handler; more than one where posts are hasty */
        unsigned hasty;   /* one post of so many is; 0: none */
        bool verbose;
        bool failed;
        unsigned n_failures;
        char failure[WORLD_MESSAGE_MAX_BYTES]; /* the first */
};

void world_init(struct world *world, uint64_t seed, unsigned n_lanes);
void world_done(struct world *world);
/* Run one step. False: nothing can ever happen again. */
bool world_step(struct world *world);
/* Nothing queued: no message, no timer, no event. */
bool world_idle(const struct world *world);
/* What is queued, for the message of a failure. */
void world_describe(const struct world *world, char *dst, size_t dst_bytes);

uint64_t world_random(struct world *world);
/* Uniform in [0, n), n > 0. */
uint64_t world_below(struct world *world, uint64_t n);
/* Uniform in [low, high]. */
uint64_t world_between(struct world *world, uint64_t low, uint64_t high);
/* Between low and high (> 0), every order of magnitude as likely as another. */
uint64_t world_log_between(struct world *world, uint64_t low, uint64_t high);
/* True once in n; never with n 0. */
bool world_one_in(struct world *world, uint64_t n);

/* The process of the actors is dead: their messages and timers are gone with it. */
void world_forget_actors(struct world *world);
/* The engine has closed: no lane has a timer or is pinned. */
void world_check_lanes_idle(struct world *world);
void world_event_init(
    struct world_event *event, unsigned actor_index, void (*on_event)(struct world_event *));
/* Start (or restart) an event, `delay_ns` from now. */
void world_event_start(struct world *world, struct world_event *event, uint64_t delay_ns);
void world_event_stop(struct world *world, struct world_event *event);
static inline bool world_event_started(const struct world_event *event)
{
        return event->position > 0;
}

/* Mix something that happened into the hash. */
void world_mix(struct world *world, uint64_t value);
uint64_t world_hash_bytes(const void *bytes, size_t n);
/* Record a broken contract. The first one counts; the run ends as soon as its driver looks. */
void world_fail(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line of the story, with --verbose. */
void world_say(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline uint64_t world_moment(struct world *world)
{
        return ++world->moment;
}

static inline struct kc_actor *world_actor(struct world *world, unsigned index)
{
        return &world->actors[index].actor;
}

#endif
