/* Local I/O on libuv's thread pool: one blocking system call per op. See file_io.h.
 *
 * Owns nothing but itself. Thread: its lane; the calls run on the pool. */
#include "io/file_io.h"

#include <errno.h>
#include <stdlib.h>

struct file_threads {
        struct file_io io; /* first: the ops cast */
        struct kc_msg msg; /* defers on_closed */
};

static void on_deferred_close(struct kc_actor *actor, struct kc_msg *msg)
{
        struct file_threads *threads = kc_container_of(msg, struct file_threads, msg);
        void (*on_closed)(void *arg) = threads->io.on_closed;
        void *arg = threads->io.on_closed_arg;

        free(threads);
        on_closed(arg);
}

static void threads_cancel(struct file_io *io, struct file_op *op)
{
        (void)uv_cancel((uv_req_t *)&op->uv_work); /* EBUSY: it runs, and is waited for */
}

static void threads_close(struct file_io *io)
{
        struct file_threads *threads = (struct file_threads *)io;

        threads->msg.on_message = on_deferred_close;
        kc_actor_post(&io->actor->actor, &threads->msg);
}

static const struct file_io_ops threads_ops = {
    .name = "threads",
    .submit = file_io_submit_to_pool,
    .cancel = threads_cancel,
    .close = threads_close,
};

int file_threads_new(struct kc_actor_uv *actor, struct file_io **ret_io)
{
        struct file_threads *threads = calloc(1, sizeof(*threads));

        if (threads == NULL)
                return -ENOMEM;
        threads->io.ops = &threads_ops;
        threads->io.actor = actor;
        *ret_io = &threads->io;
        return 0;
}
