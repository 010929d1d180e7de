/* Region locks: running jobs hold what they write exclusively and what they read shared; a job whose regions
 * conflict waits its turn.
 *
 * A job's set is taken all at once or not at all, so there is no deadlock; a waiting set blocks later ones
 * that conflict with it (first come, first served among conflicting jobs), so none starves. After a job has
 * ended, lock_set_keep leaves only the ranges with unanswered writes locked.
 *
 * Keys are endpoint identities; an empty key conflicts with nothing. Owns the table; borrows sets, ranges and
 * keys (all bookkeeping is inside them, so nothing here can run out of memory).
 * Thread: control. */
#ifndef COPY_LOCKS_H
#define COPY_LOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct locks;

struct lock_range {
        const char *key; /* borrowed by the set: must live as long as the set holds or waits */
        uint64_t start_bytes, end_bytes;
        bool exclusive; /* for writing */
        /* the table's (lock_tree.h); need not be initialised */
        struct lock_set *set;
        struct lock_range *left, *right;
        uint64_t weight, max_end_bytes, min_order, max_order;
};

struct lock_set {
        uint64_t owner_id;                        /* the job; for reasons */
        void (*on_granted)(struct lock_set *set); /* never inside locks_request */
        struct lock_range *ranges; /* the caller's array, unchanged while held, except by lock_set_keep */
        unsigned n_ranges;
        /* the table's */
        struct kc_list node;    /* waiting: on its blocker's `waiters` */
        struct kc_list waiters; /* sets to look at again when this one leaves or shrinks */
        uint64_t order;         /* of arrival; 0: not in the table */
        bool held;
        uint64_t blocker_id; /* while waiting: one owner it waits for (which may be waiting itself) */
};

struct locks *locks_new(void);        /* NULL: out of memory */
void locks_free(struct locks *locks); /* nothing may be held or waiting */
/* Returns true when granted at once (on_granted is not called), false when it waits. Cannot fail. Ranges of
 * one set do not conflict with each other. */
bool locks_request(struct locks *locks, struct lock_set *set);
/* Release, or stop waiting. Others may be granted by it: their on_granted runs inside this call, after `set`
 * has left (in a call from an on_granted: inside the outer call, after that on_granted has returned). A set
 * that is released between its grant and its on_granted is not called. */
void locks_release(struct locks *locks, struct lock_set *set);
/* Shrink a held set to `keep` (ranges within its own, copied into set->ranges, n ≤ n_ranges; may be empty,
 * the set is held all the same). Others may be granted by it, as in locks_release. */
void lock_set_keep(struct locks *locks, struct lock_set *set, const struct lock_range *keep, unsigned n_keep);
/* Do two ranges conflict: equal keys, bytes in common, one for writing? */
bool lock_ranges_conflict(const struct lock_range *a, const struct lock_range *b);

#endif
