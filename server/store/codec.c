/* Engine structures as protobuf, and back: see codec.h. */
#include "store/codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "kcopy_store.pb-c.h"
#include "rpc/encode.h"
#include "rpc/request.h"

/* What a completion takes at most while it is built: 64 destinations, each with its ledger and error. */
#define BUILD_BYTES (256u << 10)
#define NS_PER_MS 1000000u

void codec_bytes_done(struct codec_bytes *bytes)
{
        free(bytes->data);
        *bytes = (struct codec_bytes){0};
}

static int pack(const ProtobufCMessage *message, struct codec_bytes *ret_bytes)
{
        ret_bytes->data = encode_pack(message, &ret_bytes->bytes);
        return ret_bytes->data ? 0 : -ENOMEM;
}

/* ---- specs */

static void region_message(
    const struct copy_region *region, const struct copy_expected *expected, Kcopy__V1__IoRegion *ret_message)
{
        kcopy__v1__io_region__init(ret_message);
        ret_message->device_case = KCOPY__V1__IO_REGION__DEVICE_NAME; /* handles do not outlive connections */
        ret_message->name = (char *)region->device;
        ret_message->sector = region->sector;
        ret_message->count = region->count_sectors;
        if (expected) {
                ret_message->expect_size_bytes = expected->size_bytes;
                if (expected->identity)
                        ret_message->expect_identity = (char *)expected->identity;
        }
}

static void options_message(
    const struct copy_spec *spec, uint32_t zero_destinations[], Kcopy__V1__JobOptions *ret_message)
{
        const struct copy_options *options = &spec->options;

        kcopy__v1__job_options__init(ret_message);
        ret_message->on_error = (Kcopy__V1__ErrorPolicy)options->policy;
        ret_message->durability = (Kcopy__V1__Durability)options->durability;
        ret_message->no_extents = options->no_extents;
        ret_message->no_detect_zeroes = options->no_detect_zeroes;
        ret_message->allocated = spec->operation == COPY_OPERATION_COPY && !options->unmap;
        ret_message->unmap = spec->operation == COPY_OPERATION_ZERO && options->unmap;
        ret_message->strict_once = options->strict_once;
        ret_message->zero_destinations = zero_destinations;
        for (uint32_t i = 0; i < spec->n_to; i++)
                if (options->zero_destinations >> i & 1)
                        zero_destinations[ret_message->n_zero_destinations++] = i;
        ret_message->rate_bytes_per_s = options->rate_bytes_per_s;
        ret_message->timeout_ms = options->timeout_ns / NS_PER_MS;
        ret_message->priority = options->priority;
        ret_message->progress_interval_ms = (uint32_t)(options->progress_interval_ns / NS_PER_MS);
        if (spec->lasting) {
                ret_message->detached = spec->lasting->detached;
                ret_message->key = (char *)(spec->lasting->key ? spec->lasting->key : "");
                ret_message->retry_for_ms = spec->lasting->retry_for_ns / NS_PER_MS;
        }
}

static int pack_spec(const struct copy_spec *spec, bool asked, struct codec_bytes *ret_bytes)
{
        Kcopy__V1__IoRegion from, regions[KC_DESTINATIONS_MAX], *to[KC_DESTINATIONS_MAX];
        uint32_t zero_destinations[KC_DESTINATIONS_MAX];
        Kcopy__V1__JobOptions options;
        Kcopy__V1__Copy copy = KCOPY__V1__COPY__INIT;
        Kcopy__V1__Zero zero = KCOPY__V1__ZERO__INIT;
        Kcopy__Store__V1__Spec stored = KCOPY__STORE__V1__SPEC__INIT;
        const struct copy_lasting *lasting = spec->lasting;
        bool is_copy = spec->operation == COPY_OPERATION_COPY;
        struct codec_bytes inner;
        int r;

        options_message(spec, zero_destinations, &options);
        for (unsigned i = 0; i < spec->n_to; i++) {
                region_message(&spec->to[i], lasting ? &lasting->ends[1 + i] : NULL, &regions[i]);
                to[i] = &regions[i];
        }
        if (is_copy)
                region_message(&spec->from, lasting ? &lasting->ends[0] : NULL, &from);
        copy.from = &from;
        copy.to = zero.to = to;
        copy.n_to = zero.n_to = spec->n_to;
        copy.options = zero.options = &options;
        if (asked)
                options.progress_interval_ms = 0;
        else
                copy.context = zero.context =
                    (ProtobufCBinaryData){.len = spec->context_bytes, .data = (uint8_t *)spec->context};
        r = pack(is_copy ? &copy.base : &zero.base, &inner);
        if (r < 0)
                return r;
        *(is_copy ? &stored.copy : &stored.zero) =
            (ProtobufCBinaryData){.len = inner.bytes, .data = inner.data};
        r = pack(&stored.base, ret_bytes);
        codec_bytes_done(&inner);
        return r;
}

