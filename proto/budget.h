/* A protobuf-c allocator with a hard limit: one arena, filled from the bottom and emptied at once.
 *
 * A hostile frame can unpack to 52 times its size; here it runs out of budget instead. Whoever unpacks resets
 * the budget when done with the message; single frees matter only for the newest allocation.
 * Owns the arena. Any one thread. Close: kc_budget_done. */
#ifndef KC_BUDGET_H
#define KC_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct kc_budget {
        ProtobufCAllocator allocator; /* hand this to protobuf-c */
        uint8_t *arena;
        size_t capacity_bytes, used_bytes;
        size_t newest; /* offset of the newest allocation */
        bool exceeded; /* an allocation was refused since the last reset */
};

/* 0 or -ENOMEM. */
int kc_budget_init(struct kc_budget *budget, size_t capacity_bytes);
void kc_budget_done(struct kc_budget *budget);
/* Everything that was allocated is void. */
void kc_budget_reset(struct kc_budget *budget);
/* Zeroed and aligned for anything, or NULL when the budget does not allow it. */
void *kc_budget_alloc(struct kc_budget *budget, size_t bytes);

#endif
