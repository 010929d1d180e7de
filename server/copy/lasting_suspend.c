/* Jobs between two of their runs: lost, paused, adjusted, left to the next daemon. See lasting.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "copy/history.h"
#include "copy/job.h"

#define RETRY_FIRST_NS (500 * KC_NS_PER_MS)
#define RETRY_MAX_NS (30000 * KC_NS_PER_MS)

static struct kc_actor *control_of(const struct job *job)
{
        return job->engine->control;
}

static uint64_t now(const struct job *job)
{
        return kc_actor_now_ns(control_of(job));
}

/* ---- what goes on, and what does not */

static bool may_come_back(const struct kc_error *error)
{
        return error->class == KC_CLASS_TRANSPORT || error->class == KC_CLASS_TIMEOUT;
}

/* Nothing wrong with the destination itself: it was held up by something else. */
static bool is_bystander(const struct kc_error *error)
{
        return error->class == KC_CLASS_STOPPED || error->class == KC_CLASS_CANCELLED ||
               error->class == KC_CLASS_INTERNAL;
}

/* What is lost and may come back; NULL: nothing is. *ret_failed: something has failed that ends the job. */
static const struct kc_error *find_lost(const struct job *job, bool *ret_failed)
{
        const struct run *run = job->run;
        const struct job_result *result = job->result;
        enum copy_policy policy = job->spec->options.policy;
        const struct kc_error *lost = NULL;

        *ret_failed = false;
        if (result->read_err) {
                if (run->source_gone && may_come_back(&result->source_error.error))
                        lost = &result->source_error.error;
                else if (policy != COPY_POLICY_IGNORE)
                        *ret_failed = true;
        }
        for (unsigned d = 0; d < result->n_destinations; d++) {
                const struct kc_error *error = &result->destinations[d].error.error;

                if (error->code == 0 || is_bystander(error))
                        continue;
                if (run->dests_gone >> d & 1 && may_come_back(error))
                        lost = lost ? lost : error;
                else if (policy == COPY_POLICY_STOP)
                        *ret_failed = true;
        }
        return lost;
}

/* Begins, or goes on with, a time without progress. */
static bool has_patience(struct job *job)
{
        struct lasting *lasting = job->lasting;

        if (lasting->lost_since_ns == 0) {
                lasting->lost_since_ns = now(job);
                lasting->n_tries = 0;
        }
        return now(job) - lasting->lost_since_ns < job->spec->lasting->retry_for_ns;
}

/* What has ended, has, whatever becomes of the rest. */
static void tell_ended(struct job *job)
{
        const struct run *run = job->run;

        for (unsigned d = 0; d < job->spec->n_to; d++) {
                struct job_destination_result *result = &job->result->destinations[d];
                const struct kc_error *error = &result->error.error;
                bool lost = is_bystander(error) || (run->dests_gone >> d & 1 && may_come_back(error));

                if (job->lasting->mark->ends[1 + d].told || (error->code < 0 && lost))
                        continue;
                lasting_doubt(job, d, result);
                lasting_destination_done(job, d, result);
        }
}

bool lasting_may_try(const struct job *job, const struct kc_error *error)
{
        return job->spec->lasting->retry_for_ns > 0 && may_come_back(error);
}

/* What was written, and not flushed before the end of the run: where is not remembered, so that what two runs
 * have written may count twice. */
static void note_doubt(struct job *job)
{
        for (unsigned d = 0; d < job->spec->n_to; d++) {
                struct store_mark_end *end = &job->lasting->mark->ends[1 + d];
                const struct job_ledger *done = &job->result->destinations[d].ledger;
                uint64_t touched_bytes = done->copied + done->zeroed + done->indeterminate;
                uint64_t sure_bytes = ledger_sum(&end->ledger, LEDGER_COPIED) +
                                      ledger_sum(&end->ledger, LEDGER_ZEROED) +
                                      ledger_sum(&end->ledger, LEDGER_INDETERMINATE);

                if (!end->told && touched_bytes > sure_bytes && end->doubt_bytes < job->length_bytes)
                        end->doubt_bytes += touched_bytes - sure_bytes;
        }
}

/* What could not be read is left out by later runs, too: their end has to tell of it. */
static void keep_source_error(struct job *job)
{
        struct store_mark *mark = job->lasting->mark;
        const struct run *run = job->run;

        if (bad_ranges_copy(&mark->bad, &job->result->bad) < 0)
                return; /* it goes on from the last checkpoint, which has said enough */
        mark->ends[0].error = run->bad_error;
        mark->ends[0].error_bytes = run->bad_error_bytes;
}

/* Why another run is to follow; SUSPEND_NOT: none is. */
static enum suspension why_again(struct job *job)
{
        struct lasting *lasting = job->lasting;
        const struct kc_error *lost;
        bool failed;

