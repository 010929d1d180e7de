/* The engine: everything that belongs to no single client, device or job. */
#include "copy/engine_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "copy/client.h"
#include "copy/device.h"
#include "copy/history.h"
#include "copy/job.h"

#define NS_PER_S 1000000000ull

void engine_config_defaults(struct engine_config *config)
{
        *config = (struct engine_config){
            .pages = 65536,
            .open_timeout_ns = 10 * NS_PER_S,
            .command_timeout_ns = 30 * NS_PER_S,
            .cancel_grace_ns = 2 * NS_PER_S,
            .quarantine_ns = 30 * NS_PER_S,
            .history_ns = 3600 * NS_PER_S,
            .history_max_bytes = 8u << 20,
            .history_max_jobs = 10000,
            .turn_bytes = 8u << 20,
            .helpers_min_bytes = 16u << 20,
            .client_running_max = 64,
            .client_queued_max = 16384,
            .client_queued_max_bytes = 32u << 20,
            .checkpoint_ns = 10 * NS_PER_S,
            .checkpoint_bytes = 16ull << 30,
            .records_max = 10000,
            .records_age_ms = 30ull * 24 * 3600 * 1000,
            .first_job_id = 1,
        };
}

int engine_new(const struct engine_config *config, struct engine **ret_engine)
{
        struct engine *engine = calloc(1, sizeof *engine);
        int rc = -ENOMEM;

        if (!engine)
                return -ENOMEM;
        engine->config = *config;
        engine->control = config->control;
        engine->n_lanes = config->n_lanes;
        engine->next_job_id = config->first_job_id;
        engine->next_handle = 1;
        kc_list_init(&engine->clients);
        kc_list_init(&engine->owners);
        kc_list_init(&engine->devices);
        kc_list_init(&engine->observers);
        kc_list_init(&engine->names);
        kc_list_init(&engine->jobs);
        kc_list_init(&engine->history);
        kc_list_init(&engine->running);
        kc_list_init(&engine->unlocked);
        kc_list_init(&engine->overwriters);
        history_init(engine);
        engine->lanes = calloc(config->n_lanes, sizeof *engine->lanes);
        engine->locks = locks_new();
        if (!engine->lanes || !engine->locks || kc_idmap_init(&engine->by_id) < 0)
                goto err;
        for (unsigned i = 0; i < config->n_lanes; i++) {
                rc = lane_new(config->lanes[i], config->control, config->providers[i], i,
                    config->quarantine_ns, config->turn_bytes, &engine->lanes[i]);
                if (rc < 0)
                        goto err;
        }
        engine->config.lanes = NULL; /* the caller's arrays are not kept */
        engine->config.providers = NULL;
        if (config->store) {
                uint32_t pages;

                rc = engine_client_open(
                    engine, "detached jobs", config->detached_pages, &engine->detached, &pages, NULL);
                if (rc < 0)
                        goto err;
        }
        *ret_engine = engine;
        return 0;
err:
        engine_free(engine);
        return rc;
}

static struct job *find_job(const struct engine *engine, uint64_t job_id)
{
        struct kc_idmap_node *node = kc_idmap_get(&engine->by_id, job_id);

        return node ? kc_container_of(node, struct job, by_id) : NULL;
}

void engine_free(struct engine *engine)
{
        struct kc_list *node;

        if (!engine)
                return;
        assert(kc_list_empty(&engine->clients) && kc_list_empty(&engine->devices));
        kc_actor_timer_stop(engine->control, &engine->history_timer);
        while (!kc_list_empty(&engine->jobs))
                job_free(kc_list_first(&engine->jobs, struct job, node));
        assert(kc_list_empty(&engine->owners));
        while ((node = kc_list_pop(&engine->names))) {
                struct named_endpoint *named = kc_list_entry(node, struct named_endpoint, node);

                free(named->name);
                free(named->device);
                free(named);
        }
        for (unsigned i = 0; engine->lanes && i < engine->n_lanes; i++)
                lane_free(engine->lanes[i]);
        free(engine->lanes);
        if (engine->locks)
                locks_free(engine->locks);
        kc_idmap_done(&engine->by_id);
        free(engine);
}

unsigned engine_pick_lane(struct engine *engine)
{
        unsigned lane = engine->next_lane;

        engine->next_lane = (lane + 1) % engine->n_lanes;
        return lane;
}

/* ---- observers */

void engine_observe(struct engine *engine, struct engine_observer *observer)
{
        kc_list_push(&engine->observers, &observer->node);
}

void engine_unobserve(struct engine *engine, struct engine_observer *observer)
{
        kc_list_del(&observer->node);
}

void engine_emit(struct engine *engine, const struct job_event *event)
{
        kc_list_for_each_safe (pos, &engine->observers) {
                struct engine_observer *observer = kc_list_entry(pos, struct engine_observer, node);

                observer->on_event(observer, event);
        }
}

