/* Accounts: reports become fates of ranges and errors of endpoints; the result is read off them. */
#include "copy/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "copy/chunk.h"
#include "copy/job.h"

/* ---- errors: of each endpoint the lowest place is kept */

static bool keep_error(struct job_error *error, uint64_t *kept_bytes, uint64_t at_bytes, uint64_t start_bytes)
{
        if (error->error.code < 0 && *kept_bytes <= at_bytes)
                return false;
        memset(error, 0, sizeof *error);
        error->has_sector = at_bytes != RUN_NO_PLACE;
        if (error->has_sector)
                error->sector = (start_bytes + at_bytes) / KC_SECTOR_BYTES;
        *kept_bytes = at_bytes;
        return true;
}

/* The words for an error at a place of a device; the class says what there is to say beyond the errno. */
static void set_error(const struct run *run, struct job_error *error, int status, enum kc_class class,
    const char *device, const char *what)
{
        char timeout[80];
        const char *why = class == KC_CLASS_TIMEOUT    ? timeout
                          : class == KC_CLASS_PROTOCOL ? "the server broke the protocol"
                          : status == -ENOTCONN        ? "the connection to the server was lost"
                          : status == -EFBIG
                              ? "larger than the file system or a file size limit (ulimit -f) allows"
                              : strerror(-status);

        snprintf(timeout, sizeof timeout, "no answer within %g s, the job's timeout for each request",
            (double)run->facts.timeout_ns / 1e9);
        if (error->has_sector)
                kc_error_set(&error->error, status, class, "%s: %s at sector %llu: %s", device, what,
                    (unsigned long long)error->sector, why);
        else
                kc_error_set(&error->error, status, class, "%s: %s: %s", device, what, why);
}

void run_endpoint_gone(struct run *run, unsigned endpoint)
{
        if (endpoint == 0)
                run->source_gone = true;
        else
                run->dests_gone |= 1ull << (endpoint - 1);
}

/* Nothing has reached any destination yet. */
static bool nothing_done(const struct run *run)
{
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (ledger_sum(&run->dests[d].ledger, LEDGER_UNTOUCHED) < run->facts.length_bytes ||
                    run->dests[d].lost_bytes > 0 || run->dests[d].resize_sent)
                        return false;
        return true;
}

void run_dest_failed(struct run *run, unsigned d, int status, enum kc_class class, uint64_t at_bytes,
    bool gone, const char *what)
{
        struct run_dest *dest = &run->dests[d];
        const char *device = run->leg->endpoints[1 + d].port->name;

        if (keep_error(&dest->error, &dest->error_bytes, at_bytes, run->facts.to_start_bytes[d]))
                set_error(run, &dest->error, status, class, device, what);
        if (gone)
                run_endpoint_gone(run, 1 + d);
        run->stale |= status == -ENOTCONN;
        switch (run->spec->options.policy) {
        case COPY_POLICY_STOP:
                run_stop(run, dest->error.error.message);
                break;
        case COPY_POLICY_CONTINUE:
                run_drop(run, d);
                break;
        case COPY_POLICY_IGNORE:
                if (gone) /* nothing that comes later could succeed */
                        run_drop(run, d);
                break;
        }
}

void run_flush_failed(struct run *run, unsigned d, const struct flush_ticket *ticket)
{
        run->dests[d].in_doubt = true;
        run_dest_failed(run, d, ticket->status, ticket->class, RUN_NO_PLACE,
            ticket->class == KC_CLASS_TIMEOUT || ticket->class == KC_CLASS_TRANSPORT, "flush");
}

void run_source_failed(struct run *run, int status, enum kc_class class, uint64_t at_bytes, bool gone)
{
        const char *device = run->leg->endpoints[0].port->name;

        if (keep_error(&run->source_error, &run->source_error_bytes, at_bytes, run->facts.from_start_bytes))
                set_error(run, &run->source_error, status, class, device, "read");
        if (!gone && !run->done_posted &&
            keep_error(&run->bad_error, &run->bad_error_bytes, at_bytes, run->facts.from_start_bytes))
                set_error(run, &run->bad_error, status, class, device, "read");
        if (gone)
                run_endpoint_gone(run, 0);
        run->stale |= status == -ENOTCONN;
        if (gone || run->spec->options.policy != COPY_POLICY_IGNORE)
                run_stop(run, run->source_error.error.message);
}

