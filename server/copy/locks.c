/* Region locks: sets of ranges, held or waiting in the order of their arrival.
 *
 * Every range of every set, held or waiting, is in the table. A set may hold as soon as no set that came
 * before it conflicts with it; until then it hangs on one of those, its blocker, and is looked at again only
 * when that one leaves or shrinks. The blocker is the latest of those that conflict: so a crowd that wants
 * the same range forms a chain, in which each release looks at one other set.
 *
 * Who came later never blocks who came before, and a set holds only when everything before it lets it: what
 * is granted does not depend on the order in which waiting sets are looked at. */
#include "copy/locks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "copy/lock_tree.h"

#define LOCKS_BUCKETS 1024u

struct lock_bucket { /* of keys */
        struct lock_tree shared, exclusive;
};

struct locks {
        struct lock_bucket buckets[LOCKS_BUCKETS];
        struct kc_list granted; /* their on_granted is to be called */
        bool calling;
        uint64_t last_order;
        size_t n_sets;
};

struct locks *locks_new(void)
{
        struct locks *locks = calloc(1, sizeof(*locks));

        if (locks == NULL)
                return NULL;
        kc_list_init(&locks->granted);
        return locks;
}

void locks_free(struct locks *locks)
{
        if (locks == NULL)
                return;
        assert(locks->n_sets == 0);
        free(locks);
}

bool lock_ranges_conflict(const struct lock_range *a, const struct lock_range *b)
{
        if (!a->exclusive && !b->exclusive)
                return false;
        if (a->start_bytes >= a->end_bytes || b->start_bytes >= b->end_bytes)
                return false;
        return a->start_bytes < b->end_bytes && b->start_bytes < a->end_bytes && a->key[0] != '\0' &&
               strcmp(a->key, b->key) == 0;
}

/* Whether it can conflict with anything at all: only such ranges are in the table. */
static bool range_matters(const struct lock_range *range)
{
        return range->key[0] != '\0' && range->start_bytes < range->end_bytes;
}

static struct lock_bucket *bucket_of(struct locks *locks, const char *key)
{
        uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

        for (; *key != '\0'; key++)
                hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
        return &locks->buckets[(hash ^ (hash >> 32)) % LOCKS_BUCKETS];
}

static struct lock_tree *tree_of(struct locks *locks, const struct lock_range *range)
{
        struct lock_bucket *bucket = bucket_of(locks, range->key);

        return range->exclusive ? &bucket->exclusive : &bucket->shared;
}

static void insert_ranges(struct locks *locks, struct lock_set *set)
{
        for (unsigned i = 0; i < set->n_ranges; i++) {
                struct lock_range *range = &set->ranges[i];

                range->set = set;
                if (range_matters(range))
                        lock_tree_insert(tree_of(locks, range), range);
        }
}

static void remove_ranges(struct locks *locks, struct lock_set *set)
{
        for (unsigned i = 0; i < set->n_ranges; i++) {
                struct lock_range *range = &set->ranges[i];

                if (range_matters(range))
                        lock_tree_remove(tree_of(locks, range), range);
        }
}

static struct lock_set *find_blocker(struct locks *locks, const struct lock_set *set)
{
        struct lock_search search = {.before_order = set->order};

        for (unsigned i = 0; i < set->n_ranges; i++) {
                const struct lock_range *range = &set->ranges[i];
                const struct lock_bucket *bucket;

                if (!range_matters(range))
                        continue;
                bucket = bucket_of(locks, range->key);
                search.range = range;
                lock_tree_search(&bucket->exclusive, &search);
                if (range->exclusive)
                        lock_tree_search(&bucket->shared, &search);
        }
        return search.found != NULL ? search.found->set : NULL;
}

/* Grant it, or hang it on its blocker. */
static void look_at(struct locks *locks, struct lock_set *set)
{
        struct lock_set *blocker = find_blocker(locks, set);

        if (blocker != NULL) {
                set->blocker_id = blocker->owner_id;
                kc_list_push(&blocker->waiters, &set->node);
        } else {
                set->held = true;
                set->blocker_id = 0;
        }
}

/* `set` has left or shrunk: look again at who waited for it, then call those that were granted. The calls
 * come last and one after the other, so that they may request and release as they like. */
static void look_at_waiters(struct locks *locks, struct lock_set *set)
{
        struct kc_list again = KC_LIST_INIT(again);
        struct kc_list *node;

        kc_list_splice(&again, &set->waiters);
        while ((node = kc_list_pop(&again)) != NULL) {
                struct lock_set *waiter = kc_list_entry(node, struct lock_set, node);

                look_at(locks, waiter);
                if (waiter->held)
                        kc_list_push(&locks->granted, &waiter->node);
        }
        if (locks->calling)
                return;
        locks->calling = true;
        while ((node = kc_list_pop(&locks->granted)) != NULL) {
                struct lock_set *waiter = kc_list_entry(node, struct lock_set, node);

                waiter->on_granted(waiter);
        }
        locks->calling = false;
}

bool locks_request(struct locks *locks, struct lock_set *set)
{
        set->order = ++locks->last_order;
        set->held = false;
        kc_list_init(&set->node);
        kc_list_init(&set->waiters);
        insert_ranges(locks, set);
        locks->n_sets++;
        look_at(locks, set);
        return set->held;
}

void locks_release(struct locks *locks, struct lock_set *set)
{
        assert(set->order != 0);
        remove_ranges(locks, set);
        kc_list_del(&set->node);
        set->held = false;
        set->order = 0;
        locks->n_sets--;
        look_at_waiters(locks, set);
}

/* For the assertion only. */
__attribute__((unused)) static bool range_is_within(
    const struct lock_range *range, const struct lock_set *set)
{
        for (unsigned i = 0; i < set->n_ranges; i++) {
                const struct lock_range *whole = &set->ranges[i];

                if (strcmp(range->key, whole->key) == 0 && range->start_bytes >= whole->start_bytes &&
                    range->end_bytes <= whole->end_bytes && range->exclusive == whole->exclusive)
                        return true;
        }
        return false;
}

void lock_set_keep(struct locks *locks, struct lock_set *set, const struct lock_range *keep, unsigned n_keep)
{
        assert(set->order != 0 && set->held && n_keep <= set->n_ranges);
        for (unsigned i = 0; i < n_keep; i++)
                assert(range_is_within(&keep[i], set));
        remove_ranges(locks, set);
        if (n_keep > 0)
                memmove(set->ranges, keep, n_keep * sizeof(*keep));
        set->n_ranges = n_keep;
        insert_ranges(locks, set);
        look_at_waiters(locks, set);
}
