#include "sim/endpoint_sim.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/null.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

#define POISON 0xdb

struct endpoint_sim {
        struct endpoint endpoint; /* first: the ops cast */
        struct kc_list node;      /* its provider's */
        struct provider_sim *provider;
        struct device *device;
        enum io_access access;
        unsigned conn;
        unsigned n_commands;    /* on this connection */
        struct kc_list pending; /* struct io_req */
        struct world_event lose_event, close_event;
        bool closing, lost;
        bool dark;      /* nothing gets through any more */
        bool elsewhere; /* not really this device */
        void (*on_closed)(void *arg);
        void *closed_arg;
};

static void check_lane(struct provider_sim *provider, const char *what)
{
        if (provider->world->current != provider->lane_index)
                world_fail(provider->world, "endpoint of lane %u: %s from actor %u", provider->lane_index,
                    what, provider->world->current);
}

/* ---- requests */

static void finish(struct endpoint_sim *ep, struct io_req *req, int status, bool answered, bool unanswered)
{
        struct device_op *op = req->scratch;
        struct world *world = ep->provider->world;

        if (op->op == IO_READ) {
                ASAN_UNPOISON_MEMORY_REGION(req->buf, req->length_bytes);
                if (status == 0)
                        memcpy(req->buf, op->data, op->length_bytes);
        }
        if (op->op == IO_WRITE && memcmp(req->buf, op->data, op->length_bytes) != 0)
                world_fail(world, "%s #%u: the buffer of a write changed while it was lent", op->device->name,
                    op->index);
        if (req->op != op->op || req->offset_bytes != op->offset_bytes ||
            req->length_bytes != op->length_bytes)
                world_fail(
                    world, "%s #%u: the request changed while it was lent", op->device->name, op->index);
        if (op->op == IO_RESIZE && status == 0) {
                ep->endpoint.info.size_bytes = op->device->size_bytes;
                ep->endpoint.info.absent = false;
                snprintf(ep->endpoint.info.identity.key, IO_KEY_MAX_BYTES, "sim:%u", op->device->index);
        }
        if (op->op == IO_EXTENTS && status == 0) {
                memcpy(req->extents, op->extents, op->n_extents * sizeof *op->extents);
                req->n_extents = op->n_extents;
        }
        kc_list_del(&req->node);
        req->status = status;
        req->class = status ? kc_class_of_errno(status) : KC_CLASS_NONE;
        req->unanswered = unanswered;
        device_settle(op, status, answered, unanswered);
        req->on_done(req); /* may free the request */
}

static void on_answer(struct device_op *op)
{
        struct io_req *req = op->owner;

        finish((struct endpoint_sim *)req->endpoint, req, op->status, true, false);
}

static void fail_pending(struct endpoint_sim *ep, int status)
{
        while (!kc_list_empty(&ep->pending)) {
                struct io_req *req = kc_list_first(&ep->pending, struct io_req, node);

                finish(ep, req, status, false, device_cut(req->scratch));
        }
}

static void disconnected(struct endpoint_sim *ep)
{
        if (!ep->lost)
                ep->device->n_connected--;
        ep->lost = true;
}

static void on_lose(struct world_event *event)
{
        struct endpoint_sim *ep = kc_container_of(event, struct endpoint_sim, lose_event);

        world_say(ep->provider->world, "  %s conn %u LOST", ep->device->name, ep->conn);
        endpoint_died(&ep->endpoint);
        disconnected(ep);
        fail_pending(ep, -ENOTCONN);
}

static void check_data_req(struct endpoint_sim *ep, const struct io_req *req)
{
        struct world *world = ep->provider->world;
        const struct endpoint_info *info = &ep->endpoint.info;
        const char *name = ep->device->name;
        uint32_t min = ep->device->config.block_min_bytes;
        uint64_t max = req->op == IO_ZERO      ? info->zero_max_bytes
                       : req->op == IO_EXTENTS ? UINT32_MAX
                                               : info->block_max_bytes;

        if (req->length_bytes == 0 || req->length_bytes > max)
                world_fail(world, "%s: length %" PRIu64 " of op %u is not in 1 … %" PRIu64, name,
                    req->length_bytes, req->op, max);
        if (req->offset_bytes > ep->device->size_bytes ||
            req->length_bytes > ep->device->size_bytes - req->offset_bytes)
                world_fail(world, "%s: op %u [%" PRIu64 ", +%" PRIu64 ") is outside the device (%" PRIu64 ")",
                    name, req->op, req->offset_bytes, req->length_bytes, ep->device->size_bytes);
        if (req->op != IO_EXTENTS && (req->offset_bytes % min || req->length_bytes % min))
                world_fail(world, "%s: op %u [%" PRIu64 ", +%" PRIu64 ") is not aligned to %u", name, req->op,
                    req->offset_bytes, req->length_bytes, min);
        if ((req->op == IO_READ || req->op == IO_WRITE) && (uintptr_t)req->buf % (min < 512 ? min : 512) != 0)
                world_fail(world, "%s: the buffer of op %u is not aligned", name, req->op);
}

