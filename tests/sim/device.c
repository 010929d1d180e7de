#include "sim/device.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool device_is_mutation(enum io_op op)
{
        return op == IO_WRITE || op == IO_ZERO;
}

bool device_reads_zero(const struct device *device, uint64_t start_bytes, uint64_t end_bytes)
{
        const unsigned char *at = device->cache + start_bytes;
        size_t n = end_bytes - start_bytes;

        return n == 0 || (at[0] == 0 && memcmp(at, at + 1, n - 1) == 0);
}

/* ---- contents */

/* Blocks that [offset, offset + length) touches. */
#define for_each_block(b, offset, length)                                                                    \
        for (uint64_t b = (offset) / DEVICE_BLOCK_BYTES;                                                     \
             b < ((offset) + (length) + DEVICE_BLOCK_BYTES - 1) / DEVICE_BLOCK_BYTES; b++)

static void stabilise_block(struct device *device, uint64_t block)
{
        memcpy(device->stable + block * DEVICE_BLOCK_BYTES, device->cache + block * DEVICE_BLOCK_BYTES,
            DEVICE_BLOCK_BYTES);
        device->dirty[block] = 0;
}

/* What a block of [0, end) gets from the command; all of the device's last, short one counts as it. */
static bool changes_block(const struct device_op *op, uint64_t block, uint64_t end)
{
        const struct device *device = op->device;
        uint64_t from = block * DEVICE_BLOCK_BYTES, until = from + DEVICE_BLOCK_BYTES;

        if (from < op->offset_bytes)
                from = op->offset_bytes;
        if (until > end)
                until = end;
        if (op->op == IO_WRITE)
                return memcmp(device->cache + from, op->data + (from - op->offset_bytes), until - from) != 0;
        return !device_reads_zero(device, from, until);
}

/* One that lands when nobody waits for it any more, and says what is there already, has no effect: what a
 * flush has to cover is what was answered. */
static void change_contents(struct device_op *op, uint64_t length_bytes, int status)
{
        struct device *device = op->device;
        bool late = op->settled_moment != 0;

        for_each_block(b, op->offset_bytes, length_bytes)
        {
                if (!late || changes_block(op, b, op->offset_bytes + length_bytes))
                        device->dirty[b] = op->index + 1;
        }
        if (op->op == IO_WRITE)
                memcpy(device->cache + op->offset_bytes, op->data, length_bytes);
        else
                memset(device->cache + op->offset_bytes, 0, length_bytes);
        for_each_block(b, op->offset_bytes, length_bytes)
        {
                if (op->flags & IO_FUA && status == 0)
                        stabilise_block(device, b);
        }
}

/* Whether a flush has to cover a block: its last write was answered before the flush was sent. */
static bool flush_covers(const struct device_op *flush, uint64_t block)
{
        struct device *device = flush->device;
        const struct device_op *writer;

        if (device->dirty[block] == 0)
                return false;
        writer = device->ops[device->dirty[block] - 1];
        return writer->answered && writer->settled_moment < flush->sent_moment &&
               (device->config.multi_conn || writer->conn == flush->conn);
}

static void apply_flush(struct device_op *op, int *status)
{
        struct device *device = op->device;

        if (++device->n_flushes == device->config.flush_fails_at)
                *status = -EIO;
        for_each_block(b, 0, device->size_bytes)
        {
                if (!flush_covers(op, b))
                        continue;
                if (*status == 0)
                        stabilise_block(device, b);
                else
                        device->dirty[b] = 0; /* dropped: no later flush will bring it back */
        }
}

static void apply_resize(struct device_op *op)
{
        struct device *device = op->device;
        uint64_t size = op->length_bytes;

        if (op->flags & IO_GROW_ONLY && size < device->size_bytes)
                size = device->size_bytes;
        assert(size <= device->room_bytes);
        if (size < device->size_bytes) {
                memset(device->cache + size, 0, device->size_bytes - size);
                memset(device->stable + size, 0, device->size_bytes - size);
        }
        device->size_bytes = size;
        device->absent = false;
}

static void apply_extents(struct device_op *op, int *status)
{
        struct device *device = op->device;
        uint64_t at = op->offset_bytes, end = at + op->length_bytes, step;
        uint32_t granule = device->config.extents_granule_bytes;
        unsigned limit = world_one_in(device->world, 4) ? 2 : IO_EXTENTS_PER_REQ;

        if (device->config.extents_refused) {
                *status = world_one_in(device->world, 2) ? -EOPNOTSUPP : -EIO;
                return;
        }
        free(op->extents);
        op->extents = calloc(IO_EXTENTS_PER_REQ, sizeof *op->extents);
        assert(op->extents != NULL);
        for (; at < end; at += step) {
                bool zero;

                step = granule - at % granule < end - at ? granule - at % granule : end - at;
                zero = device_reads_zero(device, at, at + step) && !world_one_in(device->world, 8);
                if (device->config.extents_lie)
                        zero = true;
                if (op->n_extents > 0 && op->extents[op->n_extents - 1].zero == zero) {
                        op->extents[op->n_extents - 1].length_bytes += step;
                        continue;
                }
                if (op->n_extents == limit)
                        break; /* the rest has to be asked for again */
                op->extents[op->n_extents++] = (struct io_extent){.length_bytes = step, .zero = zero};
        }
}

