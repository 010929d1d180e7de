/* The production actor: a libuv loop with a mailbox and a timer heap.
 *
 * Owns: the mailbox (a mutex-guarded list, an eventfd with its uv_poll_t, and a uv_idle_t) and one uv_timer_t
 * for the earliest deadline. Borrows: the loop, which must outlive it and is run by the caller on the actor's
 * thread. Thread: init, close and everything but ops->post belong to the loop's thread. Close:
 * kc_actor_uv_close, then run the loop until on_closed. What is in the mailbox is delivered before on_closed,
 * and what these messages post to their own actor too; anything later is a programmer error (the wiring stops
 * all senders first). */
#ifndef KC_ACTOR_UV_H
#define KC_ACTOR_UV_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/actor.h"

struct kc_actor_uv {
        struct kc_actor actor; /* first: the ops cast */
        uv_loop_t *loop;
        int wake_fd; /* an eventfd */
        uv_poll_t poll;
        uv_timer_t timer;
        uv_idle_t idle;       /* started: there is mail, and nobody sent a wake-up for it */
        pthread_mutex_t lock; /* guards the three below, nothing else */
        struct kc_msg *mail_head, **mail_tail;
        bool awake;                /* a wake-up is on its way or being served: senders need not send one */
        atomic_uint n_waking;      /* senders that are about to wake it: it is not closed under them */
        _Atomic(pthread_t) thread; /* that delivers; the loop's. 0: not known yet */
        struct kc_msg *own_head, **own_tail; /* what it has posted to itself: its thread's alone */
        bool delivering;
        bool running_timers; /* libuv's timer is set once, afterwards */
        int cpu;             /* of its own; -1: none */
        unsigned n_pins;
        bool pinned;
        cpu_set_t roams; /* where its thread may run when it is not pinned */
        uint64_t random_state[2];
        unsigned handles_open;
        void (*on_closed)(struct kc_actor_uv *actor);
};

/* Returns 0 or a negative errno, in which case nothing is left to close. */
int kc_actor_uv_init(struct kc_actor_uv *actor, uv_loop_t *loop, unsigned index);
/* Give the actor a processor of its own, for kc_actor_pin. */
void kc_actor_uv_own_cpu(struct kc_actor_uv *actor, int cpu);
/* Asynchronous; on_closed runs on the loop, after which the memory may go. Asserts that no timer is armed. */
void kc_actor_uv_close(struct kc_actor_uv *actor, void (*on_closed)(struct kc_actor_uv *actor));

#endif
