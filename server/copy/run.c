/* The run's story. See run.h. */
#include "copy/run.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "copy/job.h"

/* How long the end waits for legs before it is told with something still out. */
#define END_GRACE_NS (20 * KC_NS_PER_MS)

/* ---- time */

void run_timer_at(struct run *run, uint64_t at_ns)
{
        if (kc_sm_state(&run->sm) == RUN_DRAINED)
                return;
        if (!run->timer.armed || at_ns < run->timer.deadline_ns)
                kc_actor_timer_start(run->home, &run->timer, at_ns);
}

bool run_going(const struct run *run)
{
        return kc_sm_state(&run->sm) <= RUN_COPYING;
}

/* ---- stopping and dropping */

static void order_all(struct run *run)
{
        for (unsigned i = 0; i < run->n_legs; i++)
                if (run->legs[i].ready)
                        leg_order(&run->legs[i]);
}

void run_stop(struct run *run, const char *why)
{
        if (!run_going(run))
                return;
        snprintf(run->stop_reason, sizeof run->stop_reason, "%s", why);
        kc_sm_move(&run->sm, RUN_STOPPING);
        run->grace_ns = kc_actor_now_ns(run->home) + run->cancel_grace_ns;
        run_timer_at(run, run->grace_ns);
        for (unsigned i = 0; i < run->n_legs; i++)
                run->legs[i].wanted.stop = true;
        order_all(run);
}

void run_no_memory(struct run *run)
{
        run->no_memory |= run_going(run);
        run_stop(run, "the server is out of memory");
}

void run_drop(struct run *run, unsigned d)
{
        if (run->dests[d].dropped)
                return;
        run->dests[d].dropped = true;
        for (unsigned i = 0; i < run->n_legs; i++)
                run->legs[i].wanted.strip_mask |= 1ull << d;
        order_all(run);
}

static void abandon(struct run *run)
{
        run->abandoned = true;
        for (unsigned i = 0; i < run->n_legs; i++)
                run->legs[i].wanted.abandon = true;
        order_all(run);
}

/* ---- the end: legs first, then the word to control */

static void post_done(struct run *run, bool drained)
{
        run->done_posted = true;
        run->drained = drained;
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                const struct run_dest *dest = &run->dests[d];

                run->held[d] = (struct run_held){
                    .device = dest->pinned || dest->flushing || dest->resizing || checkpoint_flushes(run, d),
                    .whole = dest->resizing,
                    .start_bytes = dest->adrift_start_bytes,
                    .end_bytes = dest->adrift_end_bytes,
                };
        }
        run_fill_result(run);
        run->done_msg.on_message = job_on_run_done;
        kc_actor_post(run->control, &run->done_msg);
}

static void maybe_drained(struct run *run)
{
        if (run->legs_open > 0 || run->n_fetching > 0 || run->n_flushing > 0 || run->n_resizing > 0 ||
            run->snapshot.posted || run->leg->kills > 0 || checkpoint_out(run->checkpoint))
                return;
        kc_actor_timer_stop(run->home, &run->timer);
        kc_sm_move(&run->sm, RUN_DRAINED);
        run->legs_told = run->legs_gone;
        if (!run->done_posted) {
                post_done(run, true);
                return;
        }
        run->drained_msg.on_message = job_on_run_drained;
        kc_actor_post(run->control, &run->drained_msg);
}

static void end(struct run *run)
{
        kc_sm_move(&run->sm, RUN_ENDING);
        /* What was out once may have settled long ago: the legs' answers tell. If it has not, it may stay out
         * for long, and the terminal event does not wait for it. */
        if (run->n_adrift > 0 || run->n_fetching > 0 || run->n_flushing > 0 || run->n_resizing > 0 ||
            checkpoint_out(run->checkpoint)) {
                run->grace_ns = kc_actor_now_ns(run->home) + END_GRACE_NS;
                run_timer_at(run, run->grace_ns);
        }
        for (unsigned i = 0; i < run->n_legs; i++) {
                run->legs[i].wanted.end = true;
                if (run->legs[i].ready)
                        leg_order(&run->legs[i]);
        }
        maybe_drained(run);
}

/* ---- destinations: copying → (flushing) → done */

static void destination_done(struct run *run, struct run_dest *dest)
{
        kc_sm_move(&dest->sm, DEST_DONE);
        run->snapshot_wanted = true;
}

