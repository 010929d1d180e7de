/* For tests of remote endpoints: another lane with a thread of its own, and an endpoint that lives there.
 * Included by one file of a program, after cmocka.h. */
#ifndef UNIT_REMOTE_FIXTURE_H
#define UNIT_REMOTE_FIXTURE_H

#include <pthread.h>

#include "io/remote.h"
#include "unit/io-fixture.h"

#define MEMORY_BYTES 65536
#define SENT_NS 4711u
#define ANSWERED_NS 815u
#define FOR_EVER_NS (UINT64_MAX - ANSWERED_NS)

/* ---- the other lane, and an endpoint that lives there: memory, which holds its answers back if told to */

struct other {
        pthread_t thread;
        uv_loop_t loop;
        struct kc_actor_uv actor;
        uv_sem_t ready;
        struct kc_msg msg; /* one call at a time from the test */
        void (*call)(struct other *other);
        bool called;

        /* touched there only, while calls are under way */
        struct endpoint endpoint;
        struct kc_list waiting, withdrawn;
        struct kc_msg answer_msg, withdrawn_msg;
        bool posted, hold;
        bool queue_fails; /* requests end before they have left */
        bool queues;      /* requests wait: they have not left */
        bool tell;        /* post `ready` after each answer */
        int refuse;       /* what submit returns; 0: it takes requests */
        unsigned n_requests, n_kills, n_withdrawn;
        char memory[MEMORY_BYTES];
};

static struct other *other_of(struct endpoint *endpoint)
{
        return kc_container_of(endpoint, struct other, endpoint);
}

static void check_thread(struct other *other)
{
        if (!pthread_equal(pthread_self(), other->thread))
                abort(); /* an assertion of cmocka's works in the test's own thread only */
}

static void run_request(struct other *other, struct io_req *req)
{
        if (other->queue_fails) {
                req->status = -ECANCELED;
                req->class = KC_CLASS_CANCELLED;
                req->sent = false;
                return;
        }
        if (other->endpoint.dead) {
                req->status = -ECANCELED;
                req->class = KC_CLASS_TRANSPORT;
                req->unanswered = req->op == IO_WRITE;
                return;
        }
        switch (req->op) {
        case IO_READ:
                memcpy(req->buf, other->memory + req->offset_bytes, req->length_bytes);
                break;
        case IO_WRITE:
                memcpy(other->memory + req->offset_bytes, req->buf, req->length_bytes);
                break;
        case IO_ZERO:
                req->status = -EOPNOTSUPP;
                req->class = KC_CLASS_UNSUPPORTED;
                break;
        case IO_FLUSH:
                req->status = -EIO;
                req->class = KC_CLASS_MEDIA;
                break;
        case IO_EXTENTS:
                req->n_extents = 2;
                req->extents[0] = (struct io_extent){.length_bytes = 1, .zero = true};
                req->extents[1] = (struct io_extent){.length_bytes = req->length_bytes - 1};
                break;
        case IO_RESIZE:
                other->endpoint.info.size_bytes = req->length_bytes;
                other->endpoint.info.absent = false;
                break;
        }
}

static void on_answers(struct kc_actor *actor, struct kc_msg *msg)
{
        struct other *other = kc_container_of(msg, struct other, answer_msg);
        struct kc_list *node;

        check_thread(other);
        other->posted = false;
        while (!other->hold && (node = kc_list_pop(&other->waiting)) != NULL) {
                struct io_req *req = kc_list_entry(node, struct io_req, node);

                run_request(other, req);
                req->on_done(req);
                if (other->tell)
                        uv_sem_post(&other->ready);
        }
}

static void post_answers(struct other *other)
{
        if (other->posted)
                return;
        other->posted = true;
        other->answer_msg.on_message = on_answers;
        kc_actor_post(&other->actor.actor, &other->answer_msg);
}

static int memory_submit(struct endpoint *endpoint, struct io_req *req)
{
        struct other *other = other_of(endpoint);

        check_thread(other);
        if (other->refuse < 0) {
                endpoint->dead = other->refuse == -ENOTCONN;
                return other->refuse;
        }
        other->n_requests++;
        req->sent = !other->queues;
        req->sent_ns = req->sent ? SENT_NS : 0;
        kc_list_init(&req->node);
        kc_list_push(&other->waiting, &req->node);
        post_answers(other);
        return 0;
}