/* ---- fates */

static void put(struct run *run, unsigned d, uint64_t start_bytes, uint64_t end_bytes, enum ledger_fate fate)
{
        if (start_bytes < end_bytes && ledger_put(&run->dests[d].ledger, start_bytes, end_bytes, fate) < 0) {
                /* What cannot be recorded is not claimed: what has changed, or may have, counts as in doubt.
                 */
                if (fate != LEDGER_UNTOUCHED && fate != LEDGER_SKIPPED)
                        run->dests[d].lost_bytes += end_bytes - start_bytes;
                run_no_memory(run);
        }
}

static void put_data(struct run *run, const struct report *report, const struct report_write *w)
{
        bool declared = run->facts.zero_mask >> w->destination & 1;
        uint64_t at_bytes = 0;

        for (unsigned i = 0; i < report->n_pieces && at_bytes < w->done_bytes; i++) {
                const struct zeroes_piece *piece = &report->pieces[i];
                uint64_t end_bytes = at_bytes + piece->length_bytes;
                enum ledger_fate fate = !piece->zero ? LEDGER_COPIED
                                        : declared   ? LEDGER_SKIPPED
                                                     : LEDGER_ZEROED;

                if (end_bytes > w->done_bytes)
                        end_bytes = w->done_bytes;
                put(run, w->destination, report->start_bytes + at_bytes, report->start_bytes + end_bytes,
                    fate);
                at_bytes = end_bytes;
        }
}

/* A range that could not be read, and will be tried again in smaller pieces: it has no fate, and is no error
 * yet. One that is tried again and is read is none any more. */
static bool becomes_suspect(struct run *run, const struct report *report)
{
        bool media = report->read_class == KC_CLASS_MEDIA && !report->read_dead;
        unsigned n_tries = suspects_tries(&run->suspects, report->start_bytes);

        if (run->suspects.n > 0 && suspects_clear(&run->suspects, report->start_bytes, report->end_bytes) < 0)
                return false; /* then it is tried once more than it need be */
        return report->read_status < 0 && media && report->span->kind == SPAN_DATA && run_going(run) &&
               suspects_add(&run->suspects, report->start_bytes, report->end_bytes, run->facts.align_bytes,
                   n_tries + 1) == 0;
}

/* What was not done though nothing is wrong with it has no fate: another run does it. It is what a lost
 * endpoint or a stop has cut short. */
static bool is_left_open(const struct run *run, const struct report *report, const struct report_write *w)
{
        if (!run->checkpoint)
                return false;
        if (report->read_status < 0)
                return report->read_dead || report->read_class == KC_CLASS_CANCELLED;
        return w->dead || w->class == KC_CLASS_CANCELLED;
}

static void account_write(
    struct run *run, const struct report *report, const struct report_write *w, bool suspect)
{
        struct run_dest *dest = &run->dests[w->destination];
        uint64_t start_bytes = report->start_bytes, done_end_bytes = start_bytes + w->done_bytes;
        uint64_t doubt_end_bytes = done_end_bytes + w->doubt_bytes;
        enum span_kind kind = report->span->kind;

        if (kind == SPAN_ZERO || (kind == SPAN_TAIL && run->facts.zero_job))
                put(run, w->destination, start_bytes, done_end_bytes, LEDGER_ZEROED);
        else if (kind == SPAN_TAIL || w->as_data)
                put(run, w->destination, start_bytes, done_end_bytes, LEDGER_COPIED);
        else
                put_data(run, report, w);
        if (suspect) {
                /* nothing of it was written */
        } else if (is_left_open(run, report, w)) {
                dest->lost_bytes += w->doubt_bytes;
        } else {
                put(run, w->destination, done_end_bytes, doubt_end_bytes, LEDGER_INDETERMINATE);
                put(run, w->destination, doubt_end_bytes, report->end_bytes, LEDGER_UNTOUCHED);
        }

