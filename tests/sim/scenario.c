#include "sim/scenario.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HORIZON_NS (6 * 3600 * SECOND_NS)

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
                if (s->jobs[i].check && check_live(s->jobs[i].check) && !s->jobs[i].check->detached &&
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
                if (s->jobs[i].check && s->jobs[i].wish.client == index && !s->jobs[i].check->stored)
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

void scenario_connect(struct scenario_client *client)
{
        struct scenario *s = client->scenario;
        unsigned index = (unsigned)(client - s->clients);
        struct kc_error err = {0};
        int rc = engine_client_open(
            s->engine, client->identity, client->wanted_pages, &client->client, &client->pages, &err);

        if (rc == -ENOMEM && s->may_lack_memory)
                return;
        if (rc < 0)
                world_fail(&s->world, "no client: %s", err.message);
        if (client->pages < 1 || client->pages > client->wanted_pages)
                world_fail(
                    &s->world, "%u pages were granted, %u asked for", client->pages, client->wanted_pages);
        checker_client(&s->checker, index, client->pages);
        world_say(&s->world, "client %u: %s, %u pages", index, client->identity, client->pages);
}

unsigned scenario_client(struct scenario *s, const char *identity, uint32_t pages)
{
        struct scenario_client *client = &s->clients[s->n_clients];

        assert(s->n_clients < SCENARIO_CLIENTS_MAX);
        client->scenario = s;
        client->wanted_pages = pages;
        snprintf(client->identity, sizeof client->identity, "%s", identity);
        world_event_init(&client->close_event, 0, on_close_client_event);
        scenario_connect(client);
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
        if (s->lives)
                s->on_closed(s->lives);
}

void scenario_close_engine(struct scenario *s)
{
        if (s->closing)
                return;
        s->closing = true;
        for (unsigned i = 0; i < s->n_jobs; i++)
                if (s->jobs[i].check && !s->jobs[i].check->detached)
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

void scenario_start_engine(struct scenario *s)
{
        struct io_provider *providers[WORLD_LANES_MAX];
        struct kc_actor *lanes[WORLD_LANES_MAX];
        int status;

        for (unsigned i = 0; i < s->n_lanes; i++) {
                provider_sim_init(&s->providers[i], &s->world, 1 + i, s->devices, s->n_devices);
                providers[i] = &s->providers[i].provider;
                lanes[i] = world_actor(&s->world, 1 + i);
        }
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

void scenario_start(struct scenario *s)
{
        checker_init(&s->checker, &s->world, s->devices, s->n_devices, s->config.quarantine_ns);
        s->checker.close_is_quick = s->config.cancel_grace_ns >= 100 * MS_NS;
        scenario_start_engine(s);
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

                if (!check || check->id == 0 || !s->engine || engine_job_get(s->engine, check->id, &view) < 0)
                        continue;
                if (view.state != JOB_WAITING && view.state != JOB_PAUSED && view.destinations == NULL)
                        world_fail(&s->world, "job %u: in state %u without a word of its destinations", i,
                            view.state);
                if (check->detached && !view.result) /* its end is stored, and about to be told */
                        continue;
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
        if (s->lives)
                s->free_lives(s->lives);
        checker_done(&s->checker);
        world_done(&s->world);
        free(s);
}
