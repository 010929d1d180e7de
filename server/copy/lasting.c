/* Jobs that outlive their runs: see lasting.h. */
#include "copy/lasting.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"
#include "copy/job.h"

#define NS_PER_S 1000000000ull

static struct kc_actor *control_of(const struct job *job)
{
        return job->engine->control;
}

static uint64_t now(const struct job *job)
{
        return kc_actor_now_ns(control_of(job));
}

/* ---- its record */

struct lasting *lasting_new(struct job *job)
{
        struct lasting *lasting = calloc(1, sizeof *lasting);

        if (!lasting)
                return NULL;
        lasting->job = job;
        kc_list_init(&lasting->unlocked_node);
        kc_timer_init(&lasting->timer, lasting_on_timer);
        return lasting;
}

void lasting_free(struct lasting *lasting)
{
        if (!lasting)
                return;
        kc_actor_timer_stop(control_of(lasting->job), &lasting->timer);
        kc_list_del(&lasting->unlocked_node);
        journal_free(lasting->journal);
        store_mark_free(lasting->mark);
        free(lasting->spec);
        free(lasting);
}

void job_tell(struct job *job, const struct job_event *event)
{
        struct lasting *lasting = job->lasting;

        if (!lasting || !lasting->journal || event->type == JOB_EVENT_PROGRESS)
                engine_emit(job->engine, event);
        else if (lasting->end_told) /* the last word is on its way */
                return;
        else if (journal_tell(lasting->journal, event) < 0)
                kc_log_warning(
                    "copy", "out of memory: an event is not told job=%llu", (unsigned long long)job->id);
}

/* ---- how far it is */

static void mark_changed(struct job *job)
{
        struct lasting *lasting = job->lasting;

        if (lasting->journal)
                journal_mark(lasting->journal);
        else
                lasting_on_stored(job, true);
}

/* Its end is about to be stored, or is. */
static bool has_ended(const struct job *job)
{
        return job->result && !job->lasting->goes_on;
}

void job_on_checkpoint(struct kc_actor *actor, struct kc_msg *msg)
{
        struct checkpoint *checkpoint = kc_container_of(msg, struct checkpoint, msg);
        struct job *job = checkpoint->run->job;
        struct lasting *lasting = job->lasting;

        if (has_ended(job)) { /* what it says comes too late */
                checkpoint_return(checkpoint);
                return;
        }
        if (bad_ranges_copy(&lasting->mark->bad, &checkpoint->bad) <
            0) { /* then it goes on from an older one */
                checkpoint_return(checkpoint);
                return;
        }
        lasting->mark->ends[0].error = checkpoint->bad_error;
        lasting->mark->ends[0].error_bytes = checkpoint->bad_error_bytes;
        for (unsigned d = 0; d < job->spec->n_to; d++) {
                struct store_mark_end *end = &lasting->mark->ends[1 + d];

                if (!checkpoint->dests[d].good || end->told)
                        continue;
                if (ledger_copy(&end->ledger, &checkpoint->dests[d].ledger) < 0)
                        continue; /* likewise */
                end->error = checkpoint->dests[d].error;
                end->error_bytes = checkpoint->dests[d].error_bytes;
        }
        lasting->marking = true;
        mark_changed(job);
}

void lasting_destination_done(struct job *job, unsigned d, const struct job_destination_result *result)
{
        const uint64_t sums_bytes[LEDGER_N_FATES] = {
            [LEDGER_COPIED] = result->ledger.copied,
            [LEDGER_ZEROED] = result->ledger.zeroed,
            [LEDGER_SKIPPED] = result->ledger.skipped,
            [LEDGER_INDETERMINATE] = result->ledger.indeterminate,
            [LEDGER_UNTOUCHED] = result->ledger.untouched,
        };
        struct store_mark_end *end = &job->lasting->mark->ends[1 + d];
        const struct job_event event = {
            .type = JOB_EVENT_DESTINATION_DONE,
            .job_id = job->id,
            .client = job->client,
            .spec = job->spec,
            .state = JOB_RUNNING,
            .reason = "",
            .index = d,
            .destination = result,
        };

        assert(!end->told);
        ledger_settle(&end->ledger, sums_bytes);
        end->error = result->error;
        end->told = true;
        end->durable = result->durable;
        if (job->lasting->journal)
                journal_mark(job->lasting->journal); /* in one update with the event */
        job_tell(job, &event);
}

bool lasting_told(const struct job *job, unsigned end)
{
        return end > 0 && job->lasting->mark && job->lasting->mark->ends[end].told;
}

bool lasting_suspending(const struct job *job)
{
        return job->lasting->suspend_posted && !job->lasting->suspend_obeyed;
}

int lasting_prepare(struct job *job, struct run *run)
{
        const struct engine_config *config = &job->engine->config;
        struct lasting *lasting = job->lasting;

        kc_list_del(&lasting->unlocked_node); /* it has them now */
        if (lasting->resumed) {
                if (run_go_on(run, lasting->mark) < 0)
                        return -ENOMEM;
                for (unsigned d = 0; d < job->spec->n_to; d++)
                        lasting_fill(job, d, &run->view[d]);
        }
        if (!lasting->journal && job->spec->lasting->retry_for_ns == 0) /* nothing comes after this run */
                return 0;
        run->checkpoint =
            checkpoint_new(run, job->spec->n_to, config->checkpoint_ns, config->checkpoint_bytes);
        return run->checkpoint ? 0 : -ENOMEM;
}

