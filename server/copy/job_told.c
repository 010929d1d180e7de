/* What a job's run says, held to what was told before and to what its devices have said since. See job.h. */
#include "copy/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what stands, and what is in doubt */

/* A failed flush of one job is final for all jobs' writes to that device since the last good one, also of
 * those that asked for no flush, and of destinations whose end was told. A flush that was answered after it
 * was sent, over another connection, is not believed; one answered in the very moment was carried out before.
 */
static bool doubt_unflushed_writes(const struct job *job, unsigned d, struct job_destination_result *out)
{
        const struct device *device = job->ends[1 + d].device;

        uint64_t sure_bytes = out->sure_copied_bytes + out->sure_zeroed_bytes;

        if (!device || device->flush_status == 0 || out->ledger.copied + out->ledger.zeroed == sure_bytes)
                return false;
        if (out->durable && out->flushed_ns <= device->flush_sent_ns)
                return false;
        out->ledger.indeterminate += out->ledger.copied - out->sure_copied_bytes;
        out->ledger.indeterminate += out->ledger.zeroed - out->sure_zeroed_bytes;
        out->ledger.copied = out->sure_copied_bytes;
        out->ledger.zeroed = out->sure_zeroed_bytes;
        out->durable = false;
        kc_error_set(&out->error.error, device->flush_status, device->flush_class,
            "%s: a flush failed, so what was written since the last one is in doubt", device->name);
        return true;
}

static void not_complete(struct job_result *result, unsigned i)
{
        result->durable = false;
        result->write_err |= 1ull << i;
        if (result->state == JOB_COMPLETED)
                result->state = JOB_FAILED;
}

/* What was said of a destination's end stands. */
static void repeat_told(struct job *job)
{
        for (unsigned i = 0; job->lasting && i < job->spec->n_to; i++) {
                struct job_destination_result *out = &job->result->destinations[i];

                if (lasting_told(job, 1 + i) && lasting_fill(job, i, out) && out->error.error.code < 0)
                        not_complete(job->result, i);
        }
}

/* It has ended with an error: what was said of it then stands. */
static bool says_enough(const struct job_destination_result *told)
{
        return told->done && told->error.error.code < 0;
}

static void doubt_result(struct job *job)
{
        struct job_result *result = job->result;

        for (unsigned i = 0; i < job->spec->n_to; i++) {
                bool stands = says_enough(&job->run->view[i]);

                if (stands)
                        result->destinations[i] = job->run->view[i];
                if (stands || doubt_unflushed_writes(job, i, &result->destinations[i]))
                        not_complete(result, i);
        }
}

/* It was to be suspended, and then cancelled before it had stopped: what it has not done, it has not for
 * that. */
static void call_cancelled(struct job *job)
{
        struct job_result *result = job->result;

        if (!job->cancel_wanted || !job->run->suspended || result->state != JOB_FAILED)
                return;
        result->state = JOB_CANCELLED;
        for (unsigned i = 0; i < result->n_destinations; i++) {
                struct job_error *error = &result->destinations[i].error;

                if (error->error.class == KC_CLASS_STOPPED && !result->read_err &&
                    !(job->lasting && lasting_told(job, 1 + i)))
                        kc_error_set(&error->error, -ECANCELED, KC_CLASS_CANCELLED, "not complete: %s",
                            job_cancel_reason(job));
        }
}

void job_settle_result(struct job *job)
{
        repeat_told(job);
        doubt_result(job);
        call_cancelled(job);
}

/* ---- how far it is */

static void emit_destinations_done(struct job *job, struct run_snapshot *snapshot)
{
        for (unsigned i = 0; i < job->spec->n_to; i++) {
                struct job_destination_result *result = &snapshot->destinations[i];
                struct job_event event = {
                    .type = JOB_EVENT_DESTINATION_DONE,
                    .job_id = job->id,
                    .client = job->client,
                    .spec = job->spec,
                    .state = JOB_RUNNING,
                    .reason = "",
                    .index = i,
                    .destination = result,
                };

                if (job->lasting && result->done && lasting_may_try(job, &result->error.error))
                        result->done = false;
                if (!result->done || job->run->view[i].done)
                        continue;
                if (job->lasting)
                        lasting_doubt(job, i, result);
                if (job->lasting)
                        lasting_destination_done(job, i, result);
                else
                        engine_emit(job->engine, &event);
        }
}

static void emit_progress(struct job *job, const struct run_snapshot *snapshot)
{
        uint64_t done_bytes[KC_DESTINATIONS_MAX], now_ns = kc_actor_now_ns(job->engine->control);
        struct job_event event = {
            .type = JOB_EVENT_PROGRESS,
            .job_id = job->id,
            .client = job->client,
            .spec = job->spec,
            .state = JOB_RUNNING,
            .reason = "",
            .length_bytes = job->length_bytes,
            .elapsed_ns = now_ns - job->accepted_ns,
            .rate_bytes_per_s = snapshot->rate_bytes_per_s,
            .n_destinations = job->spec->n_to,
            .done_bytes = done_bytes,
        };

        for (unsigned i = 0; i < job->spec->n_to; i++) {
                const struct job_ledger *ledger = &job->run->view[i].ledger;

                done_bytes[i] = ledger->copied + ledger->zeroed + ledger->skipped;
        }
        engine_emit(job->engine, &event);
}

void job_on_run_snapshot(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run *run = kc_container_of(msg, struct run, snapshot.msg);
        struct job *job = run->job;
        bool stalled = run->snapshot.reason[0] != '\0', was_stalled = job->stall != NULL;

        for (unsigned i = 0; i < job->spec->n_to; i++) /* what is told of an end has to stand */
                if (says_enough(&run->view[i]))
                        run->snapshot.destinations[i] = run->view[i];
                else if (run->snapshot.destinations[i].done)
                        doubt_unflushed_writes(job, i, &run->snapshot.destinations[i]);
        emit_destinations_done(job, &run->snapshot);
        memcpy(run->view, run->snapshot.destinations, job->spec->n_to * sizeof *run->view);
        free(job->stall);
        job->stall = stalled ? strdup(run->snapshot.reason) : NULL;
        if (stalled != was_stalled && kc_sm_state(&job->sm) == JOB_RUNNING)
                job_emit_state(job);
        emit_progress(job, &run->snapshot);
        run_snapshot_return(run);
}
