/* What runs kernel calls on local descriptors without blocking a lane: io_uring, or libuv's thread pool.
 *
 * Calls are plain descriptions (struct file_op) embedded in their owner's object. Both backends give the same
 * answers: what the system call would have returned, as a count or a negative errno.
 *
 * Owns: the lane's ring and its watchers. Borrows: the actor, its loop, and every op until its on_op.
 * Thread: its lane; FILE_CALL_WORK functions run on a pool thread.
 * Close: file_io_close once nothing is in flight. */
#ifndef IO_FILE_IO_H
#define IO_FILE_IO_H

#include <sys/types.h>
#include <uv.h>

#include "base/actor_uv.h"
#include "base/list.h"
#include "io/provider.h"

enum file_call {
        FILE_CALL_READ,      /* pread */
        FILE_CALL_WRITE,     /* pwritev2 with `flags` (RWF_…) */
        FILE_CALL_FALLOCATE, /* fallocate with mode `flags` */
        FILE_CALL_FDATASYNC,
        FILE_CALL_FSYNC,
        FILE_CALL_WORK, /* `work`, for what has no opcode: always on the thread pool */
};

struct file_op {
        /* the caller's */
        enum file_call call;
        int fd;
        int flags;
        void *buf;
        uint64_t offset_bytes, length_bytes;
        int64_t (*work)(struct file_op *op); /* any thread; touches nothing but what the op leads to */
        void (*on_op)(struct file_op *op);   /* exactly once, never inside file_io_submit; the op may go */
        /* valid in on_op */
        int64_t result;
        /* the backend's */
        struct kc_list node;
        uv_work_t uv_work;
        bool cancelled;
};

struct file_io;

struct file_io_ops {
        const char *name; /* "io_uring" or "threads" */
        void (*submit)(struct file_io *io, struct file_op *op);
        void (*cancel)(struct file_io *io, struct file_op *op);
        void (*close)(struct file_io *io);
};

struct file_io {
        const struct file_io_ops *ops;
        struct kc_actor_uv *actor;
        unsigned n_in_flight;
        void (*on_closed)(void *arg);
        void *on_closed_arg;
};

/* Returns 0 and *ret_io, or negative errno with `err` filled. AUTO takes io_uring, or the threads where it is
 * refused, and says so in the log once per process. */
int file_io_new(
    struct kc_actor_uv *actor, enum provider_local_io wanted, struct file_io **ret_io, struct kc_error *err);
/* Asynchronous; asserts that nothing is in flight; on_closed comes last, then the memory is gone. */
void file_io_close(struct file_io *io, void (*on_closed)(void *arg), void *arg);

/* Cannot fail: what the kernel does not take at once is queued. */
void file_io_submit(struct file_io *io, struct file_op *op);
/* A call that has not begun yet ends with -ECANCELED; one that has goes on. on_op never runs inside. */
void file_io_cancel(struct file_io *io, struct file_op *op);

/* The backends' side. */
int64_t file_io_run(struct file_op *op); /* the blocking system call; any thread */
void file_io_submit_to_pool(struct file_io *io, struct file_op *op);
void file_io_answer(struct file_io *io, struct file_op *op, int64_t result);
int file_uring_new(struct kc_actor_uv *actor, struct file_io **ret_io);
int file_threads_new(struct kc_actor_uv *actor, struct file_io **ret_io);

#endif
