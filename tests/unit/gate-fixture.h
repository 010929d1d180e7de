/* For tests of gates: a lane whose clock stands still, a device that answers when told to, and jobs.
 * Included by one file of a program, after cmocka.h. */
#ifndef UNIT_GATE_FIXTURE_H
#define UNIT_GATE_FIXTURE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy/gate.h"

#define KIB 1024u
#define REQS_MAX 256u

/* ---- a lane with a clock and a mailbox, and a device on it that answers when told to */

struct bench {
        struct kc_actor actor; /* first: the casts */
        uint64_t now_ns;
        struct kc_msg *first, **last;

        struct endpoint endpoint;
        struct kc_list out; /* struct io_req.node, in the order in which they left */
        unsigned n_out;
        int refuse; /* what submit returns; 0: it takes requests */

        struct gate gate;
};

struct job_req {
        struct io_req req;
        struct job *job;
        bool done;
};

struct job {
        struct io_flow flow;
        struct job_req reqs[REQS_MAX];
        unsigned n_submitted, n_done;
};

static inline uint64_t bench_now_ns(struct kc_actor *actor)
{
        return ((struct bench *)actor)->now_ns;
}

static inline void bench_post(struct kc_actor *to, struct kc_msg *msg)
{
        struct bench *bench = (struct bench *)to;

        msg->next = NULL;
        *bench->last = msg;
        bench->last = &msg->next;
}

static const struct kc_actor_ops actor_ops = {.now_ns = bench_now_ns, .post = bench_post};

static inline void deliver_messages(struct bench *bench)
{
        while (bench->first != NULL) {
                struct kc_msg *msg = bench->first;

                bench->first = msg->next;
                if (bench->first == NULL)
                        bench->last = &bench->first;
                msg->on_message(&bench->actor, msg);
        }
}

static inline int device_submit(struct endpoint *endpoint, struct io_req *req)
{
        struct bench *bench = kc_container_of(endpoint, struct bench, endpoint);

        if (bench->refuse < 0)
                return bench->refuse;
        kc_list_init(&req->node);
        kc_list_push(&bench->out, &req->node);
        bench->n_out++;
        return 0;
}

static const struct endpoint_ops device_ops = {.name = "bench", .submit = device_submit};

static inline struct bench *bench_new(void)
{
        struct bench *bench = calloc(1, sizeof *bench);

        assert_non_null(bench);
        bench->actor.ops = &actor_ops;
        bench->last = &bench->first;
        bench->now_ns = 1000;
        bench->endpoint.ops = &device_ops;
        kc_list_init(&bench->out);
        gate_init(&bench->gate, &bench->actor, &bench->endpoint);
        return bench;
}

static inline void bench_free(struct bench *bench)
{
        assert_null(bench->first);
        gate_done(&bench->gate);
        free(bench);
}

static inline struct io_req *first_out(struct bench *bench)
{
        return kc_list_first(&bench->out, struct io_req, node);
}

static inline void end_first(struct bench *bench, int status)
{
        struct io_req *req = first_out(bench);

        kc_list_del(&req->node);
        bench->n_out--;
        req->status = status;
        req->on_done(req);
}

static inline void answer(struct bench *bench)
{
        end_first(bench, 0);
}

static inline void answer_all(struct bench *bench)
{
        while (bench->n_out > 0)
                answer(bench);
}

/* ---- jobs */

static inline void on_done(struct io_req *req)
{
        struct job_req *it = kc_container_of(req, struct job_req, req);

        assert_true(req->on_done == on_done); /* as it was submitted */
        assert_false(it->done);
        it->done = true;
        it->job->n_done++;
}

static inline struct job *job_new(const char *identity, unsigned priority)
{
        struct job *job = calloc(1, sizeof *job);

        assert_non_null(job);
        gate_flow_init(&job->flow, identity, priority);
        return job;
}

static inline void job_free(struct job *job)
{
        assert_int_equal(job->n_done, job->n_submitted);
        free(job);
}

static inline int submit_op(
    struct bench *bench, struct job *job, enum io_op op, unsigned bytes, unsigned window, bool with_flow)
{
        unsigned i = job->n_submitted;
        int rc;

        assert_true(i < REQS_MAX);
        job->reqs[i].job = job;
        job->reqs[i].req = (struct io_req){.op = op,
            .length_bytes = bytes,
            .window_bytes = window,
            .flow = with_flow ? &job->flow : NULL,
            .on_done = on_done};
        rc = endpoint_submit(&bench->endpoint, &job->reqs[i].req);
        job->n_submitted += rc == 0;
        return rc;
}

static inline struct io_req *submit(struct bench *bench, struct job *job, unsigned bytes)
{
        assert_int_equal(submit_op(bench, job, IO_READ, bytes, 2 * bytes, true), 0);
        return &job->reqs[job->n_submitted - 1].req;
}

static inline void submit_many(struct bench *bench, struct job *job, unsigned n, unsigned bytes)
{
        while (n-- > 0)
                submit(bench, job, bytes);
}

#endif
