/* An engine for tests (fake-engine.h). */
#include "lib/fake-engine.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES UINT64_C(1048576)

struct fake_job *fake_job_get(struct engine *engine, uint64_t job_id)
{
        kc_list_for_each (node, &engine->jobs) {
                struct fake_job *job = kc_list_entry(node, struct fake_job, node);

                if (job->id == job_id)
                        return job;
        }
        return NULL;
}

static void wake(struct engine *engine)
{
        if (engine->work_posted)
                return;
        engine->work_posted = true;
        kc_actor_post(engine->config.control, &engine->work);
}

/* ---- events */

static void tell(struct engine *engine, const struct job_event *event)
{
        kc_list_for_each_safe (node, &engine->observers) {
                struct engine_observer *observer = kc_list_entry(node, struct engine_observer, node);

                observer->on_event(observer, event);
        }
}

void fake_emit(struct engine *engine, struct fake_job *job, enum job_event_type type, unsigned index)
{
        struct job_event event = {
            .type = type,
            .job_id = job->id,
            .client = job->client,
            .spec = job->spec,
            .state = job->state,
            .reason = job->reason,
            .length_bytes = LENGTH_BYTES,
            .rate_bytes_per_s = 1000,
            .n_destinations = job->spec->n_to,
            .index = index,
            .destination = &job->destinations[index],
            .result = job->result,
        };

        tell(engine, &event);
}

void fake_complete(struct engine *engine, struct fake_job *job, enum job_state state, uint64_t write_err)
{
        unsigned n_to = job->spec->n_to;

        assert(job->id && !job->result);
        job->result = calloc(1, sizeof(*job->result) + n_to * sizeof(job->result->destinations[0]));
        assert(job->result);
        job->result->state = job->state = state;
        job->result->write_err = write_err;
        job->result->durable = write_err == 0;
        job->result->length_bytes = LENGTH_BYTES;
        job->result->n_destinations = n_to;
        for (unsigned i = 0; i < n_to; i++) {
                job->destinations[i].done = true;
                if (write_err & UINT64_C(1) << i) {
                        if (state == JOB_CANCELLED)
                                kc_error_set(&job->destinations[i].error.error, -ECANCELED,
                                    KC_CLASS_CANCELLED, "not complete: the job was cancelled");
                        else
                                kc_error_set(
                                    &job->destinations[i].error.error, -EIO, KC_CLASS_MEDIA, "fake: broken");
                        job->destinations[i].ledger.untouched = LENGTH_BYTES;
                } else {
                        job->destinations[i].ledger.copied = LENGTH_BYTES;
                        job->destinations[i].durable = true;
                }
                job->result->destinations[i] = job->destinations[i];
        }
        engine->n_completed++;
        fake_emit(engine, job, JOB_EVENT_COMPLETION, 0);
        job->client->n_jobs--;
        job->client = NULL;
        wake(engine);
}

void fake_complete_all(struct engine *engine)
{
        kc_list_for_each_safe (node, &engine->jobs) {
                struct fake_job *job = kc_list_entry(node, struct fake_job, node);

                if (!job->result)
                        fake_complete(engine, job, job->cancelled ? JOB_CANCELLED : JOB_COMPLETED, 0);
        }
}

/* ---- submissions */

static void refuse(struct engine_submission *submission, int code)
{
        struct engine_refusal refusal = {.field = "to[0]", .has_limit = true, .limit = 7};

        kc_error_set(&refusal.error, code, code == -ECANCELED ? KC_CLASS_CANCELLED : KC_CLASS_INVALID,
            "to[0]: the test says so");
        submission->on_refused(submission, &refusal);
}

static struct engine_planned plan_device(const struct copy_region *region)
{
        struct engine_planned planned = {.kind = IO_KIND_BLOCK, .size_after_bytes = LENGTH_BYTES};

        planned.created = region->device && strncmp(region->device, "/new", 4) == 0;
        if (planned.created)
                planned.kind = IO_KIND_FILE;
        else
                planned.size_bytes = LENGTH_BYTES;
        return planned;
}

static void answer_validated(struct fake_job *job)
{
        struct engine_plan plan = {.length_bytes = LENGTH_BYTES,
            .has_from = job->spec->operation == COPY_OPERATION_COPY,
            .n_to = job->spec->n_to};

        plan.from = plan_device(&job->spec->from);
        for (unsigned i = 0; i < plan.n_to; i++)
                plan.to[i] = plan_device(&job->spec->to[i]);
        job->client->n_jobs--;
        wake(job->client->engine);
        job->submission->on_validated(job->submission, &plan);
        free(job->spec);
        free(job);
}

void fake_accept_one(struct engine *engine)
{
        struct kc_list *node = kc_list_pop(&engine->submitted);
        struct fake_job *job = kc_list_entry(node, struct fake_job, node);
        const char *device = job->spec->to[0].device;

        assert(node);
        if (job->client->cancelled || (device && strncmp(device, "refuse:", 7) == 0)) {
                job->client->n_jobs--;
                wake(engine);
                refuse(job->submission, job->client->cancelled ? -ECANCELED : -EINVAL);
                free(job->spec);
                free(job);
                return;
        }
        if (job->spec->options.validate_only) {
                answer_validated(job);
                return;
        }
        job->id = ++engine->next_id;
        kc_list_push(&engine->jobs, &job->node);
        engine->n_accepted++;
        job->submission->on_accepted(job->submission, job->id, LENGTH_BYTES);
}

