/* Local I/O on one io_uring per lane: see file_io.h.
 *
 * Ops queue in `waiting` and are handed to the kernel all together, once per turn of the loop, just before it
 * sleeps (a uv_prepare_t); the ring's descriptor becomes readable when there are answers (a uv_poll_t). At
 * most URING_DEPTH ops are the kernel's at a time, so that the completion queue cannot overflow.
 *
 * Owns: the ring, its two watchers and a retry timer. Thread: its lane. */
#include "io/file_io.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "base/log.h"

#define URING_DEPTH 128u
#define URING_RETRY_NS (10u * 1000u * 1000u)

struct file_uring {
        struct file_io io; /* first: the ops cast */
        struct io_uring ring;
        struct kc_list waiting; /* of file_op: not yet in the submission queue */
        unsigned n_in_ring;     /* in the submission queue or the kernel's */
        uv_poll_t poll;
        uv_prepare_t prepare; /* active while there is something to hand over */
        struct kc_timer retry;
        unsigned n_handles;
        bool submit_error_said;
};

static void fill(struct io_uring_sqe *sqe, struct file_op *op)
{
        switch (op->call) {
        case FILE_CALL_READ:
                io_uring_prep_read(sqe, op->fd, op->buf, (unsigned)op->length_bytes, op->offset_bytes);
                sqe->rw_flags = op->flags;
                break;
        case FILE_CALL_WRITE:
                io_uring_prep_write(sqe, op->fd, op->buf, (unsigned)op->length_bytes, op->offset_bytes);
                sqe->rw_flags = op->flags;
                break;
        case FILE_CALL_FALLOCATE:
                io_uring_prep_fallocate(
                    sqe, op->fd, op->flags, (off_t)op->offset_bytes, (off_t)op->length_bytes);
                break;
        case FILE_CALL_FDATASYNC:
                io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
                break;
        case FILE_CALL_FSYNC:
                io_uring_prep_fsync(sqe, op->fd, 0);
                break;
        case FILE_CALL_WORK:
                assert(false); /* goes to the pool */
                break;
        }
        io_uring_sqe_set_data(sqe, op);
}

/* Waiting ops into the submission queue, as many as there is room for. */
static void take_waiting(struct file_uring *uring)
{
        while (!kc_list_empty(&uring->waiting)) {
                struct file_op *op = kc_list_first(&uring->waiting, struct file_op, node);
                struct io_uring_sqe *sqe;

                if (op->cancelled) { /* these are at the head: a full ring does not hold them up */
                        kc_list_del(&op->node);
                        file_io_answer(&uring->io, op, -ECANCELED);
                        continue;
                }
                if (uring->n_in_ring == URING_DEPTH)
                        break;
                sqe = io_uring_get_sqe(&uring->ring);
                if (sqe == NULL)
                        break; /* the kernel has not taken the last lot yet */
                kc_list_del(&op->node);
                fill(sqe, op);
                uring->n_in_ring++;
        }
}

static void on_prepare(uv_prepare_t *prepare)
{
        struct file_uring *uring = prepare->data;
        int rc;

        take_waiting(uring);
        uv_prepare_stop(&uring->prepare);
        if (io_uring_sq_ready(&uring->ring) == 0)
                return;
        rc = io_uring_submit(&uring->ring);
        if (io_uring_sq_ready(&uring->ring) == 0)
                return;
        /* The kernel is short of something for now (-EAGAIN, -EBUSY, -EINTR), or took a part only. */
        if (rc < 0 && rc != -EAGAIN && rc != -EBUSY && rc != -EINTR && !uring->submit_error_said) {
                uring->submit_error_said = true;
                kc_log_error("io/file", "io_uring does not take requests error=%s", kc_errno_name(rc));
        }
        kc_actor_timer_start(&uring->io.actor->actor, &uring->retry,
            kc_actor_now_ns(&uring->io.actor->actor) + URING_RETRY_NS);
}

static void hand_over_later(struct file_uring *uring)
{
        uv_prepare_start(&uring->prepare, on_prepare); /* idempotent */
}

