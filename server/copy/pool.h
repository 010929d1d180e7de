/* Pages: a client's reservation (the bank, on the control loop) and what a lane holds of it (a pool).
 *
 * A reservation is one anonymous mapping, cut into slabs of POOL_SLAB_PAGES pages (the last may be shorter).
 * The bank says which lane holds which slab. A lane allocates buffers inside its slabs (contiguous, page
 * aligned, buddy system); when it is short it asks the bank, which gives a free slab or recalls one from the
 * lane that holds most. A recalled slab is not allocated from any more and goes back when it is empty. So the
 * memory of a client never passes its reservation, and one buffer's worth of pages is enough for all lanes to
 * make progress in turn.
 *
 * struct bank: owns the mapping; thread: control. struct pool: borrows slabs; thread: its lane. Slabs travel
 * between the two as plain values in messages (port and bank logic in pages.c); these two are pure. */
#ifndef COPY_POOL_H
#define COPY_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define POOL_SLAB_PAGES 256u /* 1 MiB: the largest buffer */
#define POOL_SLAB_ORDERS 9u  /* buddies of 1 … 256 pages */

struct slab {             /* a value: which pages */
        unsigned index;   /* in the reservation */
        uint32_t n_pages; /* ≤ POOL_SLAB_PAGES */
        unsigned char *base;
};

struct bank {
        unsigned char *base;
        uint32_t n_pages;
        unsigned n_slabs;
        int *owner_lane; /* by slab; -1: in the bank */
        bool *recalled;
};

/* 0 or -ENOMEM. */
int bank_init(struct bank *bank, uint32_t n_pages);
void bank_done(struct bank *bank); /* every slab must be back */
/* Take a free slab for `lane`: true and *ret_slab. */
bool bank_take(struct bank *bank, unsigned lane, struct slab *ret_slab);
void bank_give(struct bank *bank, unsigned index);
/* Choose a slab to recall for `lane` from another lane, marking it recalled: the one of the lane that holds
 * most slabs not yet recalled. False: none (all recalled already, or all `lane`'s own). */
bool bank_recall(struct bank *bank, unsigned lane, unsigned *ret_index, unsigned *ret_from_lane);
bool bank_whole(const struct bank *bank); /* every slab is in the bank */

struct pool {
        struct kc_list slabs; /* struct pool_slab */
        uint32_t n_pages, free_pages, in_use_pages;
};

void pool_init(struct pool *pool);
void pool_done(struct pool *pool); /* no slab may be left */
/* 0 or -ENOMEM. */
int pool_add(struct pool *pool, const struct slab *slab);
/* The largest number of pages one buffer can have here even when all are free (0: no slab). */
uint32_t pool_largest_pages(const struct pool *pool);
/* A page-aligned buffer of at least `n_pages` (rounded up to a power of two, or to a whole short slab), or
 * NULL. *ret_pages is what it takes. Recalled slabs are not used. */
void *pool_alloc(struct pool *pool, uint32_t n_pages, uint32_t *ret_pages);
void pool_free(struct pool *pool, void *buf, uint32_t pages);
/* Mark a slab for return. */
void pool_recall(struct pool *pool, unsigned index);
/* Take out one slab that has no buffer in use: a recalled one, or with `any` any. False: none. */
bool pool_take(struct pool *pool, bool any, struct slab *ret_slab);

#endif
