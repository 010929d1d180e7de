/* Regular files and block devices as endpoints: see file.h. */
#include "io/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* ---- commands: taken, run call by call, settled */

static struct file_cmd *cmd_take(struct file *file, struct io_req *req)
{
        struct kc_list *node = kc_list_pop(&file->spare);
        struct file_cmd *cmd =
            node != NULL ? kc_list_entry(node, struct file_cmd, node) : malloc(sizeof(*cmd));

        if (cmd == NULL)
                return NULL;
        memset(cmd, 0, sizeof(*cmd));
        cmd->req = req;
        cmd->file = file;
        cmd->made_fd = -1;
        kc_list_init(&cmd->node);
        kc_list_push(&file->busy, &cmd->node);
        return cmd;
}

static void close_if_idle(struct file *file);

static enum kc_class class_of(int status)
{
        switch (-status) {
        case 0:
                return KC_CLASS_NONE;
        case EDQUOT:
        case EFBIG:
                return KC_CLASS_NO_SPACE;
        case EEXIST:
                return KC_CLASS_BUSY;
        case EOPNOTSUPP:
                return KC_CLASS_UNSUPPORTED;
        default:
                return kc_class_of_errno(status);
        }
}

static void finish(struct file_cmd *cmd, int status)
{
        struct file *file = cmd->file;
        struct io_req *req = cmd->req;

        req->status = status;
        req->class = class_of(status);
        req->n_extents = status == 0 ? cmd->n_extents : 0;
        kc_list_move(&file->spare, &cmd->node);
        req->on_done(req);
        close_if_idle(file);
}

static void settle(struct file_cmd *cmd, int status)
{
        if (cmd->syncing)
                file_sync_end(&cmd->file->sync, &cmd->ticket, status);
        else
                finish(cmd, status);
}

static void on_settled(struct file_sync_ticket *ticket, int status)
{
        struct file_cmd *cmd = kc_container_of(ticket, struct file_cmd, ticket);

        cmd->syncing = false;
        if (cmd->req->op == IO_FLUSH && status == 0)
                cmd->file->unrecorded = false;
        finish(cmd, status);
}

static void begin_sync(struct file_cmd *cmd, void (*on_ticket)(struct file_sync_ticket *ticket, int status))
{
        cmd->syncing = true;
        cmd->ticket.on_settled = on_ticket;
        file_sync_begin(&cmd->file->sync, &cmd->ticket);
}

static void on_answer(struct kc_actor *actor, struct kc_msg *msg)
{
        struct file_cmd *cmd = kc_container_of(msg, struct file_cmd, msg);

        finish(cmd, cmd->answer);
}

static void answer_later(struct file_cmd *cmd, int status)
{
        cmd->answer = status;
        cmd->msg.on_message = on_answer;
        kc_actor_post(&cmd->file->io->actor->actor, &cmd->msg);
}

static void call(struct file_cmd *cmd)
{
        if (cmd->file->closing) {
                settle(cmd, -ECANCELED);
                return;
        }
        cmd->calling = true;
        file_io_submit(cmd->file->io, &cmd->op);
}

static void on_op(struct file_op *op)
{
        struct file_cmd *cmd = kc_container_of(op, struct file_cmd, op);

        cmd->calling = false;
        if (op->result == -EINTR)
                call(cmd);
        else
                cmd->next(cmd, op->result);
}

static void prepare(
    struct file_cmd *cmd, enum file_call which, int fd, void (*next)(struct file_cmd *cmd, int64_t result))
{
        cmd->op.call = which;
        cmd->op.fd = fd;
        cmd->op.flags = 0;
        cmd->op.on_op = on_op;
        cmd->next = next;
}

/* For the last call of a command. */
static void last_done(struct file_cmd *cmd, int64_t result)
{
        settle(cmd, result < 0 ? (int)result : 0);
}

/* ---- read and write */

