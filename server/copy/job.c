/* Jobs, from submission to the start of their run. See job.h. */
#include "copy/job.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "copy/detached.h"
#include "copy/history.h"

static const struct kc_sm_state states[] = {
    [JOB_WAITING] = {"waiting",
        KC_SM_TO(JOB_RUNNING) | KC_SM_TO(JOB_PAUSED) | KC_SM_TO(JOB_COMPLETED) | KC_SM_TO(JOB_FAILED) |
            KC_SM_TO(JOB_CANCELLED),
        true, false},
    [JOB_RUNNING] = {"running",
        KC_SM_TO(JOB_WAITING) | KC_SM_TO(JOB_DRAINING) | KC_SM_TO(JOB_COMPLETED) | KC_SM_TO(JOB_FAILED) |
            KC_SM_TO(JOB_CANCELLED),
        false, false},
    [JOB_PAUSED] = {"paused", KC_SM_TO(JOB_WAITING) | KC_SM_TO(JOB_FAILED) | KC_SM_TO(JOB_CANCELLED), false,
        false},
    [JOB_DRAINING] = {"draining",
        KC_SM_TO(JOB_WAITING) | KC_SM_TO(JOB_COMPLETED) | KC_SM_TO(JOB_FAILED) | KC_SM_TO(JOB_CANCELLED),
        false, false},
    [JOB_COMPLETED] = {"completed", 0, false, true},
    [JOB_FAILED] = {"failed", 0, false, true},
    [JOB_CANCELLED] = {"cancelled", 0, false, true},
};

void job_free_ends(struct job *job)
{
        for (unsigned i = 0; job->ends && i < job_n_ends(job); i++)
                free(job->ends[i].name);
        free(job->ends);
        job->ends = NULL;
}

void job_free(struct job *job)
{
        assert(!job->run && !job->resolve && !job->locks);
        kc_list_del(&job->node);
        kc_list_del(&job->client_node);
        kc_list_del(&job->history_node);
        lasting_free(job->lasting);
        free(job->stall);
        job_result_free(job->result);
        free(job->brief);
        owner_unref(job->owner);
        job_free_ends(job);
        free(job->spec);
        free(job);
}

/* ---- reasons and states, for people */

const char *job_cancel_reason(const struct job *job)
{
        return job->client->cancel ? "its client has gone" : "the job was cancelled";
}

/* What client_start_jobs waits for. */
static void describe_queue(const struct job *job, char *buf, size_t buf_bytes)
{
        const struct engine_client *client = job->client;

        if (client->n_runs >= client->engine->config.client_running_max)
                snprintf(buf, buf_bytes, "%u jobs of this client are running", client->n_runs);
        else
                snprintf(buf, buf_bytes, "%u jobs of this client wait for regions that are in use",
                    client->n_locking);
}

