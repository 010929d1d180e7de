/* Checkpoints: see checkpoint.h. */
#include "copy/checkpoint.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "copy/job.h"
#include "copy/run.h"

struct checkpoint *checkpoint_new(
    struct run *run, unsigned n_to, uint64_t interval_ns, uint64_t interval_bytes)
{
        struct checkpoint *checkpoint = kc_zalloc(sizeof *checkpoint + n_to * sizeof checkpoint->dests[0]);

        if (!checkpoint)
                return NULL;
        checkpoint->run = run;
        checkpoint->interval_ns = interval_ns;
        checkpoint->interval_bytes = interval_bytes;
        return checkpoint;
}

void checkpoint_free(struct checkpoint *checkpoint, unsigned n_to)
{
        for (unsigned d = 0; checkpoint && d < n_to; d++)
                ledger_done(&checkpoint->dests[d].ledger);
        if (checkpoint)
                bad_ranges_done(&checkpoint->bad);
        free(checkpoint);
}

bool checkpoint_flushes(const struct run *run, unsigned d)
{
        return run->checkpoint && run->checkpoint->dests[d].flushing;
}

/* ---- the end of a round */

static void on_stored(struct kc_actor *actor, struct kc_msg *msg)
{
        struct checkpoint *checkpoint = kc_container_of(msg, struct checkpoint, msg);
        struct run *run = checkpoint->run;

        checkpoint->posted = false;
        checkpoint->last_ns = kc_actor_now_ns(run->home);
        run_work(run);
}

void checkpoint_return(struct checkpoint *checkpoint)
{
        checkpoint->msg.on_message = on_stored;
        kc_actor_post(checkpoint->run->home, &checkpoint->msg);
}

static void maybe_post(struct run *run)
{
        struct checkpoint *checkpoint = run->checkpoint;
        bool any = false;

        if (checkpoint->n_flushing > 0)
                return;
        for (unsigned d = 0; d < run->facts.n_to; d++)
                any |= checkpoint->dests[d].good;
        if (!any) {
                checkpoint->last_ns = kc_actor_now_ns(run->home);
                return;
        }
        checkpoint->posted = true;
        checkpoint->msg.on_message = job_on_checkpoint;
        kc_actor_post(run->control, &checkpoint->msg);
}

static void on_flushed(struct flush_ticket *ticket)
{
        struct checkpoint_dest *end = kc_container_of(ticket, struct checkpoint_dest, flush);
        struct run *run = end->run;
        struct run_dest *dest = &run->dests[end->d];

        run->checkpoint->n_flushing--;
        end->flushing = false;
        end->good = ticket->status == 0;
        run->last_report_ns = kc_actor_now_ns(run->home);
        if (ticket->status == 0) {
                dest->sure_copied_bytes = ledger_sum(&end->ledger, LEDGER_COPIED);
                dest->sure_zeroed_bytes = ledger_sum(&end->ledger, LEDGER_ZEROED);
        } else if (!run->done_posted) {
                run_flush_failed(run, end->d, ticket);
        }
        maybe_post(run);
        run_work(run);
}

/* ---- its beginning */

/* Of one that cannot flush nothing is ever sure: it is done again from the start. */
static bool is_wanted(const struct run *run, unsigned d)
{
        const struct run_dest *dest = &run->dests[d];

        return kc_sm_state(&dest->sm) == DEST_COPYING && !dest->dropped && !dest->in_doubt &&
               !(run->dests_gone >> d & 1) && run->leg->endpoints[1 + d].port_info->can_flush;
}

/* Returns whether it has begun. */
static bool begin(struct run *run)
{
        struct checkpoint *checkpoint = run->checkpoint;

        checkpoint->last_bytes = run->accounted_bytes;
        checkpoint->last_ns = kc_actor_now_ns(run->home);
        if (bad_ranges_copy(&checkpoint->bad, &run->bad) < 0)
                return false;
        checkpoint->bad_error = run->bad_error;
        checkpoint->bad_error_bytes = run->bad_error_bytes;
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                struct checkpoint_dest *end = &checkpoint->dests[d];

                end->good = false;
                if (!is_wanted(run, d) || ledger_copy(&end->ledger, &run->dests[d].ledger) < 0)
                        continue; /* it goes on from an older one */
                end->error = run->dests[d].error;
                end->error_bytes = run->dests[d].error_bytes;
                end->flushing = true;
                end->run = run;
                end->d = d;
                end->flush.port = run->leg->endpoints[1 + d].home_port;
                end->flush.reply_to = run->home;
                end->flush.timeout_ns = run->facts.timeout_ns;
                end->flush.on_flushed = on_flushed;
                checkpoint->n_flushing++;
        }
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (checkpoint->dests[d].flushing)
                        port_flush(&checkpoint->dests[d].flush);
        return checkpoint->n_flushing > 0;
}

void checkpoint_poll(struct run *run)
{
        struct checkpoint *checkpoint = run->checkpoint;
        uint64_t now_ns = kc_actor_now_ns(run->home), bytes;

        if (!checkpoint || checkpoint_out(checkpoint) || kc_sm_state(&run->sm) != RUN_COPYING)
                return;
        if (checkpoint->last_ns == 0)
                checkpoint->last_ns = now_ns;
        bytes = run->accounted_bytes - checkpoint->last_bytes;
        if (bytes > 0 &&
            (now_ns >= checkpoint->last_ns + checkpoint->interval_ns || bytes >= checkpoint->interval_bytes))
                (void)begin(run);
}

bool checkpoint_last(struct run *run)
{
        struct checkpoint *checkpoint = run->checkpoint;

        if (!checkpoint)
                return false;
        if (checkpoint_out(checkpoint))
                return true;
        if (checkpoint->ended)
                return false;
        checkpoint->ended = true;
        return begin(run);
}
