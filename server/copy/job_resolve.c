/* Resolving a job: every device of it is opened, or found open; then the whole is validated, and accepted or
 * refused. A restarted job takes the same way again; one that is only to be validated goes no further. */
#include "copy/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The devices that a submission waits for. */
struct resolve {
        struct kc_msg msg; /* all of them have come */
        struct job *job;
        unsigned n_waiting;
        struct resolve_end {
                struct device_waiter waiter;
                struct resolve *resolve;
        } ends[];
};

static const struct copy_region *region_of(const struct job *job, unsigned end)
{
        return end == 0 ? &job->spec->from : &job->spec->to[end - 1];
}

static struct engine_planned planned(const struct device *device, const struct job_region *region)
{
        const struct endpoint_info *info = &device->info;
        uint64_t size_bytes = info->kind == IO_KIND_NULL ? 0 : info->size_bytes;
        struct engine_planned planned = {
            .kind = info->kind,
            .size_bytes = size_bytes,
            .size_after_bytes = region->resize ? region->resize_bytes : size_bytes,
            .created = info->absent,
            .mounted_rw = info->mounted_rw,
        };

        snprintf(planned.identity, sizeof planned.identity, "%s", device_key(device));
        return planned;
}

static void answer_validated(struct job *job)
{
        struct engine *engine = job->engine;
        struct engine_client *client = job->client;
        struct engine_submission *submission = job->submission;
        struct engine_plan *answer = job->answer.validated;

        engine->n_resolving--;
        client->n_jobs--;
        job_free(job);
        submission->on_validated(submission, answer);
        free(answer);
        client_check_closed(client);
        engine_check_closed(engine);
}

