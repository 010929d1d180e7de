#include "io/nbd_command.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "io/nbd_error.h"
#include "io/nbd_extents.h"

#define EXTENTS_MAX_BYTES (1ull << 30)

static int on_completion(void *user_data, int *error)
{
        struct nbd_command *command = user_data;

        command->answer_errno = *error;
        kc_list_move(command->completed, &command->node);
        return 0; /* not 1: that retires it, and the check that all data came is skipped */
}

static int on_chunk(void *user_data, const void *data, size_t length_bytes, uint64_t offset_bytes,
    unsigned status, int *error)
{
        struct nbd_command *command = user_data;
        uint64_t start_bytes = offset_bytes - command->req->offset_bytes; /* libnbd has checked the bounds */

        if (status == LIBNBD_READ_ERROR)
                return 0;
        if (nbd_cover_add(&command->cover, (uint32_t)start_bytes, (uint32_t)(start_bytes + length_bytes)) <
            0) {
                *error = EPROTO;
                return -1;
        }
        return 0;
}

static int on_extents(void *user_data, const char *context, uint64_t offset_bytes, uint32_t *entries,
    size_t n_entries, int *error)
{
        struct nbd_command *command = user_data;
        struct io_req *req = command->req;

        if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
                return 0;
        if (req->n_extents > 0) /* once per context */
                command->extents_result = -EPROTO;
        else
                command->extents_result = nbd_extents_clean(entries, n_entries,
                    nbd_command_extents_bytes(req, command->block_min_bytes), command->block_min_bytes,
                    req->extents, &req->n_extents);
        return 0;
}

uint64_t nbd_command_extents_bytes(const struct io_req *req, uint32_t block_min_bytes)
{
        uint64_t length_bytes = req->length_bytes < EXTENTS_MAX_BYTES ? req->length_bytes : EXTENTS_MAX_BYTES;

        return length_bytes - length_bytes % block_min_bytes;
}

static int64_t issue(struct nbd_command *command, struct nbd_handle *handle)
{
        struct io_req *req = command->req;
        nbd_completion_callback completion = {.callback = on_completion, .user_data = command};
        uint32_t fua = (req->flags & IO_FUA) != 0 ? LIBNBD_CMD_FLAG_FUA : 0;

        switch (req->op) {
        case IO_READ:
                return nbd_aio_pread_structured(handle, req->buf, req->length_bytes, req->offset_bytes,
                    (nbd_chunk_callback){.callback = on_chunk, .user_data = command}, completion, 0);
        case IO_WRITE:
                return nbd_aio_pwrite(
                    handle, req->buf, req->length_bytes, req->offset_bytes, completion, fua);
        case IO_ZERO:
                return nbd_aio_zero(handle, req->length_bytes, req->offset_bytes, completion,
                    fua | ((req->flags & IO_UNMAP) != 0 ? 0 : LIBNBD_CMD_FLAG_NO_HOLE));
        case IO_FLUSH:
                return nbd_aio_flush(handle, completion, 0);
        case IO_EXTENTS:
                return nbd_aio_block_status(handle, nbd_command_extents_bytes(req, command->block_min_bytes),
                    req->offset_bytes, (nbd_extent_callback){.callback = on_extents, .user_data = command},
                    completion, 0);
        case IO_RESIZE:
                break;
        }
        assert(!"an NBD export cannot be resized");
        return -1;
}

int nbd_command_issue(struct nbd_command *command, struct nbd_handle *handle)
{
        int code;

        command->answer_errno = 0;
        command->extents_result = -EPROTO; /* until the server has said something */
        nbd_cover_init(&command->cover);
        command->cookie = issue(command, handle);
        if (command->cookie >= 0)
                return 0;
        code = nbd_get_errno();
        return code != 0 ? -code : -EIO;
}

static bool changes_the_device(const struct io_req *req)
{
        return req->op == IO_WRITE || req->op == IO_ZERO;
}

static int check_answer(const struct nbd_command *command)
{
        const struct io_req *req = command->req;

        switch (req->op) {
        case IO_READ:
                return nbd_cover_complete(&command->cover, req->length_bytes) ? 0 : -EPROTO;
        case IO_EXTENTS:
                return command->extents_result;
        default:
                return 0;
        }
}

/* The protocol has servers refuse commands that they do not know as invalid, and ours are valid: the caller
 * takes its next rung. */
static bool is_unsupported(const struct io_req *req, int status)
{
        return status == -EINVAL && (req->op == IO_ZERO || req->op == IO_EXTENTS);
}

static void settle(struct io_req *req, int status)
{
        req->status = status;
        req->class = status == 0 ? KC_CLASS_NONE : nbd_error_class(status);
        if (status < 0)
                req->n_extents = 0;
}

void nbd_command_retire(struct nbd_command *command, struct nbd_handle *handle, int death)
{
        struct io_req *req = command->req;
        int result = nbd_aio_command_completed(handle, (uint64_t)command->cookie);
        int status;

        if (result > 0)
                status = check_answer(command);
        else if (result == 0 || command->answer_errno == 0) /* a short answer is found out only here */
                status = -EPROTO;
        else
                status = -nbd_get_errno();
        if (is_unsupported(req, status))
                status = -EOPNOTSUPP;
        if (status == -ENOTCONN && death != 0)
                status = death;
        settle(req, status);
        req->unanswered = status < 0 && death != 0 && changes_the_device(req);
}

void nbd_command_abandon(struct nbd_command *command, int code)
{
        settle(command->req, code);
        command->req->unanswered = changes_the_device(command->req);
}