int codec_pack_spec(const struct copy_spec *spec, struct codec_bytes *ret_bytes)
{
        return pack_spec(spec, false, ret_bytes);
}

int codec_pack_asked(const struct copy_spec *spec, struct codec_bytes *ret_bytes)
{
        return pack_spec(spec, true, ret_bytes);
}

static struct copy_spec *spec_of(const struct request *request)
{
        struct engine_refusal refusal;
        struct copy_spec *spec;

        return request_spec(request, &spec, &refusal) ? spec : NULL;
}

struct copy_spec *codec_unpack_spec(const void *data, size_t bytes)
{
        Kcopy__Store__V1__Spec *stored = kcopy__store__v1__spec__unpack(NULL, bytes, data);
        struct copy_spec *spec = NULL;

        if (!stored)
                return NULL;
        if (stored->zero.len > 0) {
                Kcopy__V1__Zero *zero = kcopy__v1__zero__unpack(NULL, stored->zero.len, stored->zero.data);
                const struct request request = zero ? request_of_zero(zero) : (struct request){.n_to = 0};

                if (zero)
                        spec = spec_of(&request);
                kcopy__v1__zero__free_unpacked(zero, NULL);
        } else {
                Kcopy__V1__Copy *copy = kcopy__v1__copy__unpack(NULL, stored->copy.len, stored->copy.data);
                const struct request request =
                    copy ? request_of_copy(copy, NULL) : (struct request){.n_to = 0};

                if (copy)
                        spec = spec_of(&request);
                kcopy__v1__copy__free_unpacked(copy, NULL);
        }
        kcopy__store__v1__spec__free_unpacked(stored, NULL);
        return spec;
}

/* ---- marks: of each range the gap before it, its length, its fate */

static int fates_message(const struct ledger *ledger, Kcopy__Store__V1__Fates *ret_message)
{
        uint64_t at_bytes = ledger->mark_bytes, *ranges;

        kcopy__store__v1__fates__init(ret_message);
        ranges = calloc(ledger->n_ranges ? ledger->n_ranges : 1, 3 * sizeof *ranges);
        if (!ranges)
                return -ENOMEM;
        for (unsigned i = 0; i < ledger->n_ranges; i++) {
                const struct ledger_range *range = &ledger->ranges[i];

                ranges[3 * i] = range->start_bytes - at_bytes;
                ranges[3 * i + 1] = range->end_bytes - range->start_bytes;
                ranges[3 * i + 2] = range->fate;
                at_bytes = range->end_bytes;
        }
        ret_message->settled_bytes = ledger->mark_bytes;
        ret_message->sums_bytes = (uint64_t *)ledger->sums_bytes;
        ret_message->n_sums_bytes = LEDGER_N_FATES;
        ret_message->ranges = ranges;
        ret_message->n_ranges = 3 * (size_t)ledger->n_ranges;
        return 0;
}

/* NULL: there is none. */
static Kcopy__Store__V1__MarkError *mark_error(
    const struct job_error *error, uint64_t at_bytes, Kcopy__Store__V1__MarkError *ret_message)
{
        if (error->error.code == 0)
                return NULL;
        kcopy__store__v1__mark_error__init(ret_message);
        ret_message->number = -error->error.code;
        ret_message->error_class = (uint32_t)error->error.class;
        ret_message->message = (char *)error->error.message;
        ret_message->has_sector = error->has_sector;
        ret_message->sector = error->sector;
        ret_message->at_bytes = at_bytes;
        return ret_message;
}

