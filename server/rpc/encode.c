/* Engine results as protobuf messages (encode.h). */
#include "rpc/encode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define NS_PER_MS 1000000u

ENCODE_BUILD(Kcopy__V1__Ledger, ledger)
ENCODE_BUILD(Kcopy__V1__EndpointError, endpoint_error)
ENCODE_BUILD(Kcopy__V1__Completion, completion)
ENCODE_BUILD(Kcopy__V1__DestinationResult, destination_result)
ENCODE_BUILD(Kcopy__V1__Progress, progress)
ENCODE_BUILD(Kcopy__V1__StateChange, state_change)
ENCODE_BUILD(Kcopy__V1__DestinationInfo, destination_info)
ENCODE_BUILD(Kcopy__V1__JobInfo, job_info)
ENCODE_BUILD(Kcopy__V1__SectorRange, sector_range)

/* Both ends number classes and states alike. */
_Static_assert((int)KC_CLASS_INTERNAL == (int)KCOPY__V1__ERROR_CLASS__ERROR_CLASS_INTERNAL, "classes");
_Static_assert((int)COPY_POLICY_IGNORE == (int)KCOPY__V1__ERROR_POLICY__ERROR_POLICY_IGNORE, "policies");
_Static_assert((int)JOB_CANCELLED == (int)KCOPY__V1__JOB_STATE__JOB_STATE_CANCELLED, "states");

char *encode_text(struct kc_budget *build, const char *text, size_t max_bytes)
{
        static const char ellipsis[] = "…";
        size_t bytes = strnlen(text, max_bytes + 1);
        char *cut = kc_budget_alloc(build, (bytes < max_bytes ? bytes : max_bytes) + 1);

        if (!cut)
                return NULL;
        if (bytes <= max_bytes)
                return memcpy(cut, text, bytes);
        assert(max_bytes >= sizeof(ellipsis));
        bytes = max_bytes - (sizeof(ellipsis) - 1);
        while (bytes && ((unsigned char)text[bytes] & 0xc0) == 0x80)
                bytes--;
        memcpy(cut, text, bytes);
        memcpy(cut + bytes, ellipsis, sizeof(ellipsis));
        return cut;
}

char *encode_errno(struct kc_budget *build, int code)
{
        const char *name = code ? kc_errno_name(code) : "";
        char *copy = kc_budget_alloc(build, strlen(name) + 1);

        /* the name of an unknown number is in a buffer that the next one uses */
        return copy ? strcpy(copy, name) : NULL;
}

bool encode_refused(struct kc_budget *build, const struct engine_refusal *refusal, size_t reason_max_bytes,
    Kcopy__V1__Refused *ret_message)
{
        Kcopy__V1__Refused message = KCOPY__V1__REFUSED__INIT;

        message.field = (char *)refusal->field;
        message.error_class = (Kcopy__V1__ErrorClass)refusal->error.class;
        message.errno_name = encode_errno(build, refusal->error.code);
        message.reason = encode_text(build, refusal->error.message, reason_max_bytes);
        message.has_limit = refusal->has_limit;
        message.limit = refusal->limit;
        if (!message.errno_name || !message.reason)
                return false;
        *ret_message = message;
        return true;
}

static Kcopy__V1__Ledger *ledger_of(struct kc_budget *build, const struct job_ledger *ledger)
{
        Kcopy__V1__Ledger *message = build_ledger(build);

        if (!message)
                return NULL;
        message->copied_bytes = ledger->copied;
        message->zeroed_bytes = ledger->zeroed;
        message->skipped_bytes = ledger->skipped;
        message->indeterminate_bytes = ledger->indeterminate;
        message->untouched_bytes = ledger->untouched;
        return message;
}

/* *ret_message stays NULL where there is no error. */
static bool error_of(struct kc_budget *build, const struct job_error *error, size_t text_max_bytes,
    Kcopy__V1__EndpointError **ret_message)
{
        Kcopy__V1__EndpointError *message;

        if (error->error.code == 0)
                return true;
        message = build_endpoint_error(build);
        if (!message)
                return false;
        message->error_class = (Kcopy__V1__ErrorClass)error->error.class;
        message->errno_name = encode_errno(build, error->error.code);
        message->message = encode_text(build, error->error.message, text_max_bytes);
        message->has_sector = error->has_sector;
        message->sector = error->sector;
        *ret_message = message;
        return message->errno_name && message->message;
}

Kcopy__V1__DestinationResult *encode_destination(struct kc_budget *build, unsigned index,
    const struct job_destination_result *result, size_t text_max_bytes)
{
        Kcopy__V1__DestinationResult *message = build_destination_result(build);

        if (!message)
                return NULL;
        message->index = index;
        message->durable = result->durable;
        message->ledger = ledger_of(build, &result->ledger);
        if (!message->ledger || !error_of(build, &result->error, text_max_bytes, &message->error))
                return NULL;
        return message;
}

