/* A job that was submitted and not yet notified.
 *
 * Owned by its client; freed when its notify function has run. Created by job_new, closed by job_end or,
 * before anything was sent, by job_free. */
#ifndef CLIENT_JOB_H
#define CLIENT_JOB_H

#include "client.h"

struct job {
        struct table_node by_ticket;
        struct table_node by_id; /* once the server has accepted it */
        TAILQ_ENTRY(job) link;
        uint64_t ticket;
        uint64_t id; /* 0: not accepted yet */
        unsigned n_to;
        unsigned n_batch; /* the first of a batch: how many jobs one request carried; single: 0 */
        bool zero;
        bool cancel; /* asked for before the server gave it an id */
        bool validate_only, detached;
        kcopy_notify_fn notify;
        void *context;
};

/* A job with the next ticket, in the client's lists. NULL: no memory. */
struct job *job_new(
    struct kcopy_client *client, unsigned n_to, bool zero, kcopy_notify_fn notify, void *context);
/* Forget a job that was not sent. */
void job_free(struct kcopy_client *client, struct job *job);
struct job *job_find_ticket(struct kcopy_client *client, uint64_t ticket);
struct job *job_find_id(struct kcopy_client *client, uint64_t id);
/* The server accepted it. */
void job_accept(struct kcopy_client *client, struct job *job, uint64_t id);
/* Notify and free it. */
void job_end(struct kcopy_client *client, struct job *job, int read_err, uint64_t write_err,
    const struct kcopy_result *result);
void job_refuse(struct kcopy_client *client, struct job *job, const Kcopy__V1__Refused *refused);
/* It would have been accepted. False: the plan is of another job, which goes on. */
bool job_validated(struct kcopy_client *client, struct job *job, const Kcopy__V1__Validated *validated);
/* A detached one is on stable storage: that is all that is told here. */
void job_stored(struct kcopy_client *client, struct job *job, uint64_t id, uint64_t length_bytes);
/* End all jobs with KCOPY_LOST. */
void job_lose_all(struct kcopy_client *client);
/* Every bit of `n` destinations. */
uint64_t job_mask(unsigned n);

#endif
