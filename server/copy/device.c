/* Devices: found or opened, kept for a while, closed. */
#include "copy/device.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "copy/engine_private.h"
#include "copy/job.h"

#define NS_PER_MS 1000000ull
/* How long opening a device waits for its own last close. */
#define BLOCKED_NS (2000 * NS_PER_MS)

static void notify(struct kc_list *waiters)
{
        struct kc_list mine = KC_LIST_INIT(mine), *node;

        kc_list_splice(&mine, waiters);
        while ((node = kc_list_pop(&mine))) {
                struct device_waiter *waiter = kc_list_entry(node, struct device_waiter, node);

                waiter->on_device(waiter);
        }
}

void device_start_open(struct device *device)
{
        struct port *port = &device->ports[device->home];

        kc_actor_timer_stop(device->engine->control, &device->timer);
        device->blocked_by = NULL;
        device->state = DEVICE_OPENING;
        device->closed_before = device->engine->n_devices_closed;
        device->n_ports_used++;
        port_open(port);
}

/* A record goes when nobody uses it, nobody needs its key, and no port is open. */
static void maybe_free(struct device *device)
{
        struct engine *engine = device->engine;

        if (device->users > 0 || device->pins > 0 || device->n_ports_used > 0)
                return;
        assert(kc_list_empty(&device->open_waiters) && kc_list_empty(&device->close_waiters));
        kc_actor_timer_stop(engine->control, &device->timer);
        kc_list_del(&device->node);
        if (device->same)
                device_put(device->same);
        free(device->name);
        free(device);
        engine_check_closed(engine);
}

static void unblock(struct device *device)
{
        kc_list_for_each_safe (pos, &device->engine->devices) {
                struct device *other = kc_list_entry(pos, struct device, node);

                if (other->blocked_by == device)
                        device_start_open(other);
        }
}

/* Every port is closed: whoever waited for that goes on. */
static void device_closed(struct device *device)
{
        device->state = DEVICE_CLOSED;
        device->engine->n_devices_closed++;
        device_pin(device); /* the waiters' locks may be all that keeps it */
        unblock(device);
        notify(&device->close_waiters);
        device_unpin(device);
}

static void close_ports(struct device *device)
{
        device->retired = true;
        device->state = DEVICE_CLOSING;
        for (unsigned i = 0; i < device->engine->n_lanes; i++)
                if (device->ports[i].state == PORT_OPEN || device->ports[i].state == PORT_OPENING)
                        port_close(&device->ports[i]);
        if (device->n_ports_used == 0)
                device_closed(device);
}

static void on_timer(struct kc_timer *timer)
{
        struct device *device = kc_container_of(timer, struct device, timer);

        if (device->state == DEVICE_BLOCKED)
                device_start_open(device);
        else if (device->users == 0)
                close_ports(device);
}

/* An export that is open for writing is read through the same connection: it may admit no other. Not so local
 * devices: a reader must not keep the writer's descriptor open. */
static bool reads_too(const struct device *device, enum io_access access)
{
        return access == IO_ACCESS_READ && device->state == DEVICE_OPEN && device->info.kind == IO_KIND_NBD;
}

static struct device *find(struct engine *engine, const char *name, enum io_access access)
{
        kc_list_for_each (pos, &engine->devices) {
                struct device *device = kc_list_entry(pos, struct device, node);

                if (device->retired || strcmp(device->name, name) != 0)
                        continue;
                if (device->info.absent && device->born_key[0] != '\0') /* it is not, any more */
                        continue;
                if (device->access != access && !reads_too(device, access))
                        continue;
                /* A file's size is what it is now, not what it was when somebody else opened it. */
                if (device->state == DEVICE_OPEN && device->info.kind == IO_KIND_FILE &&
                    access == IO_ACCESS_READ)
                        continue;
                return device;
        }
        return NULL;
}

