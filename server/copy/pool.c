/* The pool: what a lane holds of a client's reservation, and the buffers it cuts from it.
 *
 * Each slab has a binary tree of buddies in an array: node 1 is the whole slab, node n's halves are 2n and
 * 2n + 1, the leaves are pages. `longest` says how large a free block there is in a node: 0 none, else 1 +
 * its order. The pages that a short slab lacks are leaves that are never free, so nothing else has to know of
 * them. */
#include "copy/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "kc_limits.h"

struct pool_slab {
        struct kc_list node;
        struct slab slab;
        uint32_t in_use_pages, stuck_pages;
        bool recalled;
        bool whole_in_use; /* given out whole, as one buffer that is no power of two */
        uint8_t longest[2 * POOL_SLAB_PAGES];
};

static unsigned order_of(uint32_t n_pages)
{
        return n_pages <= 1 ? 0 : 32u - (unsigned)__builtin_clz(n_pages - 1);
}

static uint8_t longest_of_halves(const uint8_t *longest, unsigned node, unsigned order)
{
        uint8_t left = longest[2 * node], right = longest[2 * node + 1];

        /* both free throughout: they are one block */
        if (left == order && right == order)
                return (uint8_t)(order + 1);
        return left > right ? left : right;
}

static void tree_init(struct pool_slab *entry)
{
        for (unsigned page = 0; page < POOL_SLAB_PAGES; page++)
                entry->longest[POOL_SLAB_PAGES + page] = page < entry->slab.n_pages;
        for (unsigned order = 1; order < POOL_SLAB_ORDERS; order++) {
                unsigned first = POOL_SLAB_PAGES >> order;

                for (unsigned node = first; node < 2 * first; node++)
                        entry->longest[node] = longest_of_halves(entry->longest, node, order);
        }
}

/* The sums above a node of `order` that has changed. */
static void tree_changed(struct pool_slab *entry, unsigned node, unsigned order)
{
        while (node > 1) {
                node /= 2;
                order++;
                entry->longest[node] = longest_of_halves(entry->longest, node, order);
        }
}

/* The first page of a free block of `order`, which there must be; it is taken. Leftmost first: the same few
 * pages stay in use, and in the cache. */
static uint32_t tree_take(struct pool_slab *entry, unsigned order)
{
        unsigned node = 1, at = POOL_SLAB_ORDERS - 1;

        assert(entry->longest[1] > order);
        while (at > order) {
                node *= 2;
                if (entry->longest[node] <= order)
                        node++;
                at--;
        }
        assert(entry->longest[node] == order + 1);
        entry->longest[node] = 0;
        tree_changed(entry, node, order);
        return (node << order) - POOL_SLAB_PAGES;
}

static void tree_give(struct pool_slab *entry, uint32_t page, unsigned order)
{
        unsigned node = (POOL_SLAB_PAGES + page) >> order;

        assert((page & ((1u << order) - 1)) == 0);
        assert(entry->longest[node] == 0);
        entry->longest[node] = (uint8_t)(order + 1);
        tree_changed(entry, node, order);
}

void pool_init(struct pool *pool)
{
        *pool = (struct pool){0};
        kc_list_init(&pool->slabs);
}

void pool_done(struct pool *pool)
{
        assert(kc_list_empty(&pool->slabs));
        assert(pool->n_pages == 0 && pool->free_pages == 0 && pool->in_use_pages == 0);
}

int pool_add(struct pool *pool, const struct slab *slab)
{
        struct pool_slab *entry = calloc(1, sizeof(*entry));

        assert(slab->n_pages > 0 && slab->n_pages <= POOL_SLAB_PAGES);
        if (entry == NULL)
                return -ENOMEM;
        entry->slab = *slab;
        tree_init(entry);
        kc_list_push(&pool->slabs, &entry->node);
        pool->n_pages += slab->n_pages;
        pool->free_pages += slab->n_pages;
        return 0;
}

/* A slab with nothing in use and too short for the power of two, yet long enough for what is asked. */
static bool slab_fits_whole(const struct pool_slab *entry, uint32_t n_pages, unsigned order)
{
        return entry->in_use_pages == 0 && n_pages <= entry->slab.n_pages &&
               (1u << order) > entry->slab.n_pages;
}

static void *slab_alloc(struct pool_slab *entry, uint32_t n_pages, uint32_t *ret_pages)
{
        unsigned order = order_of(n_pages);
        uint32_t page = 0, taken_pages = 1u << order;

        if (entry->longest[1] > order) {
                page = tree_take(entry, order);
        } else if (slab_fits_whole(entry, n_pages, order)) {
                entry->whole_in_use = true;
                entry->longest[1] = 0;
                taken_pages = entry->slab.n_pages;
        } else {
                return NULL;
        }
        entry->in_use_pages += taken_pages;
        *ret_pages = taken_pages;
        return entry->slab.base + (size_t)page * KC_PAGE_BYTES;
}