static void on_flushed(struct flush_ticket *ticket)
{
        struct run_dest *dest = kc_container_of(ticket, struct run_dest, flush);
        struct run *run = dest->run;
        unsigned d = (unsigned)(dest - run->dests);

        run->n_flushing--;
        dest->flushing = false;
        run->last_report_ns = kc_actor_now_ns(run->home);
        if (run->done_posted) { /* it was abandoned: what it says comes too late */
                run_work(run);
                return;
        }
        if (ticket->status == 0) {
                dest->durable = true;
                dest->flushed_ns = ticket->answered_ns;
        }
        destination_done(run, dest);
        if (ticket->status < 0)
                run_flush_failed(run, d, ticket);
        run_work(run);
}

static void flush_destination(struct run *run, unsigned d)
{
        struct run_dest *dest = &run->dests[d];
        const struct endpoint_info *info = run->leg->endpoints[1 + d].port_info;
        enum copy_durability durability = run->spec->options.durability;
        bool fua = durability == COPY_DURABILITY_FUA && info->can_fua && !run->to_regions[d].resize;

        if (durability == COPY_DURABILITY_NONE || fua || !info->can_flush) {
                dest->durable = fua;
                destination_done(run, dest);
                return;
        }
        kc_sm_move(&dest->sm, DEST_FLUSHING);
        dest->flushing = true;
        run->n_flushing++;
        dest->flush.port = run->leg->endpoints[1 + d].home_port;
        dest->flush.reply_to = run->home;
        dest->flush.timeout_ns = run->facts.timeout_ns;
        dest->flush.on_flushed = on_flushed;
        port_flush(&dest->flush);
}

/* Everything of it has a fate and nothing is out: the last write was answered before the file is cut and the
 * flush sent. */
static void finish_destinations(struct run *run)
{
        for (unsigned d = 0; d < run->facts.n_to && run_going(run); d++) {
                struct run_dest *dest = &run->dests[d];

                if (kc_sm_state(&dest->sm) != DEST_COPYING || dest->outstanding_bytes > 0 ||
                    checkpoint_flushes(run, d)) /* which may fail yet */
                        continue;
                if (dest->dropped)
                        destination_done(run, dest);
                else if (ledger_full(&dest->ledger) && !dest->resizing && !run_cut(run, d))
                        flush_destination(run, d);
        }
}

static bool all_done(const struct run *run)
{
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (kc_sm_state(&run->dests[d].sm) != DEST_DONE)
                        return false;
        return true;
}

/* ---- destinations that hold the others up */

void run_on_notice(struct kc_actor *actor, struct kc_msg *msg)
{
        struct leg *leg = kc_container_of(msg, struct leg, notice_msg);
        struct run *run = leg->run;
        uint64_t mask = leg->notice_mask & run_main_mask(run);

        if (run_going(run) && !run->spec->options.strict_once && mask && mask != run_main_mask(run))
                for (unsigned d = 0; d < run->facts.n_to; d++)
                        if (mask >> d & 1)
                                run_detach(run, d);
        leg_notice_taken(leg);
        run_work(run);
}

/* ---- what comes back from legs */

static void not_outstanding(struct run *run, uint64_t mask, uint64_t bytes)
{
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (mask >> d & 1)
                        run->dests[d].outstanding_bytes -= bytes;
}

static void maybe_free(struct run *run, struct span *span)
{
        if (!span->returned || span->known_bytes < span->end_bytes - span->start_bytes)
                return;
        if (span->cursor > 0)
                run->dests[span->cursor - 1].cursor->n_spans--;
        run->n_spans--;
        free(span);
}

void run_on_span_back(struct kc_actor *actor, struct kc_msg *msg)
{
        struct span *span = kc_container_of(msg, struct span, msg);
        struct run *run = span->run;

        span->returned = true;
        span->leg->n_spans--;
        span->known_bytes += span->end_bytes - span->next_bytes;
        not_outstanding(run, span->mask, span->end_bytes - span->next_bytes);
        if (span->refused)
                run_no_memory(run);
        maybe_free(run, span);
        run_work(run);
}

void run_on_report(struct kc_actor *actor, struct kc_msg *msg)
{
        struct report *report = kc_container_of(msg, struct report, msg);
        struct span *span = report->span;
        struct run *run = span->run;

        run->last_report_ns = kc_actor_now_ns(run->home);
        if (!report->early)
                span->known_bytes += report->end_bytes - report->start_bytes;
        not_outstanding(run, report->mask, report->end_bytes - report->start_bytes);
        run_account(run, report);
        if (span->cursor > 0 && span->kind == SPAN_DATA && report->read_status == 0 &&
            report->writes[0].status == 0)
                window_completed(&run->dests[span->cursor - 1].cursor->window,
                    report->end_bytes - report->start_bytes, report->took_ns, true, run->last_report_ns);
        free(report);
        maybe_free(run, span);
        run_work(run);
}

