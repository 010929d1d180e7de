/* Refusals: field, reason and limit. */
#include "copy/refuse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of a device's name, in a reason: it leaves room for the reason itself. */
#define NAME_MAX_BYTES 96

static int code_of(enum kc_class class)
{
        switch (class) {
        case KC_CLASS_PERMISSION:
                return -EROFS;
        case KC_CLASS_NOT_FOUND:
                return -ENOENT;
        case KC_CLASS_LIMIT:
                return -E2BIG;
        case KC_CLASS_UNSUPPORTED:
                return -EOPNOTSUPP;
        default:
                return -EINVAL;
        }
}

static void set_reason(struct engine_refusal *ret_refusal, enum kc_class class, const char *fmt, va_list ap)
{
        char reason[KC_ERROR_MESSAGE_MAX_BYTES];

        ret_refusal->has_limit = false;
        ret_refusal->limit = 0;
        ret_refusal->error = (struct kc_error){0};
        vsnprintf(reason, sizeof(reason), fmt, ap);
        kc_error_set(&ret_refusal->error, code_of(class), class, "%s", reason);
}

bool refuse(struct engine_refusal *ret_refusal, enum kc_class class, const char *field, const char *fmt, ...)
{
        va_list ap;

        snprintf(ret_refusal->field, sizeof(ret_refusal->field), "%s", field);
        va_start(ap, fmt);
        set_reason(ret_refusal, class, fmt, ap);
        va_end(ap);
        return false;
}

const char *refuse_region_name(char name[24], unsigned index)
{
        if (index == REFUSE_SOURCE)
                strcpy(name, "from");
        else
                snprintf(name, 24, "to[%u]", index);
        return name;
}

bool refuse_region(struct engine_refusal *ret_refusal, const struct copy_spec *spec, unsigned index,
    const char *part, enum kc_class class, const char *fmt, ...)
{
        const struct copy_region *region = index == REFUSE_SOURCE ? &spec->from : &spec->to[index];
        char name[24], device[NAME_MAX_BYTES];
        va_list ap;

        snprintf(ret_refusal->field, sizeof(ret_refusal->field), "%s%s%s", refuse_region_name(name, index),
            part != NULL ? "." : "", part != NULL ? part : "");
        va_start(ap, fmt);
        set_reason(ret_refusal, class, fmt, ap);
        va_end(ap);
        if (region->device != NULL)
                kc_error_prefix(&ret_refusal->error, "%s",
                    kc_error_escape(device, sizeof(device), region->device, strlen(region->device)));
        else
                kc_error_prefix(&ret_refusal->error, "handle %" PRIu64, region->handle);
        return false;
}

bool refuse_limit(struct engine_refusal *refusal, uint64_t limit)
{
        refusal->has_limit = true;
        refusal->limit = limit;
        return false;
}
