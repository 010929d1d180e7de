/* Sending jobs (submit.h). */
#include "submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kc_limits.h"
#include "request.h"

#define FLAGS_ALL ((KCOPY_DETACHED << 1) - 1)

/* The options' own storage in the message. */
struct options {
        Kcopy__V1__JobOptions message;
        uint32_t zero_destinations[KC_DESTINATIONS_MAX];
};

static int fill_options(struct kcopy_client *client, const struct kcopy_options *options, unsigned n_to,
    struct options *ret_options)
{
        Kcopy__V1__JobOptions *message = &ret_options->message;
        uint64_t zeroes;

        kcopy__v1__job_options__init(message);
        if (!options)
                return 0;
        if (options->flags & ~(unsigned)FLAGS_ALL)
                return client_fail(client, -EINVAL, "options: unknown flags");
        if ((options->flags & KCOPY_IGNORE_ERROR) && (options->flags & KCOPY_CONTINUE))
                return client_fail(client, -EINVAL, "options: IGNORE_ERROR and CONTINUE exclude each other");
        if ((options->flags & KCOPY_NO_FLUSH) && (options->flags & KCOPY_FUA))
                return client_fail(client, -EINVAL, "options: NO_FLUSH and FUA exclude each other");
        message->on_error = options->flags & KCOPY_IGNORE_ERROR ? KCOPY__V1__ERROR_POLICY__ERROR_POLICY_IGNORE
                            : options->flags & KCOPY_CONTINUE ? KCOPY__V1__ERROR_POLICY__ERROR_POLICY_CONTINUE
                                                              : KCOPY__V1__ERROR_POLICY__ERROR_POLICY_STOP;
        message->durability = options->flags & KCOPY_NO_FLUSH ? KCOPY__V1__DURABILITY__DURABILITY_NONE
                              : options->flags & KCOPY_FUA    ? KCOPY__V1__DURABILITY__DURABILITY_FUA
                                                              : KCOPY__V1__DURABILITY__DURABILITY_FLUSH;
        message->no_extents = options->flags & KCOPY_NO_EXTENTS;
        message->no_detect_zeroes = options->flags & KCOPY_NO_DETECT_ZEROES;
        message->allocated = options->flags & KCOPY_ALLOCATED;
        message->unmap = options->flags & KCOPY_UNMAP;
        message->strict_once = options->flags & KCOPY_STRICT_ONCE;
        message->validate_only = options->flags & KCOPY_VALIDATE_ONLY;
        message->detached = options->flags & KCOPY_DETACHED;
        if (options->key) {
                if (!message->detached || options->key[0] == '\0' ||
                    strlen(options->key) > KC_JOB_KEY_MAX_BYTES)
                        return client_fail(client, -EINVAL,
                            "options: a key is for detached jobs, and has 1 to %u bytes",
                            KC_JOB_KEY_MAX_BYTES);
                message->key = (char *)(uintptr_t)options->key;
        }
        message->retry_for_ms = options->retry_for_ms;
        message->rate_bytes_per_s = options->rate_bytes_per_s;
        message->timeout_ms = options->timeout_ms;
        message->priority = options->priority;
        message->progress_interval_ms = options->progress_interval_ms;

        zeroes = options->flags & KCOPY_DESTINATION_IS_ZERO ? job_mask(n_to) : options->zero_destinations;
        if (zeroes & ~job_mask(n_to))
                return client_fail(client, -EINVAL, "options: zero_destinations names one that there is not");
        message->zero_destinations = ret_options->zero_destinations;
        for (uint32_t i = 0; i < n_to; i++)
                if (zeroes & UINT64_C(1) << i)
                        message->zero_destinations[message->n_zero_destinations++] = i;
        return 0;
}