void engine_try_helpers(struct engine *engine)
{
        kc_list_for_each_safe (pos, &engine->running)
                job_try_helpers(kc_list_entry(pos, struct job, running_node));
}

/* ---- jobs as seen from outside */

int engine_submit(struct engine_client *client, struct copy_spec *spec, struct engine_submission *submission)
{
        return job_submit(client, spec, submission);
}

int engine_job_cancel(struct engine *engine, uint64_t job_id)
{
        struct job *job = find_job(engine, job_id);

        if (!job)
                return -ENOENT;
        job_cancel(job);
        return 0;
}

static int ask(struct engine *engine, uint64_t job_id, enum suspension what)
{
        struct job *job = find_job(engine, job_id);

        if (!job)
                return -ENOENT;
        if (!copy_spec_detached(job->spec))
                return -EINVAL;
        lasting_ask(job, what, NULL);
        return 0;
}

int engine_job_pause(struct engine *engine, uint64_t job_id)
{
        return ask(engine, job_id, SUSPEND_PAUSE);
}

int engine_job_resume(struct engine *engine, uint64_t job_id)
{
        return ask(engine, job_id, SUSPEND_NOT);
}

static struct copy_spec *adjusted(const struct copy_spec *spec, const struct engine_adjustment *adjustment)
{
        struct copy_spec *copy = copy_spec_copy(spec);

        if (copy && adjustment->set_rate)
                copy->options.rate_bytes_per_s = adjustment->rate_bytes_per_s;
        if (copy && adjustment->set_priority)
                copy->options.priority = adjustment->priority;
        return copy;
}

int engine_job_adjust(struct engine *engine, uint64_t job_id, const struct engine_adjustment *adjustment)
{
        struct job *job = find_job(engine, job_id);
        struct copy_spec *spec;

        if (!job)
                return -ENOENT;
        if (!copy_spec_detached(job->spec))
                return -EINVAL;
        spec = adjusted(lasting_spec(job), adjustment);
        if (!spec)
                return -ENOMEM;
        lasting_ask(job, SUSPEND_ADJUST, spec);
        return 0;
}

int engine_job_forget(struct engine *engine, uint64_t job_id)
{
        struct job *job = find_job(engine, job_id);

        if (!job)
                return -ENOENT;
        return history_forget(job) ? 0 : -EBUSY;
}

/* Between two runs. */
static const struct job_destination_result *what_lasts(const struct job *job)
{
        static struct job_destination_result shown[KC_DESTINATIONS_MAX]; /* until the next call */

        if (!job->lasting || !job->lasting->resumed)
                return NULL;
        memset(shown, 0, job->spec->n_to * sizeof *shown);
        for (unsigned d = 0; d < job->spec->n_to; d++)
                lasting_fill(job, d, &shown[d]);
        return shown;
}

static void view(const struct job *job, struct engine_job_view *ret_view)
{
        static char reason[256]; /* borrowed until the next call, as the header says */
        bool terminal = kc_sm_state(&job->sm) >= JOB_COMPLETED;
        const struct job_result *result = history_result(job);

        *ret_view = (struct engine_job_view){
            .job_id = job->id,
            .state = (enum job_state)kc_sm_state(&job->sm),
            .draining = terminal && job->run != NULL,
            .reason = job->client ? job_reason(job, reason, sizeof reason) : "",
            .owner = job->owner->identity,
            .spec = job->spec,
            .length_bytes = job->length_bytes,
            .elapsed_ns =
                terminal ? result->elapsed_ns : kc_actor_now_ns(job->engine->control) - job->accepted_ns,
            /* from the run's end on the result, also while devices are still let go of */
            .destinations = result     ? result->destinations
                            : job->run ? job->run->view
                                       : what_lasts(job),
            .result = terminal ? result : NULL,
        };
}

int engine_job_get(struct engine *engine, uint64_t job_id, struct engine_job_view *ret_view)
{
        const struct job *job = find_job(engine, job_id);

        if (!job)
                return -ENOENT;
        view(job, ret_view);
        return 0;
}

int engine_job_next(struct engine *engine, uint64_t after, bool terminal, struct engine_job_view *ret_view)
{
        const struct job *last = find_job(engine, after);
        struct kc_list *pos = last ? last->node.next : engine->jobs.next;

        for (; pos != &engine->jobs; pos = pos->next) {
                const struct job *job = kc_list_entry(pos, struct job, node);

                if (job->id <= after || (!terminal && kc_sm_state(&job->sm) >= JOB_COMPLETED))
                        continue;
                view(job, ret_view);
                return 0;
        }
        return -ENOENT;
}