static void check_req(struct endpoint_sim *ep, const struct io_req *req)
{
        struct world *world = ep->provider->world;
        const struct endpoint_info *info = &ep->endpoint.info;
        const char *name = ep->device->name;
        bool writes = device_is_mutation(req->op) || req->op == IO_RESIZE;

        check_lane(ep->provider, "submit");
        if (ep->elsewhere)
                world_fail(world, "%s: a request to what its name leads to now", name);
        if (ep->closing)
                world_fail(world, "%s: a request after close", name);
        if (req->on_done == NULL)
                world_fail(world, "%s: a request without on_done", name);
        if (writes && (!(ep->access & IO_ACCESS_WRITE) || ep->device->config.read_only))
                world_fail(world, "%s: a change through an endpoint that is for reading", name);
        if (req->flags & IO_FUA && (!info->can_fua || !device_is_mutation(req->op)))
                world_fail(world, "%s: FUA where there is none", name);
        if (req->op == IO_FLUSH && !info->can_flush)
                world_fail(world, "%s: flush where there is none", name);
        if (req->op == IO_EXTENTS && !info->can_extents)
                world_fail(world, "%s: extents where there are none", name);
        if (req->op == IO_RESIZE && !info->resizable)
                world_fail(world, "%s: resize of what has a fixed size", name);
        if (device_is_mutation(req->op) && ep->device->absent)
                world_fail(world, "%s: a write to a file that does not exist yet", name);
        if (req->op != IO_FLUSH && req->op != IO_RESIZE)
                check_data_req(ep, req);
}

static int endpoint_sim_submit(struct endpoint *endpoint, struct io_req *req)
{
        struct endpoint_sim *ep = (struct endpoint_sim *)endpoint;
        struct world *world = ep->provider->world;
        struct device_config *config = &ep->device->config;

        check_req(ep, req);
        if (world->failed)
                return -EINVAL; /* the run is over; do not trip over what was wrong */
        if (endpoint->dead || world_one_in(world, config->submit_fails_one_in)) {
                ep->device->n_turned_away++;
                return endpoint->dead ? -ENOTCONN : -ENOMEM;
        }
        kc_list_push(&ep->pending, &req->node);
        if (ep->dark) {
                req->scratch = device_send_in_vain(ep->device, ep->conn, ep->provider->lane_index, req, ep);
        } else
                req->scratch =
                    device_send(ep->device, ep->conn, ep->provider->lane_index, req, on_answer, req);
        if (req->op == IO_READ) {
                memset(req->buf, POISON, req->length_bytes);
                ASAN_POISON_MEMORY_REGION(req->buf, req->length_bytes);
        }
        if (config->lose_at_op > 0 && ep->device->n_ops == config->lose_at_op)
                world_event_start(world, &ep->lose_event, world_below(world, 2 * config->delay_max_ns + 1));
        return 0;
}

/* ---- close */

static void forget(struct endpoint_sim *ep)
{
        world_event_stop(ep->provider->world, &ep->lose_event);
        world_event_stop(ep->provider->world, &ep->close_event);
        ep->provider->n_endpoints--;
        disconnected(ep);
        ep->device->n_open_write -= (ep->access & IO_ACCESS_WRITE) != 0;
        kc_list_del(&ep->node);
        free(ep);
}

static void on_close(struct world_event *event)
{
        struct endpoint_sim *ep = kc_container_of(event, struct endpoint_sim, close_event);
        struct provider_sim *provider = ep->provider;
        void (*on_closed)(void *arg) = ep->on_closed;
        void *arg = ep->closed_arg;

        if (ep->device->config.kind != IO_KIND_NBD && !kc_list_empty(&ep->pending)) {
                world_event_start(provider->world, &ep->close_event, MS_NS); /* the kernel holds them */
                return;
        }
        fail_pending(ep, -ECANCELED);
        world_say(provider->world, "  %s conn %u closed", ep->device->name, ep->conn);
        forget(ep);
        on_closed(arg);
}