static void mark_error_of(
    const Kcopy__Store__V1__MarkError *message, struct job_error *ret_error, uint64_t *ret_at_bytes)
{
        if (!message || message->number <= 0)
                return;
        ret_error->error.code = -message->number;
        ret_error->error.class = (enum kc_class)message->error_class;
        snprintf(ret_error->error.message, sizeof ret_error->error.message, "%s", message->message);
        ret_error->has_sector = message->has_sector;
        ret_error->sector = message->sector;
        *ret_at_bytes = message->at_bytes;
}

int codec_pack_mark(const struct store_mark *mark, struct codec_bytes *ret_bytes)
{
        Kcopy__Store__V1__Mark message = KCOPY__STORE__V1__MARK__INIT;
        Kcopy__Store__V1__MarkEnd ends[1 + KC_DESTINATIONS_MAX], *pointers[1 + KC_DESTINATIONS_MAX];
        Kcopy__Store__V1__Fates fates[1 + KC_DESTINATIONS_MAX];
        Kcopy__Store__V1__MarkError errors[1 + KC_DESTINATIONS_MAX];
        uint64_t *bad;
        unsigned n = 0;
        int r = 0;

        for (; n < 1 + mark->n_to && r == 0; n++) {
                r = fates_message(&mark->ends[n].ledger, &fates[n]);
                kcopy__store__v1__mark_end__init(&ends[n]);
                ends[n].identity = (char *)mark->ends[n].identity;
                ends[n].size_bytes = mark->ends[n].size_bytes;
                ends[n].instance = (char *)mark->ends[n].instance;
                ends[n].base_bytes = mark->ends[n].base_bytes;
                ends[n].error = mark_error(&mark->ends[n].error, mark->ends[n].error_bytes, &errors[n]);
                ends[n].told = mark->ends[n].told;
                ends[n].durable = mark->ends[n].durable;
                ends[n].fates = &fates[n];
                pointers[n] = &ends[n];
        }
        bad = calloc(mark->bad.n ? mark->bad.n : 1, 2 * sizeof *bad);
        if (!bad)
                r = -ENOMEM;
        for (unsigned i = 0; r == 0 && i < mark->bad.n; i++) {
                bad[2 * i] =
                    mark->bad.ranges[i].start_bytes - (i > 0 ? mark->bad.ranges[i - 1].end_bytes : 0);
                bad[2 * i + 1] = mark->bad.ranges[i].end_bytes - mark->bad.ranges[i].start_bytes;
        }
        message.bad = bad;
        message.n_bad = 2 * (size_t)mark->bad.n;
        message.length_bytes = mark->length_bytes;
        message.n_ends = n;
        message.ends = pointers;
        if (r == 0)
                r = pack(&message.base, ret_bytes);
        for (unsigned i = 0; i < n; i++)
                free(fates[i].ranges);
        free(bad);
        return r;
}

/* Into an empty ledger; false: what it says cannot be. */
static bool fates_of(const Kcopy__Store__V1__Fates *message, uint64_t length_bytes, struct ledger *ret_ledger)
{
        uint64_t at_bytes = message->settled_bytes, sum_bytes = 0;

        ledger_init(ret_ledger, length_bytes);
        if (at_bytes > length_bytes || message->n_sums_bytes != LEDGER_N_FATES || message->n_ranges % 3 != 0)
                return false;
        for (unsigned fate = 0; fate < LEDGER_N_FATES; fate++) {
                if (message->sums_bytes[fate] > at_bytes - sum_bytes)
                        return false;
                sum_bytes += message->sums_bytes[fate];
                ret_ledger->sums_bytes[fate] = message->sums_bytes[fate];
        }
        if (sum_bytes != at_bytes)
                return false;
        ret_ledger->mark_bytes = at_bytes;
        for (size_t i = 0; i < message->n_ranges; i += 3) {
                uint64_t gap_bytes = message->ranges[i], range_bytes = message->ranges[i + 1];
                uint64_t fate = message->ranges[i + 2];

                if (gap_bytes > length_bytes - at_bytes || range_bytes == 0 ||
                    range_bytes > length_bytes - at_bytes - gap_bytes || fate >= LEDGER_N_FATES)
                        return false;
                at_bytes += gap_bytes;
                if (ledger_put(ret_ledger, at_bytes, at_bytes + range_bytes, (enum ledger_fate)fate) < 0)
                        return false;
                at_bytes += range_bytes;
        }
        return true;
}

