/* Jobs, from what their run says to their end. See job.h.
 *
 *   run done → (run gone: drained, legs back, cancel obeyed) → locks, devices → completion
 *   run done with answers still out → the devices that are not concerned → completion → … → drained → run
 * gone → locks, the other devices
 */
#include "copy/job.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "copy/history.h"

/* ---- the terminal event */

size_t engine_job_bytes(const struct copy_spec *spec)
{
        size_t n_ends = 1 + spec->n_to;

        return job_heap_bytes(sizeof(struct job)) + job_heap_bytes(spec->size_bytes) +
               job_heap_bytes(n_ends * sizeof(struct job_ends));
}

static void emit_completion(struct job *job)
{
        struct job_event event = {
            .type = JOB_EVENT_COMPLETION,
            .job_id = job->id,
            .client = job->client,
            .spec = job->spec,
            .state = job->result->state,
            .reason = "",
            .length_bytes = job->length_bytes,
            .result = job->result,
            .seq = job->lasting ? job->lasting->end_seq : 0,
        };

        engine_emit(job->engine, &event);
}

/* Terminal and drained: the client need not remember it. */
static void leave_client(struct job *job)
{
        struct engine_client *client = job->client;
        struct engine *engine = job->engine;

        /* Not before the terminal event: what it says is true while it is said. */
        job_release_locks(job);
        kc_list_del(&job->client_node);
        job_free_ends(job);
        history_shorten(job);
        job->client = NULL;
        client_start_jobs(client);
        client_check_closed(client);
        history_prune(engine); /* it may have been kept for this alone */
}

static void complete(struct job *job)
{
        struct engine *engine = job->engine;
        struct engine_client *client = job->client;

        job->terminal_ns = kc_actor_now_ns(engine->control);
        if (!job->lasting || !job->lasting->end_told) /* else as it is stored */
                job->result->elapsed_ns = job->terminal_ns - job->accepted_ns;
        if (kc_sm_state(&job->sm) == JOB_WAITING || kc_sm_state(&job->sm) == JOB_PAUSED)
                engine->n_waiting--;
        else
                engine->n_running--;
        kc_sm_move(&job->sm, job->result->state);
        history_add(job);
        emit_completion(job);
        client->n_jobs--;
        if (job->on_let_go) {
                /* an end that had to be stored first: the rest of its devices closes meanwhile */
        } else if (!job->run) {
                leave_client(job);
        } else {
                job_keep_adrift_locked(job); /* not before the terminal event, either */
                client_check_closed(client);
                history_prune(engine);
        }
}

void job_end_stored(struct job *job)
{
        bool drained = !job->run;

        complete(job);
        if (!drained)
                job_check_run_gone(job);
}

void job_tell_end(struct job *job)
{
        if (!lasting_holds_end(job)) /* else when it is stored */
                job_end_stored(job);
}

static void on_let_go(struct job *job)
{
        if (kc_sm_state(&job->sm) >= JOB_COMPLETED)
                leave_client(job);
        else
                job_tell_end(job);
}

static void leave(struct job *job)
{
        struct engine *engine = job->engine;
        struct engine_client *client = job->client;

        kc_list_del(&job->runnable_node);
        kc_idmap_del(&engine->by_id, &job->by_id);
        engine->n_waiting--;
        client->n_jobs--;
        job_free(job);
        client_start_jobs(client);
        client_check_closed(client);
}

void job_leave(struct job *job)
{
        job_release_locks(job);
        job_let_go(job, leave);
}

/* ---- jobs that end without a run */

/* How soon there may be memory again. */
#define OWED_NS (100 * KC_NS_PER_MS)

static void on_owed(struct kc_timer *timer)
{
        job_end_unstarted(kc_container_of(timer, struct job, close_timer));
}

/* A terminal event is owed, and there is no memory to say anything at all: then later, and why it was is
 * forgotten by then, but not whether somebody wanted it. */
static void owe_end(struct job *job, enum job_state state)
{
        struct kc_actor *control = job->engine->control;

        job->no_memory |= state != JOB_CANCELLED;
        job->cancel_wanted = true; /* nobody else is to end it */
        kc_timer_init(&job->close_timer, on_owed);
        kc_actor_timer_start(control, &job->close_timer, kc_actor_now_ns(control) + OWED_NS);
}

bool job_end_owed(const struct job *job)
{
        return job->close_timer.armed && !job->on_let_go;
}