/* Of a destination that was cancelled: the engine cannot know who wanted that. */
static struct job_destination_result explain_stop(uint64_t job_id, struct job_destination_result result)
{
        if (result.error.error.class != KC_CLASS_CANCELLED)
                return result;
        result.error.error = (struct kc_error){0};
        kc_error_set(&result.error.error, -ECANCELED, KC_CLASS_STOPPED,
            "job %llu: the server was stopped before it was complete; submit it again when the server runs",
            (unsigned long long)job_id);
        return result;
}

/* How much is told. */
struct detail {
        size_t text_max_bytes;
        bool ledgers; /* of jobs: and errors */
        bool bad_ranges;
};

static bool bad_ranges_of(struct kc_budget *build, const struct copy_spec *spec, const struct bad_ranges *bad,
    Kcopy__V1__Completion *message)
{
        message->bad_ranges = kc_budget_alloc(build, bad->n * sizeof message->bad_ranges[0]);
        if (!message->bad_ranges)
                return false;
        for (unsigned i = 0; i < bad->n; i++) {
                Kcopy__V1__SectorRange *range = build_sector_range(build);
                uint64_t end_sectors = (bad->ranges[i].end_bytes + KC_SECTOR_BYTES - 1) / KC_SECTOR_BYTES;

                if (!range)
                        return false;
                range->sector = spec->from.sector + bad->ranges[i].start_bytes / KC_SECTOR_BYTES;
                range->count = end_sectors - bad->ranges[i].start_bytes / KC_SECTOR_BYTES;
                message->bad_ranges[i] = range;
        }
        message->n_bad_ranges = bad->n;
        return true;
}

static Kcopy__V1__Completion *completion_of(struct kc_budget *build, uint64_t job_id,
    const struct copy_spec *spec, const struct job_result *result, const struct detail *detail, bool stopped)
{
        Kcopy__V1__Completion *message = build_completion(build);

        if (!message)
                return NULL;
        message->job = job_id;
        message->context.len = spec->context_bytes;
        message->context.data = (uint8_t *)spec->context;
        message->state = (Kcopy__V1__JobState)result->state;
        message->read_err = result->read_err;
        message->write_err = result->write_err;
        message->durable = result->durable;
        message->length_bytes = result->length_bytes;
        message->elapsed_ms = result->elapsed_ns / NS_PER_MS;
        if (!error_of(build, &result->source_error, detail->text_max_bytes, &message->source_error))
                return NULL;
        if (detail->bad_ranges && !bad_ranges_of(build, spec, &result->bad, message))
                return NULL;
        message->destinations =
            kc_budget_alloc(build, result->n_destinations * sizeof(message->destinations[0]));
        if (!message->destinations)
                return NULL;
        for (unsigned i = 0; i < result->n_destinations; i++) {
                struct job_destination_result destination = result->destinations[i];

                if (stopped)
                        destination = explain_stop(job_id, destination);
                message->destinations[i] = encode_destination(build, i, &destination, detail->text_max_bytes);
                if (!message->destinations[i])
                        return NULL;
        }
        message->n_destinations = result->n_destinations;
        return message;
}

Kcopy__V1__Completion *encode_completion(struct kc_budget *build, uint64_t job_id,
    const struct copy_spec *spec, const struct job_result *result, bool stopped)
{
        static const struct detail everything = {KC_MESSAGE_MAX_BYTES, true, true};

        return completion_of(build, job_id, spec, result, &everything, stopped);
}

/* Where one destination stands: a job that has not run yet has no results, and nothing of it was touched. */
static struct job_destination_result destination_of(const struct engine_job_view *view, unsigned index)
{
        if (view->destinations)
                return view->destinations[index];
        return (struct job_destination_result){.ledger.untouched = view->length_bytes};
}

Kcopy__V1__Progress *encode_progress(
    struct kc_budget *build, const struct engine_job_view *view, uint64_t rate_bytes_per_s)
{
        Kcopy__V1__Progress *message = build_progress(build);

        if (!message)
                return NULL;
        message->job = view->job_id;
        message->length_bytes = view->length_bytes;
        message->elapsed_ms = view->elapsed_ns / NS_PER_MS;
        message->rate_bytes_per_s = rate_bytes_per_s;
        message->done_bytes = kc_budget_alloc(build, view->spec->n_to * sizeof(message->done_bytes[0]));
        if (!message->done_bytes)
                return NULL;
        message->n_done_bytes = view->spec->n_to;
        for (unsigned i = 0; i < view->spec->n_to; i++) {
                struct job_destination_result result = destination_of(view, i);

                message->done_bytes[i] = result.ledger.copied + result.ledger.zeroed + result.ledger.skipped;
        }
        return message;
}

Kcopy__V1__StateChange *encode_state(struct kc_budget *build, const struct engine_job_view *view)
{
        Kcopy__V1__StateChange *message = build_state_change(build);

        if (!message)
                return NULL;
        message->job = view->job_id;
        message->state = (Kcopy__V1__JobState)view->state;
        message->reason = encode_text(build, view->reason, KC_MESSAGE_MAX_BYTES);
        return message->reason ? message : NULL;
}

