/* JSON lines (json.h). */
#include "ctl/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/captive.h"
#include "ctl/ctl.h"
#include "ctl/text.h"

void json_line(json_t *object)
{
        if (!object || json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) < 0) {
                text_error("standard output", "a line of JSON cannot be written");
                captive_stop_all();
                exit(CTL_UNKNOWN);
        }
        putchar('\n');
        fflush(stdout);
        json_decref(object);
}

static json_t *plain_text(const char *text)
{
        json_t *string = text ? json_string(text) : json_null();
        char *copy;

        if (string)
                return string;
        copy = strdup(text);
        for (char *c = copy; c && *c; c++)
                if ((unsigned char)*c >= 0x80)
                        *c = '?';
        string = copy ? json_string(copy) : NULL;
        free(copy);
        return string;
}

json_t *json_text(const char *text)
{
        char *words = text ? captive_in_words(text) : NULL;
        json_t *string = plain_text(words ? words : text);

        free(words);
        return string;
}

json_t *json_number(uint64_t number)
{
        return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

json_t *json_error(const struct kcopy_endpoint_error *error)
{
        if (error->error_class == KCOPY_CLASS_NONE)
                return json_null();
        return json_pack("{s:s, s:o, s:o, s:o}", "class", text_class_json(error->error_class), "errno",
            json_text(error->errno_name && error->errno_name[0] ? error->errno_name : NULL), "sector",
            error->has_sector ? json_number(error->sector) : json_null(), "message",
            json_text(error->message ? error->message : ""));
}

json_t *json_mask(uint64_t mask)
{
        json_t *array = json_array();

        for (unsigned i = 0; array && i < 64; i++)
                if (mask & UINT64_C(1) << i)
                        json_array_append_new(array, json_integer(i));
        return array;
}

/* The URI by which a server in brackets was reached; NULL: its device is named by what reaches it. */
static json_t *captive_uri(const char *device)
{
        return device && captive_owns(device) ? json_string(device) : NULL;
}

json_t *json_destination(
    unsigned index, const char *device, const struct kcopy_destination_result *destination)
{
        return json_pack("{s:i, s:o, s:o*, s:b, s:o, s:{s:o, s:o, s:o, s:o, s:o}}", "index", (int)index,
            "device", json_text(device), "uri", captive_uri(device), "durable", destination->durable, "error",
            json_error(&destination->error), "bytes", "copied", json_number(destination->copied_bytes),
            "zeroed", json_number(destination->zeroed_bytes), "skipped",
            json_number(destination->skipped_bytes), "indeterminate",
            json_number(destination->indeterminate_bytes), "untouched",
            json_number(destination->untouched_bytes));
}

static json_t *refused(const struct kcopy_result *result)
{
        return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "event", "refused", "field",
            json_text(result->refused_field), "class", text_class_json(result->refusal.error_class), "errno",
            json_text(result->refusal.errno_name), "message", json_text(result->refusal.message), "limit",
            result->has_limit ? json_number(result->limit) : json_null());
}

json_t *json_refused(const char *field, int rc, const char *message)
{
        /* the library has made an errno of the class where there was no better one */
        enum kcopy_class class = rc == -ECANCELED || rc == -ESHUTDOWN ? KCOPY_CLASS_STOPPED
                                 : rc == -ENOMEM                      ? KCOPY_CLASS_INTERNAL
                                 : rc == -EINVAL                      ? KCOPY_CLASS_INVALID
                                                                      : KCOPY_CLASS_LIMIT;
        const char *name = strerrorname_np(-rc);
        const struct kcopy_result result = {.refused_field = field,
            .refusal = {.error_class = class, .errno_name = name ? name : "", .message = message}};

        return refused(&result);
}

static json_t *json_bad_ranges(const struct kcopy_result *result)
{
        json_t *list = json_array();

        for (unsigned i = 0; list && i < result->n_bad_ranges; i++)
                json_array_append_new(
                    list, json_pack("{s:o, s:o}", "sector", json_number(result->bad_ranges[i].sector),
                              "count", json_number(result->bad_ranges[i].count)));
        return list;
}

json_t *json_completion(const char *from, const char *const *to, bool read_err, uint64_t write_err,
    const struct kcopy_result *result)
{
        json_t *destinations;

        if (result->state == KCOPY_REFUSED)
                return refused(result);
        if (result->state == KCOPY_LOST)
                return json_pack("{s:s, s:o, s:o}", "event", "lost", "job",
                    result->job ? json_number(result->job) : json_null(), "message",
                    json_text(result->refusal.message));
        destinations = json_array();
        for (unsigned i = 0; destinations && i < result->n_destinations; i++)
                json_array_append_new(
                    destinations, json_destination(i, to ? to[i] : NULL, &result->destinations[i]));
        return json_pack("{s:s, s:o, s:s, s:b, s:o, s:b, s:o, s:o, s:o, s:o}", "event", "completion", "job",
            json_number(result->job), "state", text_state(result->state), "read_err", read_err, "write_err",
            json_mask(write_err), "durable", result->durable, "length_bytes",
            json_number(result->length_bytes), "elapsed_ms", json_number(result->elapsed_ms), "source",
            from || read_err
                ? json_pack("{s:o, s:o*, s:o, s:o}", "device", json_text(from), "uri", captive_uri(from),
                      "error", json_error(&result->source_error), "bad_ranges", json_bad_ranges(result))
                : json_null(),
            "destinations", destinations);
}