        if (job->cancel_wanted || job->result->state == JOB_COMPLETED)
                return SUSPEND_NOT;
        lost = find_lost(job, &failed);
        if (failed || (!lost && !job->run->suspended))
                return SUSPEND_NOT;
        if (lost)
                lasting->lost = *lost;
        if (lasting->suspended != SUSPEND_NOT)
                return lasting->suspended;
        if (lost)
                return has_patience(job) ? SUSPEND_LOST : SUSPEND_NOT;
        return SUSPEND_ADJUST; /* it was resumed before it had stopped */
}

bool lasting_goes_on(struct job *job)
{
        struct lasting *lasting = job->lasting;
        enum suspension why = lasting ? why_again(job) : SUSPEND_NOT;

        if (why == SUSPEND_NOT)
                return false;
        lasting->suspended = why;
        lasting->goes_on = true;
        keep_source_error(job);
        tell_ended(job);
        note_doubt(job);
        return true;
}

void lasting_doubt(const struct job *job, unsigned d, struct job_destination_result *result)
{
        const struct store_mark_end *end = &job->lasting->mark->ends[1 + d];
        uint64_t doubt_bytes = kc_min_u64(end->doubt_bytes, result->ledger.untouched);

        if (!job->lasting->resumed || end->told)
                return;
        result->ledger.indeterminate += doubt_bytes;
        result->ledger.untouched -= doubt_bytes;
}

/* ---- between two runs */

static void wait_for_retry(struct job *job)
{
        struct lasting *lasting = job->lasting;
        uint64_t pause_ns = RETRY_MAX_NS;

        if (lasting->n_tries < 6)
                pause_ns = RETRY_FIRST_NS << lasting->n_tries;
        lasting->n_tries++;
        pause_ns += kc_actor_random(control_of(job)) % (pause_ns / 4); /* not all at once */
        lasting->retry_ns = now(job) + pause_ns;
        kc_actor_timer_start(control_of(job), &lasting->timer, lasting->retry_ns);
        if (lasting->n_tries == 1)
                job_emit_state(job);
}

static void pause(struct job *job)
{
        kc_sm_move(&job->sm, JOB_PAUSED);
        kc_list_move(&job->engine->unlocked, &job->lasting->unlocked_node);
}

static void resolve(struct job *job)
{
        job->lasting->suspended = SUSPEND_NOT;
        job_resolve(job);
}

void lasting_on_timer(struct kc_timer *timer)
{
        struct job *job = kc_container_of(timer, struct lasting, timer)->job;

        if (job->result)
                job_tell_end(job);
        else
                resolve(job);
}

static void use_spec(struct job *job)
{
        struct lasting *lasting = job->lasting;

        if (!lasting->spec)
                return;
        free(job->spec);
        job->spec = lasting->spec;
        lasting->spec = NULL;
        journal_spec(lasting->journal);
}

/* It has no run, waits for nothing, and has let go of its devices. */
static void halted(struct job *job)
{
        struct lasting *lasting = job->lasting;

        use_spec(job);
        if (job->cancel_wanted) {
                job_end_unstarted(job);
                return;
        }
        switch (lasting->suspended) {
        case SUSPEND_NOT: /* resumed meanwhile */
        case SUSPEND_ADJUST:
                job_emit_state(job);
                resolve(job);
                return;
        case SUSPEND_LOST:
                wait_for_retry(job);
                return;
        case SUSPEND_PAUSE:
                pause(job); /* before somebody else begins */
                job_release_locks(job);
                job_emit_state(job);
                client_start_jobs(job->client);
                return;
        case SUSPEND_SHUTDOWN:
                job_release_locks(job);
                if (journal_may_be_left(lasting->journal) && !lasting->msg_posted)
                        job_leave(job);
                return; /* else when that is stored, or it is asked to */
        }
}

void lasting_go_on(struct job *job)
{
        job_result_free(job->result);
        job->result = NULL;
        job->run_done = job->run_drained = false;
        job->legs_posted = job->legs_late = 0;
        job->helpers_wanted = false;
        job->helpers = 0;
        job->lasting->resumed = true;
        job->lasting->goes_on = false;
        job->lasting->suspend_posted = job->lasting->suspend_obeyed = false;
        kc_sm_move(&job->sm, JOB_WAITING);
        job->engine->n_running--;
        job->engine->n_waiting++;
        client_start_jobs(job->client);
        job_let_go(job, halted);
}

bool lasting_halts(struct job *job)
{
        struct lasting *lasting = job->lasting;

        /* None begins any more, asked to leave by now or not: who has left gives its locks back, and is gone
         * when somebody overwrites what it has done. */
        if (lasting && lasting->journal && job->engine->closing)
                lasting->suspended = SUSPEND_SHUTDOWN;
        if (!lasting || lasting->suspended == SUSPEND_NOT || job->cancel_wanted)
                return false;
        kc_list_del(&job->runnable_node);
        kc_list_del(&job->overwriter_node);
        if (job_waits_for_locks(job))
                job_release_locks(job);
        job_let_go(job, halted);
        return true;
}

