/* Latencies and percentiles (percentiles.h). */
#include "percentiles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define STEP UINT64_C(2654435761) /* a prime: coprime to every n but its multiples */

int percentiles_init(struct percentiles *all, size_t room)
{
        *all = (struct percentiles){.values_ns = calloc(room ? room : 1, sizeof(uint64_t)), .room = room};
        return all->values_ns ? 0 : -ENOMEM;
}

void percentiles_add(struct percentiles *all, uint64_t value_ns)
{
        if (all->n < all->room)
                all->values_ns[all->n++] = value_ns;
}

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static double at_us(const struct percentiles *all, double part)
{
        size_t i = (size_t)((double)all->n * part);

        return all->n ? (double)all->values_ns[i < all->n ? i : all->n - 1] / 1000 : 0;
}

void percentiles_print(struct percentiles *all, double seconds, uint64_t bytes)
{
        qsort(all->values_ns, all->n, sizeof(uint64_t), compare);
        printf(
            "{\"seconds\": %.6f, \"bytes_per_s\": %.0f, \"iops\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
            "\"p999_us\": %.1f}\n",
            seconds, (double)(all->n * bytes) / seconds, (double)all->n / seconds, at_us(all, 0.5),
            at_us(all, 0.99), at_us(all, 0.999));
        fflush(stdout);
}

void percentiles_done(struct percentiles *all)
{
        free(all->values_ns);
}

uint64_t percentiles_now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t percentiles_place(uint64_t i, uint64_t n)
{
        return i * STEP % n;
}
