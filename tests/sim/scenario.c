#include "sim/scenario.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HORIZON_NS (6 * 3600 * SECOND_NS)

/* ---- jobs */

static void on_accepted(struct engine_submission *submission, uint64_t job_id, uint64_t length_bytes)
{
        struct scenario_job *job = (struct scenario_job *)submission;

        checker_accepted(&job->scenario->checker, job->check, job_id, length_bytes);
}

static void on_refused(struct engine_submission *submission, const struct engine_refusal *refusal)
{
        struct scenario_job *job = (struct scenario_job *)submission;

        checker_refused(&job->scenario->checker, job->check, refusal);
}

static void on_validated(struct engine_submission *submission, const struct engine_plan *plan)
{
        struct scenario_job *job = (struct scenario_job *)submission;

        checker_validated(&job->scenario->checker, job->check, plan);
}

static void fill_region(struct scenario *s, const struct scenario_job *job, const struct wish_region *wish,
    struct copy_spec *spec, struct copy_region *region)
{
        bool write = region != &spec->from;

        region->sector = wish->sector;
        region->count_sectors = wish->count_sectors;
        for (unsigned i = 0; i < s->n_handles && job->wish.by_handle; i++)
                if (s->handles[i].handle != 0 && s->handles[i].client == job->wish.client &&
                    s->handles[i].device == wish->device && (s->handles[i].write || !write)) {
                        region->handle = s->handles[i].handle;
                        return;
                }
        region->device =
            copy_spec_name(spec, s->devices[wish->device].name, strlen(s->devices[wish->device].name));
}

static uint64_t length_of(const struct scenario *s, const struct wish *wish)
{
        const struct wish_region *region =
            wish->operation == COPY_OPERATION_COPY ? &wish->from : &wish->to[0];
        uint64_t start = region->sector * IO_SECTOR_BYTES, size = s->devices[region->device].size_bytes;

        if (region->count_sectors > 0)
                return region->count_sectors * IO_SECTOR_BYTES;
        return start < size ? size - start : 0;
}

/* A region that is not all there is nobody's: whatever the job changes is then found to be unjustified. */
static struct check_region check_region_of(
    struct scenario *s, const struct wish_region *region, uint64_t length, bool write)
{
        struct device *device = &s->devices[region->device];
        uint64_t start = region->sector * IO_SECTOR_BYTES;
        uint64_t room = write && device->config.resizable ? device->room_bytes : device->size_bytes;

        if (start > room || length > room - start)
                return (struct check_region){.device = NULL};
        return (struct check_region){.device = device, .start_bytes = start};
}

static void submit(struct scenario_job *job)
{
        struct scenario *s = job->scenario;
        const struct wish *wish = &job->wish;
        struct copy_spec *spec =
            copy_spec_new(wish->n_to, (wish->n_to + 1) * DEVICE_NAME_MAX_BYTES + wish->names_bytes);
        int rc;

        if (spec == NULL && s->may_lack_memory)
                return; /* nobody has heard of it */
        assert(spec != NULL);
        spec->operation = wish->operation;
        spec->options = wish->options;
        if (wish->operation == COPY_OPERATION_COPY)
                fill_region(s, job, &wish->from, spec, &spec->from);
        for (unsigned i = 0; i < wish->n_to; i++)
                fill_region(s, job, &wish->to[i], spec, &spec->to[i]);

        job->submitted = true;
        job->submitted_ns = s->world.now_ns;
        job->check = checker_submitted(&s->checker, wish->client, spec);
        job->check->length_bytes = length_of(s, wish);
        job->check->expect_accepted = wish->expect_accepted;
        job->check->expect_completed = wish->expect_completed;
        if (wish->operation == COPY_OPERATION_COPY)
                job->check->from = check_region_of(s, &wish->from, job->check->length_bytes, false);
        for (unsigned i = 0; i < wish->n_to; i++)
                job->check->to[i] = check_region_of(s, &wish->to[i], job->check->length_bytes, true);
        for (unsigned i = 0; i < wish->n_to; i++)
                job->check->opens[i] = &s->devices[wish->to[i].device];
        if (wish->operation == COPY_OPERATION_COPY && job->check->from.device == NULL)
                for (unsigned i = 0; i < wish->n_to; i++)
                        job->check->to[i].device = NULL;
        world_say(&s->world, "job %u submitted by client %u: %s%s, %u to, %" PRIu64 " bytes",
            job->check->index, wish->client, wish->operation == COPY_OPERATION_COPY ? "copy" : "zero",
            wish->options.validate_only ? ", to be validated only" : "", wish->n_to,
            job->check->length_bytes);
        rc = engine_submit(s->clients[wish->client].client, spec, &job->submission);
        if (rc == -ENOMEM && s->may_lack_memory)
                job->check->state = CHECK_REFUSED;
        else if (rc < 0)
                world_fail(&s->world, "job %u: could not be submitted", job->check->index);
}