static void on_own_turn(struct kc_actor *actor, struct kc_msg *msg)
{
        struct file_cmd *cmd = kc_container_of(msg, struct file_cmd, msg);

        cmd->op.result = cmd->file->closing ? -ECANCELED : file_io_run(&cmd->op);
        on_op(&cmd->op);
}

static bool direct_takes(const struct file_cmd *cmd)
{
        const struct endpoint_info *info = &cmd->file->endpoint.info;
        uint64_t align_bytes = info->kind == IO_KIND_BLOCK ? info->block_min_bytes : FILE_WAY_ALIGN_BYTES;

        return ((uintptr_t)cmd->op.buf | cmd->op.offset_bytes | cmd->op.length_bytes) % align_bytes == 0;
}

static void transfer(struct file_cmd *cmd)
{
        struct file *file = cmd->file;

        cmd->op.buf = (char *)cmd->req->buf + cmd->done_bytes;
        cmd->op.offset_bytes = cmd->req->offset_bytes + cmd->done_bytes;
        cmd->op.length_bytes = cmd->req->length_bytes - cmd->done_bytes;
        if (file->way == FILE_WAY_MEMORY) {
                cmd->msg.on_message = on_own_turn;
                kc_actor_post(&file->io->actor->actor, &cmd->msg);
                return;
        }
        if (file->way == FILE_WAY_UNDECIDED && cmd->op.length_bytes >= FILE_WAY_LARGE_BYTES)
                file->way = file_way_go_direct(file->fd);
        if (file->way == FILE_WAY_DIRECT && !direct_takes(cmd))
                file->way = file_way_leave_direct(file->fd); /* the file's tail, mostly */
        cmd->way = file->way;
        call(cmd);
}

static void transferred(struct file_cmd *cmd, int64_t result)
{
        if (result == -EINVAL && cmd->way != FILE_WAY_CACHED) {
                /* It wants another alignment than is usual, perhaps of one that was waiting when others began
                 * to go direct, whoever was the first to hear of that. */
                cmd->file->way = file_way_leave_direct(cmd->file->fd);
                transfer(cmd);
                return;
        }
        if (result <= 0) {
                /* Nothing at all: the end, inside what was the device. It shrank. */
                settle(cmd, result < 0 ? (int)result : -EIO);
                return;
        }
        cmd->done_bytes += (uint64_t)result;
        if (cmd->done_bytes < cmd->req->length_bytes)
                transfer(cmd);
        else
                settle(cmd, 0);
}

static void start_transfer(struct file_cmd *cmd, enum file_call which)
{
        prepare(cmd, which, cmd->file->fd, transferred);
        if (which == FILE_CALL_WRITE && (cmd->req->flags & IO_FUA)) {
                cmd->op.flags = RWF_DSYNC;
                begin_sync(cmd, on_settled);
        }
        transfer(cmd);
}

/* ---- zero: punch a hole if it may be unmapped, else zero the range, else the caller writes zeroes */

static bool zero_call(struct file_cmd *cmd);

static void on_written_back(struct file_sync_ticket *ticket, int status)
{
        struct file_cmd *cmd = kc_container_of(ticket, struct file_cmd, ticket);

        cmd->syncing = false;
        if (status < 0)
                finish(cmd, status);
        else if (!zero_call(cmd))
                finish(cmd, -EOPNOTSUPP);
}