/* ---- commands */

static bool touches_bad(const struct device_op *op)
{
        const struct device_config *config = &op->device->config;

        return config->bad_status != 0 && config->bad_ops & 1u << op->op &&
               op->offset_bytes < config->bad_end_bytes &&
               op->offset_bytes + op->length_bytes > config->bad_start_bytes;
}

static uint64_t length_before_bad(const struct device_op *op)
{
        uint64_t bad = op->device->config.bad_start_bytes / DEVICE_BLOCK_BYTES * DEVICE_BLOCK_BYTES;

        return bad > op->offset_bytes ? bad - op->offset_bytes : 0;
}

/* With or without somebody who waits for the answer: that one was told something else by then. */
static void apply(struct device_op *op)
{
        struct device *device = op->device;
        bool again = op->applied_moment != 0;
        int status = again && op->settled_moment == 0 ? op->status : 0;

        op->applied_moment = world_moment(device->world);
        if (touches_bad(op) && !again)
                status = device->config.bad_status;
        if (op->op == IO_ZERO && device->config.zero_refused)
                status = -EOPNOTSUPP;
        switch (op->op) {
        case IO_WRITE:
        case IO_ZERO: /* one that fails has done a part of it */
                if (op->op == IO_WRITE || status != -EOPNOTSUPP)
                        change_contents(op, status == 0 ? op->length_bytes : length_before_bad(op), status);
                break;
        case IO_READ:
                if (op->data) {
                        memcpy(op->data, device->cache + op->offset_bytes, op->length_bytes);
                        op->data_hash = world_hash_bytes(op->data, op->length_bytes);
                }
                break;
        case IO_FLUSH:
                apply_flush(op, &status);
                break;
        case IO_EXTENTS:
                apply_extents(op, &status);
                break;
        case IO_RESIZE:
                apply_resize(op);
                break;
        }
        if (op->settled_moment == 0)
                op->status = status;
        world_mix(device->world, op->data_hash ^ op->index ^ (uint64_t)op->op << 32);
}

static void on_apply(struct world_event *event)
{
        struct device_op *op = kc_container_of(event, struct device_op, apply_event);

        apply(op);
        world_say(op->device->world, "  %s #%u applied%s", op->device->name, op->index,
            op->settled_moment ? " LATE" : "");
}

static void on_again(struct world_event *event)
{
        struct device_op *op = kc_container_of(event, struct device_op, again_event);

        if (op->applied_moment != 0 && op->settled_moment == 0 && device_is_mutation(op->op))
                apply(op);
}

static void on_answer(struct world_event *event)
{
        struct device_op *op = kc_container_of(event, struct device_op, answer_event);

        if (op->applied_moment == 0) { /* ready at the same moment, drawn in the wrong order */
                world_event_stop(op->device->world, &op->apply_event);
                on_apply(&op->apply_event);
        }
        op->on_answer(op);
}

static void schedule(struct device_op *op)
{
        struct device *device = op->device;
        struct device_config *config = &device->config;
        struct world *world = device->world;
        uint64_t delay = world_log_between(world, config->delay_min_ns, config->delay_max_ns),
                 now = world->now_ns;
        bool silent = config->silent_from_op > 0 && device->n_ops >= config->silent_from_op;

        silent |= world_one_in(world, config->silent_one_in) || config->silent_ops >> op->op & 1;
        if (world_one_in(world, config->stall_one_in))
                delay += config->stall_ns;
        if (config->bytes_per_s > 0 && (op->op == IO_READ || op->op == IO_WRITE)) {
                uint64_t start = device->busy_until_ns > now ? device->busy_until_ns : now;

                device->busy_until_ns = start + op->length_bytes * SECOND_NS / config->bytes_per_s;
                delay += device->busy_until_ns - now;
        }
        if (!silent || (!config->lands_late && world_one_in(world, 2)))
                world_event_start(world, &op->apply_event, world_between(world, 0, delay));
        if (silent)
                return;
        world_event_start(world, &op->answer_event, delay);
        if (world_one_in(world, config->apply_twice_one_in))
                world_event_start(world, &op->again_event, delay);
}

static void record(struct device *device, struct device_op *op)
{
        if (device->n_ops == device->ops_room) {
                device->ops_room = device->ops_room ? device->ops_room * 2 : 64;
                device->ops = realloc(device->ops, device->ops_room * sizeof *device->ops);
                assert(device->ops != NULL);
        }
        op->index = device->n_ops;
        device->ops[device->n_ops++] = op;
}

static const char *const op_names[] = {"read", "write", "zero", "flush", "extents", "resize"};

