/* A regular file or block device as an endpoint of one lane.
 *
 * Each request is a command: a few kernel calls one after the other (the rest of a short write, the next rung
 * of the zero ladder, the directory's fsync after the file's), run by whichever struct file_io the lane has;
 * reads and writes of a file in memory, where no device can hang, by the lane itself.
 *
 * Owns: the descriptors, its commands (recycled). Borrows: the lane's file_io, requests until on_done.
 * Thread: its lane. Close: by the endpoint's close; waits for what the kernel holds, closes the descriptors
 * on the pool (the last close of a block device writes back), then on_closed. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "io/endpoint.h"
#include "io/file_io.h"
#include "io/file_probe.h"
#include "io/file_sync.h"
#include "io/file_way.h"

struct file {
        struct endpoint endpoint; /* first: the ops cast */
        struct file_io *io;
        int fd;                       /* -1: absent still */
        int dir_fd;                   /* -1 unless it was absent when opened */
        char *name;                   /* in dir_fd */
        enum file_way way;            /* of `fd` */
        bool unrecorded;              /* created here, its directory entry not yet synced */
        bool no_punch, no_zero_range; /* learned: the device does not have it */
        struct file_sync sync;
        struct kc_list busy, spare; /* of file_cmd */
        bool closing, close_started;
        void (*on_closed)(void *arg);
        void *on_closed_arg;
        struct file_op close_op;
};

/* One request under way. */
struct file_cmd {
        struct file_op op;
        struct io_req *req;
        struct file *file;
        struct kc_list node;                                /* file->busy or ->spare */
        void (*next)(struct file_cmd *cmd, int64_t result); /* goes on after the call that runs */
        enum file_way way;                                  /* read, write: when `op` was handed over */
        bool calling;                                       /* `op` is with file_io */
        bool syncing;                                       /* `ticket` is with file->sync */
        bool written_back;                                  /* zero: the cache was written back for it */
        uint64_t done_bytes;                                /* read, write */
        struct file_sync_ticket ticket;
        struct kc_msg msg; /* defers an answer that is known at once, or a call that the lane runs */
        int answer;        /* and the answer */
        /* results of file_work.c */
        int made_fd;
        enum file_way made_way;
        struct io_identity made_identity;
        uint64_t size_bytes;
        unsigned n_extents;
};

/* Returns 0, *ret_endpoint and `found` emptied into it, or -ENOMEM and `found` as it was. */
int file_new(struct file_io *io, struct file_found *found, struct endpoint **ret_endpoint);

/* The work of commands that have no opcode (file_work.c); pool thread. They read the file's descriptors and
 * the request, and write the results above and the request's extents. */
int64_t file_work_extents(struct file_op *op);
int64_t file_work_extents_in_memory(struct file_op *op); /* the same, of FILE_WAY_MEMORY */
int64_t file_work_resize(struct file_op *op);
int64_t file_work_close(struct file_op *op); /* of a struct file's close_op */

#endif
