/* Jobs, when their turn has come: what the run needs to know, which lane is its home, which others help. */
#include "copy/job.h"

#include <errno.h>
#include <stdlib.h>

/* Chunks: as large as still fit the cache, two of them on each lane (window.h); never larger than a slab of
 * the reservation. FACTS has the measurements. Halves of it, for data that several destinations are to find
 * in the cache, do not pay: to 3 over TCP 0.66 s instead of 0.62, to 8 over Unix sockets 1.25 instead
 * of 1.09. */
#define CHUNK_BYTES (512u << 10)
#define LARGE_CHUNK_BYTES (2 * CHUNK_BYTES) /* window.h */
#define LARGE_CHUNKS_MIN 4u                 /* per lane, that the reservation has to hold */

#define SPREAD_MIN_BYTES CHUNK_BYTES
#define SPREAD_USERS_MIN 3u /* of each device: so many jobs are worth another connection */

static bool all_deep(const struct job *job)
{
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (!job->ends[i].device || !job->ends[i].device->info.deep)
                        return false;
        return true;
}

static enum window_kind window_kind(const struct job *job, const struct run *run)
{
        uint64_t enough_bytes = (uint64_t)run->n_legs * LARGE_CHUNKS_MIN * LARGE_CHUNK_BYTES;

        if (all_deep(job))
                return WINDOW_DEEP;
        if (run->n_legs < 2 || job->chunk_max_bytes < LARGE_CHUNK_BYTES ||
            CHUNK_BYTES % job->align_bytes != 0 ||
            job->client->bank.n_pages * (uint64_t)KC_PAGE_BYTES < enough_bytes)
                return WINDOW_ORDINARY;
        return WINDOW_LARGE;
}

static uint32_t chunk_bytes(const struct job *job, enum window_kind window)
{
        uint32_t wanted_bytes = window == WINDOW_LARGE ? LARGE_CHUNK_BYTES : CHUNK_BYTES;
        uint32_t bytes = job->chunk_max_bytes < wanted_bytes ? job->chunk_max_bytes : wanted_bytes;

        bytes -= bytes % job->align_bytes;
        return bytes > 0 ? bytes : job->align_bytes;
}

/* The lane where most of its devices live. */
static unsigned home_lane(const struct job *job)
{
        unsigned best = 0, n_best = 0;

        for (unsigned lane = 0; lane < job->engine->n_lanes; lane++) {
                unsigned n = 0;

                for (unsigned i = 0; i < job_n_ends(job); i++)
                        n += job->ends[i].device && job->ends[i].device->home == lane;
                if (n > n_best) {
                        best = lane;
                        n_best = n;
                }
        }
        return best;
}

static bool has_all_ports(const struct job *job, unsigned lane)
{
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (job->ends[i].device && job->ends[i].device->ports[lane].state != PORT_OPEN)
                        return false;
        return true;
}

/* Whether it may run on any lane. What is mostly messages is better off where others like it are: 64 jobs of
 * 4 KiB at once, on two lanes, had 0.7 × the I/Os a second. A file's size is known to the port that changes
 * it. */
static bool may_roam(const struct job *job)
{
        if (job->length_bytes < SPREAD_MIN_BYTES)
                return false;
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (job->ends[i].device &&
                    (!job->ends[i].device->info.multi_conn || job->ends[i].device->info.resizable))
                        return false;
        return true;
}

/* Where most of its devices live; or, of the lanes where all of them have connections, one with less to do.
 */
static unsigned pick_lane(const struct job *job)
{
        struct lane **lanes = job->engine->lanes;
        unsigned best = home_lane(job);

        for (unsigned lane = 0; lane < job->engine->n_lanes && may_roam(job); lane++)
                if (has_all_ports(job, lane) && lanes[lane]->n_legs < lanes[best]->n_legs)
                        best = lane;
        return best;
}

