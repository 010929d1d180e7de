/* Devices as protobuf messages: what an Open found, and what a validated job would have worked on (encode.h).
 */
#include "rpc/encode.h"

ENCODE_BUILD(Kcopy__V1__DeviceInfo, device_info)
ENCODE_BUILD(Kcopy__V1__PlannedDevice, planned_device)
ENCODE_BUILD(Kcopy__V1__Validated, validated)

Kcopy__V1__DeviceInfo *encode_device(
    struct kc_budget *build, const char *name, const struct endpoint_info *info)
{
        Kcopy__V1__DeviceInfo *message = build_device_info(build);

        if (!message)
                return NULL;
        message->name = encode_text(build, name, KC_DEVICE_NAME_MAX_BYTES);
        message->size_bytes = info->size_bytes;
        message->block_min_bytes = info->block_min_bytes;
        message->block_preferred_bytes = info->block_preferred_bytes;
        message->block_max_bytes = info->block_max_bytes;
        message->read_only = info->read_only;
        message->can_flush = info->can_flush;
        message->can_fua = info->can_fua;
        message->can_zero = info->zero_max_bytes != 0;
        message->can_extents = info->can_extents;
        message->multi_conn = info->multi_conn;
        message->resizable = info->resizable;
        message->mounted_for_writing = info->mounted_rw;
        message->identity = (char *)info->identity.key;
        return message->name ? message : NULL;
}

static Kcopy__V1__PlannedDevice *planned_of(struct kc_budget *build, const struct engine_planned *planned)
{
        static const Kcopy__V1__DeviceKind kinds[] = {
            [IO_KIND_NULL] = KCOPY__V1__DEVICE_KIND__DEVICE_KIND_NULL,
            [IO_KIND_FILE] = KCOPY__V1__DEVICE_KIND__DEVICE_KIND_FILE,
            [IO_KIND_BLOCK] = KCOPY__V1__DEVICE_KIND__DEVICE_KIND_BLOCK,
            [IO_KIND_NBD] = KCOPY__V1__DEVICE_KIND__DEVICE_KIND_NBD,
            [IO_KIND_SIM] = KCOPY__V1__DEVICE_KIND__DEVICE_KIND_UNSPECIFIED,
        };
        Kcopy__V1__PlannedDevice *message = build_planned_device(build);

        if (!message)
                return NULL;
        message->kind = kinds[planned->kind];
        message->size_bytes = planned->size_bytes;
        message->size_after_bytes = planned->size_after_bytes;
        message->created = planned->created;
        message->mounted_for_writing = planned->mounted_rw;
        message->identity = (char *)(uintptr_t)planned->identity;
        return message;
}

/* Numbers alone, so that 64 destinations fit a frame many times over. */
Kcopy__V1__Validated *encode_validated(struct kc_budget *build, const struct engine_plan *plan)
{
        Kcopy__V1__Validated *message = build_validated(build);

        if (!message)
                return NULL;
        message->length_bytes = plan->length_bytes;
        if (plan->has_from) {
                message->from = planned_of(build, &plan->from);
                if (!message->from)
                        return NULL;
        }
        message->to = kc_budget_alloc(build, plan->n_to * sizeof(message->to[0]));
        if (!message->to)
                return NULL;
        for (unsigned i = 0; i < plan->n_to; i++) {
                message->to[i] = planned_of(build, &plan->to[i]);
                if (!message->to[i])
                        return NULL;
        }
        message->n_to = plan->n_to;
        return message;
}