static void on_submit_event(struct world_event *event)
{
        struct scenario_job *job = kc_container_of(event, struct scenario_job, submit_event);
        struct scenario_client *client = &job->scenario->clients[job->wish.client];

        if (client->client != NULL && !client->closing && !job->scenario->closing)
                submit(job);
}

void scenario_cancel(struct scenario_job *job)
{
        if (!job->submitted || job->check->id == 0 || job->scenario->closed)
                return;
        job->check->cancel_asked = true;
        world_say(&job->scenario->world, "job %u: cancel", job->check->index);
        engine_job_cancel(job->scenario->engine, job->check->id);
}

static void on_cancel_event(struct world_event *event)
{
        scenario_cancel(kc_container_of(event, struct scenario_job, cancel_event));
}

static struct scenario_job *new_job(struct scenario *s, const struct wish *wish)
{
        struct scenario_job *job = &s->jobs[s->n_jobs++];

        assert(s->n_jobs <= CHECKER_JOBS_MAX);
        job->submission.on_accepted = on_accepted;
        job->submission.on_refused = on_refused;
        job->submission.on_validated = on_validated;
        job->scenario = s;
        job->wish = *wish;
        world_event_init(&job->submit_event, 0, on_submit_event);
        world_event_init(&job->cancel_event, 0, on_cancel_event);
        return job;
}

struct scenario_job *scenario_submit(struct scenario *s, const struct wish *wish)
{
        struct scenario_job *job = new_job(s, wish);

        if (s->clients[wish->client].client != NULL || !s->may_lack_memory)
                submit(job);
        return job;
}

struct scenario_job *scenario_submit_later(struct scenario *s, const struct wish *wish, uint64_t delay_ns)
{
        struct scenario_job *job = new_job(s, wish);

        world_event_start(&s->world, &job->submit_event, delay_ns);
        return job;
}

static void on_event(struct engine_observer *observer, const struct job_event *event)
{
        struct scenario *s = kc_container_of(observer, struct scenario, observer);

        if (s->world.current != 0)
                world_fail(&s->world, "an event on actor %u", s->world.current);
        checker_event(&s->checker, event);
        for (unsigned i = 0; i < s->n_jobs; i++)
                if (event->type == JOB_EVENT_COMPLETION && s->jobs[i].check &&
                    s->jobs[i].check->id == event->job_id)
                        s->jobs[i].ended_ns = s->world.now_ns;
}

/* ---- clients and handles */

static void on_client_closed(void *arg)
{
        struct scenario_client *client = arg;
        struct scenario *s = client->scenario;

        if (client->client == NULL)
                world_fail(&s->world, "a client was closed twice");
        for (unsigned i = 0; i < s->n_jobs; i++)
                if (s->jobs[i].check && check_live(s->jobs[i].check) &&
                    &s->clients[s->jobs[i].wish.client] == client)
                        world_fail(&s->world, "a client is closed, but its job %u has not ended", i);
        client->client = NULL;
        for (unsigned i = 0; i < s->n_handles; i++)
                if (&s->clients[s->handles[i].client] == client)
                        s->handles[i].handle = 0;
}

void scenario_close_client(struct scenario *s, unsigned index, bool cancel)
{
        struct scenario_client *client = &s->clients[index];

        if (client->client == NULL || (client->closing && client->close_cancels))
                return;
        for (unsigned i = 0; i < s->n_jobs; i++)
                if (s->jobs[i].check && s->jobs[i].wish.client == index)
                        s->jobs[i].check->cancel_asked |=
                            cancel || s->jobs[i].check->state == CHECK_SUBMITTED;
        world_say(&s->world, "client %u: close%s", index, cancel ? ", cancel" : "");
        client->close_cancels |= cancel;
        if (client->closing) {
                if (cancel)
                        engine_client_cancel(client->client);
                return;
        }
        client->closing = true;
        engine_client_close(client->client, cancel, on_client_closed, client);
}

static void on_close_client_event(struct world_event *event)
{
        struct scenario_client *client = kc_container_of(event, struct scenario_client, close_event);
        struct scenario *s = client->scenario;

        if (!s->closing)
                scenario_close_client(s, (unsigned)(client - s->clients), world_one_in(&s->world, 2));
}