/* It is right, and that is all it was to be: as with a refusal, nothing of it remains. */
static void validated(struct job *job, const struct job_plan *plan)
{
        struct engine_plan *answer = calloc(1, sizeof *answer);

        if (!answer) {
                job_refuse_with(job, "", -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                return;
        }
        answer->length_bytes = plan->length_bytes;
        answer->has_from = job->ends[0].device != NULL;
        answer->n_to = job->spec->n_to;
        if (answer->has_from)
                answer->from = planned(job->ends[0].device, &plan->from);
        for (unsigned i = 0; i < answer->n_to; i++)
                answer->to[i] = planned(job->ends[1 + i].device, &plan->to[i]);
        job->answer.validated = answer;
        job_let_go(job, answer_validated);
}

static void validate_further(struct job *job, const struct job_plan *plan)
{
        job->length_bytes = plan->length_bytes;
        if (!job->lasting || lasting_check(job)) /* else it is refused */
                validated(job, plan);
}

static void validate(struct job *job)
{
        const struct endpoint_info *to[KC_DESTINATIONS_MAX], *from = NULL;
        struct engine_refusal refusal = {.error = {.code = 0}};
        struct job_plan plan; /* large: validate_plan fills in what there is */

        free(job->resolve);
        job->resolve = NULL;
        if (job->client->cancel && kc_list_empty(&job->node)) {
                job_refuse_with(job, "", -ECANCELED, KC_CLASS_CANCELLED, "the client has gone");
                return;
        }
        if (job->cancel_wanted) {
                job_end_unstarted(job);
                return;
        }
        if (lasting_halts(job))
                return;
        for (unsigned i = 0; i < job_n_ends(job); i++) {
                const struct device *device = job->ends[i].device;

                if (device)
                        device = job->ends[i].device = device_actual(job->ends[i].device);
                if (device && device->status < 0) {
                        if (i == 0)
                                snprintf(refusal.field, sizeof refusal.field, "from.name");
                        else
                                snprintf(refusal.field, sizeof refusal.field, "to[%u].name", i - 1);
                        refusal.error = device->error;
                        job_refuse(job, &refusal);
                        return;
                }
                if (i > 0)
                        to[i - 1] = &device->info;
                else if (device)
                        from = &device->info;
        }
        if (!validate_plan(job->spec, from, to, job->client->bank.n_pages, &plan, &refusal))
                job_refuse(job, &refusal);
        else if (job->spec->options.validate_only)
                validate_further(job, &plan);
        else
                job_accept(job, &plan);
}

static void on_resolved(struct kc_actor *actor, struct kc_msg *msg)
{
        validate(kc_container_of(msg, struct resolve, msg)->job);
}

/* The last one: by message, since who tells of a device uses it meanwhile, and the job may have to be its
 * last user. */
static void on_device(struct device_waiter *waiter)
{
        struct resolve_end *end = kc_container_of(waiter, struct resolve_end, waiter);
        struct resolve *resolve = end->resolve;

        if (--resolve->n_waiting > 0)
                return;
        resolve->msg.on_message = on_resolved;
        kc_actor_post(resolve->job->engine->control, &resolve->msg);
}

void job_resolve_give_up(struct job *job)
{
        struct resolve *resolve = job->resolve;

        if (!resolve || resolve->n_waiting == 0)
                return; /* its message is on the way */
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (resolve->ends[i].resolve)
                        device_unwait(&resolve->ends[i].waiter);
        resolve->n_waiting = 0;
        resolve->msg.on_message = on_resolved;
        kc_actor_post(job->engine->control, &resolve->msg);
}

/* A copy within one device needs one connection, which may be all that it admits. */
static bool writes_to_source(const struct job *job)
{
        for (unsigned i = 0; i < job->spec->n_to; i++)
                if (job->spec->from.device && job->spec->to[i].device &&
                    strcmp(job->spec->from.device, job->spec->to[i].device) == 0)
                        return true;
        return false;
}

/* The device of a region: a handle's, a named endpoint's, or the name itself. NULL with the refusal set. */
static struct device *region_device(
    struct job *job, unsigned end, unsigned lane, struct engine_refusal *refusal)
{
        const struct copy_region *region = region_of(job, end);
        enum io_access access = end > 0 || writes_to_source(job) ? IO_ACCESS_WRITE : IO_ACCESS_READ;
        bool told = job->lasting && lasting_told(job, end);
        const char *name = told                  ? "null:" /* it is done with */
                           : job->ends[end].name ? job->ends[end].name
                                                 : region->device;
        struct device *device;

        if (!name) {
                struct handle *handle = client_handle(job->client, region->handle);

                if (!handle) {
                        kc_error_set(&refusal->error, -ENOENT, KC_CLASS_NOT_FOUND,
                            "handle %llu: not open; open the device first",
                            (unsigned long long)region->handle);
                        return NULL;
                }
                if (end > 0 && !handle->write) {
                        kc_error_set(&refusal->error, -EBADF, KC_CLASS_PERMISSION,
                            "handle %llu: opened for reading only; open it for writing",
                            (unsigned long long)region->handle);
                        return NULL;
                }
                if (!handle->device->retired)
                        return device_ref(handle->device);
                name = handle->device->name; /* its connection was lost: anew */
        }
        name = engine_resolve_name(job->engine, name, &refusal->error);
        if (!name)
                return NULL;
        device = device_get(job->engine, name, access, lane);
        if (!device)
                kc_error_set(&refusal->error, -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
        return device;
}

/* Wait for one of its devices. Most jobs need not wait for any, and have no waits. */
static int wait_open(struct job *job, unsigned end)
{
        struct device_waiter *waiter;

        if (!job->resolve) {
                job->resolve = calloc(1, sizeof *job->resolve + job_n_ends(job) * sizeof *job->resolve->ends);
                if (!job->resolve)
                        return -ENOMEM;
                job->resolve->job = job;
                job->resolve->n_waiting = 1; /* job_resolve */
        }
        waiter = &job->resolve->ends[end].waiter;
        kc_list_init(&waiter->node);
        waiter->on_device = on_device;
        job->resolve->ends[end].resolve = job->resolve;
        job->resolve->n_waiting++;
        device_wait_open(job->ends[end].device, waiter);
        return 0;
}

static void stop_waiting(struct job *job)
{
        for (unsigned i = 0; job->resolve && i < job_n_ends(job); i++)
                if (job->resolve->ends[i].resolve)
                        device_unwait(&job->resolve->ends[i].waiter);
        free(job->resolve);
        job->resolve = NULL;
}

void job_resolve(struct job *job)
{
        unsigned n = job_n_ends(job), lane = engine_pick_lane(job->engine);
        struct engine_refusal refusal = {.error = {.code = 0}};

        for (unsigned i = job->spec->operation == COPY_OPERATION_ZERO ? 1 : 0; i < n; i++) {
                struct device *device = region_device(job, i, lane, &refusal);

                if (!device) {
                        stop_waiting(job);
                        if (i == 0)
                                snprintf(refusal.field, sizeof refusal.field, "from.%s",
                                    region_of(job, i)->device ? "name" : "handle");
                        else
                                snprintf(refusal.field, sizeof refusal.field, "to[%u].%s", i - 1,
                                    region_of(job, i)->device ? "name" : "handle");
                        job_refuse(job, &refusal);
                        return;
                }
                job->ends[i].device = device;
                lane = device->home; /* what is opened for this job goes where the rest of it is */
                if (!device_opened(device) && wait_open(job, i) < 0) {
                        job_refuse_with(job, "", -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                        return;
                }
        }
        if (!job->resolve || --job->resolve->n_waiting == 0)
                validate(job);
}
