/* A hash table from 64-bit keys to nodes that live inside their owners' structs.
 *
 * Owns its buckets, borrows the nodes. Thread: the client's. Closes with table_done, nodes or not. */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_node {
        struct table_node *next;
        uint64_t key;
};

struct table {
        struct table_node **buckets;
        size_t n_buckets; /* a power of two */
        size_t n_nodes;
};

/* 0 or -ENOMEM. */
int table_init(struct table *table);
void table_done(struct table *table);
/* The key must be new. Never fails: a table that cannot grow gets slower. */
void table_insert(struct table *table, struct table_node *node, uint64_t key);
void table_remove(struct table *table, struct table_node *node);
struct table_node *table_find(const struct table *table, uint64_t key);

#endif
