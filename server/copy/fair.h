/* Deficit round robin in bytes, in three levels: identity, then priority, then job (DESIGN 3).
 *
 * A gate asks which entry (a job's requests to one port) may send its next one. Every level goes round its
 * members; a member is served while its deficit lasts and gets its quantum (times its weight: 1 + priority at
 * the priority level, 1 elsewhere) when its turn comes. Only entries that are ready take part; one that is
 * not ready keeps no credit. A request is charged its data bytes, at least FAIR_MIN_CHARGE_BYTES.
 *
 * Owns its nodes for identities and priorities. Borrows entries. Thread: its lane. No allocation after
 * fair_add. */
#ifndef COPY_FAIR_H
#define COPY_FAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define FAIR_QUANTUM_BYTES (64u << 10)
#define FAIR_MIN_CHARGE_BYTES 4096u
#define FAIR_PRIORITY_MAX 7u

struct fair;
struct fair_level;

struct fair_member {         /* the scheduler's: an identity, a priority of it, or an entry, in its round */
        struct kc_list node; /* on its level's round while something in it is ready */
        struct fair_level *level;
        int64_t deficit_bytes; /* what it may still start in this turn; negative: to be paid off first */
        unsigned weight;
};

struct fair_entry {
        bool ready; /* by fair_set_ready */
        struct fair_member member;
};

struct fair *fair_new(void);       /* NULL: out of memory */
void fair_free(struct fair *fair); /* no entry may be left */
/* Add an entry, not ready; priority 0 … FAIR_PRIORITY_MAX. `identity` is copied. 0 or -ENOMEM. */
int fair_add(struct fair *fair, struct fair_entry *entry, const char *identity, unsigned priority);
void fair_remove(struct fair *fair, struct fair_entry *entry);
void fair_set_ready(struct fair *fair, struct fair_entry *entry, bool ready);
/* The ready entry whose turn it is, or NULL. Asking again without a charge or a change gives the same one. */
struct fair_entry *fair_next(struct fair *fair);
/* It started a request of `bytes`; before or after it was set not ready for that. */
void fair_charge(struct fair *fair, struct fair_entry *entry, uint64_t bytes);

#endif
