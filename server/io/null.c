/* null: see null.h. Answers are deferred by a message to its own actor, all that wait in one go. */
#include "io/null.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX_BYTES (32u << 20)
#define BLOCK_PREFERRED_BYTES 4096u
#define ZERO_MAX_BYTES (1ull << 30)

struct null {
        struct endpoint endpoint; /* first: the ops cast */
        struct kc_actor *actor;
        struct kc_list waiting; /* of io_req: to be answered */
        struct kc_msg msg;
        bool posted, closing;
        void (*on_closed)(void *arg);
        void *on_closed_arg;
};

bool null_is_name(const char *device)
{
        return strcmp(device, "null:") == 0;
}

static void on_message(struct kc_actor *actor, struct kc_msg *msg)
{
        struct null *null = kc_container_of(msg, struct null, msg);
        struct kc_list now, *node;
        void (*on_closed)(void *arg);
        void *arg;

        kc_list_init(&now);
        kc_list_splice(&now, &null->waiting);
        while ((node = kc_list_pop(&now)) != NULL) {
                struct io_req *req = kc_list_entry(node, struct io_req, node);

                req->on_done(req);
        }
        /* `posted` was kept until here, so nobody has posted the message again meanwhile. */
        null->posted = !kc_list_empty(&null->waiting);
        if (null->posted) {
                kc_actor_post(actor, msg);
                return;
        }
        if (!null->closing)
                return;
        on_closed = null->on_closed;
        arg = null->on_closed_arg;
        free(null);
        on_closed(arg);
}

static void post(struct null *null)
{
        if (null->posted)
                return;
        null->posted = true;
        null->msg.on_message = on_message;
        kc_actor_post(null->actor, &null->msg);
}

static int null_submit(struct endpoint *endpoint, struct io_req *req)
{
        struct null *null = (struct null *)endpoint;

        assert(!null->closing);
        assert(req->op == IO_WRITE || req->op == IO_ZERO || req->op == IO_FLUSH);
        kc_list_init(&req->node);
        kc_list_push(&null->waiting, &req->node);
        post(null);
        return 0;
}

static void null_close(struct endpoint *endpoint, void (*on_closed)(void *arg), void *arg)
{
        struct null *null = (struct null *)endpoint;

        assert(!null->closing);
        null->closing = true;
        null->on_closed = on_closed;
        null->on_closed_arg = arg;
        post(null);
}

static const struct endpoint_ops null_ops = {.name = "null", .submit = null_submit, .close = null_close};

int null_new(
    struct kc_actor *actor, enum io_access access, struct endpoint **ret_endpoint, struct kc_error *err)
{
        struct null *null;

        /* READ_WRITE is a destination whose tails may have to be merged; its minimum block of 1 has none. */
        if (!(access & IO_ACCESS_WRITE))
                return kc_error_set(
                    err, -EACCES, KC_CLASS_INVALID, "null: is a destination only; it cannot be read");
        null = calloc(1, sizeof(*null));
        if (null == NULL)
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "null: out of memory");
        null->actor = actor;
        kc_list_init(&null->waiting);
        null->endpoint.ops = &null_ops;
        null->endpoint.info = (struct endpoint_info){
            .kind = IO_KIND_NULL,
            .size_bytes = UINT64_MAX - UINT64_MAX % BLOCK_MAX_BYTES,
            .block_min_bytes = 1,
            .block_preferred_bytes = BLOCK_PREFERRED_BYTES,
            .block_max_bytes = BLOCK_MAX_BYTES,
            .zero_max_bytes = ZERO_MAX_BYTES,
            .can_flush = true,
            .can_fua = true,
            .can_unmap = true,
            .multi_conn = true,
        };
        *ret_endpoint = &null->endpoint;
        return 0;
}