bool lasting_fill(const struct job *job, unsigned d, struct job_destination_result *ret_result)
{
        const struct store_mark_end *end = job->lasting->mark ? &job->lasting->mark->ends[1 + d] : NULL;
        struct job_ledger *ledger = &ret_result->ledger;
        uint64_t doubt_bytes;

        if (!end || (!job->lasting->resumed && !end->told))
                return false;
        *ledger = (struct job_ledger){
            .copied = ledger_sum(&end->ledger, LEDGER_COPIED),
            .zeroed = ledger_sum(&end->ledger, LEDGER_ZEROED),
            .skipped = ledger_sum(&end->ledger, LEDGER_SKIPPED),
            .indeterminate = ledger_sum(&end->ledger, LEDGER_INDETERMINATE),
            .untouched = ledger_sum(&end->ledger, LEDGER_UNTOUCHED),
        };
        if (end->told) {
                ret_result->error = end->error;
                ret_result->durable = end->durable;
                ret_result->done = true;
                return true;
        }
        doubt_bytes = kc_min_u64(end->doubt_bytes, ledger->untouched);
        ledger->indeterminate += doubt_bytes;
        ledger->untouched -= doubt_bytes;
        return false;
}

void lasting_fill_source(const struct job *job, struct job_result *result)
{
        const struct store_mark *mark = job->lasting->mark;

        if (!mark || mark->ends[0].error.error.code == 0)
                return;
        result->source_error = mark->ends[0].error;
        result->read_err = true;
        (void)bad_ranges_copy(&result->bad, &mark->bad); /* no memory: the first one is in the error */
}

void lasting_stop(struct job *job)
{
        kc_list_del(&job->lasting->unlocked_node);
        kc_actor_timer_stop(control_of(job), &job->lasting->timer);
}

/* ---- from the run */

void lasting_created(struct job *job, unsigned d, const struct io_identity *identity)
{
        struct store_mark_end *end = &job->lasting->mark->ends[1 + d];

        snprintf(end->identity, sizeof end->identity, "%s", identity->key);
        snprintf(end->instance, sizeof end->instance, "%s", identity->instance);
        if (job->lasting->journal && !has_ended(job))
                journal_mark(job->lasting->journal);
}

/* ---- what is stored */

static void release_run(struct job *job)
{
        if (!job->lasting->marking)
                return;
        job->lasting->marking = false;
        checkpoint_return(job->run->checkpoint);
}

/* The server stops, and it has only waited for what is stored by now, or cannot be. */
static void leave_if_halted(struct job *job)
{
        if (job->lasting->suspended == SUSPEND_SHUTDOWN && !job->run && !job->resolve && !job->on_let_go &&
            !job->lasting->msg_posted && !job->result && journal_may_be_left(job->lasting->journal))
                job_leave(job);
}

/* More than ever before: what is lost over and over at the same place is given up in the end. */
static void note_progress(struct job *job)
{
        struct lasting *lasting = job->lasting;
        uint64_t done_bytes = 0;

        for (unsigned d = 0; d < job->spec->n_to; d++)
                done_bytes +=
                    job->length_bytes - ledger_sum(&lasting->mark->ends[1 + d].ledger, LEDGER_UNTOUCHED);
        if (done_bytes <= lasting->best_bytes)
                return;
        lasting->best_bytes = done_bytes;
        lasting->lost_since_ns = 0;
}

void lasting_on_stored(struct job *job, bool marked)
{
        struct lasting *lasting = job->lasting;
        struct engine *engine = job->engine;

        if (marked) {
                note_progress(job);
                release_run(job);
        }
        if (lasting->end_told && !journal_busy(lasting->journal))
                job_end_stored(job);
        else
                leave_if_halted(job);
        lasting_overwriters_go_on(engine);
}

/* Else the run waits: it does not copy on and on without a checkpoint. */
void lasting_on_store_trouble(struct job *job)
{
        if (job->lasting->suspended == SUSPEND_SHUTDOWN)
                release_run(job);
        leave_if_halted(job);
}

void lasting_on_taken_over(struct job *job, const struct kc_error *error)
{
        kc_log_error(
            "copy", "a job is somebody else's by now: left to him job=%llu", (unsigned long long)job->id);
        lasting_ask(job, SUSPEND_SHUTDOWN, NULL);
        lasting_overwriters_go_on(job->engine);
}

bool lasting_holds_end(struct job *job)
{
        struct lasting *lasting = job->lasting;
        const struct job_event event = {
            .type = JOB_EVENT_COMPLETION,
            .job_id = job->id,
            .client = job->client,
            .spec = job->spec,
            .state = job->result->state,
            .reason = "",
            .length_bytes = job->length_bytes,
            .result = job->result,
        };

        if (!lasting || !lasting->journal || (lasting->end_told && !journal_busy(lasting->journal)))
                return false;
        if (!lasting->end_told)
                job->result->elapsed_ns = now(job) - job->accepted_ns;
        if (!lasting->end_told && journal_tell(lasting->journal, &event) == 0)
                lasting->end_told = true;
        else if (!lasting->end_told) /* no memory: soon again */
                kc_actor_timer_start(control_of(job), &lasting->timer, now(job) + NS_PER_S / 10);
        return true;
}

bool lasting_reason(const struct job *job, char *buf, size_t buf_bytes)
{
        const struct lasting *lasting = job->lasting;
        const char *trouble = lasting && lasting->journal ? journal_trouble(lasting->journal) : NULL;

        if (trouble) {
                snprintf(buf, buf_bytes, "%s", trouble);
        } else if (lasting && kc_sm_state(&job->sm) == JOB_PAUSED) {
                snprintf(buf, buf_bytes, "%s", lasting->reason);
        } else if (lasting && lasting->suspended == SUSPEND_LOST) {
                snprintf(buf, buf_bytes, "%s; lost since %llu s, tried again", lasting->lost.message,
                    (unsigned long long)((now(job) - lasting->lost_since_ns) / NS_PER_S));
        } else {
                return false;
        }
        return true;
}