void job_end_unstarted(struct job *job)
{
        struct kc_error error = {.code = 0};

        if (job->no_memory)
                kc_error_set(&error, -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
        else
                kc_error_set(
                    &error, -ECANCELED, KC_CLASS_CANCELLED, "not complete: %s", job_cancel_reason(job));
        job_end_unrun(job, job->no_memory ? JOB_FAILED : JOB_CANCELLED, &error, UINT32_MAX);
}

void job_end_unrun(struct job *job, enum job_state state, const struct kc_error *error, unsigned failed_end)
{
        unsigned n = job->spec->n_to;
        struct job_result *result = job_result_new(n);

        if (!job->lasting || !job->lasting->resumed || job_waits_for_locks(job))
                job_release_locks(job); /* else not before its end is told: it has written there */
        kc_list_del(&job->runnable_node);
        kc_list_del(&job->overwriter_node);
        if (job->lasting)
                lasting_stop(job);
        if (!result) {
                owe_end(job, state);
                return;
        }
        result->state = state;
        result->length_bytes = job->length_bytes;
        if (job->lasting)
                lasting_fill_source(job, result);
        if (failed_end == 0 && job->spec->operation == COPY_OPERATION_COPY) {
                result->source_error.error = *error;
                result->read_err = true;
        }
        for (unsigned i = 0; i < n; i++) {
                struct job_destination_result *out = &result->destinations[i];

                out->ledger.untouched = job->length_bytes;
                out->done = true;
                if (job->lasting && lasting_fill(job, i, out)) { /* it had ended before */
                        result->write_err |= (uint64_t)(out->error.error.code < 0) << i;
                        continue;
                }
                result->write_err |= 1ull << i;
                if (failed_end == 1 + i || failed_end == UINT32_MAX)
                        out->error.error = *error;
                else
                        kc_error_set(&out->error.error, -ECANCELED, KC_CLASS_STOPPED, "not complete: %s",
                            error->message);
        }
        job->result = result;
        job_let_go(job, on_let_go);
}

/* ---- the run's words */

/* The end of a destination was told: what it said stands, and a run from the start would contradict it. */
static bool destination_told(const struct job *job)
{
        for (unsigned i = 0; i < job->spec->n_to; i++)
                if (job->run->view[i].done)
                        return true;
        return false;
}

/* The run is nobody's any more: no message of it is on its way. */
void job_check_run_gone(struct job *job)
{
        struct run *run = job->run;
        bool again;

        if (!run || !job->run_drained || job->on_let_go ||
            run->legs_told + job->legs_late < job->legs_posted || (job->cancel_posted && !job->cancel_obeyed))
                return;
        if (job->lasting && (job->lasting->marking || lasting_suspending(job)))
                return;
        again = run->stale && !job->restarted && !job->cancel_wanted &&
                kc_sm_state(&job->sm) < JOB_COMPLETED && !destination_told(job) &&
                !(job->lasting && job->lasting->end_told);
        client_leg_gone(job->client, run->lane->index);
        for (unsigned lane = 0; lane < job->engine->n_lanes; lane++)
                if (job->helpers >> lane & 1)
                        client_leg_gone(job->client, lane);
        job->run = NULL;
        run_free(run);
        free(job->stall);
        job->stall = NULL;
        kc_list_del(&job->running_node);
        job->client->n_runs--;
        if (job->lasting && job->lasting->goes_on) {
                lasting_go_on(job);
                return;
        }
        if (again) {
                job_result_free(job->result);
                job->result = NULL;
                job_wait_again(job);
                job_release_locks(job);
                client_start_jobs(job->client);
                job_restart(job);
                return;
        }
        job_let_go(job, on_let_go);
}

/* Connections that failed are not used for anything new. */
static void retire_devices(struct job *job, bool stuck)
{
        const struct run *run = job->run;

        for (unsigned i = 0; i < job_n_ends(job); i++) {
                bool gone = i == 0 ? run->source_gone : run->dests_gone >> (i - 1) & 1;

                if (!gone || !job->ends[i].device)
                        continue;
                device_retire(job->ends[i].device);
                if (stuck) {
                        job->ends[i].stuck = true;
                        device_stuck(job->ends[i].device);
                }
        }
}

void job_on_run_done(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run *run = kc_container_of(msg, struct run, done_msg);
        struct job *job = run->job;

        job->run_done = true;
        job->result = run->result;
        run->result = NULL;
        job_settle_result(job);
        retire_devices(job, !run->drained);
        job->run_drained = run->drained;
        if (lasting_goes_on(job)) {
                job_check_run_gone(job);
                return;
        }
        for (unsigned i = 0; job->lasting && i < job->spec->n_to; i++)
                lasting_doubt(job, i, &job->result->destinations[i]);
        if (run->drained)
                job_check_run_gone(job);
        else
                job_let_go(job, on_let_go);
}

void job_on_run_drained(struct kc_actor *actor, struct kc_msg *msg)
{
        struct job *job = kc_container_of(msg, struct run, drained_msg)->job;

        job->run_drained = true;
        job_check_run_gone(job);
}

void job_on_late_leg(struct kc_actor *actor, struct kc_msg *msg)
{
        struct job *job = kc_container_of(msg, struct leg, orders_msg)->run->job;

        job->legs_late++;
        job_check_run_gone(job);
}

void job_on_cancel_obeyed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct job *job = kc_container_of(msg, struct run, cancel_msg)->job;

        job->cancel_obeyed = true;
        job_check_run_gone(job);
}
