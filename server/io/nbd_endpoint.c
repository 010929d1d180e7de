#include "io/nbd_endpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/nbd_command.h"
#include "io/nbd_drive.h"
#include "io/nbd_error.h"
#include "io/nbd_watch.h"

#define COMMANDS_MAX 64u /* in libnbd's hands at once; more only lengthens the server's queue */
#define EXTENTS_MAX 1u   /* of them for block status: libnbd holds the whole reply, up to 64 MiB */

struct nbd_endpoint {
        struct endpoint endpoint; /* first: the ops cast */
        struct nbd_context *context;
        struct nbd_handle *handle; /* NULL once closed */
        struct nbd_watch *watch;   /* NULL once the connection is gone */
        int death;                 /* with endpoint.dead: the negative errno that it ended with */

        struct kc_list queued, queued_extents;     /* io_req.node: not given to libnbd yet */
        struct kc_list idle, in_flight, completed; /* nbd_command.node */
        struct kc_list settled;                    /* io_req.node: results are in, on_done is due */
        unsigned n_extents;                        /* commands for block status in flight */

        struct kc_msg turn; /* the deferred call: settle in a moment */
        bool turn_posted;

        bool closing, disconnecting, closed;
        struct kc_timer close_timer;
        void (*on_closed)(void *arg);
        void *on_closed_arg;

        struct nbd_command commands[COMMANDS_MAX];
};

static void post_turn(struct nbd_endpoint *nbd)
{
        if (nbd->turn_posted)
                return;
        nbd->turn_posted = true;
        kc_actor_post(&nbd->context->actor->actor, &nbd->turn);
}

static void settle_request(struct nbd_endpoint *nbd, struct io_req *req, int code)
{
        req->status = code;
        req->class = nbd_error_class(code);
        kc_list_push(&nbd->settled, &req->node);
}

static void fail_queue(struct nbd_endpoint *nbd, struct kc_list *queue, int code)
{
        struct kc_list *node;

        while ((node = kc_list_pop(queue)) != NULL)
                settle_request(nbd, kc_list_entry(node, struct io_req, node), code);
}

/* Is the connection gone? To be called right after a libnbd call, while the thread's last error is its. */
static void note_death(struct nbd_endpoint *nbd)
{
        const char *key = nbd->endpoint.info.identity.key;
        char reason[KC_ERROR_MESSAGE_MAX_BYTES], subject[KC_ERROR_MESSAGE_MAX_BYTES];

        if (nbd->endpoint.dead || !nbd_drive_gone(nbd->handle))
                return;
        /* Closed is an orderly end between two replies, of which libnbd has no more to say. */
        nbd->death = nbd_aio_is_closed(nbd->handle) ? -ENOTCONN : nbd_error_death();
        if (!nbd->disconnecting)
                kc_log_info("io/nbd", "%s: connection lost: %s",
                    kc_error_escape(subject, sizeof subject, key, strlen(key)),
                    nbd_aio_is_closed(nbd->handle) ? "the server hung up"
                                                   : nbd_error_reason(reason, sizeof reason));
        endpoint_died(&nbd->endpoint);
}

static struct io_req *next_request(struct nbd_endpoint *nbd)
{
        struct kc_list *node = NULL;

        if (nbd->n_extents < EXTENTS_MAX)
                node = kc_list_pop(&nbd->queued_extents);
        if (node == NULL)
                node = kc_list_pop(&nbd->queued);
        return node != NULL ? kc_list_entry(node, struct io_req, node) : NULL;
}

static void release_command(struct nbd_endpoint *nbd, struct nbd_command *command)
{
        if (command->req->op == IO_EXTENTS)
                nbd->n_extents--;
        kc_list_move(&nbd->idle, &command->node);
}

/* Give libnbd what it may have. Nothing is answered here: completed commands wait for the next turn. */
static void issue_queued(struct nbd_endpoint *nbd)
{
        while (!nbd->endpoint.dead && !kc_list_empty(&nbd->idle)) {
                struct io_req *req = next_request(nbd);
                struct nbd_command *command;
                int result;

                if (req == NULL)
                        return;
                command = kc_list_first(&nbd->idle, struct nbd_command, node);
                command->req = req;
                req->sent = true;
                req->sent_ns = nbd_context_now_ns(nbd->context);
                if (req->op == IO_EXTENTS)
                        nbd->n_extents++;
                kc_list_move(&nbd->in_flight, &command->node);
                result = nbd_command_issue(command, nbd->handle);
                note_death(nbd);
                if (result < 0) {
                        release_command(nbd, command);
                        settle_request(nbd, req, nbd->endpoint.dead ? nbd->death : result);
                }
        }
}

static void retire_completed(struct nbd_endpoint *nbd)
{
        while (!kc_list_empty(&nbd->completed)) {
                struct nbd_command *command = kc_list_first(&nbd->completed, struct nbd_command, node);
                struct io_req *req = command->req;

                nbd_command_retire(command, nbd->handle, nbd->death);
                release_command(nbd, command);
                kc_list_push(&nbd->settled, &req->node);
        }
}

