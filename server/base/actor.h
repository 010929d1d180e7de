/* An actor: one thread of control (the control loop, or a data lane) as the code that runs on it sees it.
 *
 * Everything above base/ is written against this seam: the time, timers, chance, and messages to other
 * actors. In production an actor is a thread with a libuv loop (actor_uv.c); in the simulator it is an entry
 * in a list, its time is virtual and its messages are delivered in an order drawn from a seed.
 *
 * Rules:
 * - An object belongs to one actor and is touched on it alone; actors share no mutable state.
 * - A message is embedded in its sender's object. Between kc_actor_post and its on_message it belongs to the
 *   receiver: whoever posted it must not touch what it carries, nor post it again.
 * - Messages from one actor to another arrive in the order they were posted; nothing is promised across
 *   different senders.
 * - on_message and on_timer never run inside kc_actor_post or kc_timer_start. Posting to oneself is the
 *   deferred call: it runs later in the same or the next turn.
 * - No callback runs under a lock. */
#ifndef KC_ACTOR_H
#define KC_ACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"

struct kc_actor;

struct kc_msg {
        struct kc_msg *next; /* the mailbox's */
        /* Runs on the receiver. `actor` is the receiver. May free or post `msg` again. */
        void (*on_message)(struct kc_actor *actor, struct kc_msg *msg);
};

struct kc_actor_ops {
        uint64_t (*now_ns)(struct kc_actor *actor);            /* monotonic; own thread only */
        uint64_t (*random)(struct kc_actor *actor);            /* own thread only */
        void (*post)(struct kc_actor *to, struct kc_msg *msg); /* any thread */
        void (*timers_changed)(struct kc_actor *actor);        /* own thread; the earliest deadline moved */
        void (*pin)(struct kc_actor *actor, bool pinned);      /* own thread; may be NULL */
};

struct kc_actor {
        const struct kc_actor_ops *ops;
        struct kc_timer_heap timers;
        unsigned index; /* 0: the control loop; 1…: lanes */
};

static inline uint64_t kc_actor_now_ns(struct kc_actor *actor)
{
        return actor->ops->now_ns(actor);
}

static inline uint64_t kc_actor_random(struct kc_actor *actor)
{
        return actor->ops->random(actor);
}

/* Hand `msg` to `to`; msg->on_message must be set. Thread-safe; takes no memory; cannot fail. */
static inline void kc_actor_post(struct kc_actor *to, struct kc_msg *msg)
{
        to->ops->post(to, msg);
}

/* Start (or restart) a one-shot timer of this actor. on_timer runs at or after `deadline_ns`. */
static inline void kc_actor_timer_start(struct kc_actor *actor, struct kc_timer *timer, uint64_t deadline_ns)
{
        if (kc_timer_start(&actor->timers, timer, deadline_ns))
                actor->ops->timers_changed(actor);
}

/* Keep the actor's thread on a processor of its own, if it has one, until as many unpins. For actors that
 * work at the same time: the scheduler likes to take who is woken to the processor of who wakes him, and
 * then both have one. A hint, own thread only. */
static inline void kc_actor_pin(struct kc_actor *actor)
{
        if (actor->ops->pin)
                actor->ops->pin(actor, true);
}

static inline void kc_actor_unpin(struct kc_actor *actor)
{
        if (actor->ops->pin)
                actor->ops->pin(actor, false);
}

/* Stop a timer; afterwards its on_timer does not run and its memory may go. Stopping a stopped one is fine.
 */
static inline void kc_actor_timer_stop(struct kc_actor *actor, struct kc_timer *timer)
{
        if (kc_timer_stop(&actor->timers, timer))
                actor->ops->timers_changed(actor);
}

#endif
