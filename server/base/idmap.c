/* Finds an object by a number (idmap.h). */
#include "base/idmap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MIN 16u

static struct kc_idmap_node **bucket_of(struct kc_idmap_node **buckets, size_t n_buckets, uint64_t id)
{
        /* ids are consecutive: so are the buckets of what comes and goes together, and few share one */
        return &buckets[(size_t)id & (n_buckets - 1)];
}

int kc_idmap_init(struct kc_idmap *map)
{
        map->buckets = calloc(BUCKETS_MIN, sizeof(*map->buckets));
        if (!map->buckets)
                return -ENOMEM;
        map->n_buckets = BUCKETS_MIN;
        map->n = 0;
        return 0;
}

void kc_idmap_done(struct kc_idmap *map)
{
        free(map->buckets);
        map->buckets = NULL;
        map->n_buckets = map->n = 0;
}

static void resize(struct kc_idmap *map, size_t n_buckets)
{
        struct kc_idmap_node **buckets = calloc(n_buckets, sizeof(*buckets));

        if (!buckets)
                return;
        for (size_t i = 0; i < map->n_buckets; i++) {
                struct kc_idmap_node *node, *next;

                for (node = map->buckets[i]; node; node = next) {
                        struct kc_idmap_node **to = bucket_of(buckets, n_buckets, node->id);

                        next = node->next;
                        node->next = *to;
                        *to = node;
                }
        }
        free(map->buckets);
        map->buckets = buckets;
        map->n_buckets = n_buckets;
}

void kc_idmap_add(struct kc_idmap *map, struct kc_idmap_node *node, uint64_t id)
{
        struct kc_idmap_node **bucket;

        assert(!kc_idmap_get(map, id));
        if (map->n >= map->n_buckets)
                resize(map, map->n_buckets * 2);
        bucket = bucket_of(map->buckets, map->n_buckets, id);
        node->id = id;
        node->next = *bucket;
        *bucket = node;
        map->n++;
}

struct kc_idmap_node *kc_idmap_get(const struct kc_idmap *map, uint64_t id)
{
        struct kc_idmap_node *node = *bucket_of(map->buckets, map->n_buckets, id);

        while (node && node->id != id)
                node = node->next;
        return node;
}

void kc_idmap_del(struct kc_idmap *map, struct kc_idmap_node *node)
{
        struct kc_idmap_node **at = bucket_of(map->buckets, map->n_buckets, node->id);

        while (*at != node) {
                assert(*at);
                at = &(*at)->next;
        }
        *at = node->next;
        map->n--;
        if (map->n_buckets > BUCKETS_MIN && map->n < map->n_buckets / 8)
                resize(map, map->n_buckets / 2);
}