bool lasting_bears(struct job *job, const struct engine_refusal *refusal)
{
        struct lasting *lasting = job->lasting;

        if (!lasting || job->cancel_wanted)
                return false;
        if (lasting->suspended == SUSPEND_NOT) {
                bool passing = may_come_back(&refusal->error) || refusal->error.class == KC_CLASS_INTERNAL;

                if (passing && has_patience(job)) {
                        lasting->lost = refusal->error;
                        lasting->suspended = SUSPEND_LOST;
                } else if (!passing && lasting->journal) {
                        snprintf(lasting->reason, sizeof lasting->reason, "%s", refusal->error.message);
                        lasting->suspended = SUSPEND_PAUSE;
                } else {
                        return false;
                }
        }
        job_let_go(job, halted);
        return true;
}

void lasting_recover(struct job *job, const char *paused)
{
        struct lasting *lasting = job->lasting;

        if (!paused) {
                kc_list_push(&job->engine->unlocked, &lasting->unlocked_node);
                job_emit_state(job);
                resolve(job);
                return;
        }
        snprintf(lasting->reason, sizeof lasting->reason, "%s", paused);
        lasting->suspended = SUSPEND_PAUSE;
        pause(job);
}

/* ---- from outside */

const struct copy_spec *lasting_spec(const struct job *job)
{
        return job->lasting->spec ? job->lasting->spec : job->spec;
}

static void on_asked(struct kc_actor *actor, struct kc_msg *msg)
{
        struct lasting *lasting = kc_container_of(msg, struct lasting, msg);
        struct job *job = lasting->job;
        bool paused = kc_sm_state(&job->sm) == JOB_PAUSED, lost = lasting->timer.armed;

        lasting->msg_posted = false;
        if (kc_sm_state(&job->sm) >= JOB_COMPLETED) {
                history_prune(job->engine); /* it may have been kept for this message alone */
                return;
        }
        if ((job->result && !lasting->goes_on) || job->cancel_wanted || job_end_owed(job))
                return; /* too late */
        if (paused && lasting->asked == SUSPEND_PAUSE)
                return;
        if (lasting->asked == SUSPEND_NOT && lasting->spec && !paused && !lost)
                lasting->asked = SUSPEND_ADJUST;                    /* both were wanted */
        if (lasting->asked == SUSPEND_ADJUST && (paused || lost)) { /* it stays so */
                use_spec(job);
                return;
        }
        /* one that is about to be paused or left is adjusted then */
        if (lasting->asked != SUSPEND_ADJUST || lasting->suspended == SUSPEND_NOT)
                lasting->suspended = lasting->asked;
        if (lasting->asked == SUSPEND_PAUSE)
                snprintf(lasting->reason, sizeof lasting->reason, "by request; resume it");
        if (paused) {
                if (lasting->asked == SUSPEND_NOT)
                        kc_sm_move(&job->sm, JOB_WAITING);
                halted(job);
        } else if (lost) {
                kc_actor_timer_stop(control_of(job), &lasting->timer);
                halted(job);
        } else if (job->run) {
                if (lasting->goes_on || lasting->asked == SUSPEND_NOT || lasting->suspend_posted ||
                    job->cancel_posted)
                        return;
                lasting->suspend_posted = true;
                kc_sm_move(&job->sm, JOB_DRAINING);
                run_suspend(job->run, "it was suspended");
                job_emit_state(job);
        } else if (job->resolve) {
                if (lasting->suspended != SUSPEND_NOT)
                        job_resolve_give_up(job); /* lasting_halts then */
        } else if (!job->on_let_go) {
                (void)lasting_halts(job);
        }
}

/* A later wish takes the place of an earlier one, but for the server's own end. To go on otherwise is none
 * against what else is wanted. */
void lasting_ask(struct job *job, enum suspension what, struct copy_spec *spec)
{
        struct lasting *lasting = job->lasting;

        if (spec) {
                free(lasting->spec);
                lasting->spec = spec;
        }
        if (!lasting->msg_posted || (lasting->asked != SUSPEND_SHUTDOWN && what != SUSPEND_ADJUST))
                lasting->asked = what;
        if (lasting->msg_posted)
                return;
        lasting->msg_posted = true;
        lasting->msg.on_message = on_asked;
        kc_actor_post(control_of(job), &lasting->msg);
}

void job_on_suspend_obeyed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct job *job = kc_container_of(msg, struct run, suspend_msg)->job;

        job->lasting->suspend_obeyed = true;
        job_check_run_gone(job);
}
