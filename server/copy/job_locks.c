/* A job's locks: asked for when it has a slot, so that nobody waits for a job that does not run. */
#include "copy/job.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

struct job_locks {
        struct job *job;
        bool waiting; /* counted in the client's n_locking */
        struct lock_set set;
        struct lock_range ranges[]; /* one per end that has a device */
};

static void release(struct job *job)
{
        struct job_locks *locks = job->locks;

        job->locks = NULL;
        if (locks->waiting)
                job->client->n_locking--;
        locks_release(job->engine->locks, &locks->set);
        free(locks);
        for (unsigned i = 0; i < job_n_ends(job); i++) {
                if (job->ends[i].pinned)
                        device_unpin(job->ends[i].pinned);
                job->ends[i].pinned = NULL;
        }
}

bool job_waits_for_locks(const struct job *job)
{
        return job->locks && job->locks->waiting;
}

void job_release_locks(struct job *job)
{
        if (job->locks)
                release(job);
}

static void on_granted(struct lock_set *set)
{
        struct job_locks *locks = kc_container_of(set, struct job_locks, set);
        struct job *job = locks->job;
        struct engine_client *client = job->client;

        locks->waiting = false;
        client->n_locking--;
        if (!job->cancel_wanted) /* else its end is on the way */
                job_locked(job); /* which may be its end */
        client_start_jobs(client);
}

void job_lock(struct job *job)
{
        struct job_locks *locks = kc_zalloc(sizeof *locks + job_n_ends(job) * sizeof *locks->ranges);
        struct lock_range *range;

        if (!locks) {
                job->no_memory = true;
                job_cancel(job);
                return;
        }
        range = locks->ranges;
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
        locks->job = job;
        locks->set.owner_id = job->id;
        locks->set.on_granted = on_granted;
        locks->set.ranges = locks->ranges;
        locks->set.n_ranges = (unsigned)(range - locks->ranges);
        job->locks = locks;
        if (locks_request(job->engine->locks, &locks->set)) {
                job_start(job);
                return;
        }
        locks->waiting = true;
        job->client->n_locking++;
        job_emit_state(job);
}

void job_keep_adrift_locked(struct job *job)
{
        struct lock_range keep[KC_DESTINATIONS_MAX];
        unsigned n_keep = 0;
        const struct lock_range *range = job->locks->ranges;

        for (unsigned i = 0; i < job_n_ends(job); i++) {
                const struct run_held *held = i > 0 ? &job->run->held[i - 1] : NULL;
                const struct job_ends *end = &job->ends[i];

                if (!end->pinned)
                        continue;
                if (held && (held->whole || held->end_bytes > 0))
                        keep[n_keep++] = *range;
                if (held && !held->whole && held->end_bytes > 0) {
                        uint64_t base_bytes = end->pinned->info.identity.base_bytes + end->region.start_bytes;

                        keep[n_keep - 1].start_bytes = base_bytes + held->start_bytes;
                        if (held->end_bytes < job->length_bytes) /* else the rounded end stays */
                                keep[n_keep - 1].end_bytes = base_bytes + held->end_bytes;
                }
                range++;
        }
        lock_set_keep(job->engine->locks, &job->locks->set, keep, n_keep);
}

void job_describe_blocker(const struct job *job, char *buf, size_t buf_bytes)
{
        unsigned long long id = job->locks->set.blocker_id;
        struct kc_idmap_node *node = kc_idmap_get(&job->engine->by_id, id);

        if (node && kc_sm_state(&kc_container_of(node, struct job, by_id)->sm) >= JOB_COMPLETED)
                snprintf(buf, buf_bytes,
                    "writes of job %llu, which has ended, may still land there, until they are answered or "
                    "their connection has been gone for %llu s",
                    id, (unsigned long long)(job->engine->config.quarantine_ns / 1000000000u));
        else
                snprintf(buf, buf_bytes, "its regions are in use by job %llu", id);
}
