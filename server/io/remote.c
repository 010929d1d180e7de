/* Endpoints of other lanes: see remote.h. */
#include "io/remote.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct remote {
        struct endpoint endpoint; /* first: the ops cast */
        struct kc_actor *here, *there;
        struct endpoint *target; /* touched on `there` only */
        struct kc_list spare;    /* of remote_request */
        unsigned n_in_flight;
        bool closing, close_posted;
        bool killed; /* kill was called */
        struct {     /* written on `there`: no neighbour of our own flags, whose loads compilers merge */
                struct kc_msg msg;
                uint64_t dead; /* the answer: the target is dead now */
        } kill;
        struct kc_msg close_msg;
        void (*on_closed)(void *arg);
        void *on_closed_arg;
};

/* A question about a request, beside it: where is it, and need it leave at all? */
struct remote_ask {
        struct kc_msg msg;
        int withdraw;       /* end it with this if it has not left; 0: only if the device is silent */
        uint64_t silent_ns; /* for so long; 0: not even then */
        /* the answer */
        uint64_t sent_ns, waited_ns;
};

/* A request on its way: `here` owns it while it is spare, `there` between the two messages; its ask belongs
 * to either in the same way. */
struct remote_request {
        struct kc_list node;
        struct kc_msg msg;
        struct kc_actor *here; /* copies: what `there` needs without touching the remote */
        struct endpoint *target;
        struct io_req inner;
        bool pending; /* `there` alone: inner is not answered */
        /* the target's news, read there */
        uint64_t size_bytes;
        struct io_identity identity; /* IO_RESIZE: of what it may have created */
        bool absent, dead;
        struct remote_ask ask;
        struct { /* `here` alone, also while the rest is there */
                struct remote *remote;
                struct io_req *outer; /* NULL: answered */
                bool asked;
        } own;
};

/* ---- back here */

static void on_close_message(struct kc_actor *actor, struct kc_msg *msg)
{
        struct remote *remote = kc_container_of(msg, struct remote, close_msg);
        void (*on_closed)(void *arg) = remote->on_closed;
        void *arg = remote->on_closed_arg;
        struct kc_list *node;

        while ((node = kc_list_pop(&remote->spare)) != NULL)
                free(kc_list_entry(node, struct remote_request, node));
        free(remote);
        on_closed(arg);
}

static void close_if_idle(struct remote *remote)
{
        if (!remote->closing || remote->close_posted || remote->n_in_flight > 0)
                return;
        remote->close_posted = true;
        remote->close_msg.on_message = on_close_message;
        kc_actor_post(remote->here, &remote->close_msg);
}

/* Both its answer and the ask's are here. */
static void release_if_done(struct remote_request *request)
{
        if (request->own.outer != NULL || request->own.asked)
                return;
        kc_list_push_head(&request->own.remote->spare, &request->node);
        request->own.remote->n_in_flight--;
}

static void on_answer(struct kc_actor *actor, struct kc_msg *msg)
{
        struct remote_request *request = kc_container_of(msg, struct remote_request, msg);
        struct remote *remote = request->own.remote;
        struct io_req *outer = request->own.outer;

        if (request->dead)
                remote->endpoint.dead = true;
        if (outer->op == IO_RESIZE && request->inner.status == 0) {
                remote->endpoint.info.size_bytes = request->size_bytes;
                remote->endpoint.info.absent = request->absent;
                remote->endpoint.info.identity = request->identity;
        }
        outer->status = request->inner.status;
        outer->class = request->inner.class;
        outer->unanswered = request->inner.unanswered;
        outer->sent = request->inner.sent;
        outer->sent_ns = request->inner.sent_ns;
        outer->n_extents = request->inner.n_extents;
        request->own.outer = NULL;
        release_if_done(request);
        outer->on_done(outer);
        close_if_idle(remote);
}

static void ask(struct remote_request *request, uint64_t silent_ns);

static void on_asked(struct kc_actor *actor, struct kc_msg *msg)
{
        struct remote_request *request = kc_container_of(msg, struct remote_request, ask.msg);
        struct remote *remote = request->own.remote;
        struct io_req *outer = request->own.outer;

        request->own.asked = false;
        if (outer != NULL) {
                outer->sent_ns = request->ask.sent_ns;
                outer->waited_ns = request->ask.waited_ns;
                if (outer->withdrawn < 0 && request->ask.withdraw == 0)
                        ask(request, 0); /* withdrawn meanwhile */
                return;
        }
        release_if_done(request);
        close_if_idle(remote);
}

static void on_killed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct remote *remote = kc_container_of(msg, struct remote, kill.msg);

        if (remote->kill.dead)
                remote->endpoint.dead = true;
        remote->n_in_flight--;
        close_if_idle(remote);
}

/* ---- over there */

static void send_back(struct remote_request *request)
{
        request->size_bytes = request->target->info.size_bytes;
        request->absent = request->target->info.absent;
        if (request->inner.op == IO_RESIZE)
                request->identity = request->target->info.identity;
        request->dead = request->target->dead;
        request->pending = false;
        request->msg.on_message = on_answer;
        kc_actor_post(request->here, &request->msg);
}

static void on_inner_done(struct io_req *inner)
{
        send_back(kc_container_of(inner, struct remote_request, inner));
}