const char *engine_region_name(
    struct engine *engine, const struct copy_spec *spec, const struct copy_region *region)
{
        if (region->device)
                return region->device;
        kc_list_for_each (pos, &engine->clients) {
                struct handle *handle =
                    client_handle(kc_list_entry(pos, struct engine_client, node), region->handle);

                if (handle)
                        return handle->device->name;
        }
        return "(closed handle)";
}

/* ---- the whole */

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats)
{
        *ret_stats = (struct engine_stats){
            .pages = engine->config.pages,
            .pages_granted = engine->pages_granted,
            .n_lanes = engine->n_lanes,
            .clients = engine->n_clients - (engine->detached != NULL),
            .jobs_running = engine->n_running,
            .jobs_waiting = engine->n_waiting,
        };
        kc_list_for_each (pos, &engine->devices)
                ret_stats->devices_open += kc_list_entry(pos, struct device, node)->state == DEVICE_OPEN;
}

int engine_device_next(struct engine *engine, const char *after, const char **ret_name, unsigned *ret_users)
{
        const struct device *best = NULL;

        kc_list_for_each (pos, &engine->devices) {
                const struct device *device = kc_list_entry(pos, struct device, node);

                if (device->state != DEVICE_OPEN || (after && strcmp(device->name, after) <= 0))
                        continue;
                if (!best || strcmp(device->name, best->name) < 0)
                        best = device;
        }
        if (!best)
                return -ENOENT;
        *ret_name = best->name;
        *ret_users = best->users;
        return 0;
}

/* ---- closing: clients, then devices, then lanes, then the word */

static void on_lane_closed(void *arg)
{
        struct engine *engine = arg;

        if (--engine->lanes_closing > 0 || engine->closed)
                return;
        engine->closed = true;
        kc_actor_timer_stop(engine->control, &engine->close_timer);
        kc_actor_timer_stop(engine->control, &engine->history_timer);
        engine->on_closed(engine->closed_arg, 0);
}

void engine_check_closed(struct engine *engine)
{
        if (!engine->closing || engine->closed || engine->lanes_closing > 0)
                return;
        if (!kc_list_empty(&engine->clients) || engine->n_resolving > 0 || engine->recovery ||
            engine->reserving || engine->prune)
                return;
        kc_actor_timer_stop(engine->control, &engine->prune_timer);
        kc_list_for_each_safe (pos, &engine->devices)
                device_close_idle(kc_list_entry(pos, struct device, node));
        if (!kc_list_empty(&engine->devices) || engine->lanes_closing > 0)
                return;
        engine->lanes_closing = engine->n_lanes;
        for (unsigned i = 0; i < engine->n_lanes; i++)
                lane_close(engine->lanes[i], on_lane_closed, engine);
}

static void on_close_timer(struct kc_timer *timer)
{
        struct engine *engine = kc_container_of(timer, struct engine, close_timer);
        unsigned n_stuck = 0;

        if (engine->closed)
                return;
        engine->closed = true;
        kc_list_for_each (pos, &engine->running) {
                const struct job *job = kc_list_entry(pos, struct job, running_node);

                kc_log_warning("copy", "job is stuck at shutdown job=%llu", (unsigned long long)job->id);
                n_stuck++;
        }
        kc_list_for_each (pos, &engine->devices) {
                kc_log_warning("copy", "device is stuck at shutdown device=%s",
                    kc_list_entry(pos, struct device, node)->name);
                n_stuck++;
        }
        kc_list_for_each (pos, &engine->clients)
                n_stuck++;
        engine->on_closed(engine->closed_arg, n_stuck > 0 ? n_stuck : 1);
}

/* Its jobs go on in the next daemon's life. */
static void leave_detached(struct engine_client *client)
{
        kc_list_for_each_safe (pos, &client->jobs) {
                struct job *job = kc_list_entry(pos, struct job, client_node);

                if (!kc_list_empty(&job->node))
                        lasting_ask(job, SUSPEND_SHUTDOWN, NULL);
        }
        engine_client_close(client, false, NULL, NULL);
}

void engine_close(
    struct engine *engine, uint64_t deadline_ns, void (*on_closed)(void *arg, unsigned n_stuck), void *arg)
{
        assert(!engine->closing);
        engine->closing = true;
        engine->on_closed = on_closed;
        engine->closed_arg = arg;
        kc_timer_init(&engine->close_timer, on_close_timer);
        kc_actor_timer_start(
            engine->control, &engine->close_timer, kc_actor_now_ns(engine->control) + deadline_ns);
        kc_list_for_each_safe (pos, &engine->clients) {
                struct engine_client *client = kc_list_entry(pos, struct engine_client, node);

                if (client == engine->detached)
                        leave_detached(client);
                else if (client->closing)
                        engine_client_cancel(client);
                else
                        engine_client_close(client, true, NULL, NULL);
        }
        engine_check_closed(engine);
}
