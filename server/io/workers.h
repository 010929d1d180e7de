/* The threads of libuv's pool, asked for before they are needed: libuv itself aborts where they cannot be
 * made.
 *
 * A daemon that listens asks before it serves. A private one, which lives for a copy, asks with the first
 * local device or host name: between NBD exports it needs none, and making 32 threads twice was
 * 5.4 of the 19.3 ms of CPU time of a copy of 1 MiB.
 *
 * Owns: whether the pool is there, for the whole process. Thread: any with a loop. */
#ifndef IO_WORKERS_H
#define IO_WORKERS_H

#include <uv.h>

#include "base/error.h"

/* Have libuv start its pool of threads, after it has been made sure that they can be started. 0, also when it
 * was done before, or negative errno with `err`; then the next call tries again. The loop has one short
 * request more. */
int workers_start(uv_loop_t *loop, struct kc_error *err);

#endif