/* Wait for what the handle waits for now. A dead one is let go of at once: the duplicate descriptor would
 * keep the peer from seeing that we are gone. */
static void update_watch(struct nbd_endpoint *nbd)
{
        if (nbd->watch == NULL)
                return;
        if (!nbd->endpoint.dead) {
                nbd_watch_set(nbd->watch, nbd_drive_events(nbd->handle));
                return;
        }
        nbd_watch_close(nbd->watch);
        nbd->watch = NULL;
}

static void deliver(struct nbd_endpoint *nbd)
{
        struct kc_list *node;

        while ((node = kc_list_pop(&nbd->settled)) != NULL) {
                struct io_req *req = kc_list_entry(node, struct io_req, node);

                req->on_done(req);
        }
}

/* Everything that was noted since the last time is acted on: the one place where requests end. */
static void settle(struct nbd_endpoint *nbd)
{
        do {
                retire_completed(nbd);
                if (nbd->endpoint.dead) {
                        fail_queue(nbd, &nbd->queued, -ENOTCONN);
                        fail_queue(nbd, &nbd->queued_extents, -ENOTCONN);
                }
                issue_queued(nbd);
        } while (!kc_list_empty(&nbd->completed));
        update_watch(nbd);
        deliver(nbd);
}

static void finish_close(struct nbd_endpoint *nbd)
{
        kc_actor_timer_stop(&nbd->context->actor->actor, &nbd->close_timer);
        nbd_watch_close(nbd->watch);
        nbd->watch = NULL;
        nbd_close(nbd->handle);
        nbd->handle = NULL;
        nbd->closed = true;
        post_turn(nbd); /* the message is the last to use the memory */
}

static void advance_close(struct nbd_endpoint *nbd)
{
        if (!nbd->closing || nbd->closed)
                return;
        if (!nbd->endpoint.dead && !kc_list_empty(&nbd->in_flight))
                return;
        if (!nbd->endpoint.dead && !nbd->disconnecting) {
                nbd->disconnecting = true;
                if (nbd_aio_disconnect(nbd->handle, 0) < 0)
                        nbd->endpoint.dead = true;
                note_death(nbd);
                update_watch(nbd);
        }
        if (nbd->endpoint.dead && kc_list_empty(&nbd->completed))
                finish_close(nbd);
}

static void on_ready(void *arg, int events, bool failed)
{
        struct nbd_endpoint *nbd = arg;

        nbd_drive_notify(nbd->handle, events, failed);
        note_death(nbd);
        settle(nbd);
        advance_close(nbd);
}

static void on_turn(struct kc_actor *actor, struct kc_msg *msg)
{
        struct nbd_endpoint *nbd = kc_container_of(msg, struct nbd_endpoint, turn);
        void (*on_closed)(void *arg) = nbd->on_closed;
        void *arg = nbd->on_closed_arg;

        nbd->turn_posted = false;
        if (!nbd->closed) {
                settle(nbd);
                advance_close(nbd);
                return;
        }
        assert(kc_list_empty(&nbd->in_flight) && kc_list_empty(&nbd->settled));
        nbd->context->n_endpoints--;
        free(nbd);
        on_closed(arg);
}

/* After nbd_close libnbd touches no buffer and no command any more, but what was sent may still land. */
static void abandon_in_flight(struct nbd_endpoint *nbd, int status)
{
        while (!kc_list_empty(&nbd->in_flight)) {
                struct nbd_command *command = kc_list_first(&nbd->in_flight, struct nbd_command, node);

                nbd_command_abandon(command, status);
                kc_list_push(&nbd->settled, &command->req->node);
                release_command(nbd, command);
        }
}

/* The server does not let us go in time. */
static void on_close_deadline(struct kc_timer *timer)
{
        struct nbd_endpoint *nbd = kc_container_of(timer, struct nbd_endpoint, close_timer);

        retire_completed(nbd);
        nbd->endpoint.dead = true;
        finish_close(nbd);
        abandon_in_flight(nbd, -ECANCELED);
        deliver(nbd);
}

static void endpoint_nbd_close(struct endpoint *endpoint, void (*on_closed)(void *arg), void *arg)
{
        struct nbd_endpoint *nbd = kc_container_of(endpoint, struct nbd_endpoint, endpoint);
        struct nbd_context *context = nbd->context;

        assert(!nbd->closing);
        nbd->closing = true;
        nbd->on_closed = on_closed;
        nbd->on_closed_arg = arg;
        fail_queue(nbd, &nbd->queued, -ECANCELED);
        fail_queue(nbd, &nbd->queued_extents, -ECANCELED);
        kc_actor_timer_start(&context->actor->actor, &nbd->close_timer,
            nbd_context_now_ns(context) + context->config.disconnect_ns);
        post_turn(nbd);
}