static void zeroed(struct file_cmd *cmd, int64_t result)
{
        struct file *file = cmd->file;

        if (result == -ENOSYS || result == -ENODEV)
                result = -EOPNOTSUPP; /* how some file systems say it */
        if (result == -EOPNOTSUPP) {
                if (cmd->op.flags & FALLOC_FL_PUNCH_HOLE)
                        file->no_punch = true;
                else
                        file->no_zero_range = true;
                if (!zero_call(cmd))
                        settle(cmd, -EOPNOTSUPP);
                return;
        }
        if (result == -EBUSY && file->endpoint.info.kind == IO_KIND_BLOCK) {
                /* Another lane's descriptor has the device exclusively, so the kernel drops our range from
                 * the cache only if it is clean: write it back, once. */
                if (cmd->written_back) {
                        settle(cmd, -EOPNOTSUPP);
                        return;
                }
                cmd->written_back = true;
                begin_sync(cmd, on_written_back);
                prepare(cmd, FILE_CALL_FDATASYNC, file->fd, last_done);
                call(cmd);
                return;
        }
        if (result == 0 && (cmd->req->flags & IO_FUA)) {
                begin_sync(cmd, on_settled);
                prepare(cmd, FILE_CALL_FDATASYNC, file->fd, last_done);
                call(cmd);
                return;
        }
        settle(cmd, (int)result);
}

/* The best rung there is; false where there is none left. */
static bool zero_call(struct file_cmd *cmd)
{
        struct file *file = cmd->file;
        int mode;

        if ((cmd->req->flags & IO_UNMAP) && !file->no_punch)
                mode = FALLOC_FL_PUNCH_HOLE;
        else if (!file->no_zero_range)
                mode = FALLOC_FL_ZERO_RANGE;
        else
                return false;
        prepare(cmd, FILE_CALL_FALLOCATE, file->fd, zeroed);
        cmd->op.flags = mode | FALLOC_FL_KEEP_SIZE;
        cmd->op.offset_bytes = cmd->req->offset_bytes;
        cmd->op.length_bytes = cmd->req->length_bytes;
        call(cmd);
        return true;
}

static void start_zero(struct file_cmd *cmd)
{
        if (!zero_call(cmd))
                answer_later(cmd, -EOPNOTSUPP);
}

/* ---- flush: the data; of a file made here also all metadata, and its directory */

static void file_synced(struct file_cmd *cmd, int64_t result)
{
        if (result < 0) {
                settle(cmd, (int)result);
                return;
        }
        prepare(cmd, FILE_CALL_FSYNC, cmd->file->dir_fd, last_done);
        call(cmd);
}

static void start_flush(struct file_cmd *cmd)
{
        struct file *file = cmd->file;

        if (file->fd < 0 || file->sync.failed < 0) {
                answer_later(cmd, file->sync.failed);
                return;
        }
        begin_sync(cmd, on_settled);
        if (file->unrecorded)
                prepare(cmd, FILE_CALL_FSYNC, file->fd, file_synced);
        else
                prepare(cmd, FILE_CALL_FDATASYNC, file->fd, last_done);
        call(cmd);
}

/* ---- extents and resize */

static void start_extents(struct file_cmd *cmd)
{
        prepare(cmd, FILE_CALL_WORK, cmd->file->fd, last_done);
        cmd->op.work = cmd->file->way == FILE_WAY_MEMORY ? file_work_extents_in_memory : file_work_extents;
        call(cmd);
}

static void resized(struct file_cmd *cmd, int64_t result)
{
        struct file *file = cmd->file;

        if (result == 0) {
                if (cmd->made_fd >= 0) {
                        file->fd = cmd->made_fd;
                        file->way = cmd->made_way;
                        file->unrecorded = true;
                        file->endpoint.info.identity = cmd->made_identity;
                }
                file->endpoint.info.absent = false;
                file->endpoint.info.size_bytes = cmd->size_bytes;
        }
        last_done(cmd, result);
}

static void start_resize(struct file_cmd *cmd)
{
        prepare(cmd, FILE_CALL_WORK, cmd->file->fd, resized);
        cmd->op.work = file_work_resize;
        call(cmd);
}

/* ---- the endpoint */

static void check_range(const struct endpoint_info *info, const struct io_req *req, uint64_t max_bytes)
{
        assert(req->length_bytes > 0 && req->length_bytes <= max_bytes);
        assert(req->length_bytes <= INT64_MAX && req->offset_bytes <= INT64_MAX - req->length_bytes);
        /* A file may have grown through another lane's endpoint, which this one is not told. */
        assert(info->kind != IO_KIND_BLOCK || req->offset_bytes + req->length_bytes <= info->size_bytes);
        assert((req->offset_bytes | req->length_bytes) % info->block_min_bytes == 0);
        assert(req->op == IO_READ || req->op == IO_EXTENTS || !info->read_only);
        (void)info, (void)req, (void)max_bytes;
}

