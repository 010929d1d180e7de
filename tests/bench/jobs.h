/* What the loads of jobs.c share: the command line, and the steps in which the bench follows them. */
#ifndef BENCH_JOBS_H
#define BENCH_JOBS_H

#include "kcopy.h"

#define JOBS_DESTINATIONS_MAX 8

struct jobs_plan {
        const char *server, *source, *destinations[JOBS_DESTINATIONS_MAX];
        unsigned n_destinations;
        unsigned chunk_bytes, in_flight, n_jobs, n_clients, n_idle, pages;
};

void jobs_die(const char *what, const char *why) __attribute__((noreturn));
struct kcopy_client *jobs_connect(const struct jobs_plan *plan, unsigned pages);
void jobs_open(struct kcopy_client *client, const char *device, bool write, struct kcopy_device *ret_device);
/* Prints "ready" and waits to be told to start. */
void jobs_wait_for_start(void);
/* The results are out: waits to be told to leave, so that the daemon can be looked at as it is. */
void jobs_wait_for_end(void);
/* Copies must end well. */
void jobs_check(int read_err, uint64_t write_err, const struct kcopy_result *result);

/* jobs_small.c: chunks at random places, so many in flight, in batches over one connection. */
void jobs_small(const struct jobs_plan *plan);
/* jobs_large.c: one device in N jobs at once; N jobs queued behind one that never ends; N queued behind one
 * that does; a few busy connections among many idle ones. */
void jobs_many(const struct jobs_plan *plan);
void jobs_queued(const struct jobs_plan *plan);
void jobs_behind(const struct jobs_plan *plan);
void jobs_busy(const struct jobs_plan *plan);

#endif
