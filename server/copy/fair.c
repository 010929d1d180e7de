/* Deficit round robin in three levels: see fair.h.
 *
 * The sizes of requests are not known before they start, so a member is served while its deficit is positive,
 * may end its turn in debt, and pays that off from the quanta of its next turns: over time each gets its
 * share to the byte. */
#include "copy/fair.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Identities without jobs that are remembered because they are in debt. */
#define IDLE_MAX 64u
/* More than any request, far from overflow. */
#define CHARGE_MAX_BYTES (1ull << 40)

struct fair_level {
        struct fair_member member; /* in the level above; level NULL at the top */
        struct kc_list round;      /* members with something ready; the first one's turn is next or now */
        struct fair_member *turn;  /* the first one, once it has had its quantum; or NULL */
};

struct fair_identity {
        struct fair_level level;
        struct fair_level priorities[FAIR_PRIORITY_MAX + 1];
        struct kc_list node; /* on fair.busy or fair.idle */
        unsigned n_entries;
        char name[];
};

struct fair {
        struct fair_level top;
        struct kc_list busy, idle; /* struct fair_identity: with and without entries; idle: oldest first */
        unsigned n_idle;
};

static void level_init(struct fair_level *level, struct fair_level *above, unsigned weight)
{
        kc_list_init(&level->member.node);
        level->member.level = above;
        level->member.deficit_bytes = 0;
        level->member.weight = weight;
        kc_list_init(&level->round);
        level->turn = NULL;
}

static void enter(struct fair_member *member)
{
        struct fair_level *level = member->level;
        bool was_empty = kc_list_empty(&level->round);

        if (member->deficit_bytes > 0)
                member->deficit_bytes = 0; /* no credit is kept */
        kc_list_push(&level->round, &member->node);
        if (was_empty && level->member.level != NULL)
                enter(&level->member);
}

static void leave(struct fair_member *member)
{
        struct fair_level *level = member->level;

        kc_list_del(&member->node);
        if (level->turn == member)
                level->turn = NULL;
        if (kc_list_empty(&level->round) && level->member.level != NULL)
                leave(&level->member);
}

static struct fair_member *begin_turn(struct fair_level *level)
{
        struct fair_member *member = kc_list_first(&level->round, struct fair_member, node);

        member->deficit_bytes += (int64_t)member->weight * FAIR_QUANTUM_BYTES;
        level->turn = member;
        return member;
}

/* Whose turn it is on this level, which has something ready. As many turns pass here as quanta were charged
 * before, so the loop costs nothing on average. */
static struct fair_member *level_next(struct fair_level *level)
{
        struct fair_member *member = level->turn != NULL ? level->turn : begin_turn(level);

        while (member->deficit_bytes <= 0) {
                kc_list_move(&level->round, &member->node);
                member = begin_turn(level);
        }
        return member;
}

static struct fair_identity *find_identity(struct kc_list *list, const char *name)
{
        kc_list_for_each (node, list) {
                struct fair_identity *identity = kc_list_entry(node, struct fair_identity, node);

                if (strcmp(identity->name, name) == 0)
                        return identity;
        }
        return NULL;
}

static struct fair_identity *new_identity(struct fair *fair, const char *name)
{
        size_t name_bytes = strlen(name) + 1;
        struct fair_identity *identity = malloc(sizeof(*identity) + name_bytes);

        if (identity == NULL)
                return NULL;
        level_init(&identity->level, &fair->top, 1);
        for (unsigned i = 0; i <= FAIR_PRIORITY_MAX; i++)
                level_init(&identity->priorities[i], &identity->level, 1 + i);
        kc_list_init(&identity->node);
        identity->n_entries = 0;
        memcpy(identity->name, name, name_bytes);
        return identity;
}

static void free_identities(struct kc_list *list)
{
        struct kc_list *node;

        while ((node = kc_list_pop(list)) != NULL)
                free(kc_list_entry(node, struct fair_identity, node));
}

/* Its last entry has gone. If it is in debt it is remembered, or a stream of short jobs would never pay. */
static void retire_identity(struct fair *fair, struct fair_identity *identity)
{
        kc_list_del(&identity->node);
        if (identity->level.member.deficit_bytes >= 0) {
                free(identity);
                return;
        }
        kc_list_push(&fair->idle, &identity->node);
        if (++fair->n_idle > IDLE_MAX) {
                fair->n_idle--;
                free(kc_list_entry(kc_list_pop(&fair->idle), struct fair_identity, node));
        }
}

struct fair *fair_new(void)
{
        struct fair *fair = malloc(sizeof(*fair));

        if (fair == NULL)
                return NULL;
        level_init(&fair->top, NULL, 1);
        kc_list_init(&fair->busy);
        kc_list_init(&fair->idle);
        fair->n_idle = 0;
        return fair;
}

void fair_free(struct fair *fair)
{
        if (fair == NULL)
                return;
        assert(kc_list_empty(&fair->busy));
        free_identities(&fair->idle);
        free(fair);
}

int fair_add(struct fair *fair, struct fair_entry *entry, const char *name, unsigned priority)
{
        struct fair_identity *identity = find_identity(&fair->busy, name);

        assert(priority <= FAIR_PRIORITY_MAX);
        if (identity == NULL) {
                identity = find_identity(&fair->idle, name);
                if (identity != NULL)
                        fair->n_idle--;
                else
                        identity = new_identity(fair, name);
                if (identity == NULL)
                        return -ENOMEM;
                kc_list_move(&fair->busy, &identity->node);
        }
        identity->n_entries++;
        entry->ready = false;
        kc_list_init(&entry->member.node);
        entry->member.level = &identity->priorities[priority];
        entry->member.deficit_bytes = 0;
        entry->member.weight = 1;
        return 0;
}

void fair_remove(struct fair *fair, struct fair_entry *entry)
{
        struct fair_level *level = entry->member.level->member.level;
        struct fair_identity *identity = kc_container_of(level, struct fair_identity, level);

        fair_set_ready(fair, entry, false);
        entry->member.level = NULL;
        if (--identity->n_entries == 0)
                retire_identity(fair, identity);
}

void fair_set_ready(struct fair *fair, struct fair_entry *entry, bool ready)
{
        if (entry->ready == ready)
                return;
        entry->ready = ready;
        if (ready)
                enter(&entry->member);
        else
                leave(&entry->member);
}

struct fair_entry *fair_next(struct fair *fair)
{
        struct fair_member *identity, *priority, *entry;

        if (kc_list_empty(&fair->top.round))
                return NULL;
        identity = level_next(&fair->top);
        priority = level_next(kc_container_of(identity, struct fair_level, member));
        entry = level_next(kc_container_of(priority, struct fair_level, member));
        return kc_container_of(entry, struct fair_entry, member);
}

void fair_charge(struct fair *fair, struct fair_entry *entry, uint64_t bytes)
{
        assert(bytes <= CHARGE_MAX_BYTES);
        if (bytes < FAIR_MIN_CHARGE_BYTES)
                bytes = FAIR_MIN_CHARGE_BYTES;
        for (struct fair_member *member = &entry->member; member->level != NULL;
             member = &member->level->member)
                member->deficit_bytes -= (int64_t)bytes;
}