void run_on_orders_obeyed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct leg *leg = kc_container_of(msg, struct leg, orders_msg);
        struct run *run = leg->run;

        leg->orders_posted = false;
        if (leg->orders.end) {
                leg->ready = false;
                run->legs_open--;
                run->legs_gone++;
                if (kc_sm_state(&run->sm) == RUN_DRAINED) { /* it came when everything was over */
                        leg->orders_msg.on_message = job_on_late_leg;
                        kc_actor_post(run->control, &leg->orders_msg);
                        return;
                }
        } else if (!leg_same_orders(&leg->orders, &leg->wanted)) {
                leg_order(leg);
        }
        run_work(run);
}

static void on_cancel(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run *run = kc_container_of(msg, struct run, cancel_msg);

        if (run_going(run)) {
                run->cancelled = true;
                run_stop(run, "cancelled");
        }
        run_work(run);
        run->cancel_msg.on_message = job_on_cancel_obeyed;
        kc_actor_post(run->control, &run->cancel_msg);
}

static void on_suspend(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run *run = kc_container_of(msg, struct run, suspend_msg);

        if (run_going(run)) {
                run->suspended = true;
                run_stop(run, run->suspend_reason);
        }
        run_work(run);
        run->suspend_msg.on_message = job_on_suspend_obeyed;
        kc_actor_post(run->control, &run->suspend_msg);
}

void run_suspend(struct run *run, const char *why)
{
        run->suspend_reason = why;
        run->suspend_msg.on_message = on_suspend;
        kc_actor_post(run->home, &run->suspend_msg);
}

void run_cancel(struct run *run, const char *reason)
{
        run->cancel_reason = reason;
        run->cancel_msg.on_message = on_cancel;
        kc_actor_post(run->home, &run->cancel_msg);
}

/* ---- the story: whatever happened, this says what is next */

/* Whether another run may go on from here: what can be told of how far it is, is. */
static bool may_go_on(const struct run *run)
{
        return run->checkpoint && !run->cancelled &&
               (run->suspended || run->source_gone || run->dests_gone != 0);
}

/* Answers are waited for until the grace is over; after that only for the reports. Nobody needs extents any
 * more. */
static bool is_settled(struct run *run)
{
        if (run->n_spans > 0 || (!run->abandoned && run->n_flushing + run->n_resizing > 0))
                return false;
        if (may_go_on(run))
                return !checkpoint_last(run);
        return run->abandoned || !checkpoint_out(run->checkpoint);
}

void run_work(struct run *run)
{
        switch (kc_sm_state(&run->sm)) {
        case RUN_PREPARING:
        case RUN_COPYING:
                run_maybe_copy(run);
                run_deal(run);
                checkpoint_poll(run);
                finish_destinations(run);
                if (run_going(run) && all_done(run) && run->n_spans == 0 &&
                    !checkpoint_out(run->checkpoint)) {
                        end(run);
                        return;
                }
                if (run->snapshot_wanted && run_going(run))
                        run_snapshot(run);
                if (run_going(run))
                        return;
                /* fallthrough: something just stopped it */
                __attribute__((fallthrough));
        case RUN_STOPPING:
                if (is_settled(run))
                        end(run);
                return;
        case RUN_ENDING:
                maybe_drained(run);
                return;
        default:
                return;
        }
}

void run_on_timer(struct kc_timer *timer)
{
        struct run *run = kc_container_of(timer, struct run, timer);
        uint64_t now_ns = kc_actor_now_ns(run->home);

        if (kc_sm_state(&run->sm) == RUN_STOPPING && !run->abandoned) {
                if (now_ns >= run->grace_ns)
                        abandon(run);
                else
                        run_timer_at(run, run->grace_ns);
        }
        if (kc_sm_state(&run->sm) == RUN_ENDING && !run->done_posted) {
                if (now_ns >= run->grace_ns)
                        post_done(run, false);
                else
                        run_timer_at(run, run->grace_ns);
        }
        run_check_fetches(run, now_ns);
        run_check_resizes(run, now_ns);
        if (now_ns >= run->progress_ns + run->progress_interval_ns)
                run->snapshot_wanted = true;
        if (run_going(run))
                run_timer_at(run, now_ns + run->progress_interval_ns);
        run_work(run);
}
