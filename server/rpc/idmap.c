/* Finds an object by a number (idmap.h). */
#include "rpc/idmap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MIN 16u

static struct idmap_node **bucket_of(struct idmap_node **buckets, size_t n_buckets, uint64_t id)
{
        /* ids are consecutive; the multiplication spreads those of many sessions */
        return &buckets[(size_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & (n_buckets - 1)];
}

int idmap_init(struct idmap *map)
{
        map->buckets = calloc(BUCKETS_MIN, sizeof(*map->buckets));
        if (!map->buckets)
                return -ENOMEM;
        map->n_buckets = BUCKETS_MIN;
        map->n = 0;
        return 0;
}

void idmap_done(struct idmap *map)
{
        free(map->buckets);
        map->buckets = NULL;
        map->n_buckets = map->n = 0;
}

static void resize(struct idmap *map, size_t n_buckets)
{
        struct idmap_node **buckets = calloc(n_buckets, sizeof(*buckets));

        if (!buckets)
                return;
        for (size_t i = 0; i < map->n_buckets; i++) {
                struct idmap_node *node, *next;

                for (node = map->buckets[i]; node; node = next) {
                        struct idmap_node **to = bucket_of(buckets, n_buckets, node->id);

                        next = node->next;
                        node->next = *to;
                        *to = node;
                }
        }
        free(map->buckets);
        map->buckets = buckets;
        map->n_buckets = n_buckets;
}

void idmap_add(struct idmap *map, struct idmap_node *node, uint64_t id)
{
        struct idmap_node **bucket;

        assert(!idmap_get(map, id));
        if (map->n >= map->n_buckets)
                resize(map, map->n_buckets * 2);
        bucket = bucket_of(map->buckets, map->n_buckets, id);
        node->id = id;
        node->next = *bucket;
        *bucket = node;
        map->n++;
}

struct idmap_node *idmap_get(const struct idmap *map, uint64_t id)
{
        struct idmap_node *node = *bucket_of(map->buckets, map->n_buckets, id);

        while (node && node->id != id)
                node = node->next;
        return node;
}

void idmap_del(struct idmap *map, struct idmap_node *node)
{
        struct idmap_node **at = bucket_of(map->buckets, map->n_buckets, node->id);

        while (*at != node) {
                assert(*at);
                at = &(*at)->next;
        }
        *at = node->next;
        map->n--;
        if (map->n_buckets > BUCKETS_MIN && map->n < map->n_buckets / 4)
                resize(map, map->n_buckets / 2);
}
