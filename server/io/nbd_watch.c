#include "io/nbd_watch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct nbd_watch {
        uv_poll_t poll;
        struct nbd_context *context;
        nbd_watch_on_ready *on_ready;
        void *arg;
        int fd;     /* the duplicate; -1 once closed */
        int events; /* what the poll is started for */
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
        struct nbd_watch *watch = kc_container_of(poll, struct nbd_watch, poll);

        if (status < 0)
                watch->events = 0; /* libuv has stopped the handle */
        watch->on_ready(watch->arg, events, status < 0);
}

static void on_close(uv_handle_t *handle)
{
        struct nbd_watch *watch = kc_container_of(handle, struct nbd_watch, poll);
        struct nbd_context *context = watch->context;

        free(watch);
        nbd_context_release(context);
}

int nbd_watch_open(struct nbd_context *context, int fd, nbd_watch_on_ready *on_ready, void *arg,
    struct nbd_watch **ret_watch)
{
        struct nbd_watch *watch = calloc(1, sizeof *watch);
        int result;

        if (watch == NULL)
                return -ENOMEM;
        watch->context = context;
        watch->on_ready = on_ready;
        watch->arg = arg;
        watch->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (watch->fd < 0) {
                result = -errno;
                goto err_after_alloc;
        }
        /* On failure uv_poll_init has not registered the handle: nothing to uv_close. */
        result = uv_poll_init(context->actor->loop, &watch->poll, watch->fd);
        if (result < 0)
                goto err_after_dup;
        nbd_context_hold(context);
        *ret_watch = watch;
        return 0;

err_after_dup:
        close(watch->fd);
err_after_alloc:
        free(watch);
        return result;
}

void nbd_watch_set(struct nbd_watch *watch, int events)
{
        int result;

        if (events == watch->events)
                return;
        watch->events = events;
        if (events == 0) {
                uv_poll_stop(&watch->poll);
                return;
        }
        result = uv_poll_start(&watch->poll, events, on_poll);
        assert(result == 0);
        (void)result;
}

void nbd_watch_close(struct nbd_watch *watch)
{
        if (watch == NULL)
                return;
        assert(watch->fd >= 0);
        uv_close((uv_handle_t *)&watch->poll, on_close);
        close(watch->fd);
        watch->fd = -1;
}