static Kcopy__V1__DestinationInfo *destination_info_of(struct kc_budget *build, struct engine *engine,
    const struct engine_job_view *view, unsigned index, const struct detail *detail)
{
        const struct job_destination_result result = destination_of(view, index);
        Kcopy__V1__DestinationInfo *message = build_destination_info(build);

        if (!message)
                return NULL;
        message->device = encode_text(
            build, engine_region_name(engine, view->spec, &view->spec->to[index]), detail->text_max_bytes);
        message->sector = view->spec->to[index].sector;
        message->durable = result.durable;
        message->done = result.done;
        message->detached = result.detached;
        if (!message->device)
                return NULL;
        if (!detail->ledgers)
                return message;
        message->ledger = ledger_of(build, &result.ledger);
        if (!message->ledger || !error_of(build, &result.error, detail->text_max_bytes, &message->error))
                return NULL;
        return message;
}

static Kcopy__V1__JobInfo *job_info_of(struct kc_budget *build, struct engine *engine,
    const struct engine_job_view *view, const struct detail *detail)
{
        Kcopy__V1__JobInfo *message = build_job_info(build);
        const struct copy_spec *spec = view->spec;

        if (!message)
                return NULL;
        message->job = view->job_id;
        message->state = (Kcopy__V1__JobState)view->state;
        message->reason = encode_text(build, view->reason, KC_MESSAGE_MAX_BYTES);
        message->zero = spec->operation == COPY_OPERATION_ZERO;
        message->length_bytes = view->length_bytes;
        message->elapsed_ms = view->elapsed_ns / NS_PER_MS;
        message->draining = view->draining;
        message->owner = (char *)view->owner;
        message->detached = copy_spec_detached(spec);
        if (spec->lasting && spec->lasting->key)
                message->key = (char *)(uintptr_t)spec->lasting->key;
        message->rate_bytes_per_s = spec->options.rate_bytes_per_s;
        message->priority = spec->options.priority;
        message->on_error = (Kcopy__V1__ErrorPolicy)spec->options.policy;
        if (!message->zero) {
                message->source_device =
                    encode_text(build, engine_region_name(engine, spec, &spec->from), detail->text_max_bytes);
                message->source_sector = spec->from.sector;
        }
        message->destinations = kc_budget_alloc(build, spec->n_to * sizeof(message->destinations[0]));
        if (!message->reason || !message->source_device || !message->destinations)
                return NULL;
        for (unsigned i = 0; i < spec->n_to; i++) {
                message->destinations[i] = destination_info_of(build, engine, view, i, detail);
                if (!message->destinations[i])
                        return NULL;
        }
        message->n_destinations = spec->n_to;
        if (view->result) {
                message->completion = completion_of(build, view->job_id, spec, view->result, detail, false);
                if (!message->completion)
                        return NULL;
        }
        return message;
}

Kcopy__V1__JobInfo *encode_job(
    struct kc_budget *build, struct engine *engine, const struct engine_job_view *view, size_t body_max_bytes)
{
        /* 64 destinations with everything but bad ranges are 65 KiB at the very most; the last of these are
         * 25 */
        static const struct detail details[] = {
            {ENCODE_NAME_MAX_BYTES, true, true}, {64, true, true}, {64, true, false}, {64, false, false}};
        Kcopy__V1__JobInfo *message = NULL;

        for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
                message = job_info_of(build, engine, view, &details[i]);
                if (!message || kcopy__v1__job_info__get_packed_size(message) <= body_max_bytes)
                        return message;
        }
        /* does not fit where the caller has only a rest of a frame to offer */
        return NULL;
}

int encode_message(struct outq *out, const Kcopy__V1__ServerMessage *message, unsigned n_terminal)
{
        size_t body_bytes = kcopy__v1__server_message__get_packed_size(message);
        unsigned header_bytes = kc_frame_header_bytes((uint32_t)body_bytes);
        uint8_t *at;

        assert(body_bytes <= KC_FRAME_MAX_BYTES);
        at = outq_reserve(out, header_bytes + body_bytes);
        if (!at)
                return -ENOMEM;
        kc_frame_header(at, (uint32_t)body_bytes);
        kcopy__v1__server_message__pack(message, at + header_bytes);
        outq_commit(out, header_bytes + body_bytes, n_terminal);
        return 0;
}

int encode_body(struct outq *out, const uint8_t *body, uint32_t body_bytes)
{
        unsigned header_bytes = kc_frame_header_bytes(body_bytes);
        uint8_t *at = outq_reserve(out, header_bytes + body_bytes);

        if (!at)
                return -ENOMEM;
        kc_frame_header(at, body_bytes);
        memcpy(at + header_bytes, body, body_bytes);
        outq_commit(out, header_bytes + body_bytes, 0);
        return 0;
}

uint8_t *encode_pack(const ProtobufCMessage *message, uint32_t *ret_bytes)
{
        size_t bytes = protobuf_c_message_get_packed_size(message);
        uint8_t *packed = malloc(bytes ? bytes : 1);

        if (!packed)
                return NULL;
        protobuf_c_message_pack(message, packed);
        *ret_bytes = (uint32_t)bytes;
        return packed;
}