static void answer_open(struct engine *engine, struct fake_open *open)
{
        struct endpoint_info info = {.kind = IO_KIND_NULL, .size_bytes = 4096, .block_min_bytes = 1};
        struct engine_refusal refusal = {.field = "name"};

        kc_list_del(&open->node);
        if (open->refused) {
                kc_error_set(&refusal.error, -ENOENT, KC_CLASS_NOT_FOUND, "name: the test says so");
                open->open->on_refused(open->open, &refusal);
        } else {
                open->open->on_opened(open->open, ++engine->next_handle, open->name, &info);
        }
        free(open);
}

void fake_accept_all(struct engine *engine)
{
        while (!kc_list_empty(&engine->submitted))
                fake_accept_one(engine);
        while (!kc_list_empty(&engine->opens))
                answer_open(engine, kc_list_first(&engine->opens, struct fake_open, node));
}

/* A cancelled client's jobs end, and its unanswered submissions with them. */
static void work(struct kc_actor *actor, struct kc_msg *msg)
{
        struct engine *engine = kc_container_of(msg, struct engine, work);

        engine->work_posted = false;
        if (engine->automatic) {
                fake_accept_all(engine);
                fake_complete_all(engine);
        }
        kc_list_for_each_safe (node, &engine->clients) {
                struct engine_client *client = kc_list_entry(node, struct engine_client, node);

                if (client->cancelled) {
                        fake_accept_all(engine);
                        kc_list_for_each_safe (at, &engine->jobs) {
                                struct fake_job *job = kc_list_entry(at, struct fake_job, node);

                                if (job->client == client && !job->result)
                                        fake_complete(engine, job, JOB_CANCELLED, 1);
                        }
                }
                if (!client->closing || client->n_jobs)
                        continue;
                kc_list_del(&client->node);
                engine->pages_granted -= client->pages;
                client->on_closed(client->arg);
                free(client);
        }
        if (engine->on_closed && kc_list_empty(&engine->clients)) {
                void (*on_closed)(void *arg, unsigned n_stuck) = engine->on_closed;

                engine->on_closed = NULL;
                on_closed(engine->arg, 0);
        }
}

int engine_submit(struct engine_client *client, struct copy_spec *spec, struct engine_submission *submission)
{
        struct fake_job *job = calloc(1, sizeof(*job));

        assert(job && !client->closing);
        job->client = client;
        job->spec = spec;
        job->submission = submission;
        job->state = JOB_WAITING;
        job->reason = "";
        snprintf(job->owner, sizeof(job->owner), "%s", client->identity);
        kc_list_init(&job->node);
        kc_list_push(&client->engine->submitted, &job->node);
        client->n_jobs++;
        client->engine->n_submitted++;
        if (client->engine->automatic)
                wake(client->engine);
        return 0;
}

size_t engine_job_bytes(const struct copy_spec *spec)
{
        return 1000;
}

int engine_open(struct engine_client *client, const char *device, bool write, struct engine_open *open)
{
        struct fake_open *fake = calloc(1, sizeof(*fake));

        assert(fake);
        fake->client = client;
        fake->open = open;
        fake->refused = strncmp(device, "refuse:", 7) == 0;
        snprintf(fake->name, sizeof(fake->name), "%s", device);
        kc_list_init(&fake->node);
        kc_list_push(&client->engine->opens, &fake->node);
        if (client->engine->automatic)
                wake(client->engine);
        return 0;
}

int engine_close_handle(struct engine_client *client, uint64_t handle)
{
        return handle && handle <= client->engine->next_handle ? 0 : -ENOENT;
}

int engine_job_cancel(struct engine *engine, uint64_t job_id)
{
        struct fake_job *job = fake_job_get(engine, job_id);

        if (!job)
                return -ENOENT;
        job->cancelled = true;
        engine->n_cancelled++;
        return 0;
}

/* Nothing is detached here. */
int engine_job_pause(struct engine *engine, uint64_t job_id)
{
        return fake_job_get(engine, job_id) ? -EINVAL : -ENOENT;
}

int engine_job_resume(struct engine *engine, uint64_t job_id)
{
        return fake_job_get(engine, job_id) ? -EINVAL : -ENOENT;
}

int engine_job_adjust(struct engine *engine, uint64_t job_id, const struct engine_adjustment *adjustment)
{
        return fake_job_get(engine, job_id) ? -EINVAL : -ENOENT;
}

int engine_job_forget(struct engine *engine, uint64_t job_id)
{
        return fake_job_get(engine, job_id) ? -EBUSY : -ENOENT;
}

/* ---- clients */

int engine_client_open(struct engine *engine, const char *identity, uint32_t pages,
    struct engine_client **ret_client, uint32_t *ret_pages, struct kc_error *err)
{
        struct engine_client *client;
        uint32_t left = engine->config.pages - engine->pages_granted;

