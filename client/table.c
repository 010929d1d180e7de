/* A hash table (table.h). */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MIN 64u

static size_t slot(uint64_t key, size_t n_buckets)
{
        /* Fibonacci hashing: the server chooses the keys of one of our tables */
        return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (n_buckets - 1);
}

int table_init(struct table *table)
{
        *table = (struct table){.n_buckets = BUCKETS_MIN};
        table->buckets = calloc(BUCKETS_MIN, sizeof(*table->buckets));
        return table->buckets ? 0 : -ENOMEM;
}

void table_done(struct table *table)
{
        free(table->buckets);
        *table = (struct table){0};
}

static void grow(struct table *table)
{
        size_t n_buckets = table->n_buckets * 2;
        struct table_node **buckets = calloc(n_buckets, sizeof(*buckets));

        if (!buckets)
                return;
        for (size_t i = 0; i < table->n_buckets; i++) {
                struct table_node *node = table->buckets[i], *next;

                for (; node; node = next) {
                        struct table_node **bucket = &buckets[slot(node->key, n_buckets)];

                        next = node->next;
                        node->next = *bucket;
                        *bucket = node;
                }
        }
        free(table->buckets);
        table->buckets = buckets;
        table->n_buckets = n_buckets;
}

void table_insert(struct table *table, struct table_node *node, uint64_t key)
{
        struct table_node **bucket;

        if (table->n_nodes >= table->n_buckets)
                grow(table);
        bucket = &table->buckets[slot(key, table->n_buckets)];
        node->key = key;
        node->next = *bucket;
        *bucket = node;
        table->n_nodes++;
}

void table_remove(struct table *table, struct table_node *node)
{
        struct table_node **link = &table->buckets[slot(node->key, table->n_buckets)];

        while (*link != node) {
                assert(*link);
                link = &(*link)->next;
        }
        *link = node->next;
        node->next = NULL;
        table->n_nodes--;
}

struct table_node *table_find(const struct table *table, uint64_t key)
{
        struct table_node *node = table->buckets[slot(key, table->n_buckets)];

        while (node && node->key != key)
                node = node->next;
        return node;
}
