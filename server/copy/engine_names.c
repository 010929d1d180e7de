/* The engine's named endpoints: what stands for a device in its configuration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy/engine_private.h"

static struct named_endpoint *find_name(const struct engine *engine, const char *name)
{
        kc_list_for_each (pos, &engine->names) {
                struct named_endpoint *named = kc_list_entry(pos, struct named_endpoint, node);

                if (strcmp(named->name, name) == 0)
                        return named;
        }
        return NULL;
}

const char *engine_resolve_name(const struct engine *engine, const char *name, struct kc_error *err)
{
        const struct named_endpoint *named;
        char escaped[128];

        if (name[0] == '/' || strcmp(name, "null:") == 0 || strstr(name, "://"))
                return name;
        named = find_name(engine, name);
        if (named)
                return named->device;
        kc_error_set(err, -ENOENT, KC_CLASS_NOT_FOUND,
            "%s: no endpoint of this name; give an absolute path, an NBD URI or null:",
            kc_error_escape(escaped, sizeof escaped, name, strlen(name)));
        return NULL;
}

int engine_name_endpoint(struct engine *engine, const char *name, const char *device)
{
        struct named_endpoint *named;
        struct kc_list *at = engine->names.next;

        if (find_name(engine, name))
                return -EEXIST;
        named = calloc(1, sizeof *named);
        if (!named)
                return -ENOMEM;
        named->name = strdup(name);
        named->device = strdup(device);
        if (!named->name || !named->device) {
                free(named->name);
                free(named->device);
                free(named);
                return -ENOMEM;
        }
        while (at != &engine->names && strcmp(kc_list_entry(at, struct named_endpoint, node)->name, name) < 0)
                at = at->next;
        kc_list_insert(&named->node, at->prev, at);
        return 0;
}

int engine_endpoint_next(
    struct engine *engine, const char *after, const char **ret_name, const char **ret_device)
{
        kc_list_for_each (pos, &engine->names) {
                const struct named_endpoint *named = kc_list_entry(pos, struct named_endpoint, node);

                if (after && strcmp(named->name, after) <= 0)
                        continue;
                *ret_name = named->name;
                *ret_device = named->device;
                return 0;
        }
        return -ENOENT;
}
