/* Jobs, from submission to the start of their run. See job.h. */
#include "copy/job.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kc_sm_state states[] = {
    [JOB_WAITING] = {"waiting",
        KC_SM_TO(JOB_RUNNING) | KC_SM_TO(JOB_COMPLETED) | KC_SM_TO(JOB_FAILED) | KC_SM_TO(JOB_CANCELLED),
        true, false},
    [JOB_RUNNING] = {"running",
        KC_SM_TO(JOB_WAITING) | KC_SM_TO(JOB_DRAINING) | KC_SM_TO(JOB_COMPLETED) | KC_SM_TO(JOB_FAILED) |
            KC_SM_TO(JOB_CANCELLED),
        false, false},
    [JOB_PAUSED] = {"paused", 0, false, false},
    [JOB_DRAINING] = {"draining",
        KC_SM_TO(JOB_WAITING) | KC_SM_TO(JOB_COMPLETED) | KC_SM_TO(JOB_FAILED) | KC_SM_TO(JOB_CANCELLED),
        false, false},
    [JOB_COMPLETED] = {"completed", 0, false, true},
    [JOB_FAILED] = {"failed", 0, false, true},
    [JOB_CANCELLED] = {"cancelled", 0, false, true},
};

/* The devices that a submission waits for. */
struct resolve {
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

static void let_go_of_devices(struct job *job)
{
        for (unsigned i = 0; i < job_n_ends(job); i++) {
                if (job->ends[i].device)
                        device_put(job->ends[i].device);
                job->ends[i].device = NULL;
        }
}

void job_free_ends(struct job *job)
{
        for (unsigned i = 0; job->ends && i < job_n_ends(job); i++)
                free(job->ends[i].name);
        free(job->ends);
        free(job->ranges);
        job->ends = NULL;
        job->ranges = NULL;
}

void job_free(struct job *job)
{
        assert(!job->run && !job->resolve && !job->locked);
        kc_list_del(&job->node);
        kc_list_del(&job->client_node);
        kc_list_del(&job->history_node);
        free(job->view);
        free(job->stall);
        free(job->result);
        free(job->owner);
        job_free_ends(job);
        free(job->spec);
        free(job);
}

/* ---- reasons and states, for people */

const char *job_reason(const struct job *job, char *buf, size_t buf_bytes)
{
        buf[0] = '\0';
        switch (kc_sm_state(&job->sm)) {
        case JOB_WAITING:
                if (job->locked && !job->locks.held)
                        snprintf(buf, buf_bytes, "its regions are in use by job %llu",
                            (unsigned long long)job->locks.blocker_id);
                else
                        snprintf(buf, buf_bytes, "%u jobs of this client are running", job->client->n_runs);
                break;
        case JOB_RUNNING:
                if (job->stall)
                        snprintf(buf, buf_bytes, "%s", job->stall);
                break;
        case JOB_DRAINING:
                snprintf(buf, buf_bytes, "waiting for answers that are out");
                break;
        default:
                break;
        }
        return buf;
}

void job_emit_state(struct job *job)
{
        char reason[256];
        struct job_event event = {
            .type = JOB_EVENT_STATE,
            .job_id = job->id,
            .client = job->client,
            .spec = job->spec,
            .state = (enum job_state)kc_sm_state(&job->sm),
            .reason = job_reason(job, reason, sizeof reason),
        };

        engine_emit(job->engine, &event);
}

/* ---- refusing and accepting */

static void refuse(struct job *job, const struct engine_refusal *refusal)
{
        struct engine *engine = job->engine;
        struct engine_client *client = job->client;
        struct engine_submission *submission = job->submission;

        if (job->id != 0) { /* accepted once, and refused when it was to start again */
                unsigned end = 0;

                if (sscanf(refusal->field, "to[%u]", &end) == 1)
                        end++;
                let_go_of_devices(job);
                job_end_unrun(job, JOB_FAILED, &refusal->error, end);
                return;
        }
        engine->n_resolving--;
        client->n_jobs--;
        let_go_of_devices(job);
        job_free(job);
        submission->on_refused(submission, refusal);
        client_check_closed(client);
        engine_check_closed(engine);
}

static void refuse_with(
    struct job *job, const char *field, int code, enum kc_class class, const char *message)
{
        struct engine_refusal refusal = {.error = {.code = 0}};

