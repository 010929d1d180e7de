/* Choosing the local I/O backend, and what both backends share: see file_io.h. */
#include "io/file_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"

static int64_t answer_of(ssize_t rc)
{
        return rc < 0 ? -errno : rc;
}

int64_t file_io_run(struct file_op *op)
{
        struct iovec iov = {.iov_base = op->buf, .iov_len = op->length_bytes};
        off_t offset = (off_t)op->offset_bytes;

        switch (op->call) {
        case FILE_CALL_READ:
                return answer_of(preadv2(op->fd, &iov, 1, offset, op->flags));
        case FILE_CALL_WRITE:
                return answer_of(pwritev2(op->fd, &iov, 1, offset, op->flags));
        case FILE_CALL_FALLOCATE:
                return answer_of(fallocate(op->fd, op->flags, offset, (off_t)op->length_bytes));
        case FILE_CALL_FDATASYNC:
                return answer_of(fdatasync(op->fd));
        case FILE_CALL_FSYNC:
                return answer_of(fsync(op->fd));
        case FILE_CALL_WORK:
                return op->work(op);
        }
        assert(false); /* there is no other call */
        return -EINVAL;
}

void file_io_answer(struct file_io *io, struct file_op *op, int64_t result)
{
        assert(io->n_in_flight > 0);
        io->n_in_flight--;
        op->result = result;
        op->on_op(op);
}

static void on_work(uv_work_t *work)
{
        struct file_op *op = kc_container_of(work, struct file_op, uv_work);

        op->result = file_io_run(op);
}

static void on_worked(uv_work_t *work, int status)
{
        struct file_op *op = kc_container_of(work, struct file_op, uv_work);

        file_io_answer(work->data, op, status < 0 ? status : op->result);
}

void file_io_submit_to_pool(struct file_io *io, struct file_op *op)
{
        int rc;

        op->uv_work.data = io;
        rc = uv_queue_work(io->actor->loop, &op->uv_work, on_work, on_worked);
        assert(rc == 0); /* it fails for a missing function only */
        (void)rc;
}

void file_io_submit(struct file_io *io, struct file_op *op)
{
        io->n_in_flight++;
        op->cancelled = false;
        if (op->call == FILE_CALL_WORK)
                file_io_submit_to_pool(io, op);
        else
                io->ops->submit(io, op);
}

void file_io_cancel(struct file_io *io, struct file_op *op)
{
        if (op->call == FILE_CALL_WORK)
                (void)uv_cancel((uv_req_t *)&op->uv_work); /* EBUSY: it runs, and is waited for */
        else
                io->ops->cancel(io, op);
}

void file_io_close(struct file_io *io, void (*on_closed)(void *arg), void *arg)
{
        assert(io->n_in_flight == 0);
        io->on_closed = on_closed;
        io->on_closed_arg = arg;
        io->ops->close(io);
}

int file_io_new(
    struct kc_actor_uv *actor, enum provider_local_io wanted, struct file_io **ret_io, struct kc_error *err)
{
        static atomic_flag said = ATOMIC_FLAG_INIT;
        int rc;

        if (wanted != PROVIDER_LOCAL_THREADS) {
                rc = file_uring_new(actor, ret_io);
                if (rc == 0)
                        return 0;
                if (wanted == PROVIDER_LOCAL_URING)
                        return kc_error_set(err, rc, KC_CLASS_UNSUPPORTED,
                            "io_uring: refused here (%s); let local I/O use threads", kc_errno_name(rc));
                if (!atomic_flag_test_and_set(&said))
                        kc_log_info("io/file", "io_uring is refused here, local devices use threads error=%s",
                            kc_errno_name(rc));
        }
        rc = file_threads_new(actor, ret_io);
        if (rc < 0)
                return kc_error_set(err, rc, KC_CLASS_INTERNAL, "local I/O: out of memory");
        return 0;
}