static void on_retry(struct kc_timer *timer)
{
        hand_over_later(kc_container_of(timer, struct file_uring, retry));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
        struct file_uring *uring = poll->data;
        /* Those that are there now; later ones wait for the next turn, so that nobody starves. */
        unsigned n = io_uring_cq_ready(&uring->ring);

        while (n-- > 0) {
                struct io_uring_cqe *cqe;
                struct file_op *op;
                int64_t result;

                if (io_uring_peek_cqe(&uring->ring, &cqe) < 0)
                        break;
                op = io_uring_cqe_get_data(cqe);
                result = cqe->res;
                io_uring_cqe_seen(&uring->ring, cqe);
                assert(uring->n_in_ring > 0);
                uring->n_in_ring--;
                file_io_answer(&uring->io, op, result);
        }
        if (!kc_list_empty(&uring->waiting))
                hand_over_later(uring);
}

static void uring_submit(struct file_io *io, struct file_op *op)
{
        struct file_uring *uring = (struct file_uring *)io;

        kc_list_init(&op->node);
        kc_list_push(&uring->waiting, &op->node);
        hand_over_later(uring);
}

static void uring_cancel(struct file_io *io, struct file_op *op)
{
        struct file_uring *uring = (struct file_uring *)io;

        if (kc_list_empty(&op->node))
                return; /* the kernel's: waited for */
        op->cancelled = true;
        kc_list_del(&op->node);
        kc_list_push_head(&uring->waiting, &op->node);
        hand_over_later(uring);
}

static void on_handle_closed(uv_handle_t *handle)
{
        struct file_uring *uring = handle->data;
        void (*on_closed)(void *arg) = uring->io.on_closed;
        void *arg = uring->io.on_closed_arg;

        if (--uring->n_handles > 0)
                return;
        io_uring_queue_exit(&uring->ring);
        free(uring);
        on_closed(arg);
}

static void uring_close(struct file_io *io)
{
        struct file_uring *uring = (struct file_uring *)io;

        assert(kc_list_empty(&uring->waiting) && uring->n_in_ring == 0);
        kc_actor_timer_stop(&uring->io.actor->actor, &uring->retry);
        uv_close((uv_handle_t *)&uring->poll, on_handle_closed);
        uv_close((uv_handle_t *)&uring->prepare, on_handle_closed);
}

static const struct file_io_ops uring_ops = {
    .name = "io_uring",
    .submit = uring_submit,
    .cancel = uring_cancel,
    .close = uring_close,
};

/* The opcodes we need, and one round trip: a filter may let the set-up pass and refuse the rest. */
static int probe(struct io_uring *ring)
{
        static const int needed[] = {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FALLOCATE, IORING_OP_FSYNC};
        struct io_uring_probe *ops = io_uring_get_probe_ring(ring);
        struct io_uring_cqe *cqe;
        int rc = 0;

        if (ops == NULL)
                return -ENOSYS;
        for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
                if (!io_uring_opcode_supported(ops, needed[i]))
                        rc = -EOPNOTSUPP;
        io_uring_free_probe(ops);
        if (rc < 0)
                return rc;
        io_uring_prep_nop(io_uring_get_sqe(ring));
        rc = io_uring_submit_and_wait(ring, 1);
        if (rc < 0)
                return rc;
        rc = io_uring_peek_cqe(ring, &cqe);
        if (rc < 0)
                return rc;
        io_uring_cqe_seen(ring, cqe);
        return 0;
}

int file_uring_new(struct kc_actor_uv *actor, struct file_io **ret_io)
{
        struct file_uring *uring = calloc(1, sizeof(*uring));
        int rc;

        if (uring == NULL)
                return -ENOMEM;
        rc = io_uring_queue_init(URING_DEPTH, &uring->ring, IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN);
        if (rc == -EINVAL) /* before Linux 5.19: each answer interrupts the lane */
                rc = io_uring_queue_init(URING_DEPTH, &uring->ring, IORING_SETUP_CLAMP);
        if (rc < 0)
                goto err_after_alloc;
        rc = probe(&uring->ring);
        if (rc < 0)
                goto err_after_ring;
        rc = uv_poll_init(actor->loop, &uring->poll, uring->ring.ring_fd);
        if (rc < 0)
                goto err_after_ring;
        uv_prepare_init(actor->loop, &uring->prepare);
        uring->io.ops = &uring_ops;
        uring->io.actor = actor;
        uring->poll.data = uring->prepare.data = uring;
        uring->n_handles = 2;
        kc_list_init(&uring->waiting);
        kc_timer_init(&uring->retry, on_retry);
        rc = uv_poll_start(&uring->poll, UV_READABLE, on_readable);
        assert(rc == 0); /* it cannot fail on a handle that is not closing */
        *ret_io = &uring->io;
        return 0;

err_after_ring:
        io_uring_queue_exit(&uring->ring);
err_after_alloc:
        free(uring);
        return rc;
}
