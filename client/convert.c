/* From the schema's messages to the library's structs (convert.h). */
#include "convert.h"

#include <errno.h>
#include <string.h>

#include "job.h"

#define ERRNO_MAX 134 /* EHWPOISON is the last on Linux */

enum kcopy_class convert_class(Kcopy__V1__ErrorClass error_class)
{
        if ((int)error_class < 0 || (int)error_class > KCOPY_CLASS_INTERNAL)
                return KCOPY_CLASS_INTERNAL;
        return (enum kcopy_class)error_class;
}

struct kcopy_endpoint_error convert_error(const Kcopy__V1__EndpointError *error)
{
        if (!error)
                return (struct kcopy_endpoint_error){.errno_name = "", .message = ""};
        return (struct kcopy_endpoint_error){
            /* an error that is there is an error, whatever its class says */
            .error_class = error->error_class ? convert_class(error->error_class) : KCOPY_CLASS_INTERNAL,
            .errno_name = error->errno_name,
            .message = error->message,
            .has_sector = error->has_sector,
            .sector = error->sector,
        };
}

const char *convert_errno_name(int code)
{
        const char *name = code < 0 ? strerrorname_np(-code) : NULL;

        return name ? name : "";
}

int convert_errno(const char *name, Kcopy__V1__ErrorClass error_class)
{
        for (int code = 1; code < ERRNO_MAX; code++) {
                const char *known = strerrorname_np(code);

                if (known && strcmp(known, name) == 0)
                        return -code;
        }
        switch (convert_class(error_class)) {
        case KCOPY_CLASS_NO_SPACE:
                return -ENOSPC;
        case KCOPY_CLASS_PERMISSION:
                return -EACCES;
        case KCOPY_CLASS_PROTOCOL:
                return -EPROTO;
        case KCOPY_CLASS_TIMEOUT:
                return -ETIMEDOUT;
        case KCOPY_CLASS_CANCELLED:
        case KCOPY_CLASS_STOPPED:
                return -ECANCELED;
        case KCOPY_CLASS_INVALID:
                return -EINVAL;
        case KCOPY_CLASS_NOT_FOUND:
                return -ENOENT;
        case KCOPY_CLASS_LIMIT:
                return -E2BIG;
        case KCOPY_CLASS_CONFLICT:
        case KCOPY_CLASS_BUSY:
                return -EBUSY;
        case KCOPY_CLASS_UNSUPPORTED:
                return -EOPNOTSUPP;
        case KCOPY_CLASS_NONE:
        case KCOPY_CLASS_TRANSPORT: /* the server's connection to an endpoint, not ours to the server */
        case KCOPY_CLASS_MEDIA:
        case KCOPY_CLASS_INTERNAL:
                break;
        }
        return -EIO;
}

void convert_destination(
    const Kcopy__V1__DestinationResult *message, struct kcopy_destination_result *ret_destination)
{
        const Kcopy__V1__Ledger *ledger = message->ledger;

        *ret_destination = (struct kcopy_destination_result){
            .error = convert_error(message->error),
            .durable = message->durable,
        };
        if (!ledger)
                return;
        ret_destination->copied_bytes = ledger->copied_bytes;
        ret_destination->zeroed_bytes = ledger->zeroed_bytes;
        ret_destination->skipped_bytes = ledger->skipped_bytes;
        ret_destination->indeterminate_bytes = ledger->indeterminate_bytes;
        ret_destination->untouched_bytes = ledger->untouched_bytes;
}

struct kcopy_planned_device convert_planned(const Kcopy__V1__PlannedDevice *planned)
{
        bool known = (int)planned->kind > 0 && (int)planned->kind <= KCOPY_DEVICE_NBD;

        return (struct kcopy_planned_device){
            .kind = known ? (enum kcopy_device_kind)planned->kind : KCOPY_DEVICE_OTHER,
            .size_bytes = planned->size_bytes,
            .size_after_bytes = planned->size_after_bytes,
            .created = planned->created,
            .mounted_for_writing = planned->mounted_for_writing,
            .identity = planned->identity,
        };
}

unsigned convert_on_error(Kcopy__V1__ErrorPolicy policy)
{
        return policy == KCOPY__V1__ERROR_POLICY__ERROR_POLICY_CONTINUE ? KCOPY_CONTINUE
               : policy == KCOPY__V1__ERROR_POLICY__ERROR_POLICY_IGNORE ? KCOPY_IGNORE_ERROR
                                                                        : 0;
}

/* False: they are no ascending list. */
static bool convert_bad_ranges(const Kcopy__V1__Completion *message, struct kcopy_sector_range *ret_ranges)
{
        uint64_t end = 0;

        if (message->n_bad_ranges > KC_BAD_RANGES_MAX || (message->n_bad_ranges > 0 && !message->read_err))
                return false;
        for (size_t i = 0; i < message->n_bad_ranges; i++) {
                const Kcopy__V1__SectorRange *range = message->bad_ranges[i];

                if (range->sector < end || range->count == 0 || range->count > UINT64_MAX - range->sector)
                        return false;
                end = range->sector + range->count;
                ret_ranges[i] = (struct kcopy_sector_range){range->sector, range->count};
        }
        return true;
}

bool convert_completion(const Kcopy__V1__Completion *message, struct convert_completion *ret_completion)
{
        uint64_t seen = 0, failed = 0;

        if (message->state < KCOPY__V1__JOB_STATE__JOB_STATE_COMPLETED ||
            message->state > KCOPY__V1__JOB_STATE__JOB_STATE_CANCELLED || !message->job ||
            message->n_destinations > KC_DESTINATIONS_MAX || message->n_destinations == 0)
                return false;
        for (size_t i = 0; i < message->n_destinations; i++) {
                const Kcopy__V1__DestinationResult *destination = message->destinations[i];

                if (destination->index >= message->n_destinations ||
                    (seen & UINT64_C(1) << destination->index))
                        return false;
                seen |= UINT64_C(1) << destination->index;
                if (destination->error)
                        failed |= UINT64_C(1) << destination->index;
                convert_destination(destination, &ret_completion->destinations[destination->index]);
        }
        if (failed != message->write_err || message->read_err != (message->source_error != NULL) ||
            !convert_bad_ranges(message, ret_completion->bad_ranges))
                return false;
        ret_completion->result = (struct kcopy_result){
            .job = message->job,
            .state = (enum kcopy_job_state)message->state,
            .durable = message->durable,
            .length_bytes = message->length_bytes,
            .elapsed_ms = message->elapsed_ms,
            .source_error = convert_error(message->source_error),
            .n_destinations = (unsigned)message->n_destinations,
            .destinations = ret_completion->destinations,
            .refused_field = "",
            .refusal = {.errno_name = "", .message = ""},
            .n_bad_ranges = (unsigned)message->n_bad_ranges,
            .bad_ranges = ret_completion->bad_ranges,
        };
        return true;
}
