/* Finds an object by a 64-bit number: an intrusive hash table that grows with what is in it.
 *
 * Objects carry a struct kc_idmap_node; the table owns its buckets only. A table that cannot grow gets
 * slower, it does not fail. Thread: one. Close: kc_idmap_done; the objects are the caller's. */
#ifndef KC_IDMAP_H
#define KC_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct kc_idmap_node {
        struct kc_idmap_node *next;
        uint64_t id;
};

struct kc_idmap {
        struct kc_idmap_node **buckets;
        size_t n_buckets; /* a power of two */
        size_t n;
};

/* 0 or -ENOMEM. */
int kc_idmap_init(struct kc_idmap *map);
void kc_idmap_done(struct kc_idmap *map);
/* `id` must not be in the table. */
void kc_idmap_add(struct kc_idmap *map, struct kc_idmap_node *node, uint64_t id);
/* The node, or NULL. */
struct kc_idmap_node *kc_idmap_get(const struct kc_idmap *map, uint64_t id);
/* `node` must be in the table. */
void kc_idmap_del(struct kc_idmap *map, struct kc_idmap_node *node);

#endif