static int fill_region(
    struct kcopy_client *client, const struct kcopy_io_region *region, Kcopy__V1__IoRegion *ret_message)
{
        kcopy__v1__io_region__init(ret_message);
        ret_message->sector = region->sector;
        ret_message->count = region->count;
        ret_message->expect_size_bytes = region->expect_size_bytes;
        if (region->expect_identity)
                ret_message->expect_identity = (char *)(uintptr_t)region->expect_identity;
        if (region->device) {
                size_t bytes = strlen(region->device);

                if (bytes == 0)
                        return client_fail(client, -EINVAL, "a region's device has an empty name");
                if (bytes > KC_DEVICE_NAME_MAX_BYTES)
                        return client_fail(client, -ENAMETOOLONG, "a device's name is longer than %u bytes",
                            KC_DEVICE_NAME_MAX_BYTES);
                ret_message->device_case = KCOPY__V1__IO_REGION__DEVICE_NAME;
                /* the generated struct is not const; packing only reads */
                ret_message->name = (char *)(uintptr_t)region->device;
        } else {
                if (!region->handle)
                        return client_fail(client, -EINVAL, "a region without a device");
                ret_message->device_case = KCOPY__V1__IO_REGION__DEVICE_HANDLE;
                ret_message->handle = region->handle;
        }
        return 0;
}

static int fill_regions(struct kcopy_client *client, unsigned n, const struct kcopy_io_region *regions,
    Kcopy__V1__IoRegion *ret_messages, Kcopy__V1__IoRegion **ret_pointers)
{
        if (n == 0 || n > KC_DESTINATIONS_MAX || !regions)
                return client_fail(client, -EINVAL, "a job has 1 to %u destinations", KC_DESTINATIONS_MAX);
        for (unsigned i = 0; i < n; i++) {
                int rc = fill_region(client, &regions[i], &ret_messages[i]);

                if (rc < 0)
                        return rc;
                ret_pointers[i] = &ret_messages[i];
        }
        return 0;
}

static int check(struct kcopy_client *client, kcopy_notify_fn notify)
{
        if (client->lost)
                return client_fail(client, -ENOTCONN, "%s", client->lost_reason);
        if (!notify)
                return client_fail(client, -EINVAL, "a job needs a notify function");
        return 0;
}

static int send_failed(struct kcopy_client *client, int rc)
{
        return rc == -E2BIG ? client_fail(client, rc, "the job's names do not fit a frame of %u bytes",
                                  KC_FRAME_MAX_BYTES)
                            : client_fail(client, rc, "no memory for a job");
}

/* One job in a message of its own. */
static int send_job(struct kcopy_client *client, Kcopy__V1__ClientMessage *message, unsigned n_to,
    kcopy_notify_fn notify, void *context, uint64_t *ret_ticket)
{
        bool zero = message->body_case == KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO;
        const Kcopy__V1__JobOptions *options = zero ? message->zero->options : message->copy->options;
        struct job *job = job_new(client, n_to, zero, notify, context);
        int rc;

        if (!job)
                return send_failed(client, -ENOMEM);
        job->validate_only = options->validate_only;
        job->detached = options->detached;
        message->request_id = job->ticket;
        rc = stream_queue(&client->stream, message);
        if (rc < 0) {
                job_free(client, job);
                return send_failed(client, rc);
        }
        if (ret_ticket)
                *ret_ticket = job->ticket;
        return 0;
}

int kcopy_copy(struct kcopy_client *client, const struct kcopy_io_region *from, unsigned n_to,
    const struct kcopy_io_region *to, const struct kcopy_options *options, kcopy_notify_fn notify,
    void *context, uint64_t *ret_ticket)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Copy copy = KCOPY__V1__COPY__INIT;
        Kcopy__V1__IoRegion source, destinations[KC_DESTINATIONS_MAX], *pointers[KC_DESTINATIONS_MAX];
        struct options job_options;
        int rc = check(client, notify);

        if (rc == 0 && !from)
                rc = client_fail(client, -EINVAL, "a copy needs a source");
        if (rc == 0)
                rc = fill_region(client, from, &source);
        if (rc == 0)
                rc = fill_regions(client, n_to, to, destinations, pointers);
        if (rc == 0)
                rc = fill_options(client, options, n_to, &job_options);
        if (rc < 0)
                return rc;
        copy.from = &source;
        copy.n_to = n_to;
        copy.to = pointers;
        copy.options = &job_options.message;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_COPY;
        message.copy = &copy;
        return send_job(client, &message, n_to, notify, context, ret_ticket);
}

