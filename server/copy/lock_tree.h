/* An interval tree of lock ranges: finds one that overlaps a given range and was there before it.
 *
 * A treap ordered by key, start and order of arrival; each node knows the furthest end and the orders of
 * arrival below it. The nodes are the ranges themselves (struct lock_range). Internal to locks.c.
 * Owns nothing, allocates nothing. Thread: control. */
#ifndef COPY_LOCK_TREE_H
#define COPY_LOCK_TREE_H

#include "copy/locks.h"

struct lock_tree {
        struct lock_range *root;
};

/* One search, which may go through several trees. */
struct lock_search {
        const struct lock_range *range; /* what to overlap: set before each tree */
        uint64_t before_order;          /* only sets that arrived before this */
        unsigned steps;
        struct lock_range *found; /* the latest of them, or (in a crowd) one of the latest; NULL: none */
};

void lock_tree_insert(struct lock_tree *tree, struct lock_range *range); /* range->set->order must be set */
void lock_tree_remove(struct lock_tree *tree, struct lock_range *range);
void lock_tree_search(const struct lock_tree *tree, struct lock_search *search);

#endif
