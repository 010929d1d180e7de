/* From a Copy or Zero message to a copy_spec (request.h). */
#include "rpc/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define TIME_MAX_MS UINT64_C(604800000) /* a week: longer is a mistake in the unit */

/* The wire's numbers are the engine's. */
_Static_assert((int)COPY_POLICY_IGNORE == (int)KCOPY__V1__ERROR_POLICY__ERROR_POLICY_IGNORE, "policies");
_Static_assert((int)COPY_POLICY_CONTINUE == (int)KCOPY__V1__ERROR_POLICY__ERROR_POLICY_CONTINUE, "policies");
_Static_assert((int)COPY_DURABILITY_NONE == (int)KCOPY__V1__DURABILITY__DURABILITY_NONE, "durabilities");
_Static_assert((int)COPY_DURABILITY_FUA == (int)KCOPY__V1__DURABILITY__DURABILITY_FUA, "durabilities");

struct request request_of_copy(const Kcopy__V1__Copy *copy, const Kcopy__V1__JobOptions *options)
{
        return (struct request){
            .is_copy = true,
            .context = &copy->context,
            .from = copy->from,
            .n_to = copy->n_to,
            .to = copy->to,
            .options = copy->options ? copy->options : options,
        };
}

struct request request_of_zero(const Kcopy__V1__Zero *zero)
{
        return (struct request){
            .context = &zero->context, .n_to = zero->n_to, .to = zero->to, .options = zero->options};
}

