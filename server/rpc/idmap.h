/* Finds an object by a 64-bit number: an intrusive hash table that grows with what is in it.
 *
 * Objects carry a struct idmap_node; the table owns its buckets only. A table that cannot grow gets slower,
 * it does not fail. Thread: one. Close: idmap_done; the objects are the caller's. */
#ifndef RPC_IDMAP_H
#define RPC_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap_node {
        struct idmap_node *next;
        uint64_t id;
};

struct idmap {
        struct idmap_node **buckets;
        size_t n_buckets; /* a power of two */
        size_t n;
};

/* 0 or -ENOMEM. */
int idmap_init(struct idmap *map);
void idmap_done(struct idmap *map);
/* `id` must not be in the table. */
void idmap_add(struct idmap *map, struct idmap_node *node, uint64_t id);
/* The node, or NULL. */
struct idmap_node *idmap_get(const struct idmap *map, uint64_t id);
/* `node` must be in the table. */
void idmap_del(struct idmap *map, struct idmap_node *node);

#endif