/* The lane is busy, and others want these devices, too: those that come later may have another one. */
static void want_another_lane(const struct job *job, unsigned busy)
{
        struct lane **lanes = job->engine->lanes;
        unsigned idlest = busy;

        if (lanes[busy]->n_legs == 0 || !may_roam(job))
                return;
        for (unsigned lane = 0; lane < job->engine->n_lanes; lane++)
                if (lanes[lane]->n_legs < lanes[idlest]->n_legs)
                        idlest = lane;
        if (idlest == busy)
                return;
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (job->ends[i].device && job->ends[i].device->users < SPREAD_USERS_MIN)
                        return;
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (job->ends[i].device)
                        device_want_port(job->ends[i].device, idlest);
}

static bool wants_helpers(const struct job *job)
{
        if (job->engine->n_lanes < 2 || job->length_bytes < job->engine->config.helpers_min_bytes)
                return false;
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (job->ends[i].device && !job->ends[i].device->info.multi_conn)
                        return false;
        return true;
}

static void fill_leg(struct job *job, struct leg *leg, unsigned lane)
{
        for (unsigned i = 0; i < job_n_ends(job); i++) {
                struct device *device = job->ends[i].device;
                struct port *port;

                if (!device)
                        continue;
                port = &device->ports[lane];
                if (port->state != PORT_OPEN)
                        port = &device->ports[device->home];
                leg->endpoints[i].port = port;
                leg->endpoints[i].home_port = &device->ports[device->home];
                leg->endpoints[i].port_endpoint = port->endpoint;
                leg->endpoints[i].port_info = &device->info;
                leg->endpoints[i].flow = &run_leg(job->run, port->lane->index)->endpoints[i].own_flow;
        }
}

/* Lanes that get messages in turn come to share a processor: whoever is woken is taken to where he is woken
 * from. Without pins 2 GiB over Unix sockets took 1.10 to 1.19 × the time on two processors, 4 GiB over
 * TCP 1.07 to 1.23 ×, 1,000 jobs of 1 MiB 1.2 ×. One lane alone is better left to the scheduler. */
static bool is_pinned(const struct job *job, const struct run *run, unsigned own)
{
        bool pinned = run->wants_helpers;

        for (unsigned lane = 0; lane < job->engine->n_lanes && job->length_bytes >= SPREAD_MIN_BYTES; lane++)
                pinned |= lane != own && job->engine->lanes[lane]->n_legs > 0;
        return pinned;
}

static void fill_run(struct job *job, struct run *run, unsigned lane)
{
        const struct copy_options *options = &job->spec->options;
        const struct engine_config *config = &job->engine->config;
        struct engine *engine = job->engine;

        run->job = job;
        run->job_id = job->id;
        run->lane = engine->lanes[lane];
        run->home = engine->lanes[lane]->actor;
        run->control = engine->control;
        run->cancel_grace_ns = config->cancel_grace_ns;
        run->progress_interval_ns =
            options->progress_interval_ns ? options->progress_interval_ns : ENGINE_SNAPSHOT_NS;
        run->wants_helpers = run->n_legs > 1;
        run->facts.pinned = is_pinned(job, run, lane);
        run->facts.last_try = job->restarted;
        run->facts.zero_job = job->spec->operation == COPY_OPERATION_ZERO;
        run->facts.length_bytes = job->length_bytes;
        run->facts.from_start_bytes = job->ends[0].region.start_bytes;
        run->facts.align_bytes = job->align_bytes;
        run->facts.window = window_kind(job, run);
        run->facts.chunk_bytes = chunk_bytes(job, run->facts.window);
        run->facts.timeout_ns = options->timeout_ns ? options->timeout_ns : config->command_timeout_ns;
        run->facts.fua = options->durability == COPY_DURABILITY_FUA;
        run->facts.unmap = options->unmap;
        run->facts.detect_zeroes = !options->no_detect_zeroes && !run->facts.zero_job;
        run->facts.zero_mask = job->lasting && job->lasting->resumed ? 0 : options->zero_destinations;
        run->facts.identity = job->owner->identity;
        run->facts.priority = options->priority;
        for (unsigned i = 0; i < job->spec->n_to; i++) {
                struct job_region *region = &run->to_regions[i];

                *region = job->ends[1 + i].region;
                run->facts.to_start_bytes[i] = region->start_bytes;
                /* Another job may have cut the file since this one was validated. */
                if (job->ends[1 + i].device->info.resizable && !region->resize) {
                        region->resize = region->grow_only = true;
                        region->resize_bytes = region->start_bytes + job->length_bytes;
                }
        }
        for (unsigned i = 0; i < run->n_legs; i++) {
                unsigned leg_lane = run->n_legs > 1 ? i : lane;
                struct leg_endpoint *endpoints = run->legs[i].endpoints;

                leg_init(
                    &run->legs[i], run, engine->lanes[leg_lane], &job->client->shares[leg_lane], endpoints);
                for (unsigned j = 0; j < job_n_ends(job); j++)
                        gate_flow_init(&endpoints[j].own_flow, run->facts.identity, run->facts.priority);
        }
        run->leg = run_leg(run, lane);
        fill_leg(job, run->leg, lane);
}

