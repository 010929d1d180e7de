/* The production provider: see provider.h. */
#include "io/provider.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/file_io.h"
#include "io/file_open.h"
#include "io/nbd.h"
#include "io/nbd_tls.h"
#include "io/null.h"

#define SUBJECT_MAX_BYTES 120

struct provider {
        struct io_provider provider; /* first: the ops cast */
        struct kc_actor *actor;
        struct file_io *file_io;
        struct file_opener file_opener;
        struct nbd_context *nbd;
        struct kc_list decided; /* of io_open: their result is known, on_open is deferred */
        struct kc_msg msg;
        bool posted;
        void (*on_closed)(void *arg);
        void *on_closed_arg;
};

/* ---- opens that are decided at once */

static void on_message(struct kc_actor *actor, struct kc_msg *msg)
{
        struct provider *provider = kc_container_of(msg, struct provider, msg);
        struct kc_list now, *node;

        provider->posted = false;
        kc_list_init(&now);
        kc_list_splice(&now, &provider->decided);
        while ((node = kc_list_pop(&now)) != NULL) {
                struct io_open *open = kc_list_entry(node, struct io_open, node);

                open->on_open(open);
        }
}

static void decide(struct provider *provider, struct io_open *open, int status)
{
        open->status = status;
        kc_list_push(&provider->decided, &open->node);
        if (provider->posted)
                return;
        provider->posted = true;
        provider->msg.on_message = on_message;
        kc_actor_post(provider->actor, &provider->msg);
}

/* ---- the vtable */

static void provider_open(struct io_provider *io_provider, struct io_open *open)
{
        struct provider *provider = (struct provider *)io_provider;
        char subject[SUBJECT_MAX_BYTES];
        int rc;

        open->status = 0;
        open->endpoint = NULL;
        memset(&open->error, 0, sizeof(open->error));
        kc_list_init(&open->node);
        if (nbd_is_uri(open->device)) {
                nbd_open(provider->nbd, open);
        } else if (null_is_name(open->device)) {
                decide(
                    provider, open, null_new(provider->actor, open->access, &open->endpoint, &open->error));
        } else if (open->device[0] == '/') {
                rc = file_opener_open(&provider->file_opener, open);
                if (rc < 0)
                        decide(provider, open,
                            kc_error_set(&open->error, rc, KC_CLASS_INTERNAL, "open: out of memory"));
        } else {
                kc_error_escape(subject, sizeof(subject), open->device, strlen(open->device));
                decide(provider, open,
                    kc_error_set(&open->error, -EINVAL, KC_CLASS_INVALID,
                        "%s: is no device; give an absolute path, an NBD URI, or null:", subject));
        }
}

static void provider_cancel(struct io_provider *io_provider, struct io_open *open)
{
        struct provider *provider = (struct provider *)io_provider;

        if (nbd_is_uri(open->device))
                nbd_open_cancel(provider->nbd, open);
        else if (open->device[0] == '/' && kc_list_empty(&open->node))
                file_opener_cancel(&provider->file_opener, open);
        /* The rest is decided, and on its way. */
}

static const struct io_provider_ops provider_ops = {provider_open, provider_cancel};

/* ---- its life */

void provider_config_defaults(struct provider_config *config)
{
        *config = (struct provider_config){
            .local_io = PROVIDER_LOCAL_AUTO,
            .disconnect_ns = 1000000000u,
            .idle_keep_single_ns = 1000000000u,
            .idle_keep_multi_ns = 5000000000u,
        };
}

int provider_new(struct kc_actor_uv *actor, const struct provider_config *config,
    struct io_provider **ret_provider, struct kc_error *err)
{
        struct provider *provider = calloc(1, sizeof(*provider));
        int rc;

        if (provider == NULL)
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "provider: out of memory");
        rc = nbd_context_new(actor, config, &provider->nbd);
        if (rc < 0) {
                kc_error_set(err, rc, KC_CLASS_INTERNAL, "NBD: %s", kc_errno_name(rc));
                goto err_after_alloc;
        }
        rc = file_io_new(actor, config->local_io, &provider->file_io, err);
        if (rc < 0)
                goto err_after_nbd;
        file_opener_init(
            &provider->file_opener, provider->file_io, (uint32_t)(config->idle_keep_multi_ns / 1000000u));
        provider->provider.ops = &provider_ops;
        provider->actor = &actor->actor;
        kc_list_init(&provider->decided);
        *ret_provider = &provider->provider;
        return 0;

err_after_nbd:
        nbd_context_close(provider->nbd, free, provider); /* its last act, in a later turn */
        return rc;
err_after_alloc:
        free(provider);
        return rc;
}

static void on_file_io_closed(void *arg)
{
        struct provider *provider = arg;
        void (*on_closed)(void *arg) = provider->on_closed;
        void *on_closed_arg = provider->on_closed_arg;

        free(provider);
        on_closed(on_closed_arg);
}

static void on_opener_closed(void *arg)
{
        struct provider *provider = arg;

        file_io_close(provider->file_io, on_file_io_closed, provider);
}

static void on_nbd_closed(void *arg)
{
        struct provider *provider = arg;

        file_opener_close(&provider->file_opener, on_opener_closed, provider);
}

void provider_close(struct io_provider *io_provider, void (*on_closed)(void *arg), void *arg)
{
        struct provider *provider = (struct provider *)io_provider;

        assert(!provider->posted && kc_list_empty(&provider->decided));
        provider->on_closed = on_closed;
        provider->on_closed_arg = arg;
        nbd_context_close(provider->nbd, on_nbd_closed, provider);
}

const char *provider_local_io_name(const struct io_provider *io_provider)
{
        return ((const struct provider *)io_provider)->file_io->ops->name;
}

bool provider_helpers_ended(unsigned timeout_ms)
{
        return nbd_tls_wait_idle(timeout_ms);
}
