/* Scenarios for an engine that may run out of memory at any moment: few jobs, and whatever becomes of them.
 */
#ifndef SIM_NO_MEMORY_H
#define SIM_NO_MEMORY_H

#include "sim/scenario.h"

struct no_memory_scenario {
        const char *name;
        /* Ended; failed or not. Without an engine where there was no memory for one. */
        struct scenario *(*run)(uint64_t seed, bool verbose);
};

extern const struct no_memory_scenario no_memory_scenarios[];
extern const unsigned n_no_memory_scenarios;

#endif
