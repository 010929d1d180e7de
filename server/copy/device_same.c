/* Devices that are the same under several names: files that come into being, block devices. */
#include "copy/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "copy/engine_private.h"

/* ---- files that come into being: a job that creates one holds its locks under the name that it had before
 */

static void take_key_of(struct device *device, const struct device *creator)
{
        memcpy(device->born_key, device->info.identity.key, sizeof device->born_key);
        memcpy(device->info.identity.key, creator->info.identity.key, sizeof device->info.identity.key);
}

void device_find_creator(struct device *device)
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

/* ---- another connection, opened by the same name */

bool device_is_same(const struct device *device, const struct endpoint_info *info)
{
        const struct endpoint_info *own = &device->info;

        return info->kind == own->kind && strcmp(info->identity.key, device_key(device)) == 0 &&
               info->identity.number == own->identity.number &&
               info->identity.base_bytes == own->identity.base_bytes &&
               !io_instances_differ(info->identity.instance, own->identity.instance) &&
               (own->resizable || info->size_bytes == own->size_bytes) &&
               info->block_min_bytes == own->block_min_bytes && info->can_flush == own->can_flush;
}

/* ---- block devices with several names: only one of them can be open for writing */

/* Who of us has the block device `number`, or will perhaps have it at once. NULL: nobody. */
static struct device *holder_of(const struct device *device, uint64_t number)
{
        struct device *about_to = NULL;

        kc_list_for_each (pos, &device->engine->devices) {
                struct device *other = kc_list_entry(pos, struct device, node);

                if (other == device || !(other->access & IO_ACCESS_WRITE) || other->name[0] != '/')
                        continue;
                if (other->state == DEVICE_OPENING)
                        about_to = other;
                else if ((other->state == DEVICE_OPEN || other->state == DEVICE_CLOSING) &&
                         other->info.identity.number == number)
                        return other;
        }
        return about_to;
}

bool device_find_holder(struct device *device, uint64_t number)
{
        struct engine *engine = device->engine;
        struct device *holder = holder_of(device, number);

        if (number == 0)
                return false;
        if (holder && holder->state == DEVICE_OPEN && !holder->retired)
                device->same = device_ref(holder);
        else if (kc_actor_now_ns(engine->control) >= device->patience_ns)
                return false;
        else if (holder && holder->n_stuck == 0)
                device_block(device, holder);
        else if (engine->n_devices_closed != device->closed_before) /* perhaps that one had it */
                device_start_open(device);
        else
                return false;
        return true;
}

struct device *device_actual(struct device *device)
{
        struct device *same = device->same;

        if (!same)
                return device;
        device_ref(same);
        device_put(device);
        return same;
}