/* Into an empty list; false: what it says cannot be. */
static bool bad_of(const uint64_t *pairs, size_t n, uint64_t length_bytes, struct bad_ranges *ret_bad)
{
        uint64_t at_bytes = 0;

        for (size_t i = 0; i + 1 < n; i += 2) {
                if (pairs[i] > length_bytes - at_bytes || pairs[i + 1] > length_bytes - at_bytes - pairs[i] ||
                    pairs[i + 1] == 0)
                        return false;
                at_bytes += pairs[i];
                if (bad_ranges_add(ret_bad, at_bytes, at_bytes + pairs[i + 1]) < 0)
                        return false;
                at_bytes += pairs[i + 1];
        }
        return n % 2 == 0;
}

struct store_mark *codec_unpack_mark(const void *data, size_t bytes)
{
        Kcopy__Store__V1__Mark *message = kcopy__store__v1__mark__unpack(NULL, bytes, data);
        struct store_mark *mark = NULL;
        bool sound = message && message->n_ends >= 2 && message->n_ends <= 1 + KC_DESTINATIONS_MAX;

        if (sound)
                mark = store_mark_new((unsigned)message->n_ends - 1, message->length_bytes);
        sound = sound && mark && bad_of(message->bad, message->n_bad, mark->length_bytes, &mark->bad);
        for (size_t i = 0; sound && i < message->n_ends; i++) {
                const Kcopy__Store__V1__MarkEnd *end = message->ends[i];
                struct store_mark_end *to = &mark->ends[i];

                sound = end->fates && strlen(end->identity) < sizeof to->identity &&
                        fates_of(end->fates, mark->length_bytes, &to->ledger);
                if (sound)
                        memcpy(to->identity, end->identity, strlen(end->identity) + 1);
                to->size_bytes = end->size_bytes;
                snprintf(to->instance, sizeof to->instance, "%s", end->instance);
                to->base_bytes = end->base_bytes;
                mark_error_of(end->error, &to->error, &to->error_bytes);
                to->told = end->told;
                to->durable = end->durable;
        }
        kcopy__store__v1__mark__free_unpacked(message, NULL);
        if (sound)
                return mark;
        store_mark_free(mark);
        return NULL;
}

/* ---- results */

static int pack_built(struct kc_budget *build, const ProtobufCMessage *message, struct codec_bytes *ret_bytes)
{
        int r = message ? pack(message, ret_bytes) : -ENOMEM;

        kc_budget_done(build);
        return r;
}

int codec_pack_result(uint64_t job_id, const struct copy_spec *spec, const struct job_result *result,
    struct codec_bytes *ret_bytes)
{
        Kcopy__V1__Completion *message;
        struct kc_budget build;

        if (kc_budget_init(&build, BUILD_BYTES) < 0)
                return -ENOMEM;
        message = encode_completion(&build, job_id, spec, result, false);
        return pack_built(&build, message ? &message->base : NULL, ret_bytes);
}

/* ---- events */

static Kcopy__V1__StateChange *state_of(struct kc_budget *build, const struct job_event *event)
{
        const struct engine_job_view view = {
            .job_id = event->job_id, .state = event->state, .reason = event->reason};

        return encode_state(build, &view);
}

