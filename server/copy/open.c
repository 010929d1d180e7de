/* Handles: a device opened for a client and kept open, so that small jobs cost an I/O and no look-up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy/client.h"
#include "copy/device.h"

/* One engine_open under way. Freed when it has called back. */
struct opening {
        struct kc_msg msg;
        struct kc_list node; /* client->openings */
        struct engine_client *client;
        struct engine_open *open;
        struct device *device;
        struct device_waiter waiter;
        bool write;
        char name[];
};

static void refuse(struct opening *opening, const struct kc_error *error)
{
        struct engine_client *client = opening->client;
        struct engine_refusal refusal = {.field = "name", .error = *error};
        struct engine_open *open = opening->open;

        if (opening->device)
                device_put(opening->device);
        kc_list_del(&opening->node);
        free(opening);
        client->n_jobs--;
        client->engine->n_resolving--;
        open->on_refused(open, &refusal);
        client_check_closed(client);
        engine_check_closed(client->engine);
}

static void refuse_with(struct opening *opening, int code, enum kc_class class, const char *why)
{
        struct kc_error error = {.code = 0};
        char escaped[128];

        kc_error_set(&error, code, class, "%s: %s",
            kc_error_escape(escaped, sizeof escaped, opening->name, strlen(opening->name)), why);
        refuse(opening, &error);
}

static void opened(struct opening *opening)
{
        struct engine_client *client = opening->client;
        struct device *device = opening->device = device_actual(opening->device);
        struct engine_open *open = opening->open;
        struct handle *handle;

        if (client->closing) { /* nobody could use the handle */
                refuse_with(opening, -ECANCELED, KC_CLASS_CANCELLED, "the client has gone");
                return;
        }
        if (device->status < 0) {
                refuse(opening, &device->error);
                return;
        }
        if (device->info.absent) {
                refuse_with(
                    opening, -ENOENT, KC_CLASS_NOT_FOUND, "no such file; a Copy to it would create it");
                return;
        }
        handle = calloc(1, sizeof *handle);
        if (!handle) {
                refuse_with(opening, -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                return;
        }
        handle->id = client->engine->next_handle++;
        handle->device = device;
        handle->write = opening->write;
        kc_list_push(&client->handles, &handle->node);
        kc_list_del(&opening->node);
        free(opening);
        client->n_jobs--;
        client->engine->n_resolving--;
        open->on_opened(open, handle->id, device->name, &device->info);
}

static void on_device(struct device_waiter *waiter)
{
        opened(kc_container_of(waiter, struct opening, waiter));
}

static void on_open_msg(struct kc_actor *actor, struct kc_msg *msg)
{
        struct opening *opening = kc_container_of(msg, struct opening, msg);
        struct engine *engine = opening->client->engine;
        const char *name = opening->name;
        struct kc_error error = {.code = 0};

        if (opening->client->closing) {
                refuse_with(opening, -ECANCELED, KC_CLASS_CANCELLED, "the client has gone");
                return;
        }
        name = engine_resolve_name(engine, name, &error);
        if (!name) {
                refuse(opening, &error);
                return;
        }
        opening->device = device_get(
            engine, name, opening->write ? IO_ACCESS_WRITE : IO_ACCESS_READ, opening->client->lane);
        if (!opening->device) {
                refuse_with(opening, -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                return;
        }
        if (kc_list_empty(&opening->client->handles)) /* the others go where the first one is already */
                opening->client->lane = opening->device->home;
        if (device_opened(opening->device)) {
                opened(opening);
                return;
        }
        opening->waiter.on_device = on_device;
        device_wait_open(opening->device, &opening->waiter);
}

int engine_open(struct engine_client *client, const char *device, bool write, struct engine_open *open)
{
        size_t name_bytes = strlen(device) + 1;
        struct opening *opening = calloc(1, sizeof *opening + name_bytes);

        if (!opening)
                return -ENOMEM;
        memcpy(opening->name, device, name_bytes);
        opening->client = client;
        opening->open = open;
        opening->write = write;
        client->n_jobs++;
        client->engine->n_resolving++;
        kc_list_init(&opening->waiter.node);
        kc_list_push(&client->openings, &opening->node);
        opening->msg.on_message = on_open_msg;
        kc_actor_post(client->engine->control, &opening->msg);
        return 0;
}

/* ---- giving up: by message, as everything is answered */

static void on_give_up(struct kc_actor *actor, struct kc_msg *msg)
{
        refuse_with(
            kc_container_of(msg, struct opening, msg), -ECANCELED, KC_CLASS_CANCELLED, "the client has gone");
}

void client_give_up_opens(struct engine_client *client)
{
        kc_list_for_each (pos, &client->openings) {
                struct opening *opening = kc_list_entry(pos, struct opening, node);

                if (kc_list_empty(&opening->waiter.node)) /* its message is on the way */
                        continue;
                device_unwait(&opening->waiter);
                opening->msg.on_message = on_give_up;
                kc_actor_post(client->engine->control, &opening->msg);
        }
}
