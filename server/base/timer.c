/* The pairing heap of an actor's deadlines: see timer.h.
 *
 * A node's `child` is its first child, `sibling` the next child of its parent, `prev` the sibling before it
 * or, for a first child, the parent; the root has neither `sibling` nor `prev`. */
#include "base/timer.h"

#include <assert.h>
#include <stddef.h>

static bool before(const struct kc_timer *a, const struct kc_timer *b)
{
        return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->order < b->order;
}

/* Make one tree of two roots; either may be NULL. */
static struct kc_timer *meld(struct kc_timer *a, struct kc_timer *b)
{
        if (a == NULL || b == NULL)
                return a != NULL ? a : b;
        if (before(b, a)) {
                struct kc_timer *swap = a;

                a = b;
                b = swap;
        }
        b->sibling = a->child;
        if (b->sibling != NULL)
                b->sibling->prev = b;
        b->prev = a;
        a->child = b;
        return a;
}

/* Make one tree of a list of siblings: in pairs from the left, then the pairs from the right. */
static struct kc_timer *meld_siblings(struct kc_timer *first)
{
        struct kc_timer *pairs = NULL, *root = NULL;

        while (first != NULL) {
                struct kc_timer *a = first, *b = a->sibling;

                first = b != NULL ? b->sibling : NULL;
                a->sibling = a->prev = NULL;
                if (b != NULL)
                        b->sibling = b->prev = NULL;
                a = meld(a, b);
                a->sibling = pairs;
                pairs = a;
        }
        while (pairs != NULL) {
                struct kc_timer *a = pairs;

                pairs = a->sibling;
                a->sibling = NULL;
                root = meld(root, a);
        }
        return root;
}

static void take(struct kc_timer_heap *heap, struct kc_timer *timer)
{
        struct kc_timer *rest = meld_siblings(timer->child);

        if (heap->root == timer) {
                heap->root = rest;
        } else {
                if (timer->prev->child == timer)
                        timer->prev->child = timer->sibling;
                else
                        timer->prev->sibling = timer->sibling;
                if (timer->sibling != NULL)
                        timer->sibling->prev = timer->prev;
                heap->root = meld(heap->root, rest);
        }
        timer->child = timer->sibling = timer->prev = NULL;
        timer->armed = false;
}

void kc_timer_init(struct kc_timer *timer, void (*on_timer)(struct kc_timer *timer))
{
        *timer = (struct kc_timer){.on_timer = on_timer};
}

uint64_t kc_timer_next_ns(const struct kc_timer_heap *heap)
{
        return heap->root != NULL ? heap->root->deadline_ns : UINT64_MAX;
}

bool kc_timer_start(struct kc_timer_heap *heap, struct kc_timer *timer, uint64_t deadline_ns)
{
        uint64_t next_ns = kc_timer_next_ns(heap);

        assert(timer->on_timer != NULL);
        if (timer->armed)
                take(heap, timer);
        timer->deadline_ns = deadline_ns;
        timer->order = heap->next_order++;
        timer->armed = true;
        heap->root = meld(heap->root, timer);
        return kc_timer_next_ns(heap) != next_ns;
}

bool kc_timer_stop(struct kc_timer_heap *heap, struct kc_timer *timer)
{
        uint64_t next_ns = kc_timer_next_ns(heap);

        if (!timer->armed)
                return false;
        take(heap, timer);
        return kc_timer_next_ns(heap) != next_ns;
}

void kc_timer_run(struct kc_timer_heap *heap, uint64_t now_ns)
{
        while (heap->root != NULL && heap->root->deadline_ns <= now_ns) {
                struct kc_timer *timer = heap->root;

                take(heap, timer);
                timer->on_timer(timer);
        }
}
