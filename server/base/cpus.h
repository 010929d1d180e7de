/* The processors that this process may use, one for each of its lanes.
 *
 * Pure data after cpus_read. Thread: any. */
#ifndef KC_CPUS_H
#define KC_CPUS_H

#include <sched.h>

struct cpus {
        cpu_set_t allowed;
        int n;     /* in it; 0: not known */
        int first; /* one of them: where the calling thread ran */
};

void cpus_read(struct cpus *ret_cpus);
/* A processor for the `index`-th of `n` threads, each another one, from `first` on, as another process that
 * starts now begins elsewhere; -1: there are fewer than `n`. */
int cpus_pick(const struct cpus *cpus, unsigned index, unsigned n);

#endif
