/* Deadlines of one actor: an intrusive pairing heap, shared by the libuv actor and the simulator so that
 * both fire timers in the same order (deadline, then start order).
 * No allocation; O(1) start, O(log n) amortised stop and pop. Belongs to its actor's thread. */
#ifndef KC_TIMER_H
#define KC_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct kc_timer {
        void (*on_timer)(struct kc_timer *timer); /* may restart or free the timer */
        uint64_t deadline_ns;
        uint64_t order;                          /* breaks ties: first started, first fired */
        struct kc_timer *child, *sibling, *prev; /* the heap's */
        bool armed;
};

struct kc_timer_heap {
        struct kc_timer *root;
        uint64_t next_order;
};

void kc_timer_init(struct kc_timer *timer, void (*on_timer)(struct kc_timer *timer));
/* Both return true when the earliest deadline of the heap changed. */
bool kc_timer_start(struct kc_timer_heap *heap, struct kc_timer *timer, uint64_t deadline_ns);
bool kc_timer_stop(struct kc_timer_heap *heap, struct kc_timer *timer);
/* The earliest deadline, or UINT64_MAX. */
uint64_t kc_timer_next_ns(const struct kc_timer_heap *heap);
/* Take and run every timer due at `now_ns` (those started meanwhile for later are left). */
void kc_timer_run(struct kc_timer_heap *heap, uint64_t now_ns);

#endif