void *pool_alloc(struct pool *pool, uint32_t n_pages, uint32_t *ret_pages)
{
        assert(n_pages > 0);
        if (n_pages > POOL_SLAB_PAGES || n_pages > pool->free_pages)
                return NULL;
        kc_list_for_each (pos, &pool->slabs) {
                struct pool_slab *entry = kc_list_entry(pos, struct pool_slab, node);
                void *buf;

                if (entry->recalled)
                        continue;
                buf = slab_alloc(entry, n_pages, ret_pages);
                if (buf == NULL)
                        continue;
                pool->in_use_pages += *ret_pages;
                pool->free_pages -= *ret_pages;
                /* out of the way of the next search */
                if (entry->longest[1] == 0)
                        kc_list_move(&pool->slabs, &entry->node);
                return buf;
        }
        return NULL;
}

static struct pool_slab *slab_of_buf(const struct pool *pool, const unsigned char *buf)
{
        kc_list_for_each (pos, &pool->slabs) {
                struct pool_slab *entry = kc_list_entry(pos, struct pool_slab, node);
                const struct slab *slab = &entry->slab;

                if (buf >= slab->base && buf < slab->base + (size_t)slab->n_pages * KC_PAGE_BYTES)
                        return entry;
        }
        return NULL;
}

void pool_free(struct pool *pool, void *buf, uint32_t pages)
{
        struct pool_slab *entry = slab_of_buf(pool, buf);
        size_t offset_bytes;
        bool was_full;

        assert(entry != NULL);
        offset_bytes = (size_t)((unsigned char *)buf - entry->slab.base);
        assert(offset_bytes % KC_PAGE_BYTES == 0 && pages <= entry->in_use_pages);
        was_full = entry->longest[1] == 0;
        if (entry->whole_in_use) {
                assert(offset_bytes == 0 && pages == entry->slab.n_pages);
                entry->whole_in_use = false;
                tree_init(entry);
        } else {
                assert(pages == 1u << order_of(pages));
                tree_give(entry, (uint32_t)(offset_bytes / KC_PAGE_BYTES), order_of(pages));
        }
        entry->in_use_pages -= pages;
        pool->in_use_pages -= pages;
        if (!entry->recalled)
                pool->free_pages += pages;
        if (was_full) {
                kc_list_del(&entry->node);
                kc_list_push_head(&pool->slabs, &entry->node);
        }
}

static void set_recalled(struct pool *pool, struct pool_slab *entry, bool recalled)
{
        uint32_t free_pages = entry->slab.n_pages - entry->in_use_pages;

        if (entry->recalled == recalled)
                return;
        entry->recalled = recalled;
        if (recalled)
                pool->free_pages -= free_pages;
        else
                pool->free_pages += free_pages;
}

void pool_stick(struct pool *pool, const void *buf, uint32_t pages, bool stuck)
{
        struct pool_slab *entry = slab_of_buf(pool, buf);

        assert(entry != NULL);
        if (stuck)
                entry->stuck_pages += pages;
        else
                entry->stuck_pages -= pages;
        if (stuck && entry->recalled)
                set_recalled(pool, entry, false); /* better another one */
}

void pool_recall(struct pool *pool)
{
        struct pool_slab *least = NULL;

        kc_list_for_each (pos, &pool->slabs) {
                struct pool_slab *entry = kc_list_entry(pos, struct pool_slab, node);

                if (entry->recalled)
                        return;
                if (entry->stuck_pages == 0 && (least == NULL || entry->in_use_pages < least->in_use_pages))
                        least = entry;
        }
        if (least != NULL)
                set_recalled(pool, least, true);
}

static struct pool_slab *empty_slab(const struct pool *pool)
{
        struct pool_slab *found = NULL;

        kc_list_for_each (pos, &pool->slabs) {
                struct pool_slab *entry = kc_list_entry(pos, struct pool_slab, node);

                if (entry->in_use_pages == 0 && (found == NULL || entry->recalled))
                        found = entry;
        }
        return found;
}

bool pool_take(struct pool *pool, struct slab *ret_slab)
{
        struct pool_slab *entry = empty_slab(pool);

        if (entry == NULL)
                return false;
        kc_list_for_each (pos, &pool->slabs)
                set_recalled(pool, kc_list_entry(pos, struct pool_slab, node), false);
        kc_list_del(&entry->node);
        pool->n_pages -= entry->slab.n_pages;
        pool->free_pages -= entry->slab.n_pages;
        *ret_slab = entry->slab;
        free(entry);
        return true;
}