        snprintf(refusal.field, sizeof refusal.field, "%s", field);
        kc_error_set(&refusal.error, code, class, "%s", message);
        refuse(job, &refusal);
}

static void on_locks_granted(struct lock_set *set)
{
        struct job *job = kc_container_of(set, struct job, locks);

        kc_list_push(&job->client->runnable, &job->runnable_node);
        client_start_jobs(job->client);
}

static void lock(struct job *job)
{
        struct lock_range *range = job->ranges;

        for (unsigned i = 0; i < job_n_ends(job); i++) {
                struct device *device = job->ends[i].device;

                if (!device)
                        continue;
                device_pin(device);
                job->ends[i].pinned = device;
                *range++ = (struct lock_range){
                    .key = device->info.identity.key,
                    .start_bytes = job->ends[i].region.lock_start_bytes,
                    .end_bytes = job->ends[i].region.lock_end_bytes,
                    .exclusive = i > 0,
                };
        }
        job->locks = (struct lock_set){
            .owner_id = job->id,
            .on_granted = on_locks_granted,
            .ranges = job->ranges,
            .n_ranges = (unsigned)(range - job->ranges),
        };
        job->locked = true;
        if (locks_request(job->engine->locks, &job->locks)) {
                kc_list_push(&job->client->runnable, &job->runnable_node);
                client_start_jobs(job->client);
        } else {
                job_emit_state(job);
        }
}

static int keep_record(struct job *job)
{
        struct engine *engine = job->engine;

        job->owner = strdup(job->client->identity);
        if (!job->owner)
                return -ENOMEM;
        job->id = engine->next_job_id++;
        kc_idmap_add(&engine->by_id, &job->by_id, job->id);
        kc_list_push(&engine->jobs, &job->node);
        kc_sm_init(&job->sm, states, sizeof states / sizeof *states, JOB_WAITING, "job", job->id);
        job->accepted_ns = kc_actor_now_ns(engine->control);
        engine->n_waiting++;
        return 0;
}

static void accept(struct job *job, const struct job_plan *plan)
{
        struct engine_submission *submission = job->submission;

        if (job->id != 0 && plan->length_bytes != job->length_bytes) {
                refuse_with(job, "from", -ESTALE, KC_CLASS_INVALID,
                    "a device changed its size while the job waited for it");
                return;
        }
        job->length_bytes = plan->length_bytes;
        job->align_bytes = plan->align_bytes;
        job->chunk_max_bytes = plan->chunk_max_bytes;
        job->ends[0].region = plan->from;
        for (unsigned i = 0; i < job->spec->n_to; i++)
                job->ends[1 + i].region = plan->to[i];
        if (job->id == 0) {
                if (keep_record(job) < 0) {
                        refuse_with(job, "", -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                        return;
                }
                job->engine->n_resolving--;
                job->submission = NULL;
                submission->on_accepted(submission, job->id, job->length_bytes);
        }
        lock(job);
}

/* ---- resolving: every device is opened (or found open), then the whole is validated */

static void validate(struct job *job)
{
        const struct endpoint_info *to[KC_DESTINATIONS_MAX], *from = NULL;
        struct engine_refusal refusal = {.error = {.code = 0}};
        struct job_plan plan = {0};

        free(job->resolve);
        job->resolve = NULL;
        if (job->client->cancel && job->id == 0) {
                refuse_with(job, "", -ECANCELED, KC_CLASS_CANCELLED, "the client has gone");
                return;
        }
        if (job->cancel_wanted) {
                struct kc_error error = {.code = 0};

                kc_error_set(&error, -ECANCELED, KC_CLASS_CANCELLED, "not complete: the job was cancelled");
                let_go_of_devices(job);
                job_end_unrun(job, JOB_CANCELLED, &error, UINT32_MAX);
                return;
        }
        for (unsigned i = 0; i < job_n_ends(job); i++) {
                const struct device *device = job->ends[i].device;

                if (device && device->status < 0) {
                        if (i == 0)
                                snprintf(refusal.field, sizeof refusal.field, "from.name");
                        else
                                snprintf(refusal.field, sizeof refusal.field, "to[%u].name", i - 1);
                        refusal.error = device->error;
                        refuse(job, &refusal);
                        return;
                }
                if (i > 0)
                        to[i - 1] = &device->info;
                else if (device)
                        from = &device->info;
        }
        if (validate_plan(job->spec, from, to, job->client->bank.n_pages, &plan, &refusal))
                accept(job, &plan);
        else
                refuse(job, &refusal);
}

static void on_device(struct device_waiter *waiter)
{
        struct resolve_end *end = kc_container_of(waiter, struct resolve_end, waiter);
        struct resolve *resolve = end->resolve;

        if (--resolve->n_waiting == 0)
                validate(resolve->job);
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
        const char *name = job->ends[end].name ? job->ends[end].name : region->device;
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
        if (name[0] != '/' && strcmp(name, "null:") != 0 && !strstr(name, "://")) {
                const char *named = engine_named_device(job->engine, name);

                if (!named) {
                        char escaped[128];

                        kc_error_set(&refusal->error, -ENOENT, KC_CLASS_NOT_FOUND,
                            "%s: no endpoint of this name; give an absolute path, an NBD URI or null:",
                            kc_error_escape(escaped, sizeof escaped, name, strlen(name)));
                        return NULL;
                }
                name = named;
        }
        device = device_get(job->engine, name, access, lane);
        if (!device)
                kc_error_set(&refusal->error, -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
        return device;
}

static void resolve(struct job *job)
{
        unsigned n = job_n_ends(job), lane = engine_pick_lane(job->engine);
        struct engine_refusal refusal = {.error = {.code = 0}};

        job->resolve = calloc(1, sizeof *job->resolve + n * sizeof *job->resolve->ends);
        if (!job->resolve) {
                refuse_with(job, "", -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                return;
        }
        job->resolve->job = job;
        job->resolve->n_waiting = 1; /* this function */
        for (unsigned i = job->spec->operation == COPY_OPERATION_ZERO ? 1 : 0; i < n; i++) {
                struct resolve_end *end = &job->resolve->ends[i];
                struct device *device = region_device(job, i, lane, &refusal);

                if (!device) {
                        for (unsigned k = 0; k < i; k++)
                                if (job->resolve->ends[k].resolve)
                                        device_unwait(&job->resolve->ends[k].waiter);
                        free(job->resolve);
                        job->resolve = NULL;
                        if (i == 0)
                                snprintf(refusal.field, sizeof refusal.field, "from.%s",
                                    region_of(job, i)->device ? "name" : "handle");
                        else
                                snprintf(refusal.field, sizeof refusal.field, "to[%u].%s", i - 1,
                                    region_of(job, i)->device ? "name" : "handle");
                        refuse(job, &refusal);
                        return;
                }
                job->ends[i].device = device;
                lane = device->home; /* what is opened for this job goes where the rest of it is */
                kc_list_init(&end->waiter.node);
                if (device_opened(device))
                        continue;
                end->resolve = job->resolve;
                end->waiter.on_device = on_device;
                job->resolve->n_waiting++;
                device_wait_open(device, &end->waiter);
        }
        if (--job->resolve->n_waiting == 0)
                validate(job);
}

static void on_submit(struct kc_actor *actor, struct kc_msg *msg)
{
        struct job *job = kc_container_of(msg, struct job, msg);
        struct engine_refusal refusal = {.error = {.code = 0}};

        if (job->client->cancel)
                refuse_with(job, "", -ECANCELED, KC_CLASS_CANCELLED, "the client has gone");
        else if (!validate_spec(job->spec, &refusal))
                refuse(job, &refusal);
        else
                resolve(job);
}

void job_restart(struct job *job)
{
        job->restarted = true;
        job->run_done = job->run_drained = false;
        job->legs_posted = job->legs_late = 0;
        kc_sm_move(&job->sm, JOB_WAITING);
        job->engine->n_waiting++;
        /* Handles may have been closed meanwhile; the jobs that use them go on. */
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (job->ends[i].device && !job->ends[i].name)
                        job->ends[i].name = strdup(job->ends[i].device->name);
        let_go_of_devices(job);
        resolve(job);
}

int job_submit(struct engine_client *client, struct copy_spec *spec, struct engine_submission *submission)
{
        struct job *job = calloc(1, sizeof *job);

        if (job) {
                job->ends = calloc(1 + spec->n_to, sizeof *job->ends);
                job->ranges = calloc(1 + spec->n_to, sizeof *job->ranges);
        }
        if (!job || !job->ends || !job->ranges) {
                if (job) {
                        free(job->ends);
                        free(job->ranges);
                }
                free(job);
                free(spec);
                return -ENOMEM;
        }
        kc_list_init(&job->node);
        kc_list_init(&job->client_node);
        kc_list_init(&job->runnable_node);
        kc_list_init(&job->running_node);
        kc_list_init(&job->history_node);
        job->engine = client->engine;
        job->client = client;
        job->spec = spec;
        job->submission = submission;
        client->n_jobs++;
        client->engine->n_resolving++;
        kc_list_push(&client->jobs, &job->client_node);
        job->msg.on_message = on_submit;
        kc_actor_post(client->engine->control, &job->msg);
        return 0;
}

/* ---- cancelling: by message, so that nobody is told of anything inside an engine_ call */

static void on_cancel(struct kc_actor *actor, struct kc_msg *msg)
{
        struct job *job = kc_container_of(msg, struct job, msg);
        struct kc_error error = {.code = 0};

        job->msg_posted = false;
        if (kc_sm_state(&job->sm) >= JOB_COMPLETED || job->result || job->resolve)
                return; /* too late, or validate() will see it */
        if (job->run) {
                job->cancel_posted = true;
                kc_sm_move(&job->sm, JOB_DRAINING);
                run_cancel(job->run);
                job_emit_state(job);
        } else if (job->no_memory) {
                kc_error_set(&error, -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                job_end_unrun(job, JOB_FAILED, &error, UINT32_MAX);
        } else {
                kc_error_set(&error, -ECANCELED, KC_CLASS_CANCELLED, "not complete: the job was cancelled");
                job_end_unrun(job, JOB_CANCELLED, &error, UINT32_MAX);
        }
}

void job_cancel(struct job *job)
{
        if (job->id == 0 || kc_sm_state(&job->sm) >= JOB_COMPLETED || job->cancel_wanted || job->result)
                return;
        job->cancel_wanted = true;
        job->msg_posted = true;
        job->msg.on_message = on_cancel;
        kc_actor_post(job->engine->control, &job->msg);
}