static void endpoint_nbd_kill(struct endpoint *endpoint)
{
        struct nbd_endpoint *nbd = kc_container_of(endpoint, struct nbd_endpoint, endpoint);

        if (endpoint->dead || nbd->closing)
                return;
        retire_completed(nbd);
        endpoint_died(endpoint);
        update_watch(nbd);
        nbd_close(nbd->handle);
        nbd->handle = NULL;
        abandon_in_flight(nbd, -ENOTCONN);
        post_turn(nbd);
}

static void endpoint_nbd_withdraw(struct endpoint *endpoint, struct io_req *req)
{
        struct nbd_endpoint *nbd = kc_container_of(endpoint, struct nbd_endpoint, endpoint);

        if (req->sent)
                return;
        kc_list_del(&req->node);
        settle_request(nbd, req, req->withdrawn);
        post_turn(nbd);
}

static void enqueue(struct kc_list *queue, struct io_req *req)
{
        req->sent = false;
        req->sent_ns = 0;
        kc_list_push(queue, &req->node);
}

/* Programmer errors: what endpoint.h says a caller must not ask for. */
static void assert_valid(const struct nbd_endpoint *nbd, const struct io_req *req)
{
        const struct endpoint_info *info = &nbd->endpoint.info;

        assert(!nbd->closing && req->on_done != NULL && req->op != IO_RESIZE);
        assert((req->flags & IO_FUA) == 0 || info->can_fua);
        if (req->op == IO_FLUSH) {
                assert(info->can_flush);
                return;
        }
        assert(req->length_bytes > 0 && req->offset_bytes <= info->size_bytes &&
               req->length_bytes <= info->size_bytes - req->offset_bytes);
        assert(req->offset_bytes % info->block_min_bytes == 0);
        assert(req->op == IO_EXTENTS ? info->can_extents && req->extents != NULL
                                     : req->length_bytes % info->block_min_bytes == 0);
        assert((req->op != IO_READ && req->op != IO_WRITE) || req->length_bytes <= info->block_max_bytes);
        assert(req->op != IO_ZERO || req->length_bytes <= info->zero_max_bytes);
        assert((req->op != IO_WRITE && req->op != IO_ZERO) || !info->read_only);
        (void)info;
}

static int endpoint_nbd_submit(struct endpoint *endpoint, struct io_req *req)
{
        struct nbd_endpoint *nbd = kc_container_of(endpoint, struct nbd_endpoint, endpoint);

        assert_valid(nbd, req);
        if (endpoint->dead)
                return -ENOTCONN;
        if (req->op != IO_EXTENTS) {
                enqueue(&nbd->queued, req);
        } else if (nbd_command_extents_bytes(req, endpoint->info.block_min_bytes) > 0) {
                enqueue(&nbd->queued_extents, req);
        } else { /* the odd tail of a device, smaller than what the server can be asked about */
                req->extents[0] = (struct io_extent){.length_bytes = req->length_bytes};
                req->n_extents = 1;
                kc_list_push(&nbd->settled, &req->node);
        }
        issue_queued(nbd);
        update_watch(nbd);
        if (endpoint->dead || !kc_list_empty(&nbd->completed) || !kc_list_empty(&nbd->settled))
                post_turn(nbd);
        return 0;
}

static const struct endpoint_ops ops = {.name = "nbd",
    .submit = endpoint_nbd_submit,
    .close = endpoint_nbd_close,
    .kill = endpoint_nbd_kill,
    .withdraw = endpoint_nbd_withdraw};

int nbd_endpoint_new(struct nbd_context *context, struct nbd_handle *handle, const struct endpoint_info *info,
    struct endpoint **ret_endpoint)
{
        struct nbd_endpoint *nbd = calloc(1, sizeof *nbd);
        int result;

        if (nbd == NULL)
                return -ENOMEM;
        result = nbd_watch_open(context, nbd_aio_get_fd(handle), on_ready, nbd, &nbd->watch);
        if (result < 0) {
                free(nbd);
                return result;
        }
        nbd->endpoint.ops = &ops;
        nbd->endpoint.info = *info;
        nbd->context = context;
        nbd->handle = handle;
        kc_list_init(&nbd->queued);
        kc_list_init(&nbd->queued_extents);
        kc_list_init(&nbd->idle);
        kc_list_init(&nbd->in_flight);
        kc_list_init(&nbd->completed);
        kc_list_init(&nbd->settled);
        for (unsigned i = 0; i < COMMANDS_MAX; i++) {
                nbd->commands[i].completed = &nbd->completed;
                nbd->commands[i].block_min_bytes = info->block_min_bytes;
                kc_list_push(&nbd->idle, &nbd->commands[i].node);
        }
        nbd->turn.on_message = on_turn;
        kc_timer_init(&nbd->close_timer, on_close_deadline);
        update_watch(nbd);
        context->n_endpoints++;
        *ret_endpoint = &nbd->endpoint;
        return 0;
}
