/* Pages: a client's reservation (the bank, on the control loop) and what a lane holds of it (a pool).
 *
 * A reservation is one anonymous mapping, cut into slabs of bank_slab_pages() pages (the last may be
 * shorter). The bank says which lane holds which slab. A lane allocates buffers inside its slabs (contiguous,
 * page aligned, buddy system); when it is short it asks the bank, which gives a free slab or recalls one from
 * the lane that holds most. A recalled slab is not allocated from any more and goes back when it is empty. So
 * the memory of a client never passes its reservation, and one buffer's worth of pages is enough for all
 * lanes to make progress in turn.
 *
 * struct bank: owns the mapping; thread: control. struct pool: borrows slabs; thread: its lane. Slabs travel
 * between the two as plain values in messages (share.c and client.c send them); these two are pure. */
#ifndef COPY_POOL_H
#define COPY_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define POOL_SLAB_PAGES 256u /* 1 MiB: the largest buffer */
#define POOL_SLAB_MIN_PAGES 16u
#define POOL_SLAB_ORDERS 9u /* buddies of 1 … 256 pages */

struct slab {             /* a value: which pages */
        unsigned index;   /* in the reservation */
        uint32_t n_pages; /* ≤ POOL_SLAB_PAGES */
        unsigned char *base;
};

struct bank {
        unsigned char *base;
        uint32_t n_pages, slab_pages;
        unsigned n_slabs;
        int *owner_lane; /* by slab; -1: in the bank */
};

/* How many pages a slab of a reservation has, a power of two: an eighth, so that several lanes, and buffers
 * that are stuck, can hold slabs side by side; at least POOL_SLAB_MIN_PAGES, the largest minimum block there
 * is; at most POOL_SLAB_PAGES. Smaller reservations are one slab. Also the largest buffer. */
uint32_t bank_slab_pages(uint32_t n_pages);
/* `n_pages` (≥ 1) rounded down to whole slabs: a short slab could not hold every buffer. */
uint32_t bank_round_pages(uint32_t n_pages);
/* 0 or -ENOMEM. */
int bank_init(struct bank *bank, uint32_t n_pages);
void bank_done(struct bank *bank); /* every slab must be back */
/* Take a free slab for `lane`: true and *ret_slab. */
bool bank_take(struct bank *bank, unsigned lane, struct slab *ret_slab);
void bank_give(struct bank *bank, unsigned index);
/* How many slabs a lane has. */
unsigned bank_held(const struct bank *bank, unsigned lane);
bool bank_whole(const struct bank *bank); /* every slab is in the bank */

struct pool {
        struct kc_list slabs;  /* struct pool_slab */
        uint32_t n_pages;      /* of all slabs here */
        uint32_t in_use_pages; /* in buffers */
        uint32_t free_pages;   /* that pool_alloc may still give: recalled slabs do not count */
};

void pool_init(struct pool *pool);
void pool_done(struct pool *pool); /* no slab may be left */
/* 0 or -ENOMEM. */
int pool_add(struct pool *pool, const struct slab *slab);
/* A page-aligned buffer of at least `n_pages` (rounded up to a power of two, or to a whole short slab), or
 * NULL. *ret_pages is what it takes. Recalled slabs are not used. */
void *pool_alloc(struct pool *pool, uint32_t n_pages, uint32_t *ret_pages);
void pool_free(struct pool *pool, void *buf, uint32_t pages);
/* A buffer will not come back soon (or has after all): its slab is no good for a recall. */
void pool_stick(struct pool *pool, const void *buf, uint32_t pages, bool stuck);
/* A slab is wanted back: the least used one without a stuck buffer is not allocated from any more (one at a
 * time; again is harmless). */
void pool_recall(struct pool *pool);
/* Take out a slab that has no buffer in use, the recalled one for choice; the recall is answered by it. A
 * buffer that is stuck in the recalled slab so does not keep another from going back. False: none is empty.
 */
bool pool_take(struct pool *pool, struct slab *ret_slab);

#endif
