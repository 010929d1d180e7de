/* A copier of a few lines, for the tests of the checker: one lane, one command at a time unless a test starts
 * more, and it does whatever wrong thing the test wants.
 *
 * Owns: its world, devices, endpoints, checker. Thread: one. Close: copier_tear_down. */
#ifndef SIM_COPIER_H
#define SIM_COPIER_H

#include "sim/checker.h"
#include "sim/endpoint_sim.h"

#define COPIER_LANE 1u
#define COPIER_CHUNK 16384u
#define COPIER_LENGTH (4u * COPIER_CHUNK)
#define COPIER_QUARANTINE_NS (5 * SECOND_NS)

struct copier {
        struct world world;
        struct device devices[3]; /* source, destination, another source */
        struct provider_sim provider;
        struct checker checker;
        struct endpoint *from, *to;
        struct check_job *job;
        struct job_result *result;
        unsigned char *buf;
        bool closed;
};

struct command {
        struct io_req req;
        bool done;
};

extern const struct device_config copier_device; /* what its devices are like */

/* Device 0 and 2 are sources of data without holes, 1 the destination; one job is submitted; its terminal
 * event is prepared as if everything had gone well. */
void copier_set_up(struct copier *b, const struct device_config *destination);
/* End the run. NULL: there must have been no alarm; else one whose message has these words. */
void copier_tear_down(struct copier *b, const char *alarm);
struct check_job *copier_submit(struct copier *b, unsigned from);
struct endpoint *copier_open(struct copier *b, unsigned index, enum io_access access);
void copier_close(struct copier *b, struct endpoint *ep);
void copier_start(struct copier *b, struct endpoint *ep, struct command *command, enum io_op op, uint64_t at,
    uint64_t n, void *buf);
void copier_await(struct copier *b, const struct command *command);
/* Both; returns the status. */
int copier_run(struct copier *b, struct endpoint *ep, enum io_op op, uint64_t at, uint64_t n, void *buf);
/* Read and write, rightly. */
void copier_copy_chunks(struct copier *b, uint64_t start_at, uint64_t end_at);
void copier_tell_end(struct copier *b);

#endif