unsigned scenario_client(struct scenario *s, const char *identity, uint32_t pages)
{
        struct scenario_client *client = &s->clients[s->n_clients];
        struct kc_error err = {0};
        int rc;

        assert(s->n_clients < SCENARIO_CLIENTS_MAX);
        client->scenario = s;
        world_event_init(&client->close_event, 0, on_close_client_event);
        rc = engine_client_open(s->engine, identity, pages, &client->client, &client->pages, &err);
        if (rc == -ENOMEM && s->may_lack_memory)
                return s->n_clients++;
        if (rc < 0)
                world_fail(&s->world, "no client: %s", err.message);
        if (client->pages < 1 || client->pages > pages)
                world_fail(&s->world, "%u pages were granted, %u asked for", client->pages, pages);
        checker_client(&s->checker, s->n_clients, client->pages);
        world_say(&s->world, "client %u: %s, %u pages", s->n_clients, identity, client->pages);
        return s->n_clients++;
}

static void on_opened(
    struct engine_open *open, uint64_t handle, const char *name, const struct endpoint_info *info)
{
        struct scenario_handle *it = (struct scenario_handle *)open;

        it->handle = handle;
        if (handle == 0 || strcmp(name, it->scenario->devices[it->device].name) != 0)
                world_fail(&it->scenario->world, "handle %" PRIu64 " is of %s", handle, name);
}

static void on_open_refused(struct engine_open *open, const struct engine_refusal *refusal)
{
        struct scenario_handle *it = (struct scenario_handle *)open;

        if (refusal->error.code >= 0)
                world_fail(&it->scenario->world, "an open was refused without a reason");
}

void scenario_open_handle(struct scenario *s, unsigned client, unsigned device, bool write)
{
        struct scenario_handle *it = &s->handles[s->n_handles++];
        int rc;

        assert(s->n_handles <= SCENARIO_HANDLES_MAX);
        s->checker.handles_open = true;
        *it = (struct scenario_handle){.open = {.on_opened = on_opened, .on_refused = on_open_refused},
            .scenario = s,
            .client = client,
            .device = device,
            .write = write};
        if (s->clients[client].client == NULL && s->may_lack_memory)
                return;
        rc = engine_open(s->clients[client].client, s->devices[device].name, write, &it->open);
        if (rc < 0 && !(rc == -ENOMEM && s->may_lack_memory))
                world_fail(&s->world, "a handle could not be asked for");
}

/* ---- the engine's life */

static void on_engine_closed(void *arg, unsigned n_stuck)
{
        struct scenario *s = arg;

        if (s->closed)
                world_fail(&s->world, "the engine was closed twice");
        s->closed = true;
        s->n_stuck = n_stuck;
        if (n_stuck > 0 && !s->may_be_stuck)
                world_fail(&s->world, "the engine closed with %u stuck, and nothing is", n_stuck);
}

void scenario_close_engine(struct scenario *s)
{
        if (s->closing)
                return;
        s->closing = true;
        for (unsigned i = 0; i < s->n_jobs; i++)
                if (s->jobs[i].check)
                        s->jobs[i].check->cancel_asked = true;
        world_say(&s->world, "engine: close");
        engine_close(s->engine, s->close_deadline_ns, on_engine_closed, s);
}

static void on_close_engine_event(struct world_event *event)
{
        scenario_close_engine(kc_container_of(event, struct scenario, close_event));
}

struct scenario *scenario_new(uint64_t seed, unsigned n_lanes, bool verbose)
{
        struct scenario *s = calloc(1, sizeof *s);

        assert(s != NULL);
        world_init(&s->world, seed, n_lanes);
        s->world.verbose = verbose;
        s->n_lanes = n_lanes;
        s->close_deadline_ns = 600 * SECOND_NS;
        s->observer.on_event = on_event;
        world_event_init(&s->close_event, 0, on_close_engine_event);
        engine_config_defaults(&s->config);
        s->config.pages = 4096;
        return s;
}

unsigned scenario_device(struct scenario *s, const struct device_config *config)
{
        assert(s->n_devices < SCENARIO_DEVICES_MAX);
        device_init(&s->devices[s->n_devices], &s->world, s->n_devices, config);
        return s->n_devices++;
}

void scenario_start(struct scenario *s)
{
        struct io_provider *providers[WORLD_LANES_MAX];
        struct kc_actor *lanes[WORLD_LANES_MAX];
        int status;

        for (unsigned i = 0; i < s->n_lanes; i++) {
                provider_sim_init(&s->providers[i], &s->world, 1 + i, s->devices, s->n_devices);
                providers[i] = &s->providers[i].provider;
                lanes[i] = world_actor(&s->world, 1 + i);
        }
        checker_init(&s->checker, &s->world, s->devices, s->n_devices, s->config.quarantine_ns);
        s->checker.close_is_quick = s->config.cancel_grace_ns >= 100 * MS_NS;
        s->config.control = world_actor(&s->world, 0);
        s->config.n_lanes = s->n_lanes;
        s->config.lanes = lanes;
        s->config.providers = providers;
        status = engine_new(&s->config, &s->engine);
        if (status == -ENOMEM && s->may_lack_memory)
                return;
        if (status < 0)
                world_fail(&s->world, "engine_new: %d", status);
        else
                engine_observe(s->engine, &s->observer);
}