const char *job_reason(const struct job *job, char *buf, size_t buf_bytes)
{
        buf[0] = '\0';
        if (lasting_reason(job, buf, buf_bytes))
                return buf;
        switch (kc_sm_state(&job->sm)) {
        case JOB_WAITING:
                if (job->on_let_go)
                        snprintf(buf, buf_bytes, "closing its devices");
                else if (job_end_owed(job))
                        snprintf(buf, buf_bytes, "over, but there is no memory to report it");
                else if (!kc_list_empty(&job->overwriter_node))
                        snprintf(
                            buf, buf_bytes, "until it is stored that it overwrites what others have done");
                else if (job_waits_for_locks(job))
                        job_describe_blocker(job, buf, buf_bytes);
                else if (!kc_list_empty(&job->runnable_node))
                        describe_queue(job, buf, buf_bytes);
                else
                        snprintf(buf, buf_bytes, "opening its devices again");
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

        job_tell(job, &event);
}

/* ---- refusing and accepting */

static struct engine_refusal no_memory = {
    .error = {.code = -ENOMEM, .class = KC_CLASS_INTERNAL, .message = "the server is out of memory"}};

static void answer_refused(struct job *job)
{
        struct engine *engine = job->engine;
        struct engine_client *client = job->client;
        struct engine_submission *submission = job->submission;
        struct engine_refusal *refusal = job->answer.refusal;

        engine->n_resolving--;
        client->n_jobs--;
        job_free(job);
        submission->on_refused(submission, refusal);
        if (refusal != &no_memory)
                free(refusal);
        client_check_closed(client);
        engine_check_closed(engine);
}

/* A job that was accepted once, and cannot start again. */
static void fail_restarted(struct job *job, const struct engine_refusal *refusal)
{
        struct kc_error error = refusal->error;
        unsigned i, end = UINT32_MAX; /* not of one device: all destinations have it */

        if (strncmp(refusal->field, "from", 4) == 0)
                end = 0;
        else if (sscanf(refusal->field, "to[%u]", &i) == 1)
                end = 1 + i;
        kc_error_prefix(&error, "when it was to start again after a lost connection");
        job_end_unrun(job, JOB_FAILED, &error, end);
}

static void refuse_new(struct job *job, const struct engine_refusal *refusal)
{
        job->answer.refusal = malloc(sizeof *refusal);
        if (job->answer.refusal)
                *job->answer.refusal = *refusal;
        else
                job->answer.refusal = &no_memory;
        job_let_go(job, answer_refused);
}

void job_refuse(struct job *job, const struct engine_refusal *refusal)
{
        if (kc_list_empty(&job->node)) /* not accepted */
                refuse_new(job, refusal);
        else if (!lasting_bears(job, refusal))
                fail_restarted(job, refusal);
}

void job_refuse_with(struct job *job, const char *field, int code, enum kc_class class, const char *message)
{
        struct engine_refusal refusal = {.error = {.code = 0}};

        snprintf(refusal.field, sizeof refusal.field, "%s", field);
        kc_error_set(&refusal.error, code, class, "%s", message);
        job_refuse(job, &refusal);
}

/* ---- its turn: a slot of the client first, then the locks, so that nobody waits for a job that does not run
 */

/* Once. Handles may have been closed meanwhile; the jobs that use them go on. */
static void resolve_again(struct job *job)
{
        job->restarted = true;
        for (unsigned i = 0; i < job_n_ends(job); i++) {
                struct job_ends *end = &job->ends[i];

                if (end->device && !end->name)
                        end->name = strdup(end->device->name);
                if (end->device && !end->name) {
                        job_refuse_with(job, "", -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                        return;
                }
        }
        for (unsigned i = 0; i < job_n_ends(job); i++) {
                if (job->ends[i].device)
                        device_put(job->ends[i].device);
                job->ends[i].device = NULL;
        }
        job_resolve(job);
}

/* Something was lost while it waited. */
static bool has_retired_device(const struct job *job)
{
        for (unsigned i = 0; i < job_n_ends(job); i++)
                if (job->ends[i].device && job->ends[i].device->retired)
                        return true;
        return false;
}

/* … and is to be opened again: once, or whenever it is, of a job that tries again. */
static bool has_lost_device(const struct job *job)
{
        return (job->lasting || !job->restarted) && has_retired_device(job);
}

void job_begin(struct job *job)
{
        if (lasting_halts(job))
                return;
        if (!has_lost_device(job)) {
                if (job->locks) /* from the run before */
                        job_start(job);
                else
                        job_lock(job);
                return;
        }
        job_emit_state(job);
        resolve_again(job);
}

void job_locked(struct job *job)
{
        if (lasting_halts(job))
                return;
        if (has_lost_device(job)) {
                job_release_locks(job); /* their keys are those of the devices that it had */
                job_emit_state(job);
                resolve_again(job);
        } else {
                job_start(job);
        }
}

void job_queue(struct job *job)
{
        struct engine_client *client = job->client;

        kc_list_push(job->locks ? &client->resuming : &client->runnable[job->spec->options.priority],
            &job->runnable_node);
        client_start_jobs(client);
}

void job_keep_record(struct job *job)
{
        struct engine *engine = job->engine;

        kc_idmap_add(&engine->by_id, &job->by_id, job->id);
        kc_list_push(&engine->jobs, &job->node);
        kc_sm_init(&job->sm, states, sizeof states / sizeof *states, JOB_WAITING, "job", job->id);
        job->accepted_ns = kc_actor_now_ns(engine->control);
        engine->n_waiting++;
}

/* The length comes from the source, or from the first destination that is no null: where there is none. */
static void refuse_other_length(struct job *job, uint64_t length_bytes)
{
        struct engine_refusal refusal = {.field = "from"};
        const struct device *device = job->ends[0].device;

        for (unsigned i = 0; job->spec->operation == COPY_OPERATION_ZERO && i < job->spec->n_to; i++) {
                device = job->ends[1 + i].device;
                snprintf(refusal.field, sizeof refusal.field, "to[%u]", i);
                if (device->info.kind != IO_KIND_NULL)
                        break;
        }
        kc_error_set(&refusal.error, -ESTALE, KC_CLASS_STOPPED,
            "%s: its size has changed: the region had %llu bytes, and has %llu now", device->name,
            (unsigned long long)job->length_bytes, (unsigned long long)length_bytes);
        job_refuse(job, &refusal);
}

static void accept(struct job *job)
{
        struct engine_submission *submission = job->submission;

        job->id = job->engine->next_job_id++;
        job_keep_record(job);
        job->engine->n_resolving--;
        job->submission = NULL;
        submission->on_accepted(submission, job->id, job->length_bytes);
}

void job_accept(struct job *job, const struct job_plan *plan)
{
        bool accepted = !kc_list_empty(&job->node);

        if (accepted && plan->length_bytes != job->length_bytes) {
                refuse_other_length(job, plan->length_bytes);
                return;
        }
        job->length_bytes = plan->length_bytes;
        job->align_bytes = plan->align_bytes;
        job->chunk_max_bytes = plan->chunk_max_bytes;
        job->ends[0].region = plan->from;
        for (unsigned i = 0; i < job->spec->n_to; i++)
                job->ends[1 + i].region = plan->to[i];
        if (job->lasting && (lasting_halts(job) || !lasting_check(job)))
                return;
        if (!accepted && copy_spec_detached(job->spec)) {
                detached_create(job);
                return;
        }
        if (!accepted)
                accept(job);
        job_queue(job);
}

/* It remains a submission that found what it wanted. */
static void answer_existing(struct job *job)
{
        struct engine *engine = job->engine;
        struct engine_client *client = job->client;
        struct engine_submission *submission = job->submission;
        uint64_t job_id = job->id, length_bytes = job->length_bytes;

        engine->n_resolving--;
        client->n_jobs--;
        job_free(job);
        submission->on_accepted(submission, job_id, length_bytes);
        client_check_closed(client);
        engine_check_closed(engine);
}

void job_answer_existing(struct job *job, uint64_t job_id, uint64_t length_bytes)
{
        job->id = job_id;
        job->length_bytes = length_bytes;
        job_let_go(job, answer_existing);
}

static void on_submit(struct kc_actor *actor, struct kc_msg *msg)
{
        struct job *job = kc_container_of(msg, struct job, msg);
        struct engine_refusal refusal = {.error = {.code = 0}};

        if (job->client->cancel)
                job_refuse_with(job, "", -ECANCELED, KC_CLASS_CANCELLED, "the client has gone");
        else if (!validate_spec(job->spec, &refusal))
                job_refuse(job, &refusal);
        else if (copy_spec_detached(job->spec))
                detached_find(job);
        else
                job_resolve(job);
}

void job_wait_again(struct job *job)
{
        kc_sm_move(&job->sm, JOB_WAITING);
        job->engine->n_running--;
        job->engine->n_waiting++;
        job_emit_state(job);
}

void job_restart(struct job *job)
{
        job->run_done = job->run_drained = false;
        job->legs_posted = job->legs_late = 0;
        job->helpers_wanted = false;
        job->helpers = 0;
        resolve_again(job);
}

struct job *job_new(struct engine_client *client, struct owner *owner, struct copy_spec *spec)
{
        struct job *job = kc_zalloc(sizeof *job);

        if (job)
                job->ends = kc_zalloc((1 + spec->n_to) * sizeof *job->ends);
        if (!job || !job->ends) {
                free(job);
                free(spec);
                return NULL;
        }
        kc_list_init(&job->node);
        kc_list_init(&job->client_node);
        kc_list_init(&job->runnable_node);
        kc_list_init(&job->running_node);
        kc_list_init(&job->history_node);
        kc_list_init(&job->overwriter_node);
        job->engine = client->engine;
        job->client = client;
        job->owner = owner_ref(owner);
        job->spec = spec;
        if (spec->lasting) {
                job->lasting = lasting_new(job);
                if (!job->lasting) {
                        job_free(job);
                        return NULL;
                }
        }
        client->n_jobs++;
        kc_list_push(&client->jobs, &job->client_node);
        return job;
}

int job_submit(struct engine_client *client, struct copy_spec *spec, struct engine_submission *submission)
{
        struct engine_client *detached = client->engine->detached;
        struct job *job =
            job_new(copy_spec_detached(spec) && detached ? detached : client, client->owner, spec);

        if (!job)
                return -ENOMEM;
        job->submission = submission;
        client->engine->n_resolving++;
        job->msg.on_message = on_submit;
        kc_actor_post(client->engine->control, &job->msg);
        return 0;
}

/* ---- cancelling: by message, so that nobody is told of anything inside an engine_ call */

static void on_cancel(struct kc_actor *actor, struct kc_msg *msg)
{
        struct job *job = kc_container_of(msg, struct job, msg);

        job->msg_posted = false;
        if (kc_sm_state(&job->sm) >= JOB_COMPLETED) {
                history_prune(job->engine); /* it may have been kept for this message alone */
                return;
        }
        if (job->result || job_end_owed(job))
                return; /* too late */
        if (job->resolve) {
                job_resolve_give_up(job);
        } else if (job->run) {
                job->cancel_posted = true;
                if (kc_sm_state(&job->sm) != JOB_DRAINING) /* it may be about to be suspended */
                        kc_sm_move(&job->sm, JOB_DRAINING);
                run_cancel(job->run, job_cancel_reason(job));
                job_emit_state(job);
        } else if (!job->on_let_go) { /* else what comes then sees it */
                job_end_unstarted(job);
        }
}

void job_cancel(struct job *job)
{
        /* nobody knows of it yet, so it is its client that goes */
        if (kc_list_empty(&job->node))
                job_resolve_give_up(job);
        if (kc_list_empty(&job->node) || kc_sm_state(&job->sm) >= JOB_COMPLETED || job->cancel_wanted)
                return;
        job->cancel_wanted = true;
        if (job->result) /* its end is on the way; and if it was to begin again, it will not */
                return;
        job->msg_posted = true;
        job->msg.on_message = on_cancel;
        kc_actor_post(job->engine->control, &job->msg);
}