static struct device *find_closing(struct engine *engine, const char *name)
{
        kc_list_for_each (pos, &engine->devices) {
                struct device *device = kc_list_entry(pos, struct device, node);

                if (device->state == DEVICE_CLOSING && device->n_stuck == 0 &&
                    strcmp(device->name, name) == 0)
                        return device;
        }
        return NULL;
}

void device_block(struct device *device, struct device *by)
{
        struct kc_actor *control = device->engine->control;

        device->state = DEVICE_BLOCKED;
        device->blocked_by = by;
        kc_actor_timer_start(control, &device->timer, kc_actor_now_ns(control) + BLOCKED_NS);
}

/* An export that admits one connection would keep a writer waiting for an idle reader's. */
static void close_idle_reader(struct engine *engine, const char *name)
{
        kc_list_for_each (pos, &engine->devices) {
                struct device *device = kc_list_entry(pos, struct device, node);

                if (device->users > 0 || device->state != DEVICE_OPEN || device->info.multi_conn ||
                    strcmp(device->name, name) != 0)
                        continue;
                device_close_idle(device);
                return;
        }
}

struct device *device_get(struct engine *engine, const char *name, enum io_access access, unsigned lane)
{
        struct device *device = find(engine, name, access), *closing;

        if (device)
                return device_ref(device);
        device = calloc(1, sizeof *device + engine->n_lanes * sizeof *device->ports);
        if (!device)
                return NULL;
        device->name = strdup(name);
        if (!device->name) {
                free(device);
                return NULL;
        }
        device->engine = engine;
        device->access = access;
        device->users = 1;
        device->home = lane;
        device->patience_ns = kc_actor_now_ns(engine->control) + engine->config.open_timeout_ns;
        kc_list_init(&device->open_waiters);
        kc_list_init(&device->close_waiters);
        kc_timer_init(&device->timer, on_timer);
        for (unsigned i = 0; i < engine->n_lanes; i++) {
                struct port *port = &device->ports[i];

                port_init(port, device, engine->lanes[i]);
                port->name = device->name;
                port->access = access;
                port->may_create = access & IO_ACCESS_WRITE;
                port->extra = i != lane;
                port->open.timeout_ns = engine->config.open_timeout_ns;
        }
        if (access & IO_ACCESS_WRITE)
                close_idle_reader(engine, name);
        closing = find_closing(engine, name);
        kc_list_push(&engine->devices, &device->node);
        if (closing)
                device_block(device, closing);
        else
                device_start_open(device);
        return device;
}

struct device *device_ref(struct device *device)
{
        device->users++;
        kc_actor_timer_stop(device->engine->control, &device->timer);
        return device;
}

void device_pin(struct device *device)
{
        device->pins++;
}

void device_unpin(struct device *device)
{
        if (--device->pins == 0 && device->state == DEVICE_CLOSED)
                maybe_free(device);
}

bool device_closes_at_once(const struct device *device)
{
        return device->retired || device->engine->closing || device->state != DEVICE_OPEN ||
               device->info.keep_idle_ms == 0;
}

void device_put(struct device *device)
{
        struct engine *engine = device->engine;

        assert(device->users > 0);
        if (--device->users > 0)
                return;
        if (device->state == DEVICE_CLOSED || device->state == DEVICE_BLOCKED) {
                maybe_free(device);
        } else if (device->state == DEVICE_CLOSING) {
                return;
        } else if (device_closes_at_once(device)) {
                close_ports(device);
        } else {
                kc_actor_timer_start(engine->control, &device->timer,
                    kc_actor_now_ns(engine->control) + device->info.keep_idle_ms * NS_PER_MS);
        }
}

void device_put_and_wait(struct device *device, struct device_waiter *waiter)
{
        kc_list_push(&device->close_waiters, &waiter->node);
        device_put(device);
}

bool device_opened(const struct device *device)
{
        return device->state >= DEVICE_OPEN;
}

