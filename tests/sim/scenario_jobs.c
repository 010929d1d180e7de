/* The jobs of a scenario: from a wish to a submission, and what it is answered. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sim/scenario.h"

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
        size_t names_bytes =
            (wish->n_to + 1) * DEVICE_NAME_MAX_BYTES + WISH_KEY_MAX_BYTES + wish->names_bytes;
        bool lasting = wish->detached || wish->retry_for_ns > 0;
        struct copy_spec *spec =
            lasting ? copy_spec_new_lasting(wish->n_to, names_bytes) : copy_spec_new(wish->n_to, names_bytes);
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

        if (lasting) {
                spec->lasting->detached = wish->detached;
                spec->lasting->retry_for_ns = wish->retry_for_ns;
                if (wish->key[0] != '\0')
                        spec->lasting->key = copy_spec_name(spec, wish->key, strlen(wish->key));
        }
        job->submitted = true;
        job->submitted_ns = s->world.now_ns;
        job->check = checker_submitted(&s->checker, wish->client, spec);
        if (job->check->detached) { /* so that the store's requests are known again */
                job->check->client = CHECKER_DETACHED;
                job->check->key = wish->key[0] != '\0' ? wish->key : NULL;
                spec->context_bytes = sizeof job->check->index;
                memcpy(spec->context, &job->check->index, sizeof job->check->index);
        }
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
        else if (job->scenario->lives) /* the daemon is not there; it will be */
                world_event_start(&job->scenario->world, event, 50 * MS_NS);
}

void scenario_cancel(struct scenario_job *job)
{
        if (!job->submitted || job->check->id == 0 || job->scenario->closed || !job->scenario->engine)
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
        job->wish = *wish; /* whose key the checker borrows */
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