static void endpoint_sim_close(struct endpoint *endpoint, void (*on_closed)(void *arg), void *arg)
{
        struct endpoint_sim *ep = (struct endpoint_sim *)endpoint;
        struct world *world = ep->provider->world;
        bool idle = kc_list_empty(&ep->pending);

        check_lane(ep->provider, "close");
        if (ep->closing) {
                world_fail(world, "%s: closed twice", ep->device->name);
                return;
        }
        ep->closing = true;
        ep->on_closed = on_closed;
        ep->closed_arg = arg;
        world_event_start(
            world, &ep->close_event, world_below(world, idle ? MS_NS : ENDPOINT_SIM_DISCONNECT_NS));
}

static void endpoint_sim_kill(struct endpoint *endpoint)
{
        struct endpoint_sim *ep = (struct endpoint_sim *)endpoint;
        struct world *world = ep->provider->world;

        check_lane(ep->provider, "kill");
        if (endpoint->dead || ep->closing)
                return;
        endpoint_died(endpoint);
        /* often at once: before messages that are on their way */
        world_event_start(world, &ep->lose_event, world_below(world, 2) ? 0 : world_below(world, MS_NS));
}

static const struct endpoint_ops network_ops = {
    .name = "sim",
    .submit = endpoint_sim_submit,
    .close = endpoint_sim_close,
    .kill = endpoint_sim_kill,
};

static const struct endpoint_ops local_ops = {
    /* the kernel cannot be hurried */
    .name = "sim",
    .submit = endpoint_sim_submit,
    .close = endpoint_sim_close,
};

/* ---- opening */

struct pending_open {
        struct kc_list node; /* its provider's */
        struct world_event event;
        struct provider_sim *provider;
        struct io_open *open;
        struct device *device; /* NULL: no such device */
        uint64_t deadline_ns;
        bool cancelled, null;
};

static struct endpoint *new_endpoint(
    struct provider_sim *provider, struct device *device, enum io_access access, bool elsewhere)
{
        struct endpoint_sim *ep = calloc(1, sizeof *ep);

        assert(ep != NULL);
        ep->endpoint.ops = device->config.kind == IO_KIND_NBD ? &network_ops : &local_ops;
        device_info(device, &ep->endpoint.info);
        ep->provider = provider;
        ep->device = device;
        ep->access = access;
        ep->elsewhere = elsewhere;
        if (elsewhere)
                snprintf(ep->endpoint.info.identity.key, IO_KEY_MAX_BYTES, "elsewhere:%u", device->index);
        ep->conn = device->n_conns++;
        kc_list_init(&ep->pending);
        kc_list_init(&ep->node);
        kc_list_push(&provider->endpoints, &ep->node);
        world_event_init(&ep->lose_event, provider->lane_index, on_lose);
        world_event_init(&ep->close_event, provider->lane_index, on_close);
        provider->n_endpoints++;
        device->n_connected++;
        device->n_open_write += (access & IO_ACCESS_WRITE) != 0;
        world_say(provider->world, "  %s conn %u opened on lane %u for %u", device->name, ep->conn,
            provider->lane_index, access);
        return &ep->endpoint;
}

/* 0, an error, or 1: not yet. */
static int open_outcome(struct pending_open *pending)
{
        struct device *device = pending->device;
        struct world *world = pending->provider->world;
        bool late = world->now_ns >= pending->deadline_ns;

        if (pending->cancelled && !world_one_in(world, 4)) /* else it had been decided otherwise */
                return -ECANCELED;
        if (device == NULL || (device->absent && !pending->open->may_create))
                return -ENOENT;
        if (device->config.open_status != 0)
                return device->config.open_status;
        if (device->config.open_hangs || (device->config.admits_one && device->n_connected > 0))
                return pending->cancelled ? -ECANCELED : late ? -ETIMEDOUT : 1;
        return 0;
}

static void forget_open(struct pending_open *pending)
{
        world_event_stop(pending->provider->world, &pending->event);
        kc_list_del(&pending->node);
        pending->provider->n_opens--;
        free(pending);
}