void device_wait_open(struct device *device, struct device_waiter *waiter)
{
        assert(!device_opened(device));
        kc_list_push(&device->open_waiters, &waiter->node);
}

void device_unwait(struct device_waiter *waiter)
{
        kc_list_del(&waiter->node);
}

void device_retire(struct device *device)
{
        device->retired = true;
}

void device_stuck(struct device *device)
{
        device->n_stuck++;
        notify(&device->close_waiters);
}

void device_unstuck(struct device *device)
{
        device->n_stuck--;
}

void device_close_idle(struct device *device)
{
        if (device->users == 0 && device->state == DEVICE_OPEN) {
                kc_actor_timer_stop(device->engine->control, &device->timer);
                close_ports(device);
        }
}

void device_want_port(struct device *device, unsigned lane)
{
        struct port *port = &device->ports[lane];

        if (device->state != DEVICE_OPEN || device->extra_failed || !device->info.multi_conn ||
            port->state != PORT_CLOSED)
                return;
        device->n_ports_used++;
        port_open(port);
}

/* The name was looked up once more: a path may lead elsewhere by now, and a server may be another one. */
static void extra_opened(struct device *device, struct port *port)
{
        if (port->status == 0 && device_is_same(device, &port->info)) {
                engine_try_helpers(device->engine);
                return;
        }
        device->extra_failed = true;
        if (port->status < 0)
                return;
        kc_log_warning("copy", "the name leads to another device by now: not used by further lanes device=%s",
            device->name);
        port_close(port);
}

void device_on_port_opened(struct kc_actor *actor, struct kc_msg *msg)
{
        struct port *port = kc_container_of(msg, struct port, open_msg);
        struct device *device = port->device;
        bool home = port == &device->ports[device->home];

        if (port->state == PORT_CLOSING) /* its close follows */
                return;
        if (port->status < 0) {
                port->state = PORT_CLOSED;
                device->n_ports_used--;
        } else {
                port->state = PORT_OPEN;
        }
        if (!home) {
                extra_opened(device, port);
                return;
        }
        device->info = port->info;
        if (port->status == -EBUSY && device_find_holder(device, port->busy_number)) {
                if (!device->same)
                        return;
        } else {
                device->status = port->status;
                device->error = port->error;
        }
        if (port->status == 0)
                device_find_creator(device);
        device->state = port->status < 0 ? DEVICE_FAILED : DEVICE_OPEN;
        if (port->status < 0)
                device->retired = true;
        device->users++; /* waiters may let go of it */
        unblock(device);
        notify(&device->open_waiters);
        device_put(device);
}

void device_on_port_closed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct port *port = kc_container_of(msg, struct port, close_msg);
        struct device *device = port->device;

        port->state = PORT_CLOSED;
        if (--device->n_ports_used == 0)
                device_closed(device);
}

/* Its jobs will find out; one without users waits for the end of its idle time in vain. */
void device_on_port_dead(struct kc_actor *actor, struct kc_msg *msg)
{
        struct device *device = kc_container_of(msg, struct port, dead_msg)->device;

        device_retire(device);
        device_close_idle(device);
}

/* Everybody who has written to the device is concerned (job_on_run_done looks), by whatever name; nobody new
 * may be. */
void device_on_flush_failed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct port *port = kc_container_of(msg, struct port, flush_failed_msg);
        struct device *device = port->device;

        kc_list_for_each (pos, &device->engine->devices) {
                struct device *other = kc_list_entry(pos, struct device, node);

                if (!(other->access & IO_ACCESS_WRITE) || !device_opened(other) ||
                    strcmp(other->info.identity.key, device->info.identity.key) != 0)
                        continue;
                if (other->flush_status == 0 || port->flush_failed_sent_ns < other->flush_sent_ns)
                        other->flush_sent_ns = port->flush_failed_sent_ns;
                other->flush_status = port->flush_status;
                other->flush_class = port->flush_class;
                device_retire(other);
        }
}