static bool refuse(struct engine_refusal *refusal, const char *field, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static bool refuse(struct engine_refusal *refusal, const char *field, int code, const char *fmt, ...)
{
        va_list ap;

        memset(refusal, 0, sizeof(*refusal));
        snprintf(refusal->field, sizeof(refusal->field), "%s", field);
        refusal->error.code = code;
        refusal->error.class = code == -E2BIG ? KC_CLASS_LIMIT : KC_CLASS_INVALID;
        va_start(ap, fmt);
        vsnprintf(refusal->error.message, sizeof(refusal->error.message), fmt, ap);
        va_end(ap);
        return false;
}

static bool refuse_limit(struct engine_refusal *refusal, const char *field, uint64_t limit, const char *what)
{
        refuse(
            refusal, field, -E2BIG, "%s: %s, at most %llu allowed", field, what, (unsigned long long)limit);
        refusal->has_limit = true;
        refusal->limit = limit;
        return false;
}

bool request_check_name(const char *field, const char *name, struct engine_refusal *ret_refusal)
{
        if (*name == '\0')
                return refuse(ret_refusal, field, -EINVAL, "%s: no device named", field);
        if (strnlen(name, KC_DEVICE_NAME_MAX_BYTES + 1) > KC_DEVICE_NAME_MAX_BYTES)
                return refuse_limit(ret_refusal, field, KC_DEVICE_NAME_MAX_BYTES, "too many bytes");
        return true;
}

#define SOURCE SIZE_MAX

/* "from.name", "to[2].handle". */
static const char *field_of(size_t index, const char *member, char *buf, size_t buf_bytes)
{
        if (index == SOURCE)
                snprintf(buf, buf_bytes, "from%s", member);
        else
                snprintf(buf, buf_bytes, "to[%zu]%s", index, member);
        return buf;
}

static bool check_region(size_t index, const Kcopy__V1__IoRegion *region, struct engine_refusal *ret_refusal)
{
        char buf[64];
        const char *field;

        if (region && region->device_case == KCOPY__V1__IO_REGION__DEVICE_HANDLE && region->handle != 0)
                return true;
        if (!region || region->device_case == KCOPY__V1__IO_REGION__DEVICE__NOT_SET) {
                field = field_of(index, "", buf, sizeof(buf));
                return refuse(ret_refusal, field, -EINVAL, "%s: no device named", field);
        }
        if (region->device_case == KCOPY__V1__IO_REGION__DEVICE_NAME)
                return request_check_name(
                    field_of(index, ".name", buf, sizeof(buf)), region->name, ret_refusal);
        field = field_of(index, ".handle", buf, sizeof(buf));
        return refuse(ret_refusal, field, -EINVAL, "%s: 0 is no handle", field);
}

static uint64_t progress_interval_ns(uint64_t wanted_ms)
{
        if (wanted_ms > 0 && wanted_ms < KC_PROGRESS_INTERVAL_MIN_MS)
                wanted_ms = KC_PROGRESS_INTERVAL_MIN_MS;
        return wanted_ms * NS_PER_MS;
}

static bool set_options(const struct request *request, struct copy_spec *spec, struct engine_refusal *refusal)
{
        const Kcopy__V1__JobOptions *from = request->options;
        struct copy_options *to = &spec->options;

        to->unmap = request->is_copy;
        if (!from)
                return true;
        if ((unsigned)from->on_error > COPY_POLICY_IGNORE)
                return refuse(refusal, "options.on_error", -EINVAL,
                    "options.on_error: %d is none of the schema's", (int)from->on_error);
        if ((unsigned)from->durability > COPY_DURABILITY_FUA)
                return refuse(refusal, "options.durability", -EINVAL,
                    "options.durability: %d is none of the schema's", (int)from->durability);
        if (from->allocated && from->unmap)
                return refuse(
                    refusal, "options.unmap", -EINVAL, "options.unmap: contradicts options.allocated");
        if (from->timeout_ms > TIME_MAX_MS)
                return refuse_limit(refusal, "options.timeout_ms", TIME_MAX_MS, "too long");
        for (size_t i = 0; i < from->n_zero_destinations; i++) {
                if (from->zero_destinations[i] >= request->n_to)
                        return refuse(refusal, "options.zero_destinations", -EINVAL,
                            "options.zero_destinations: there is no destination %u",
                            from->zero_destinations[i]);
                to->zero_destinations |= UINT64_C(1) << from->zero_destinations[i];
        }
        to->policy = (enum copy_policy)from->on_error;
        to->durability = (enum copy_durability)from->durability;
        to->no_extents = from->no_extents;
        to->no_detect_zeroes = from->no_detect_zeroes;
        to->unmap = request->is_copy ? !from->allocated : from->unmap;
        to->strict_once = from->strict_once;
        to->rate_bytes_per_s = from->rate_bytes_per_s;
        to->timeout_ns = from->timeout_ms * NS_PER_MS;
        to->priority = from->priority;
        to->progress_interval_ns = progress_interval_ns(from->progress_interval_ms);
        to->validate_only = from->validate_only;
        return true;
}

/* ---- what is to outlive something */

#define RETRY_FOR_DETACHED_MS UINT64_C(600000)

static bool expects(const Kcopy__V1__IoRegion *region)
{
        return region->expect_size_bytes > 0 || region->expect_identity[0] != '\0';
}

/* Whether the job has anything of copy_lasting. */
static bool is_lasting(const struct request *request)
{
        const Kcopy__V1__JobOptions *options = request->options;
        bool lasting = options && (options->detached || options->retry_for_ms > 0);

        lasting |= request->is_copy && expects(request->from);
        for (size_t i = 0; i < request->n_to; i++)
                lasting |= expects(request->to[i]);
        return lasting;
}

static size_t lasting_names_bytes(const struct request *request)
{
        size_t bytes = request->options ? strlen(request->options->key) + 1 : 0;

        if (request->is_copy)
                bytes += strlen(request->from->expect_identity) + 1;
        for (size_t i = 0; i < request->n_to; i++)
                bytes += strlen(request->to[i]->expect_identity) + 1;
        return bytes;
}

static bool check_lasting(const struct request *request, struct engine_refusal *refusal)
{
        const Kcopy__V1__JobOptions *options = request->options;
        char buf[64];

        for (size_t i = request->is_copy ? 0 : 1; i < 1 + request->n_to; i++) {
                const Kcopy__V1__IoRegion *region = i == 0 ? request->from : request->to[i - 1];
                size_t index = i == 0 ? SOURCE : i - 1;

                if (strlen(region->expect_identity) > KC_IDENTITY_MAX_BYTES)
                        return refuse_limit(refusal, field_of(index, ".expect_identity", buf, sizeof(buf)),
                            KC_IDENTITY_MAX_BYTES, "too many bytes");
                if (options && options->detached &&
                    region->device_case == KCOPY__V1__IO_REGION__DEVICE_HANDLE)
                        return refuse(refusal, field_of(index, ".handle", buf, sizeof(buf)), -EINVAL,
                            "%s: ends with its connection, and a detached job does not; name the device",
                            field_of(index, ".handle", buf, sizeof(buf)));
        }
        if (!options)
                return true;
        if (options->key[0] != '\0' && !options->detached)
                return refuse(refusal, "options.key", -EINVAL,
                    "options.key: only detached jobs have one; set options.detached, too");
        if (strlen(options->key) > KC_JOB_KEY_MAX_BYTES)
                return refuse_limit(refusal, "options.key", KC_JOB_KEY_MAX_BYTES, "too many bytes");
        if (options->retry_for_ms > TIME_MAX_MS)
                return refuse_limit(refusal, "options.retry_for_ms", TIME_MAX_MS, "too long");
        return true;
}

static void set_expected(
    struct copy_spec *spec, const Kcopy__V1__IoRegion *from, struct copy_expected *ret_expected)
{
        ret_expected->size_bytes = from->expect_size_bytes;
        if (from->expect_identity[0] != '\0')
                ret_expected->identity =
                    copy_spec_name(spec, from->expect_identity, strlen(from->expect_identity));
}

static void set_lasting(const struct request *request, struct copy_spec *spec)
{
        const Kcopy__V1__JobOptions *options = request->options;
        struct copy_lasting *lasting = spec->lasting;

        if (request->is_copy)
                set_expected(spec, request->from, &lasting->ends[0]);
        for (size_t i = 0; i < request->n_to; i++)
                set_expected(spec, request->to[i], &lasting->ends[1 + i]);
        if (!options)
                return;
        lasting->detached = options->detached;
        if (options->key[0] != '\0')
                lasting->key = copy_spec_name(spec, options->key, strlen(options->key));
        lasting->retry_for_ns = options->retry_for_ms * NS_PER_MS;
        if (options->detached && options->retry_for_ms == 0)
                lasting->retry_for_ns = RETRY_FOR_DETACHED_MS * NS_PER_MS;
}

static size_t name_bytes(const Kcopy__V1__IoRegion *region)
{
        return region->device_case == KCOPY__V1__IO_REGION__DEVICE_NAME ? strlen(region->name) : 0;
}

static void set_region(
    struct copy_spec *spec, const Kcopy__V1__IoRegion *from, struct copy_region *ret_region)
{
        if (from->device_case == KCOPY__V1__IO_REGION__DEVICE_NAME)
                ret_region->device = copy_spec_name(spec, from->name, strlen(from->name));
        else
                ret_region->handle = from->handle;
        ret_region->sector = from->sector;
        ret_region->count_sectors = from->count;
}

static bool check(const struct request *request, size_t *ret_names_bytes, struct engine_refusal *refusal)
{
        *ret_names_bytes = 0;
        if (request->context->len > KC_CONTEXT_MAX_BYTES)
                return refuse_limit(refusal, "context", KC_CONTEXT_MAX_BYTES, "too many bytes");
        if (request->n_to == 0)
                return refuse(refusal, "to", -EINVAL, "to: no destination named");
        if (request->n_to > KC_DESTINATIONS_MAX)
                return refuse_limit(refusal, "to", KC_DESTINATIONS_MAX, "too many destinations");
        if (request->is_copy) {
                if (!check_region(SOURCE, request->from, refusal))
                        return false;
                *ret_names_bytes += name_bytes(request->from);
        }
        for (size_t i = 0; i < request->n_to; i++) {
                if (!check_region(i, request->to[i], refusal))
                        return false;
                *ret_names_bytes += name_bytes(request->to[i]);
        }
        return true;
}

bool request_spec(
    const struct request *request, struct copy_spec **ret_spec, struct engine_refusal *ret_refusal)
{
        struct copy_spec *spec;
        size_t names_bytes;

        if (!check(request, &names_bytes, ret_refusal) || !check_lasting(request, ret_refusal))
                return false;
        if (is_lasting(request))
                spec = copy_spec_new_lasting(
                    (unsigned)request->n_to, names_bytes + lasting_names_bytes(request));
        else
                spec = copy_spec_new((unsigned)request->n_to, names_bytes);
        if (!spec)
                return refuse(ret_refusal, "", -ENOMEM, "kcopyd: out of memory");
        spec->operation = request->is_copy ? COPY_OPERATION_COPY : COPY_OPERATION_ZERO;
        spec->n_to = (unsigned)request->n_to;
        if (!set_options(request, spec, ret_refusal)) {
                free(spec);
                return false;
        }
        if (request->context->len)
                memcpy(spec->context, request->context->data, request->context->len);
        spec->context_bytes = (unsigned)request->context->len;
        if (request->is_copy)
                set_region(spec, request->from, &spec->from);
        for (size_t i = 0; i < request->n_to; i++)
                set_region(spec, request->to[i], &spec->to[i]);
        if (spec->lasting)
                set_lasting(request, spec);
        *ret_spec = spec;
        return true;
}