static void on_request(struct kc_actor *actor, struct kc_msg *msg)
{
        struct remote_request *request = kc_container_of(msg, struct remote_request, msg);
        int rc;

        request->pending = true;
        rc = endpoint_submit(request->target, &request->inner);
        if (rc == 0)
                return;
        request->inner.status = rc;
        request->inner.sent = false;
        request->inner.sent_ns = 0;
        request->inner.class = endpoint_class_of_refusal(rc);
        send_back(request);
}

/* The request may have been answered already; then its inner is `here`'s. */
static void on_ask(struct kc_actor *actor, struct kc_msg *msg)
{
        struct remote_request *request = kc_container_of(msg, struct remote_request, ask.msg);
        struct remote_ask *question = &request->ask;
        struct endpoint *target = request->target;

        question->sent_ns = question->waited_ns = 0;
        if (request->pending && request->inner.sent) {
                question->sent_ns = request->inner.sent_ns;
        } else if (request->pending) {
                bool silent = question->silent_ns > 0 &&
                              kc_actor_now_ns(actor) >=
                                  endpoint_deadline_ns(target, &request->inner, 0, question->silent_ns);

                question->waited_ns = target->answered_ns;
                if (question->withdraw < 0)
                        endpoint_withdraw_as(target, &request->inner, question->withdraw);
                else if (silent)
                        endpoint_withdraw_as(target, &request->inner, -ETIMEDOUT);
        }
        msg->on_message = on_asked;
        kc_actor_post(request->here, msg);
}

/* Of the remote it touches the message, its answer, and what is fixed from the start. */
static void on_kill(struct kc_actor *actor, struct kc_msg *msg)
{
        struct remote *remote = kc_container_of(msg, struct remote, kill.msg);

        endpoint_kill(remote->target);
        remote->kill.dead = remote->target->dead;
        msg->on_message = on_killed;
        kc_actor_post(remote->here, msg);
}

/* ---- the endpoint */

static struct remote_request *request_take(struct remote *remote)
{
        struct kc_list *node = kc_list_pop(&remote->spare);
        struct remote_request *request;

        if (node != NULL)
                return kc_list_entry(node, struct remote_request, node);
        request = calloc(1, sizeof(*request));
        if (request == NULL)
                return NULL;
        kc_list_init(&request->node);
        request->own.remote = remote;
        request->here = remote->here;
        request->target = remote->target;
        return request;
}

static int remote_submit(struct endpoint *endpoint, struct io_req *req)
{
        struct remote *remote = (struct remote *)endpoint;
        struct remote_request *request;

        assert(!remote->closing);
        if (endpoint->dead)
                return -ENOTCONN;
        request = request_take(remote);
        if (request == NULL)
                return -ENOMEM;
        request->own.outer = req;
        req->scratch = request;
        request->inner = (struct io_req){
            .op = req->op,
            .flags = req->flags,
            .offset_bytes = req->offset_bytes,
            .length_bytes = req->length_bytes,
            .buf = req->buf,
            .extents = req->extents,
            .on_done = on_inner_done,
            .flow = req->flow,
            .window_bytes = req->window_bytes,
        };
        remote->n_in_flight++;
        request->msg.on_message = on_request;
        kc_actor_post(remote->there, &request->msg);
        return 0;
}

static void ask(struct remote_request *request, uint64_t silent_ns)
{
        request->own.asked = true;
        request->ask.withdraw = request->own.outer->withdrawn;
        request->ask.silent_ns = silent_ns;
        request->ask.msg.on_message = on_ask;
        kc_actor_post(request->own.remote->there, &request->ask.msg);
}

static void remote_look(struct endpoint *endpoint, struct io_req *req, uint64_t silent_ns)
{
        struct remote_request *request = req->scratch;

        if (!request->own.asked)
                ask(request, silent_ns);
}

/* One that was asked about at this moment is asked about once more when that answer is back. */
static void remote_withdraw(struct endpoint *endpoint, struct io_req *req)
{
        remote_look(endpoint, req, 0);
}

/* The connection is one for all its users, so the target goes down for all of them. */
static void remote_kill(struct endpoint *endpoint)
{
        struct remote *remote = (struct remote *)endpoint;

        if (remote->killed || endpoint->dead || remote->closing)
                return;
        remote->killed = true;
        remote->n_in_flight++;
        remote->kill.msg.on_message = on_kill;
        kc_actor_post(remote->there, &remote->kill.msg);
}

static void remote_close(struct endpoint *endpoint, void (*on_closed)(void *arg), void *arg)
{
        struct remote *remote = (struct remote *)endpoint;

        assert(!remote->closing);
        remote->closing = true;
        remote->on_closed = on_closed;
        remote->on_closed_arg = arg;
        close_if_idle(remote);
}

static const struct endpoint_ops remote_ops = {
    .name = "remote",
    .submit = remote_submit,
    .close = remote_close,
    .kill = remote_kill,
    .withdraw = remote_withdraw,
    .look = remote_look,
};

int remote_open(struct kc_actor *here, struct kc_actor *there, struct endpoint *target,
    const struct endpoint_info *info, struct endpoint **ret_endpoint)
{
        struct remote *remote = calloc(1, sizeof(*remote));

        if (remote == NULL)
                return -ENOMEM;
        remote->endpoint.ops = &remote_ops;
        remote->endpoint.info = *info;
        remote->here = here;
        remote->there = there;
        remote->target = target;
        kc_list_init(&remote->spare);
        *ret_endpoint = &remote->endpoint;
        return 0;
}
