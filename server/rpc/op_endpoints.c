/* Endpoints: the names of the configuration and the other devices that are open, merged in the order of their
 * names. Answered by EndpointList, a page at a time. */
#include <string.h>

#include "rpc/operation.h"

/* Where the two lists stand; NULL: at the end. */
struct cursor {
        struct engine *engine;
        const char *name, *device; /* the next one of the configuration */
        const char *open;          /* the next open device */
        unsigned users;
};

static void advance_name(struct cursor *cursor, const char *after)
{
        if (engine_endpoint_next(cursor->engine, after, &cursor->name, &cursor->device) < 0)
                cursor->name = NULL;
}

/* Then it is told of under its name. */
static bool is_configured(struct engine *engine, const char *open)
{
        const char *name = "", *device;

        while (engine_endpoint_next(engine, name, &name, &device) == 0) {
                if (strcmp(open, device) == 0 || strcmp(open, name) == 0)
                        return true;
        }
        return false;
}

static void advance_open(struct cursor *cursor, const char *after)
{
        do {
                if (engine_device_next(cursor->engine, after, &cursor->open, &cursor->users) < 0) {
                        cursor->open = NULL;
                        return;
                }
                after = cursor->open;
        } while (is_configured(cursor->engine, cursor->open));
}

/* Whether the device that a name stands for is open, under either of them. */
static void look_up_users(struct engine *engine, Kcopy__V1__EndpointInfo *info)
{
        const char *open = "";
        unsigned users;

        while (engine_device_next(engine, open, &open, &users) == 0) {
                if (strcmp(open, info->device) == 0 || strcmp(open, info->name) == 0) {
                        info->open = true;
                        info->users += users;
                }
        }
}

/* The next entry, copied into the arena; NULL at the end or when the arena is full. */
static Kcopy__V1__EndpointInfo *next(struct kc_budget *build, struct cursor *cursor, const char *after)
{
        Kcopy__V1__EndpointInfo *info = kc_budget_alloc(build, sizeof(*info));

        advance_name(cursor, after);
        advance_open(cursor, after);
        if (!info || (!cursor->name && !cursor->open))
                return NULL;
        kcopy__v1__endpoint_info__init(info);
        if (cursor->name && (!cursor->open || strcmp(cursor->name, cursor->open) <= 0)) {
                info->name = encode_text(build, cursor->name, KC_DEVICE_NAME_MAX_BYTES);
                info->device = encode_text(build, cursor->device, KC_DEVICE_NAME_MAX_BYTES);
                if (!info->name || !info->device)
                        return NULL;
                look_up_users(cursor->engine, info);
                return info;
        }
        info->name = encode_text(build, cursor->open, KC_DEVICE_NAME_MAX_BYTES);
        info->device = info->name;
        info->open = true;
        info->users = cursor->users;
        info->unnamed = true;
        return info->name ? info : NULL;
}

void op_endpoints_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        struct kc_budget *build = &session->rpc->build;
        struct cursor cursor = {.engine = session->rpc->config.engine};
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__EndpointList body = KCOPY__V1__ENDPOINT_LIST__INIT;
        Kcopy__V1__EndpointInfo *endpoints[KC_LIST_PAGE_MAX], *info;
        const char *after = request->endpoints->after_name;

        kc_budget_reset(build);
        body.endpoints = endpoints;
        while ((info = next(build, &cursor, after))) {
                size_t bytes;

                if (body.n_endpoints == KC_LIST_PAGE_MAX) {
                        body.more = true;
                        break;
                }
                endpoints[body.n_endpoints++] = info;
                bytes = kcopy__v1__endpoint_list__get_packed_size(&body);
                if (bytes > KC_FRAME_MAX_BYTES - 64) {
                        body.n_endpoints--;
                        body.more = true;
                        break;
                }
                after = info->name;
        }
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_ENDPOINT_LIST;
        message.endpoint_list = &body;
        session_send(session, &message);
}
