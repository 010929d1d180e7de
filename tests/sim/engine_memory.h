/* The engine's memory: its objects' calls of malloc and the like come here (objcopy, engine_memory.syms), the
 * harness's go to libc. So that some of them can fail, what is left can be counted, and all of it can go at
 * once, as with a process that dies.
 *
 * Thread: one. Everything is one process's: there is one engine at a time. */
#ifndef SIM_ENGINE_MEMORY_H
#define SIM_ENGINE_MEMORY_H

#include <stddef.h>

/* Begin to count anew; of the allocations that follow, `n` fail from number `at` on, the first being 1. */
void engine_memory_begin(unsigned long at, unsigned long n);
/* How many have been asked for since. */
unsigned long engine_memory_asked(void);
/* How many are held. */
size_t engine_memory_held(void);
/* The process has died: whatever is held goes. */
void engine_memory_drop(void);

#endif
