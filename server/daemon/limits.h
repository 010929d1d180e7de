/* How much memory the machine grants this process, asked for before it is needed (threads: io/workers.h).
 *
 * Owns nothing. Thread: the main thread, before it serves. */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

#include <stdint.h>

/* The memory that this process may have: the machine's, its cgroup's, or its address space's (ulimit -v),
 * whichever is the least. */
uint64_t limits_memory_bytes(void);

#endif
