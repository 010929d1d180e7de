/* What libkcopy's tests share: a client of a scripted server, and what its callbacks saw. */
#ifndef TESTS_LIB_LIBKCOPY_FIXTURE_H
#define TESTS_LIB_LIBKCOPY_FIXTURE_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "kcopy.h"
#include "lib/scripted_server.h"

#define JOBS_MAX 2048
#define HELLO_ID 1 /* the first request of a client */

/* What a job's notify function saw. */
struct seen {
        unsigned n_calls;
        int read_err;
        uint64_t write_err;
        enum kcopy_job_state state;
        uint64_t job;
        unsigned n_destinations;
        uint64_t copied_bytes;
        char field[32], reason[128];
        bool dest_error[64];
};

struct fixture {
        struct peer peer;
        struct kcopy_client *client;
        struct seen seen[JOBS_MAX];
        unsigned n_events[KCOPY_EVENT_STOPPING + 1];
        struct kcopy_event last_event;
        struct kcopy_destination_result last_destination;
        bool resubmit; /* the next notify submits another job */
};

static struct fixture *fx __attribute__((unused)); /* the running test's */

static inline void on_end(int read_err, uint64_t write_err, void *context, const struct kcopy_result *result)
{
        struct seen *seen = context;

        seen->n_calls++;
        seen->read_err = read_err;
        seen->write_err = write_err;
        seen->state = result->state;
        seen->job = result->job;
        seen->n_destinations = result->n_destinations;
        snprintf(seen->field, sizeof(seen->field), "%s", result->refused_field);
        snprintf(seen->reason, sizeof(seen->reason), "%s", result->refusal.message);
        for (unsigned i = 0; i < result->n_destinations; i++) {
                seen->copied_bytes += result->destinations[i].copied_bytes;
                seen->dest_error[i] = result->destinations[i].error.error_class != KCOPY_CLASS_NONE;
        }
        if (fx->resubmit) {
                struct kcopy_io_region null = {.device = "null:"};

                fx->resubmit = false;
                assert_int_equal(kcopy_zero(fx->client, 1, &null, NULL, on_end, seen + 1, NULL), 0);
                assert_int_equal(kcopy_dispatch(fx->client), -EBUSY);
                assert_int_equal(kcopy_run(fx->client), -EBUSY);
                assert_int_equal(kcopy_wait(fx->client, 0), -EBUSY);
        }
}

static inline void on_event(void *opaque, const struct kcopy_event *event)
{
        struct fixture *f = opaque;

        f->n_events[event->type]++;
        f->last_event = *event;
        if (event->type == KCOPY_EVENT_PROGRESS)
                assert_int_equal(event->done_bytes[0], 1000);
        if (event->destination)
                f->last_destination = *event->destination;
}

static inline int setup(void **state)
{
        char message[200] = "";

        fx = calloc(1, sizeof(*fx));
        peer_init(&fx->peer);
        peer_welcome(&fx->peer, HELLO_ID, 77, 512);
        assert_int_equal(
            kcopy_client_create_fd(fx->peer.client_fd, 100, &fx->client, message, sizeof(message)), 0);
        assert_string_equal(message, "");
        peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_HELLO);
        kcopy_on_event(fx->client, on_event, fx);
        *state = fx;
        return 0;
}

static inline int teardown(void **state)
{
        kcopy_client_abandon(fx->client);
        peer_hang_up(&fx->peer);
        free(fx);
        return 0;
}

/* Submit one copy to `n_to` destinations, have it sent; returns its request id as the server sees it. */
static inline uint64_t submit(unsigned n_to, struct seen *seen, uint64_t *ret_ticket)
{
        struct kcopy_io_region from = {.device = "/from", .sector = 8, .count = 16};
        struct kcopy_io_region to[64];

        for (unsigned i = 0; i < n_to; i++)
                to[i] = (struct kcopy_io_region){.handle = 5 + i};
        assert_int_equal(kcopy_copy(fx->client, &from, n_to, to, NULL, on_end, seen, ret_ticket), 0);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        return peer_expect(&fx->peer, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY);
}

static inline void answer_many(uint64_t id, unsigned n_answers, uint64_t first_job, unsigned refuse_every)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__AcceptedMany many = KCOPY__V1__ACCEPTED_MANY__INIT;
        Kcopy__V1__Refused refused = KCOPY__V1__REFUSED__INIT;
        Kcopy__V1__BatchAnswer answers[1024], *pointers[1024];

        for (unsigned i = 0; i < n_answers; i++) {
                kcopy__v1__batch_answer__init(&answers[i]);
                if (refuse_every && i % refuse_every == 0)
                        answers[i].refused = &refused;
                else
                        answers[i].job = first_job + i;
                pointers[i] = &answers[i];
        }
        many.n_answers = n_answers;
        many.answers = pointers;
        message.request_id = id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_ACCEPTED_MANY;
        message.accepted_many = &many;
        peer_say(&fx->peer, &message);
}

static inline void submit_many(unsigned n_jobs, unsigned n_to, const char *device)
{
        struct kcopy_io_region to[64];
        struct kcopy_batch_job *jobs = calloc(n_jobs, sizeof(*jobs));

        for (unsigned i = 0; i < n_to; i++)
                to[i] = (struct kcopy_io_region){.device = device, .sector = 100, .count = 8};
        for (unsigned i = 0; i < n_jobs; i++)
                jobs[i] = (struct kcopy_batch_job){
                    {.device = device, .sector = i, .count = 8}, n_to, to, on_end, &fx->seen[i]};
        assert_int_equal(kcopy_copy_many(fx->client, n_jobs, jobs, NULL), 0);
        free(jobs);
}

#endif
