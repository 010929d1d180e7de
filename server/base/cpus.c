/* The processors that this process may use: see cpus.h. */
#include "base/cpus.h"

void cpus_read(struct cpus *ret_cpus)
{
        *ret_cpus = (struct cpus){.n = 0};
        if (sched_getaffinity(0, sizeof ret_cpus->allowed, &ret_cpus->allowed) ==
            0) /* not with more than 1,024 */
                ret_cpus->n = CPU_COUNT(&ret_cpus->allowed);
        ret_cpus->first = sched_getcpu();
}

int cpus_pick(const struct cpus *cpus, unsigned index, unsigned n)
{
        int at = cpus->first > 0 ? cpus->first : 0;

        if (n > (unsigned)cpus->n)
                return -1;
        for (unsigned seen = 0;; at = (at + 1) % CPU_SETSIZE) {
                if (!CPU_ISSET((size_t)at, &cpus->allowed))
                        continue;
                if (seen++ == index)
                        return at;
        }
}