static json_t *progress(const struct kcopy_event *event)
{
        json_t *done = json_array();

        for (unsigned i = 0; done && i < event->n_destinations; i++)
                json_array_append_new(done, json_number(event->done_bytes[i]));
        return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "event", "progress", "job",
            json_number(event->job), "length_bytes", json_number(event->length_bytes), "elapsed_ms",
            json_number(event->elapsed_ms), "rate_bytes_per_s", json_number(event->rate_bytes_per_s),
            "done_bytes", done);
}

static json_t *event_object(const struct kcopy_event *event, const char *const *to)
{
        json_t *object;

        switch (event->type) {
        case KCOPY_EVENT_ACCEPTED:
                return json_pack("{s:s, s:o, s:o}", "event", "accepted", "job", json_number(event->job),
                    "length_bytes", json_number(event->length_bytes));
        case KCOPY_EVENT_STATE:
                return json_pack("{s:s, s:o, s:s, s:o}", "event", "state", "job", json_number(event->job),
                    "state", text_state(event->state), "reason", json_text(event->reason));
        case KCOPY_EVENT_PROGRESS:
                return progress(event);
        case KCOPY_EVENT_DESTINATION:
                object = json_pack("{s:s, s:o}", "event", "destination", "job", json_number(event->job));
                if (object) {
                        json_t *destination =
                            json_destination(event->index, to ? to[event->index] : NULL, event->destination);

                        json_object_update(object, destination);
                        json_decref(destination);
                }
                return object;
        case KCOPY_EVENT_COMPLETION:
                return json_completion(NULL, NULL, event->read_err, event->write_err, event->result);
        case KCOPY_EVENT_STOPPING:
                return json_pack("{s:s, s:o}", "event", "stopping", "drain_ms", json_number(event->drain_ms));
        }
        return NULL;
}

/* Of a detached job's event: its number, and when it was. */
json_t *json_numbered(json_t *object, uint64_t seq, uint64_t at_ms)
{
        if (!object || seq == 0)
                return object;
        json_object_set_new(object, "seq", json_number(seq));
        json_object_set_new(object, "at_ms", json_number(at_ms));
        return object;
}

json_t *json_event(const struct kcopy_event *event, const char *const *to)
{
        return json_numbered(event_object(event, to), event->seq, event->at_ms);
}

json_t *json_job(const struct kcopy_job_info *job)
{
        json_t *destinations = json_array(), *object;

        for (unsigned i = 0; destinations && i < job->n_destinations; i++) {
                const struct kcopy_destination_info *info = &job->destinations[i];
                json_t *destination = json_destination(i, info->device, &info->result);

                if (destination) {
                        json_object_set_new(destination, "sector", json_number(info->sector));
                        json_object_set_new(destination, "done", json_boolean(info->done));
                        json_object_set_new(destination, "detached", json_boolean(info->detached));
                }
                json_array_append_new(destinations, destination);
        }
        object = json_pack("{s:s, s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:b, s:o}", "event", "job", "job",
            json_number(job->job), "state", text_state(job->state), "reason", json_text(job->reason),
            "operation", job->zero ? "zero" : "copy", "length_bytes", json_number(job->length_bytes),
            "elapsed_ms", json_number(job->elapsed_ms), "owner", json_text(job->owner), "draining",
            job->draining, "source",
            job->zero ? json_null()
                      : json_pack("{s:o, s:o}", "device", json_text(job->source_device), "sector",
                            json_number(job->source_sector)));
        if (!object) {
                json_decref(destinations);
                return NULL;
        }
        json_object_set_new(object, "destinations", destinations);
        json_object_set_new(object, "detached", json_boolean(job->detached));
        json_object_set_new(object, "key", job->key[0] ? json_text(job->key) : json_null());
        json_object_set_new(object, "rate_bytes_per_s", json_number(job->rate_bytes_per_s));
        json_object_set_new(object, "priority", json_number(job->priority));
        if (job->result) {
                json_object_set_new(object, "read_err", json_boolean(job->read_err));
                json_object_set_new(object, "write_err", json_mask(job->write_err));
                json_object_set_new(object, "durable", json_boolean(job->result->durable));
                json_object_set_new(object, "source_error", json_error(&job->result->source_error));
                json_object_set_new(object, "bad_ranges", json_bad_ranges(job->result));
        }
        return object;
}