        run->accounted_bytes += report->end_bytes - start_bytes;
        dest->pinned |= w->pinned;
        if (report->adrift && w->doubt_bytes > 0) {
                if (dest->adrift_end_bytes == 0 || done_end_bytes < dest->adrift_start_bytes)
                        dest->adrift_start_bytes = done_end_bytes;
                if (doubt_end_bytes > dest->adrift_end_bytes)
                        dest->adrift_end_bytes = doubt_end_bytes;
        }
        /* What a stop cut short has no fault of its own. */
        if (w->status < 0 && w->class != KC_CLASS_CANCELLED)
                run_dest_failed(run, w->destination, w->status, w->class, w->bad_bytes, w->dead,
                    kind == SPAN_ZERO ? "zero" : "write");
}

void run_account(struct run *run, const struct report *report)
{
        bool suspect = becomes_suspect(run, report);

        for (unsigned i = 0; i < report->n_writes; i++)
                account_write(run, report, &report->writes[i], suspect);
        if (report->adrift)
                run->n_adrift++;
        if (report->read_status >= 0 || suspect)
                return;
        if (report->read_class == KC_CLASS_MEDIA && !report->read_dead && !run->done_posted &&
            bad_ranges_add(&run->bad, report->start_bytes, report->end_bytes) < 0)
                run_no_memory(run);
        run_source_failed(
            run, report->read_status, report->read_class, report->start_bytes, report->read_dead);
}

/* ---- results */

/* A destination that is not complete always has an error: its own, or the job's. */
static void explain(const struct run *run, struct job_error *error)
{
        if (error->error.code < 0)
                return;
        if (run->source_error.error.code < 0)
                kc_error_set(&error->error, -ECANCELED, KC_CLASS_STOPPED, "not complete: %s",
                    run->source_error.error.message);
        else if (run->cancelled)
                kc_error_set(
                    &error->error, -ECANCELED, KC_CLASS_CANCELLED, "not complete: %s", run->cancel_reason);
        else if (run->no_memory)
                kc_error_set(&error->error, -ENOMEM, KC_CLASS_INTERNAL, "not complete: %s", run->stop_reason);
        else
                kc_error_set(&error->error, -ECANCELED, KC_CLASS_STOPPED,
                    "not complete: the job was stopped: %s", run->stop_reason);
}

void run_fill_destination(const struct run *run, unsigned d, struct job_destination_result *ret_result)
{
        const struct run_dest *dest = &run->dests[d];
        struct job_ledger *ledger = &ret_result->ledger;

        *ret_result = (struct job_destination_result){
            .ledger =
                {
                    .copied = ledger_sum(&dest->ledger, LEDGER_COPIED),
                    .zeroed = ledger_sum(&dest->ledger, LEDGER_ZEROED),
                    .skipped = ledger_sum(&dest->ledger, LEDGER_SKIPPED),
                    .indeterminate = ledger_sum(&dest->ledger, LEDGER_INDETERMINATE),
                    .untouched = ledger_sum(&dest->ledger, LEDGER_UNTOUCHED),
                },
            .error = dest->error,
            .durable = dest->durable && dest->error.error.code == 0,
            .sure_copied_bytes = dest->sure_copied_bytes,
            .sure_zeroed_bytes = dest->sure_zeroed_bytes,
            .flushed_ns = dest->flushed_ns,
            .done = kc_sm_state(&dest->sm) == DEST_DONE,
            .detached = dest->detached,
        };
        ledger->indeterminate += dest->lost_bytes;
        ledger->untouched -= dest->lost_bytes;
        if (dest->in_doubt) {
                ledger->indeterminate += ledger->copied - dest->sure_copied_bytes;
                ledger->indeterminate += ledger->zeroed - dest->sure_zeroed_bytes;
                ledger->copied = dest->sure_copied_bytes;
                ledger->zeroed = dest->sure_zeroed_bytes;
        }
        if (ret_result->done && ledger->indeterminate + ledger->untouched > 0) {
                explain(run, &ret_result->error);
                ret_result->durable = false;
        }
}