static void on_open_due(struct world_event *event)
{
        struct pending_open *pending = kc_container_of(event, struct pending_open, event);
        struct provider_sim *provider = pending->provider;
        struct io_open *open = pending->open;
        int status = pending->null ? 0 : open_outcome(pending);

        if (status > 0) {
                uint64_t left = pending->deadline_ns - provider->world->now_ns;

                world_event_start(provider->world, event, left < 10 * MS_NS ? left : 10 * MS_NS);
                return;
        }
        open->status = status;
        open->endpoint = NULL;
        if (status == 0 && !pending->null)
                open->endpoint = new_endpoint(provider, pending->device, open->access,
                    open->extra && pending->device->config.extra_elsewhere);
        else if (status < 0)
                kc_error_set(
                    &open->error, status, kc_class_of_errno(status), "%s: does not open", open->device);
        if (pending->null) {
                open->status = null_new(world_actor(provider->world, provider->lane_index), open->access,
                    &open->endpoint, &open->error);
        }
        forget_open(pending);
        open->on_open(open);
}

static struct device *find_device(struct provider_sim *provider, const char *name)
{
        for (unsigned i = 0; i < provider->n_devices; i++)
                if (strcmp(provider->devices[i].name, name) == 0)
                        return &provider->devices[i];
        return NULL;
}

static void provider_sim_open(struct io_provider *io_provider, struct io_open *open)
{
        struct provider_sim *provider = (struct provider_sim *)io_provider;
        struct pending_open *pending = calloc(1, sizeof *pending);
        struct world *world = provider->world;
        uint64_t delay;

        assert(pending != NULL);
        check_lane(provider, "open");
        pending->provider = provider;
        pending->open = open;
        kc_list_init(&pending->node);
        kc_list_push(&provider->opens, &pending->node);
        pending->null = null_is_name(open->device);
        pending->device = find_device(provider, open->device);
        pending->deadline_ns = world->now_ns + open->timeout_ns;
        open->scratch = pending;
        if (open->extra && pending->device && !pending->device->config.multi_conn)
                world_fail(world, "%s: a further connection to what admits one", open->device);
        delay = pending->device ? pending->device->config.open_delay_ns : 0;
        delay = world_below(world, delay + 1000);
        provider->n_opens++;
        world_event_init(&pending->event, provider->lane_index, on_open_due);
        world_event_start(world, &pending->event, delay < open->timeout_ns ? delay : open->timeout_ns);
}

static void provider_sim_cancel(struct io_provider *io_provider, struct io_open *open)
{
        struct provider_sim *provider = (struct provider_sim *)io_provider;
        struct pending_open *pending = open->scratch;

        check_lane(provider, "cancel of an open");
        pending->cancelled = true;
        world_event_start(provider->world, &pending->event, world_below(provider->world, 1000));
}

static const struct io_provider_ops provider_sim_ops = {
    .open = provider_sim_open,
    .cancel = provider_sim_cancel,
};

void provider_sim_init(struct provider_sim *provider, struct world *world, unsigned lane_index,
    struct device *devices, unsigned n_devices)
{
        *provider = (struct provider_sim){.provider.ops = &provider_sim_ops,
            .world = world,
            .lane_index = lane_index,
            .devices = devices,
            .n_devices = n_devices};
        kc_list_init(&provider->endpoints);
        kc_list_init(&provider->opens);
}

void provider_sim_die(struct provider_sim *provider, bool kernel)
{
        kc_list_for_each_safe (pos, &provider->opens)
                forget_open(kc_list_entry(pos, struct pending_open, node));
        kc_list_for_each_safe (pos, &provider->endpoints) {
                struct endpoint_sim *ep = kc_list_entry(pos, struct endpoint_sim, node);

                kc_list_for_each (at, &ep->pending) {
                        struct io_req *req = kc_list_entry(at, struct io_req, node);

                        if (req->op == IO_READ)
                                ASAN_UNPOISON_MEMORY_REGION(req->buf, req->length_bytes);
                        device_forget_sender(req->scratch, kernel);
                }
                forget(ep);
        }
}

void provider_sim_cut(struct provider_sim *provider, struct device *device, bool dark)
{
        kc_list_for_each_safe (pos, &provider->endpoints) {
                struct endpoint_sim *ep = kc_list_entry(pos, struct endpoint_sim, node);

                if (ep->device != device || ep->lost)
                        continue;
                if (!dark)
                        world_event_start(
                            provider->world, &ep->lose_event, world_below(provider->world, MS_NS));
                ep->dark = true;
                kc_list_for_each (at, &ep->pending)
                        device_keep_answer(kc_list_entry(at, struct io_req, node)->scratch);
        }
}

void provider_sim_done(struct provider_sim *provider)
{
        if (provider->n_endpoints + provider->n_opens > 0)
                world_fail(provider->world, "lane %u: %u endpoints and %u opens are left at the end",
                    provider->lane_index, provider->n_endpoints, provider->n_opens);
}