        if (left == 0)
                return kc_error_set(
                    err, -ENOMEM, KC_CLASS_LIMIT, "pages: none left of %u", engine->config.pages);
        client = calloc(1, sizeof(*client));
        assert(client);
        client->engine = engine;
        snprintf(client->identity, sizeof(client->identity), "%s", identity);
        pages = pages ? pages : KC_DEFAULT_RESERVATION_PAGES;
        client->pages = pages < left ? pages : left;
        engine->pages_granted += client->pages;
        kc_list_init(&client->node);
        kc_list_push(&engine->clients, &client->node);
        *ret_client = client;
        *ret_pages = client->pages;
        return 0;
}

void engine_client_cancel(struct engine_client *client)
{
        client->cancelled = true;
        wake(client->engine);
}

void engine_client_close(struct engine_client *client, bool cancel, void (*on_closed)(void *arg), void *arg)
{
        assert(!client->closing);
        client->closing = true;
        client->cancelled = cancel;
        client->on_closed = on_closed;
        client->arg = arg;
        wake(client->engine);
}

/* ---- views */

static void view_of(const struct fake_job *job, struct engine_job_view *ret_view)
{
        *ret_view = (struct engine_job_view){
            .job_id = job->id,
            .state = job->state,
            .reason = job->reason,
            .owner = job->owner,
            .spec = job->spec,
            .length_bytes = LENGTH_BYTES,
            /* as the real one: none until the job runs */
            .destinations = job->state == JOB_WAITING ? NULL : job->destinations,
            .result = job->result,
        };
}

int engine_job_get(struct engine *engine, uint64_t job_id, struct engine_job_view *ret_view)
{
        const struct fake_job *job = fake_job_get(engine, job_id);

        if (!job)
                return -ENOENT;
        view_of(job, ret_view);
        return 0;
}

int engine_job_next(struct engine *engine, uint64_t after, bool terminal, struct engine_job_view *ret_view)
{
        kc_list_for_each (node, &engine->jobs) {
                const struct fake_job *job = kc_list_entry(node, struct fake_job, node);

                if (job->id > after && (terminal || !job->result)) {
                        view_of(job, ret_view);
                        return 0;
                }
        }
        return -ENOENT;
}

const char *engine_region_name(
    struct engine *engine, const struct copy_spec *spec, const struct copy_region *region)
{
        return region->device ? region->device : "handle";
}

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats)
{
        *ret_stats =
            (struct engine_stats){.pages = engine->config.pages, .pages_granted = engine->pages_granted};
}

int engine_device_next(struct engine *engine, const char *after, const char **ret_name, unsigned *ret_users)
{
        static const char *const names[] = {"nbd://open", "nbd://other"};

        for (unsigned i = 0; i < 2; i++) {
                if (strcmp(after, names[i]) >= 0)
                        continue;
                *ret_name = names[i];
                *ret_users = 2 - i;
                return 0;
        }
        return -ENOENT;
}

int engine_name_endpoint(struct engine *engine, const char *name, const char *device)
{
        return 0;
}

int engine_endpoint_next(
    struct engine *engine, const char *after, const char **ret_name, const char **ret_device)
{
        if (strcmp(after, "archive") >= 0)
                return -ENOENT;
        *ret_name = "archive";
        *ret_device = "nbd://open";
        return 0;
}

void engine_observe(struct engine *engine, struct engine_observer *observer)
{
        kc_list_init(&observer->node);
        kc_list_push(&engine->observers, &observer->node);
}

void engine_unobserve(struct engine *engine, struct engine_observer *observer)
{
        kc_list_del(&observer->node);
}

/* ---- the whole */

void engine_config_defaults(struct engine_config *config)
{
        *config =
            (struct engine_config){.pages = 65536, .client_queued_max = 16384, .client_running_max = 64};
}

int engine_new(const struct engine_config *config, struct engine **ret_engine)
{
        struct engine *engine = calloc(1, sizeof(*engine));

        assert(engine);
        engine->config = *config;
        engine->automatic = true;
        engine->work.on_message = work;
        kc_list_init(&engine->clients);
        kc_list_init(&engine->submitted);
        kc_list_init(&engine->jobs);
        kc_list_init(&engine->opens);
        kc_list_init(&engine->observers);
        *ret_engine = engine;
        return 0;
}

void engine_close(
    struct engine *engine, uint64_t deadline_ns, void (*on_closed)(void *arg, unsigned n_stuck), void *arg)
{
        engine->on_closed = on_closed;
        engine->arg = arg;
        wake(engine);
}

void engine_free(struct engine *engine)
{
        struct kc_list *node;

        if (!engine)
                return;
        assert(kc_list_empty(&engine->clients) && kc_list_empty(&engine->submitted));
        while ((node = kc_list_pop(&engine->jobs))) {
                struct fake_job *job = kc_list_entry(node, struct fake_job, node);

                free(job->result);
                free(job->spec);
                free(job);
        }
        free(engine);
}
