#include "io/nbd_context.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static void post_deliver(struct nbd_context *context)
{
        if (context->deliver_posted)
                return;
        context->deliver_posted = true;
        kc_actor_post(&context->actor->actor, &context->deliver);
}

static void finish_if_idle(struct nbd_context *context)
{
        void (*on_closed)(void *arg) = context->on_closed;
        void *arg = context->on_closed_arg;

        if (!context->closing || context->n_held > 0 || context->deliver_posted)
                return;
        free(context);
        on_closed(arg);
}

static void on_deliver(struct kc_actor *actor, struct kc_msg *msg)
{
        struct nbd_context *context = kc_container_of(msg, struct nbd_context, deliver);
        struct kc_list due;
        struct kc_list *node;

        kc_list_init(&due);
        kc_list_splice(&due, &context->decided);
        context->n_held++; /* on_open may close the context */
        context->deliver_posted = false;
        while ((node = kc_list_pop(&due)) != NULL) {
                struct io_open *open = kc_list_entry(node, struct io_open, node);

                assert(context->n_opens > 0);
                context->n_opens--;
                open->on_open(open);
        }
        nbd_context_release(context);
}

void nbd_context_hold(struct nbd_context *context)
{
        context->n_held++;
}

void nbd_context_release(struct nbd_context *context)
{
        assert(context->n_held > 0);
        context->n_held--;
        finish_if_idle(context);
}

void nbd_context_decided(struct nbd_context *context, struct io_open *open)
{
        kc_list_push(&context->decided, &open->node);
        post_deliver(context);
}

int nbd_context_new(
    struct kc_actor_uv *actor, const struct provider_config *config, struct nbd_context **ret_context)
{
        struct nbd_context *context = calloc(1, sizeof *context);

        if (context == NULL)
                return -ENOMEM;
        context->actor = actor;
        context->config = *config;
        kc_list_init(&context->decided);
        context->deliver.on_message = on_deliver;
        *ret_context = context;
        return 0;
}

void nbd_context_close(struct nbd_context *context, void (*on_closed)(void *arg), void *arg)
{
        assert(context->n_opens == 0 && context->n_endpoints == 0 && !context->closing);
        context->closing = true;
        context->on_closed = on_closed;
        context->on_closed_arg = arg;
        post_deliver(context); /* so that on_closed never runs inside this call */
}

bool nbd_is_uri(const char *device)
{
        static const char *const schemes[] = {
            "nbd:", "nbds:", "nbd+unix:", "nbds+unix:", "nbd+vsock:", "nbds+vsock:"};

        for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
                const char *scheme = schemes[i];
                size_t j = 0;

                while (scheme[j] != '\0' && device[j] == scheme[j])
                        j++;
                if (scheme[j] == '\0')
                        return true;
        }
        return false;
}