/* ---- running */

/* Who asks about a job at any moment after it has begun is told of its destinations; after its terminal
 * event, what that one said. */
#define VIEWED_JOBS_MAX 16

static void check_views(struct scenario *s)
{
        struct engine_job_view view;

        for (unsigned i = 0; i < s->n_jobs && s->n_jobs <= VIEWED_JOBS_MAX; i++) {
                const struct check_job *check = s->jobs[i].check;

                if (!check || check->id == 0 || engine_job_get(s->engine, check->id, &view) < 0)
                        continue;
                if (view.state != JOB_WAITING && view.destinations == NULL)
                        world_fail(&s->world, "job %u: in state %u without a word of its destinations", i,
                            view.state);
                if (check->state == CHECK_TERMINAL && !check_as_told(check, view.result))
                        world_fail(&s->world, "job %u: the history contradicts its terminal event", i);
        }
}

bool scenario_run(struct scenario *s, bool (*done)(struct scenario *scenario), const char *what)
{
        uint64_t limit_ns = s->world.now_ns + HORIZON_NS, limit_step = s->world.step + SCENARIO_STEPS_MAX;
        char queued[128];

        while (!s->world.failed && !done(s)) {
                bool alive = world_step(&s->world);

                check_views(s);
                if (alive && s->world.now_ns < limit_ns && s->world.step < limit_step)
                        continue;
                world_describe(&s->world, queued, sizeof queued);
                world_fail(&s->world, "liveness: %s: %s; %u jobs live; %s", what,
                    !alive                        ? "nothing can happen any more"
                    : s->world.now_ns >= limit_ns ? "not within hours"
                                                  : "too many steps",
                    checker_n_live(&s->checker), queued);
        }
        return !s->world.failed;
}

void scenario_run_for(struct scenario *s, uint64_t ns)
{
        uint64_t until_ns = s->world.now_ns + ns;

        while (!s->world.failed && s->world.now_ns < until_ns && world_step(&s->world))
                ;
}

bool scenario_all_ended(struct scenario *s)
{
        for (unsigned i = 0; i < s->n_jobs; i++)
                if (world_event_started(&s->jobs[i].submit_event))
                        return false;
        return checker_n_live(&s->checker) == 0;
}

static bool is_closed(struct scenario *s)
{
        return s->closed;
}

static bool is_idle(struct scenario *s)
{
        return world_idle(&s->world);
}

static bool clients_gone(struct scenario *s)
{
        for (unsigned i = 0; i < s->n_clients; i++)
                if (s->clients[i].closing && s->clients[i].client != NULL)
                        return false;
        return true;
}

static void stop_schedule(struct scenario *s)
{
        for (unsigned i = 0; i < s->n_jobs; i++) {
                world_event_stop(&s->world, &s->jobs[i].submit_event);
                world_event_stop(&s->world, &s->jobs[i].cancel_event);
        }
        for (unsigned i = 0; i < s->n_clients; i++)
                world_event_stop(&s->world, &s->clients[i].close_event);
        world_event_stop(&s->world, &s->close_event);
}

void scenario_end(struct scenario *s)
{
        stop_schedule(s);
        if (!s->closing) {
                for (unsigned i = 0; i < s->n_clients; i++)
                        if (world_one_in(&s->world, 2))
                                scenario_close_client(s, i, world_one_in(&s->world, 2));
                if (world_one_in(&s->world, 2))
                        scenario_run(s, clients_gone, "closing clients");
                if (s->world.failed)
                        return;
                scenario_close_engine(s);
        }
        if (!scenario_run(s, is_closed, "closing the engine") || s->n_stuck > 0)
                return;
        for (unsigned i = 0; i < s->n_lanes; i++)
                provider_sim_done(&s->providers[i]);
        world_check_lanes_idle(&s->world);
        if (s->world.failed)
                return;
        engine_unobserve(s->engine, &s->observer);
        engine_free(s->engine);
        s->engine = NULL;
        scenario_run(s, is_idle, "after the engine was freed");
        checker_end(&s->checker);
}

void scenario_free(struct scenario *s)
{
        for (unsigned i = 0; i < s->n_devices; i++)
                device_done(&s->devices[i]);
        checker_done(&s->checker);
        world_done(&s->world);
        free(s);
}