static struct device_op *new_op(struct device *device, unsigned conn, unsigned actor_index,
    const struct io_req *req, void (*answered)(struct device_op *op), void *owner)
{
        struct device_op *op = calloc(1, sizeof *op);

        assert(op != NULL);
        *op = (struct device_op){.device = device,
            .op = req->op,
            .flags = req->flags,
            .conn = conn,
            .offset_bytes = req->offset_bytes,
            .length_bytes = req->length_bytes,
            .buf = req->buf,
            .sent_moment = world_moment(device->world),
            .sent_ns = device->world->now_ns,
            .on_answer = answered,
            .owner = owner};
        if (op->op == IO_READ || op->op == IO_WRITE) {
                op->data = malloc(op->length_bytes);
                assert(op->data != NULL);
        }
        if (op->op == IO_WRITE) {
                memcpy(op->data, req->buf, op->length_bytes);
                op->data_hash = world_hash_bytes(op->data, op->length_bytes);
        }
        world_event_init(&op->apply_event, actor_index, on_apply);
        world_event_init(&op->again_event, actor_index, on_again);
        world_event_init(&op->answer_event, actor_index, on_answer);
        record(device, op);
        world_say(device->world, "  %s #%u %s [%" PRIu64 ", +%" PRIu64 ") flags %x conn %u lane %u",
            device->name, op->index, op_names[op->op], op->offset_bytes, op->length_bytes, op->flags, conn,
            actor_index);
        if (device->watch)
                device->watch->on_sent(device->watch, op);
        return op;
}

struct device_op *device_send(struct device *device, unsigned conn, unsigned actor_index,
    const struct io_req *req, void (*answered)(struct device_op *op), void *owner)
{
        struct device_op *op = new_op(device, conn, actor_index, req, answered, owner);

        schedule(op);
        return op;
}

struct device_op *device_send_in_vain(
    struct device *device, unsigned conn, unsigned actor_index, const struct io_req *req, void *owner)
{
        struct device_op *op = new_op(device, conn, actor_index, req, NULL, owner);

        op->lost = true;
        return op;
}

void device_keep_answer(struct device_op *op)
{
        world_event_stop(op->device->world, &op->answer_event);
}

void device_settle(struct device_op *op, int status, bool answered, bool unanswered)
{
        struct world *world = op->device->world;

        assert(op->settled_moment == 0);
        world_event_stop(world, &op->answer_event);
        world_event_stop(world, &op->again_event);
        op->settled_moment = world_moment(world);
        op->settled_ns = world->now_ns;
        op->status = status;
        op->answered = answered;
        op->unanswered = unanswered;
        world_say(world, "  %s #%u settled status %d%s", op->device->name, op->index, status,
            unanswered ? " UNANSWERED" : "");
        if (op->device->watch)
                op->device->watch->on_settled(op->device->watch, op);
        op->buf = NULL;
        if (op->op == IO_READ) {
                free(op->data); /* the hash stays */
                op->data = NULL;
        }
}

bool device_cut(struct device_op *op)
{
        struct world *world = op->device->world;
        uint64_t late = op->device->config.late_max_ns;
        bool mutation = device_is_mutation(op->op);

        world_event_stop(world, &op->apply_event);
        if (!mutation)
                return false;
        if (op->lost)
                return true;
        if (op->applied_moment != 0)
                return world_one_in(world, 2); /* nobody knows that it was applied */
        switch (op->device->config.lands_late ? 2 : world_below(world, 3)) {
        case 0: /* it had not left the sender */
                return false;
        case 1: /* on its way, and lost */
                return true;
        default:
                if (late > 0)
                        world_event_start(world, &op->apply_event, world_log_between(world, 1, late));
                return true;
        }
}

void device_forget_sender(struct device_op *op, bool kernel)
{
        struct device *device = op->device;
        bool local = device->config.kind != IO_KIND_NBD;

        if (local && world_event_started(&op->apply_event)) {
                world_event_stop(device->world, &op->apply_event);
                if (kernel &&
                    world_one_in(device->world, 2)) /* which lets nobody go before it has done that */
                        on_apply(&op->apply_event);
        }
        device_settle(op, -ECANCELED, false, !local && device_cut(op));
        op->owner = NULL;
}

void device_lose_power(struct device *device)
{
        unsigned n_lost = 0;

        for (unsigned i = 0; i < device->n_ops; i++) {
                world_event_stop(device->world, &device->ops[i]->apply_event);
                world_event_stop(device->world, &device->ops[i]->again_event);
                world_event_stop(device->world, &device->ops[i]->answer_event);
                device->ops[i]->lost = true;
        }
        for_each_block(b, 0, device->room_bytes)
        {
                if (device->dirty[b] != 0 && world_one_in(device->world, 2))
                        stabilise_block(device, b); /* it had got there by itself */
                n_lost += device->dirty[b] != 0;
                device->dirty[b] = 0;
        }
        memcpy(device->cache, device->stable, device->room_bytes);
        device->n_power_losses++;
        world_say(device->world, "  %s loses power: %u blocks are lost", device->name, n_lost);
}
