/* What the machine grants this process, asked for before it is needed: memory for pages, threads for libuv's
 * pool.
 *
 * Owns nothing. Thread: the main thread, before it serves. */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

#include <uv.h>

#include "base/error.h"

/* The memory that this process may have: the machine's, its cgroup's, or its address space's (ulimit -v),
 * whichever is the least. */
uint64_t limits_memory_bytes(void);
/* Have libuv start its pool of threads, after it has been made sure that they can be started: libuv itself
 * aborts where they cannot. 0, or negative errno with `err`. The loop has one short request more. */
int limits_start_pool(uv_loop_t *loop, struct kc_error *err);

#endif