static bool fill_event(
    struct kc_budget *build, const struct job_event *event, Kcopy__V1__ServerMessage *ret_message)
{
        switch (event->type) {
        case JOB_EVENT_STATE:
                ret_message->body_case = KCOPY__V1__SERVER_MESSAGE__BODY_STATE_CHANGE;
                return (ret_message->state_change = state_of(build, event)) != NULL;
        case JOB_EVENT_DESTINATION_DONE:
                ret_message->body_case = KCOPY__V1__SERVER_MESSAGE__BODY_DESTINATION_DONE;
                ret_message->destination_done = kc_budget_alloc(build, sizeof *ret_message->destination_done);
                if (!ret_message->destination_done)
                        return false;
                kcopy__v1__destination_done__init(ret_message->destination_done);
                ret_message->destination_done->job = event->job_id;
                ret_message->destination_done->result =
                    encode_destination(build, event->index, event->destination, KC_MESSAGE_MAX_BYTES);
                return ret_message->destination_done->result != NULL;
        case JOB_EVENT_COMPLETION:
                ret_message->body_case = KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION;
                ret_message->completion =
                    encode_completion(build, event->job_id, event->spec, event->result, false);
                return ret_message->completion != NULL;
        default: /* progress is not kept */
                return false;
        }
}

int codec_pack_event(
    const struct job_event *event, uint64_t seq, uint64_t at_ms, struct codec_bytes *ret_bytes)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        struct kc_budget build;

        if (kc_budget_init(&build, BUILD_BYTES) < 0)
                return -ENOMEM;
        message.seq = seq;
        message.at_ms = at_ms;
        return pack_built(&build, fill_event(&build, event, &message) ? &message.base : NULL, ret_bytes);
}

static void error_of(const Kcopy__V1__EndpointError *message, struct job_error *ret_error)
{
        if (!message)
                return;
        ret_error->error.code = kc_errno_of_name(message->errno_name);
        ret_error->error.class = (enum kc_class)message->error_class;
        snprintf(ret_error->error.message, sizeof ret_error->error.message, "%s", message->message);
        ret_error->has_sector = message->has_sector;
        ret_error->sector = message->sector;
}

/* False: it cannot be, or there is no memory. */
static bool bad_range_of(
    const Kcopy__V1__SectorRange *range, const struct copy_spec *spec, struct job_result *result)
{
        uint64_t first = range->sector - spec->from.sector, start_bytes = first * KC_SECTOR_BYTES;

        return range->sector >= spec->from.sector && range->count > 0 &&
               first < result->length_bytes / KC_SECTOR_BYTES + 1 && start_bytes < result->length_bytes &&
               range->count <= (result->length_bytes - start_bytes + KC_SECTOR_BYTES - 1) / KC_SECTOR_BYTES &&
               bad_ranges_add(&result->bad, start_bytes,
                   kc_min_u64(start_bytes + range->count * KC_SECTOR_BYTES, result->length_bytes)) == 0;
}

struct job_result *codec_unpack_result(const struct copy_spec *spec, const void *data, size_t bytes)
{
        Kcopy__V1__Completion *message = kcopy__v1__completion__unpack(NULL, bytes, data);
        struct job_result *result = NULL;

        if (message && message->n_destinations <= KC_DESTINATIONS_MAX)
                result = job_result_new((unsigned)message->n_destinations);
        if (result) {
                result->state = (enum job_state)message->state;
                result->read_err = message->read_err;
                result->write_err = message->write_err;
                result->durable = message->durable;
                result->length_bytes = message->length_bytes;
                result->elapsed_ns = message->elapsed_ms * NS_PER_MS;
                error_of(message->source_error, &result->source_error);
        }
        for (size_t i = 0; result && i < message->n_bad_ranges; i++)
                if (!bad_range_of(message->bad_ranges[i], spec, result)) {
                        job_result_free(result);
                        result = NULL;
                }
        for (size_t i = 0; result && i < message->n_destinations; i++) {
                const Kcopy__V1__DestinationResult *from = message->destinations[i];
                struct job_destination_result *to = &result->destinations[i];

                to->durable = from->durable;
                to->done = true;
                error_of(from->error, &to->error);
                if (from->ledger)
                        to->ledger = (struct job_ledger){from->ledger->copied_bytes,
                            from->ledger->zeroed_bytes, from->ledger->skipped_bytes,
                            from->ledger->indeterminate_bytes, from->ledger->untouched_bytes};
        }
        kcopy__v1__completion__free_unpacked(message, NULL);
        return result;
}