static struct run *new_run(struct job *job)
{
        struct run *run = run_new(job->spec->n_to, wants_helpers(job) ? job->engine->n_lanes : 1, job->spec);

        if (!run)
                return NULL;
        for (unsigned i = 0; i < job->spec->n_to; i++)
                run->view[i].ledger.untouched = job->length_bytes;
        if (job->lasting && lasting_prepare(job, run) < 0) {
                run_free(run);
                return NULL;
        }
        return run;
}

void job_start(struct job *job)
{
        struct run *run;
        unsigned lane;

        if (lasting_overwrites(job)) {
                job_emit_state(job);
                return;
        }
        run = new_run(job);
        if (!run) {
                job->no_memory = true;
                job_cancel(job);
                return;
        }
        job->run = run;
        lane = pick_lane(job);
        want_another_lane(job, lane);
        fill_run(job, run, lane);
        kc_sm_move(&job->sm, JOB_RUNNING);
        job->engine->n_waiting--;
        job->engine->n_running++;
        job->client->n_runs++;
        kc_list_push(&job->engine->running, &job->running_node);
        job->legs_posted = 1;
        client_leg_begins(job->client, run->lane->index);
        run_start(run);
        job_emit_state(job);
}

/* ---- a file was created: before anything is written to it, whoever opens it is told to wait */

void job_on_created(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run_created *created = kc_container_of(msg, struct run_created, msg);
        struct run *run = created->run;
        struct device *device = run->job->ends[1 + created->d].device;

        created->status = device ? device_created(device, created->identity.key) : 0;
        if (created->status == 0 && run->job->lasting)
                lasting_created(run->job, created->d, &created->identity);
        created->msg.on_message = run_on_created;
        kc_actor_post(run->home, &created->msg);
}

/* ---- helper lanes */

void job_on_run_prepared(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run *run = kc_container_of(msg, struct run, prepared_msg);
        struct job *job = run->job;

        for (unsigned lane = 0; lane < job->engine->n_lanes; lane++)
                for (unsigned i = 0; i < job_n_ends(job); i++)
                        if (job->ends[i].device)
                                device_want_port(job->ends[i].device, lane);
        job->helpers_wanted = true;
        job_try_helpers(job);
}

void job_try_helpers(struct job *job)
{
        if (!job->helpers_wanted || job->run_done || job->cancel_posted)
                return;
        for (unsigned lane = 0; lane < job->engine->n_lanes; lane++) {
                struct leg *leg = run_leg(job->run, lane);

                if (leg == job->run->leg || job->helpers >> lane & 1 || !has_all_ports(job, lane))
                        continue;
                job->helpers |= 1ull << lane;
                job->legs_posted++;
                client_leg_begins(job->client, lane);
                fill_leg(job, leg, lane);
                run_add_leg(job->run, lane);
        }
}
