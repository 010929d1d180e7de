/* Devices: found or opened, kept for a while, closed. */
#include "copy/device.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void start_open(struct device *device)
{
        struct port *port = &device->ports[device->home];

        kc_actor_timer_stop(device->engine->control, &device->timer);
        device->blocked_by = NULL;
        device->state = DEVICE_OPENING;
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
        free(device->name);
        free(device);
        engine_check_closed(engine);
}

/* Every port is closed: whoever waited for that goes on. */
static void device_closed(struct device *device)
{
        device->state = DEVICE_CLOSED;
        device_pin(device); /* the waiters' locks may be all that keeps it */
        kc_list_for_each_safe (pos, &device->engine->devices) {
                struct device *other = kc_list_entry(pos, struct device, node);

                if (other->blocked_by == device)
                        start_open(other);
        }
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
                start_open(device);
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
        struct device *device = find(engine, name, access);

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
        device->blocked_by = find_closing(engine, name);
        kc_list_push(&engine->devices, &device->node);
        if (device->blocked_by) {
                device->state = DEVICE_BLOCKED;
                kc_actor_timer_start(
                    engine->control, &device->timer, kc_actor_now_ns(engine->control) + BLOCKED_NS);
        } else {
                start_open(device);
        }
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

/* ---- files that come into being: a job that creates one holds its locks under the name that it had before
 */

static void take_key_of(struct device *device, const struct device *creator)
{
        memcpy(device->born_key, device->info.identity.key, sizeof device->born_key);
        memcpy(device->info.identity.key, creator->info.identity.key, sizeof device->info.identity.key);
}

/* Called before anybody has seen its info. */
static void find_creator(struct device *device)
{
        kc_list_for_each (pos, &device->engine->devices) {
                const struct device *other = kc_list_entry(pos, struct device, node);

                if (other != device && other->born_key[0] != '\0' &&
                    strcmp(other->born_key, device->info.identity.key) == 0) {
                        take_key_of(device, other);
                        return;
                }
        }
}

int device_created(struct device *device, const char *key)
{
        if (device->born_key[0] != '\0')
                return 0;
        snprintf(device->born_key, sizeof device->born_key, "%s", key);
        kc_list_for_each (pos, &device->engine->devices) {
                struct device *other = kc_list_entry(pos, struct device, node);

                if (other == device || !device_opened(other) || strcmp(other->info.identity.key, key) != 0)
                        continue;
                if (other->pins > 0) /* locked by its old name, and maybe at work */
                        return -EBUSY;
                take_key_of(other, device);
        }
        return 0;
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
                if (port->status < 0)
                        device->extra_failed = true;
                else
                        engine_try_helpers(device->engine);
                return;
        }
        device->status = port->status;
        device->error = port->error;
        device->info = port->info;
        if (port->status == 0)
                find_creator(device);
        device->state = port->status < 0 ? DEVICE_FAILED : DEVICE_OPEN;
        if (port->status < 0)
                device->retired = true;
        device->users++; /* waiters may let go of it */
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

/* Everybody who has written through this record is concerned (job_on_run_done looks); nobody new may be. */
void device_on_flush_failed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct port *port = kc_container_of(msg, struct port, flush_failed_msg);
        struct device *device = port->device;

        device->flush_status = port->flush_status;
        device->flush_class = port->flush_class;
        device_retire(device);
}
