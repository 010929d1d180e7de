/* An interval tree of lock ranges: a treap with furthest ends and orders of arrival. */
#include "copy/lock_tree.h"

#include <assert.h>
#include <string.h>

/* A search that has found something stops here: which blocker it is only matters for speed. */
#define SEARCH_STEPS_MAX 128u

/* Ranges of one device mostly borrow the very same key. */
static int compare_keys(const struct lock_range *a, const struct lock_range *b)
{
        return a->key == b->key ? 0 : strcmp(a->key, b->key);
}

static bool goes_before(const struct lock_range *a, const struct lock_range *b)
{
        int c = compare_keys(a, b);

        if (c != 0)
                return c < 0;
        if (a->start_bytes != b->start_bytes)
                return a->start_bytes < b->start_bytes;
        if (a->set->order != b->set->order)
                return a->set->order < b->set->order;
        return (uintptr_t)a < (uintptr_t)b;
}

static void sum_child(struct lock_range *node, const struct lock_range *child)
{
        if (child == NULL)
                return;
        if (child->max_end_bytes > node->max_end_bytes)
                node->max_end_bytes = child->max_end_bytes;
        if (child->min_order < node->min_order)
                node->min_order = child->min_order;
        if (child->max_order > node->max_order)
                node->max_order = child->max_order;
}

static void sum_up(struct lock_range *node)
{
        node->max_end_bytes = node->end_bytes;
        node->min_order = node->max_order = node->set->order;
        sum_child(node, node->left);
        sum_child(node, node->right);
}

/* Cut a tree into what goes before `range` and what goes after it. */
static void tree_split(struct lock_range *node, const struct lock_range *range, struct lock_range **left,
    struct lock_range **right)
{
        if (node == NULL) {
                *left = *right = NULL;
        } else if (goes_before(node, range)) {
                tree_split(node->right, range, &node->right, right);
                sum_up(node);
                *left = node;
        } else {
                tree_split(node->left, range, left, &node->left);
                sum_up(node);
                *right = node;
        }
}

/* One tree of two, all of the first going before all of the second. */
static struct lock_range *tree_join(struct lock_range *left, struct lock_range *right)
{
        if (left == NULL)
                return right;
        if (right == NULL)
                return left;
        if (left->weight > right->weight) {
                left->right = tree_join(left->right, right);
                sum_up(left);
                return left;
        }
        right->left = tree_join(left, right->left);
        sum_up(right);
        return right;
}

static struct lock_range *tree_insert(struct lock_range *node, struct lock_range *range)
{
        if (node == NULL || range->weight > node->weight) {
                tree_split(node, range, &range->left, &range->right);
                sum_up(range);
                return range;
        }
        if (goes_before(range, node))
                node->left = tree_insert(node->left, range);
        else
                node->right = tree_insert(node->right, range);
        sum_up(node);
        return node;
}

static struct lock_range *tree_remove(struct lock_range *node, struct lock_range *range)
{
        assert(node != NULL);
        if (node == range)
                return tree_join(node->left, node->right);
        if (goes_before(range, node))
                node->left = tree_remove(node->left, range);
        else
                node->right = tree_remove(node->right, range);
        sum_up(node);
        return node;
}

static void tree_search(struct lock_range *node, struct lock_search *search)
{
        const struct lock_range *range = search->range;
        struct lock_range *first, *second;
        int c;

        if (node == NULL || node->max_end_bytes <= range->start_bytes ||
            node->min_order >= search->before_order)
                return;
        if (search->found != NULL &&
            (node->max_order <= search->found->set->order || search->steps >= SEARCH_STEPS_MAX))
                return;
        search->steps++;
        c = compare_keys(range, node);
        if (c == 0 && node->start_bytes < range->end_bytes && node->end_bytes > range->start_bytes &&
            node->set->order < search->before_order &&
            (search->found == NULL || node->set->order > search->found->set->order))
                search->found = node;
        first = c <= 0 ? node->left : NULL;
        second = c > 0 || (c == 0 && node->start_bytes < range->end_bytes) ? node->right : NULL;
        /* the later ones first: it cuts the other side short */
        if (first != NULL && second != NULL && second->max_order > first->max_order) {
                tree_search(second, search);
                tree_search(first, search);
        } else {
                tree_search(first, search);
                tree_search(second, search);
        }
}

/* The heap's order, spread evenly from the order of arrival and the place in the set (splitmix64). */
static uint64_t weight_of(const struct lock_range *range)
{
        uint64_t x = range->set->order * 0x9e3779b97f4a7c15u + (uint64_t)(range - range->set->ranges);

        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        return x ^ (x >> 31);
}

void lock_tree_insert(struct lock_tree *tree, struct lock_range *range)
{
        range->left = range->right = NULL;
        range->weight = weight_of(range);
        tree->root = tree_insert(tree->root, range);
}

void lock_tree_remove(struct lock_tree *tree, struct lock_range *range)
{
        tree->root = tree_remove(tree->root, range);
        range->left = range->right = NULL;
}

void lock_tree_search(const struct lock_tree *tree, struct lock_search *search)
{
        tree_search(tree->root, search);
}
