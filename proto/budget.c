/* A protobuf-c allocator with a hard limit (budget.h). */
#include "budget.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN_BYTES 16u

static void *take(struct kc_budget *budget, size_t bytes)
{
        size_t rounded;
        void *p;

        if (bytes > budget->capacity_bytes) {
                budget->exceeded = true;
                return NULL;
        }
        /* an allocation of nothing still has an address of its own */
        rounded = (bytes + !bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
        if (rounded > budget->capacity_bytes - budget->used_bytes) {
                budget->exceeded = true;
                return NULL;
        }
        budget->newest = budget->used_bytes;
        p = budget->arena + budget->used_bytes;
        budget->used_bytes += rounded;
        return p;
}

static void *on_alloc(void *data, size_t bytes)
{
        return take(data, bytes);
}

static void on_free(void *data, void *p)
{
        struct kc_budget *budget = data;

        if (p && p == budget->arena + budget->newest)
                budget->used_bytes = budget->newest;
}

int kc_budget_init(struct kc_budget *budget, size_t capacity_bytes)
{
        uint8_t *arena = aligned_alloc(ALIGN_BYTES, capacity_bytes & ~(size_t)(ALIGN_BYTES - 1));

        if (!arena)
                return -ENOMEM;
        memset(budget, 0, sizeof(*budget));
        budget->arena = arena;
        budget->capacity_bytes = capacity_bytes & ~(size_t)(ALIGN_BYTES - 1);
        budget->allocator.alloc = on_alloc;
        budget->allocator.free = on_free;
        budget->allocator.allocator_data = budget;
        return 0;
}

void kc_budget_done(struct kc_budget *budget)
{
        free(budget->arena);
        memset(budget, 0, sizeof(*budget));
}

void kc_budget_reset(struct kc_budget *budget)
{
        budget->used_bytes = 0;
        budget->newest = 0;
        budget->exceeded = false;
}

void *kc_budget_alloc(struct kc_budget *budget, size_t bytes)
{
        void *p = take(budget, bytes);

        if (p)
                memset(p, 0, bytes);
        return p;
}