static int file_submit(struct endpoint *endpoint, struct io_req *req)
{
        struct file *file = (struct file *)endpoint;
        const struct endpoint_info *info = &endpoint->info;
        struct file_cmd *cmd;

        assert(!file->closing);
        cmd = cmd_take(file, req);
        if (cmd == NULL)
                return -ENOMEM;
        switch (req->op) {
        case IO_READ:
        case IO_WRITE:
                check_range(info, req, info->block_max_bytes);
                start_transfer(cmd, req->op == IO_READ ? FILE_CALL_READ : FILE_CALL_WRITE);
                break;
        case IO_ZERO:
                check_range(info, req, info->zero_max_bytes);
                start_zero(cmd);
                break;
        case IO_FLUSH:
                start_flush(cmd);
                break;
        case IO_EXTENTS:
                assert(info->can_extents);
                check_range(info, req, INT64_MAX);
                start_extents(cmd);
                break;
        case IO_RESIZE:
                assert(info->resizable);
                start_resize(cmd);
                break;
        }
        return 0;
}

static void on_descriptors_closed(struct file_op *op)
{
        struct file *file = kc_container_of(op, struct file, close_op);
        void (*on_closed)(void *arg) = file->on_closed;
        void *arg = file->on_closed_arg;
        struct kc_list *node;

        while ((node = kc_list_pop(&file->spare)) != NULL)
                free(kc_list_entry(node, struct file_cmd, node));
        free(file->name);
        free(file);
        on_closed(arg);
}

static void close_if_idle(struct file *file)
{
        if (!file->closing || file->close_started || !kc_list_empty(&file->busy))
                return;
        file->close_started = true;
        file->close_op.call = FILE_CALL_WORK;
        file->close_op.work = file_work_close;
        file->close_op.on_op = on_descriptors_closed;
        file_io_submit(file->io, &file->close_op);
}

static void file_close(struct endpoint *endpoint, void (*on_closed)(void *arg), void *arg)
{
        struct file *file = (struct file *)endpoint;

        assert(!file->closing);
        file->closing = true;
        file->on_closed = on_closed;
        file->on_closed_arg = arg;
        kc_list_for_each (node, &file->busy) {
                struct file_cmd *cmd = kc_list_entry(node, struct file_cmd, node);

                if (cmd->calling)
                        file_io_cancel(file->io, &cmd->op);
        }
        close_if_idle(file);
}

static const struct endpoint_ops uring_ops = {.name = "uring", .submit = file_submit, .close = file_close};
static const struct endpoint_ops threads_ops = {
    .name = "threads", .submit = file_submit, .close = file_close};

int file_new(struct file_io *io, struct file_found *found, struct endpoint **ret_endpoint)
{
        struct file *file = calloc(1, sizeof(*file));

        if (file == NULL)
                return -ENOMEM;
        file->endpoint.ops = strcmp(io->ops->name, "threads") == 0 ? &threads_ops : &uring_ops;
        file->endpoint.info = found->info;
        file->io = io;
        file->fd = found->fd;
        file->way = found->way;
        file->endpoint.info.deep = found->way == FILE_WAY_DIRECT || found->way == FILE_WAY_UNDECIDED;
        file->dir_fd = found->dir_fd;
        file->name = found->name;
        file->no_punch = !found->info.can_unmap;
        file_sync_init(&file->sync);
        kc_list_init(&file->busy);
        kc_list_init(&file->spare);
        *found = (struct file_found){.fd = -1, .dir_fd = -1};
        *ret_endpoint = &file->endpoint;
        return 0;
}