static void memory_kill(struct endpoint *endpoint)
{
        struct other *other = other_of(endpoint);

        check_thread(other);
        other->n_kills++;
        endpoint->dead = true;
        other->hold = false;
        post_answers(other);
}

static void on_withdrawn(struct kc_actor *actor, struct kc_msg *msg)
{
        struct other *other = kc_container_of(msg, struct other, withdrawn_msg);
        struct kc_list *node;

        while ((node = kc_list_pop(&other->withdrawn)) != NULL) {
                struct io_req *req = kc_list_entry(node, struct io_req, node);

                req->status = req->withdrawn;
                req->class = kc_class_of_errno(req->status);
                req->on_done(req);
        }
}

static void memory_withdraw(struct endpoint *endpoint, struct io_req *req)
{
        struct other *other = other_of(endpoint);

        check_thread(other);
        if (req->sent)
                abort();
        other->n_withdrawn++;
        kc_list_move(&other->withdrawn, &req->node);
        other->withdrawn_msg.on_message = on_withdrawn;
        if (other->n_withdrawn == 1) /* the tests withdraw one, or all in one go */
                kc_actor_post(&other->actor.actor, &other->withdrawn_msg);
}

static const struct endpoint_ops memory_ops = {
    .name = "memory", .submit = memory_submit, .kill = memory_kill, .withdraw = memory_withdraw};

static void *other_thread(void *arg)
{
        struct other *other = arg;

        uv_loop_init(&other->loop);
        if (kc_actor_uv_init(&other->actor, &other->loop, 2) < 0)
                abort();
        uv_sem_post(&other->ready);
        uv_run(&other->loop, UV_RUN_DEFAULT);
        if (uv_loop_close(&other->loop) != 0)
                abort();
        return NULL;
}

/* ---- the test's side */

struct pair {
        struct lane here;
        struct other there;
        struct endpoint *remote;
};

static void on_called_back(struct kc_actor *actor, struct kc_msg *msg)
{
        kc_container_of(msg, struct other, msg)->called = true;
}

static void on_call(struct kc_actor *actor, struct kc_msg *msg)
{
        struct other *other = kc_container_of(msg, struct other, msg);
        struct pair *pair = kc_container_of(other, struct pair, there);

        other->call(other);
        msg->on_message = on_called_back;
        kc_actor_post(&pair->here.actor.actor, msg);
}

/* Run `call` on the other lane and wait for it. */
static inline void call_there(struct pair *pair, void (*call)(struct other *other))
{
        pair->there.call = call;
        pair->there.called = false;
        pair->there.msg.on_message = on_call;
        kc_actor_post(&pair->there.actor.actor, &pair->there.msg);
        lane_run_until(&pair->here, &pair->there.called);
}

static inline void hold(struct other *other)
{
        other->hold = true;
}

static inline void release(struct other *other)
{
        other->hold = false;
        post_answers(other);
}

static void ignore_actor_closed(struct kc_actor_uv *actor)
{
}

static void on_stop(struct kc_actor *actor, struct kc_msg *msg)
{
        kc_actor_uv_close(&kc_container_of(msg, struct other, msg)->actor, ignore_actor_closed);
}

static inline void pair_init(struct pair *pair)
{
        struct endpoint_info info = {.size_bytes = MEMORY_BYTES, .block_min_bytes = 1, .absent = true};

        memset(pair, 0, sizeof(*pair));
        lane_init_loop(&pair->here);
        kc_list_init(&pair->there.waiting);
        kc_list_init(&pair->there.withdrawn);
        pair->there.endpoint.ops = &memory_ops;
        pair->there.endpoint.info = info;
        uv_sem_init(&pair->there.ready, 0);
        assert_int_equal(pthread_create(&pair->there.thread, NULL, other_thread, &pair->there), 0);
        uv_sem_wait(&pair->there.ready);
        assert_int_equal(remote_open(&pair->here.actor.actor, &pair->there.actor.actor, &pair->there.endpoint,
                             &info, &pair->remote),
            0);
        assert_string_equal(pair->remote->ops->name, "remote");
}

static inline void pair_stop(struct pair *pair)
{
        pair->there.msg.on_message = on_stop;
        kc_actor_post(&pair->there.actor.actor, &pair->there.msg);
        assert_int_equal(pthread_join(pair->there.thread, NULL), 0);
        uv_sem_destroy(&pair->there.ready);
        lane_done_loop(&pair->here);
}

static inline void pair_done(struct pair *pair)
{
        lane_close(&pair->here, pair->remote);
        pair_stop(pair);
}

#endif