int kcopy_zero(struct kcopy_client *client, unsigned n_to, const struct kcopy_io_region *to,
    const struct kcopy_options *options, kcopy_notify_fn notify, void *context, uint64_t *ret_ticket)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Zero zero = KCOPY__V1__ZERO__INIT;
        Kcopy__V1__IoRegion destinations[KC_DESTINATIONS_MAX], *pointers[KC_DESTINATIONS_MAX];
        struct options job_options;
        int rc = check(client, notify);

        if (rc == 0)
                rc = fill_regions(client, n_to, to, destinations, pointers);
        if (rc == 0)
                rc = fill_options(client, options, n_to, &job_options);
        if (rc < 0)
                return rc;
        zero.n_to = n_to;
        zero.to = pointers;
        zero.options = &job_options.message;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO;
        message.zero = &zero;
        return send_job(client, &message, n_to, notify, context, ret_ticket);
}

/* ---- batches */

/* The schema's form of a whole batch, and how far it has been sent. */
struct batch {
        Kcopy__V1__Copy *copies;
        Kcopy__V1__Copy **copy_pointers;
        Kcopy__V1__IoRegion *regions;
        Kcopy__V1__IoRegion **region_pointers;
};

static void batch_done(struct batch *batch)
{
        free(batch->copies);
        free(batch->copy_pointers);
        free(batch->regions);
        free(batch->region_pointers);
}

static int batch_fill(struct kcopy_client *client, struct batch *batch, unsigned n_jobs,
    const struct kcopy_batch_job *jobs, unsigned *ret_n_to_min)
{
        size_t n_regions = 0, used = 0;
        unsigned n_to_min = KC_DESTINATIONS_MAX;

        for (unsigned i = 0; i < n_jobs; i++) {
                n_regions += 1 + (size_t)jobs[i].n_to;
                if (jobs[i].n_to < n_to_min)
                        n_to_min = jobs[i].n_to;
        }
        batch->copies = calloc(n_jobs, sizeof(*batch->copies));
        batch->copy_pointers = calloc(n_jobs, sizeof(*batch->copy_pointers));
        batch->regions = calloc(n_regions, sizeof(*batch->regions));
        batch->region_pointers = calloc(n_regions, sizeof(*batch->region_pointers));
        if (!batch->copies || !batch->copy_pointers || !batch->regions || !batch->region_pointers)
                return send_failed(client, -ENOMEM);
        for (unsigned i = 0; i < n_jobs; i++) {
                Kcopy__V1__Copy *copy = &batch->copies[i];
                int rc = check(client, jobs[i].notify);

                if (rc == 0)
                        rc = fill_region(client, &jobs[i].from, &batch->regions[used]);
                if (rc == 0)
                        rc = fill_regions(client, jobs[i].n_to, jobs[i].to, &batch->regions[used + 1],
                            &batch->region_pointers[used + 1]);
                if (rc < 0)
                        return rc;
                kcopy__v1__copy__init(copy);
                copy->from = &batch->regions[used];
                copy->n_to = jobs[i].n_to;
                copy->to = &batch->region_pointers[used + 1];
                batch->copy_pointers[i] = copy;
                used += 1 + (size_t)jobs[i].n_to;
        }
        *ret_n_to_min = n_to_min;
        return 0;
}