void run_fill_result(struct run *run)
{
        struct job_result *result = run->result;

        run->stale &= nothing_done(run);
        result->length_bytes = run->facts.length_bytes;
        result->elapsed_ns = kc_actor_now_ns(run->home) - run->started_ns;
        result->source_error = run->source_error;
        result->bad = run->bad;
        run->bad = (struct bad_ranges){0};
        result->read_err = run->source_error.error.code < 0;
        result->n_destinations = run->facts.n_to;
        result->durable = true;
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                struct job_destination_result *out = &result->destinations[d];

                run_fill_destination(run, d, out);
                if (!out->done || out->error.error.code < 0) {
                        explain(run, &out->error);
                        out->durable = false;
                        result->write_err |= 1ull << d;
                }
                out->done = true;
                result->durable &= out->durable;
        }
        if (!result->read_err && result->write_err == 0)
                result->state = JOB_COMPLETED;
        else
                result->state = run->cancelled ? JOB_CANCELLED : JOB_FAILED;
}

/* ---- what people see meanwhile */

static bool waits_for_extents(const struct run *run)
{
        bool waits = cursor_waits(&run->main);

        for (unsigned d = 0; d < run->facts.n_to; d++)
                waits |= run->dests[d].cursor && cursor_waits(run->dests[d].cursor);
        return waits;
}

static void describe_stall(struct run *run, uint64_t now_ns)
{
        uint64_t since_ns = now_ns - run->last_report_ns;
        const char *device = NULL;

        run->snapshot.reason[0] = '\0';
        if (since_ns < 3000000000ull)
                return;
        for (unsigned d = 0; d < run->facts.n_to && !device; d++)
                if (run->dests[d].resizing || run->dests[d].flushing)
                        device = run->leg->endpoints[1 + d].port->name;
        if (!device && waits_for_extents(run))
                device = run->leg->endpoints[0].port->name;
        kc_list_for_each (pos, &run->leg->chunks) {
                if (!device)
                        device = chunk_stalled_on(kc_list_entry(pos, struct chunk, leg_node));
        }
        if (device)
                snprintf(run->snapshot.reason, sizeof run->snapshot.reason, "stalled on %.100s since %llu s",
                    device, (unsigned long long)(since_ns / 1000000000ull));
}

static void on_snapshot_back(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run *run = kc_container_of(msg, struct run, snapshot.msg);

        run->snapshot.posted = false;
        run_work(run);
}

void run_snapshot_return(struct run *run)
{
        run->snapshot.msg.on_message = on_snapshot_back;
        kc_actor_post(run->home, &run->snapshot.msg);
}

void run_snapshot(struct run *run)
{
        uint64_t now_ns = kc_actor_now_ns(run->home), span_ns = now_ns - run->progress_ns;
        uint64_t done_bytes = UINT64_MAX; /* of the one that will be last: it decides the time that is left */

        if (run->snapshot.posted || run->done_posted)
                return;
        run->snapshot_wanted = false;
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                struct job_destination_result *out = &run->snapshot.destinations[d];
                uint64_t bytes;

                run_fill_destination(run, d, out);
                bytes = out->ledger.copied + out->ledger.zeroed + out->ledger.skipped;
                if (!out->done && bytes < done_bytes)
                        done_bytes = bytes;
        }
        if (done_bytes < run->progress_done_bytes) /* another one is last now */
                run->progress_done_bytes = done_bytes;
        else if (span_ns >= 50000000ull && done_bytes != UINT64_MAX) {
                double rate = (double)(done_bytes - run->progress_done_bytes) * 1e9 / (double)span_ns;
                double old = (double)run->snapshot.rate_bytes_per_s;

                run->snapshot.rate_bytes_per_s = (uint64_t)(old > 0 ? old * 0.7 + rate * 0.3 : rate);
                run->progress_ns = now_ns;
                run->progress_done_bytes = done_bytes;
        }
        describe_stall(run, now_ns);
        run->snapshot.posted = true;
        run->snapshot.msg.on_message = job_on_run_snapshot;
        kc_actor_post(run->control, &run->snapshot.msg);
}
