/* A client of one server: what the parts of libkcopy share.
 *
 * client.c has its life, connect.c finds the server, submit.c sends jobs, request.c sends what is answered
 * once, receive.c takes what the server says apart, job.c ends jobs. One thread at a time uses it. It closes
 * with kcopy_client_destroy (waits) or kcopy_client_abandon. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "budget.h"
#include "kcopy.h"
#include "stream.h"
#include "table.h"

#define CLIENT_TEXT_BYTES 384u
#define CLIENT_TIMEOUT_DEFAULT_MS 60000u
#define CLIENT_CREATE_TIMEOUT_MS 10000u
#define CLIENT_INSTANCE_BYTES 16u

TAILQ_HEAD(job_list, job);

struct kcopy_client {
        struct stream stream;
        struct kc_budget budget; /* one received message, while it is being handled */

        struct table jobs_by_ticket; /* all jobs */
        struct table jobs_by_id;     /* jobs that it has accepted */
        struct table requests;       /* by ticket, too: the tickets are request ids */
        struct job_list jobs;        /* all jobs, in the order of their submission */
        unsigned n_jobs;
        uint64_t last_ticket;

        bool in_dispatch;
        bool lost;      /* the connection is over; the reason is in `error` */
        int lost_error; /* why, negative errno */

        /* from Welcome */
        unsigned pages;
        unsigned batch_jobs_max;
        size_t frame_max_bytes;
        unsigned char instance[CLIENT_INSTANCE_BYTES];

        unsigned timeout_ms;
        kcopy_event_fn on_event;
        void *on_event_opaque;
        char error[CLIENT_TEXT_BYTES];
        char lost_reason[CLIENT_TEXT_BYTES];
};

/* Remember an error in words and return `code`. */
__attribute__((format(printf, 3, 4))) int client_fail(
    struct kcopy_client *client, int code, const char *format, ...);
/* The connection is over: the first reason stays. Jobs are notified at the end of the dispatch. Returns
 * -ENOTCONN.
 */
__attribute__((format(printf, 3, 4))) int client_lose(
    struct kcopy_client *client, int code, const char *format, ...);
/* Tell the user's event function. */
void client_event(struct kcopy_client *client, const struct kcopy_event *event);
/* Dispatch, poll when there was nothing, until `deadline_ns` (0: none); see kcopy_wait. */
int client_pump(struct kcopy_client *client, uint64_t deadline_ns);
uint64_t client_now_ns(void);

#endif