/* How many of the jobs from `first` on fit one frame. */
static unsigned batch_fit(const struct kcopy_client *client, const struct batch *batch, unsigned first,
    unsigned n_jobs, const Kcopy__V1__JobOptions *options)
{
        /* request id, lengths and tags of the envelope, of the options and of the list: at most 11 + 3 × 6 */
        size_t used = 32 + kcopy__v1__job_options__get_packed_size(options);
        size_t fields = 3 + 12 + options->n_zero_destinations;
        unsigned n = 0;

        while (first + n < n_jobs && n < client->batch_jobs_max) {
                const Kcopy__V1__Copy *copy = batch->copy_pointers[first + n];

                used += 6 + kcopy__v1__copy__get_packed_size(copy);
                fields += 1 + 4 * (1 + copy->n_to); /* a region is a field with three in it */
                if (used > client->frame_max_bytes || fields > KC_FIELDS_MAX)
                        break;
                n++;
        }
        return n ? n : 1; /* one that fits no frame is found out when it is queued */
}

/* Queue jobs [first, first + n) in one frame. */
static int batch_send(struct kcopy_client *client, const struct batch *batch, unsigned first, unsigned n,
    const struct kcopy_batch_job *jobs, Kcopy__V1__JobOptions *options)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__CopyMany many = KCOPY__V1__COPY_MANY__INIT;

        many.n_jobs = n;
        many.jobs = &batch->copy_pointers[first];
        many.options = options;
        message.request_id = client->last_ticket + 1;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_COPY_MANY;
        message.copy_many = &many;
        for (unsigned i = 0; i < n; i++) {
                const struct kcopy_batch_job *from = &jobs[first + i];
                struct job *job = job_new(client, from->n_to, false, from->notify, from->context);

                if (!job)
                        return send_failed(client, -ENOMEM);
                job->n_batch = i == 0 ? n : 0;
        }
        int rc = stream_queue(&client->stream, &message);

        return rc < 0 ? send_failed(client, rc) : 0;
}

int kcopy_copy_many(struct kcopy_client *client, unsigned n_jobs, const struct kcopy_batch_job *jobs,
    const struct kcopy_options *options)
{
        size_t queued_bytes = stream_queued_bytes(&client->stream);
        uint64_t last_ticket = client->last_ticket;
        struct batch batch = {0};
        struct options job_options;
        unsigned n_to_min = 0;
        int rc;

        if (client->lost)
                return client_fail(client, -ENOTCONN, "%s", client->lost_reason);
        if (n_jobs == 0)
                return 0;
        if (options && options->flags & (KCOPY_VALIDATE_ONLY | KCOPY_DETACHED))
                return client_fail(client, -EINVAL, "options: %s is not for a batch",
                    options->flags & KCOPY_DETACHED ? "DETACHED" : "VALIDATE_ONLY");
        rc = batch_fill(client, &batch, n_jobs, jobs, &n_to_min);
        if (rc == 0)
                rc = fill_options(client, options, n_to_min, &job_options);
        for (unsigned first = 0, n; rc == 0 && first < n_jobs; first += n) {
                n = batch_fit(client, &batch, first, n_jobs, &job_options.message);
                rc = batch_send(client, &batch, first, n, jobs, &job_options.message);
        }
        if (rc < 0) { /* all or none */
                stream_unqueue(&client->stream, queued_bytes);
                for (; client->last_ticket > last_ticket; client->last_ticket--)
                        job_free(client, job_find_ticket(client, client->last_ticket));
        }
        batch_done(&batch);
        return rc;
}

/* ---- cancel */

int submit_cancel(struct kcopy_client *client, struct job *job)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Cancel cancel = KCOPY__V1__CANCEL__INIT;

        cancel.job = job->id;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_CANCEL;
        message.cancel = &cancel;
        /* nobody waits for the answer: a refusal means that the job ended by itself meanwhile */
        return request_send(client, &message, KCOPY__V1__SERVER_MESSAGE__BODY_DONE, NULL, NULL, NULL);
}

int kcopy_cancel(struct kcopy_client *client, uint64_t ticket)
{
        struct job *job = job_find_ticket(client, ticket);
        int rc = 0;

        if (!job)
                return client_fail(client, -ENOENT, "no such job is pending");
        if (job->cancel)
                return 0;
        if (job->id)
                rc = submit_cancel(client, job);
        if (rc == 0)
                job->cancel = true;
        return rc;
}
