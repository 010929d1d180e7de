/* Dealing: which range goes to which leg next.
 *
 * The main cursor serves all destinations that keep up. One that fell behind has a cursor of its own, which
 * goes from gap to gap of its ledger and reads again what it missed. */
#include "base/alloc.h"
#include "base/num.h"
#include "copy/run.h"

#include <errno.h>
#include <stdlib.h>

/* Spans: long enough that lanes need not ask often, short enough that they end together and that what lies
 * beyond the ledgers' marks stays little. */
#define SPAN_ALONE_MAX_BYTES (64ull << 20)
#define SPAN_SHARED_MAX_BYTES (4ull << 20)
#define SPAN_ZERO_MAX_BYTES (16ull << 30)
#define LEDGER_RANGES_MAX 4096u
/* Less than that is read sooner than it is asked about: the answer would be a round trip, and the zeroes are
 * found anyway. */
#define EXTENTS_MIN_BYTES (128u << 10)

uint64_t run_main_mask(const struct run *run)
{
        uint64_t mask = 0;

        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (kc_sm_state(&run->dests[d].sm) == DEST_COPYING && !run->dests[d].dropped &&
                    !run->dests[d].detached)
                        mask |= 1ull << d;
        return mask;
}

/* ---- cursors */

int cursor_init(struct cursor *cursor, struct run *run)
{
        const struct run_facts *facts = &run->facts;
        bool extents = !facts->zero_job && !run->spec->options.no_extents &&
                       run->leg->endpoints[0].endpoint->info.can_extents &&
                       (facts->length_bytes >= EXTENTS_MIN_BYTES || !facts->detect_zeroes);
        uint64_t now_ns = kc_actor_now_ns(run->home);

        cursor->run = run;
        window_init(&cursor->window, facts->window, now_ns);
        throttle_init(&cursor->throttle, run->spec->options.rate_bytes_per_s, facts->align_bytes, now_ns);
        return planner_init(&cursor->planner, facts->length_bytes,
            facts->zero_job ? PLANNER_ZERO : PLANNER_DATA, extents, facts->align_bytes);
}

void cursor_done(struct cursor *cursor)
{
        if (cursor->run)
                planner_done(&cursor->planner);
}

static void fetched(struct cursor *cursor, int status)
{
        struct io_req result = cursor->extents_req;

        if (status < 0)
                result.status = status;
        planner_fetched(&cursor->planner, cursor->extents_at_bytes, &result);
}

static void on_extents(struct io_req *req)
{
        struct cursor *cursor = kc_container_of(req, struct cursor, extents_req);

        cursor->fetching = false;
        cursor->run->n_fetching--;
        cursor->ahead = !cursor->fetch_late;
        run_work(cursor->run);
}

static void fetch(struct cursor *cursor, uint64_t at_bytes)
{
        struct run *run = cursor->run;
        int rc;

        cursor->extents_at_bytes = at_bytes;
        planner_prepare(&cursor->planner, at_bytes, &cursor->extents_req);
        cursor->extents_req.offset_bytes += run->facts.from_start_bytes;
        cursor->extents_req.on_done = on_extents;
        cursor->extents_deadline_ns = kc_actor_now_ns(run->home) + run->facts.timeout_ns;
        rc = endpoint_submit(run->leg->endpoints[0].endpoint, &cursor->extents_req);
        if (rc < 0) {
                fetched(cursor, rc);
                return;
        }
        cursor->fetching = true;
        run->n_fetching++;
        run_timer_at(run, cursor->extents_deadline_ns);
}

/* What there is at the cursor, or false: that is being fetched. What lies behind what is known is fetched
 * while that is dealt, and its answer kept until the cursor has got there: islands of 64 KiB with holes of 1
 * MiB are asked for every 80 MiB, and everything stood still for each answer (2 GiB: 168 ms instead of 144).
 */
static bool plan(struct cursor *cursor, enum planner_kind *ret_kind, uint64_t *ret_length_bytes)
{
        struct planner *planner = &cursor->planner;
        uint64_t ahead_bytes;

        while (!planner_at(planner, cursor->at_bytes, SPAN_ZERO_MAX_BYTES, ret_kind, ret_length_bytes)) {
                if (cursor->fetching)
                        return false;
                if (!cursor->ahead)
                        fetch(cursor, cursor->at_bytes); /* refused, it makes everything data at once */
                else
                        fetched(cursor, 0);
                cursor->ahead = false;
        }
        if (cursor == &cursor->run->main && !cursor->fetching && !cursor->ahead &&
            planner_ahead(planner, &ahead_bytes) && ahead_bytes < cursor->run->body_end_bytes)
                fetch(cursor, ahead_bytes);
        return true;
}

/* Extents are hints: without an answer everything is data. The request itself is waited for when all else is
 * over, and only then is a connection ended for its sake: meanwhile that may serve all else. */
static void check_fetch(struct cursor *cursor, uint64_t now_ns)
{
        struct run *run = cursor->run;

        if (!run || !cursor->fetching)
                return;
        if (now_ns < cursor->extents_deadline_ns) {
                run_timer_at(run, cursor->extents_deadline_ns);
                return;
        }
        if (!cursor->fetch_late) {
                cursor->fetch_late = true;
                endpoint_withdraw(run->leg->endpoints[0].endpoint, &cursor->extents_req);
                fetched(cursor, -ETIMEDOUT);
        }
        if (run_going(run))
                return;
        if (now_ns >= cursor->extents_deadline_ns + run->lane->quarantine_ns)
                leg_kill_endpoint(run->leg, &run->leg->endpoints[0]);
        else
                run_timer_at(run, cursor->extents_deadline_ns + run->lane->quarantine_ns);
}

void run_check_fetches(struct run *run, uint64_t now_ns)
{
        check_fetch(&run->main, now_ns);
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (run->dests[d].cursor)
                        check_fetch(run->dests[d].cursor, now_ns);
}

void run_detach(struct run *run, unsigned d)
{
        struct run_dest *dest = &run->dests[d];
        struct cursor *cursor = calloc(1, sizeof *cursor);

        if (!cursor || cursor_init(cursor, run) < 0) {
                free(cursor); /* then it goes on holding the others up */
                return;
        }
        dest->detached = true;
        dest->cursor = cursor;
        for (unsigned i = 0; i < run->n_legs; i++) {
                run->legs[i].wanted.strip_mask |= 1ull << d;
                if (run->legs[i].ready)
                        leg_order(&run->legs[i]);
        }
        run->snapshot_wanted = true;
}

/* ---- spans */

/* What is dealt to a leg that is to end would come back undone, and not be dealt again. */
static struct leg *idlest_leg(struct run *run)
{
        struct leg *best = NULL;

        for (unsigned i = 0; i < run->n_legs; i++)
                if (run->legs[i].ready && !run->legs[i].wanted.end &&
                    (!best || run->legs[i].n_spans < best->n_spans))
                        best = &run->legs[i];
        return best;
}

static bool deal(struct run *run, enum span_kind kind, unsigned cursor, uint64_t mask, uint64_t start_bytes,
    uint64_t length_bytes)
{
        struct span *span = kc_zalloc(sizeof *span);

        if (!span) {
                run_no_memory(run);
                return false;
        }
        span->run = run;
        span->kind = kind;
        span->cursor = cursor;
        span->mask = mask;
        span->start_bytes = start_bytes;
        span->end_bytes = start_bytes + length_bytes;
        run->n_spans++;
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (mask >> d & 1)
                        run->dests[d].outstanding_bytes += length_bytes;
        leg_deal(idlest_leg(run), span);
        return true;
}

static bool skip(struct run *run, uint64_t mask, uint64_t start_bytes, uint64_t length_bytes)
{
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                if (mask >> d & 1 && ledger_put(&run->dests[d].ledger, start_bytes,
                                         start_bytes + length_bytes, LEDGER_SKIPPED) < 0) {
                        run_no_memory(run);
                        return false;
                }
        }
        return true;
}

/* The end of the job, shorter than some destination's minimum block: those merge it, each for itself; the
 * others take it as it is. Returns whether something was dealt. */
static bool deal_tail(struct run *run, struct cursor *cursor, unsigned number, uint64_t *mask)
{
        uint64_t at_bytes = run->body_end_bytes, length_bytes = run->facts.length_bytes - at_bytes;
        uint64_t plain = *mask & ~run->merge_mask, one;
        enum span_kind kind = run->facts.zero_job ? SPAN_ZERO : SPAN_DATA;

        if (plain) {
                *mask &= ~plain;
                if (!*mask)
                        cursor->at_bytes = run->facts.length_bytes;
                return deal(run, kind, number, plain, at_bytes, length_bytes);
        }
        one = *mask & -*mask;
        *mask &= ~one;
        if (!*mask)
                cursor->at_bytes = run->facts.length_bytes;
        return deal(run, SPAN_TAIL, number, one, at_bytes, length_bytes);
}

static uint64_t span_max_bytes(const struct run *run, const struct cursor *cursor)
{
        const struct run_facts *facts = &run->facts;
        uint64_t bytes = SPAN_ALONE_MAX_BYTES, rate = cursor->throttle.rate_bytes_per_s;

        if (run->wants_helpers) /* also before they have come */
                bytes = kc_min_u64(
                    (facts->length_bytes - cursor->at_bytes) / (4 * run->n_legs), SPAN_SHARED_MAX_BYTES);
        if (rate > 0)
                bytes = kc_min_u64(bytes, rate / 16);
        bytes -= bytes % facts->chunk_bytes;
        return bytes > 0 ? bytes : facts->chunk_bytes;
}

/* One range at the cursor for `mask`, not beyond `end_bytes`; data not longer than `data_max_bytes`. Returns
 * whether it made progress. */
static bool deal_range(struct run *run, struct cursor *cursor, unsigned number, uint64_t mask,
    uint64_t end_bytes, uint64_t data_max_bytes)
{
        enum planner_kind kind;
        uint64_t length_bytes, wait_ns, at_bytes = cursor->at_bytes, bound_bytes, piece_bytes;
        uint64_t now_ns = kc_actor_now_ns(run->home);

        (void)suspects_at(&run->suspects, at_bytes, &bound_bytes, &piece_bytes);
        end_bytes = kc_min_u64(end_bytes, bound_bytes);
        data_max_bytes = kc_min_u64(data_max_bytes, piece_bytes);
        if (!plan(cursor, &kind, &length_bytes))
                return false;
        length_bytes = kc_min_u64(length_bytes, end_bytes - at_bytes);
        if (kind == PLANNER_ZERO) {
                uint64_t declared = mask & run->facts.zero_mask;

                cursor->at_bytes += length_bytes;
                if (declared && !skip(run, declared, at_bytes, length_bytes))
                        return false;
                return declared == mask ||
                       deal(run, SPAN_ZERO, number, mask & ~declared, at_bytes, length_bytes);
        }
        wait_ns = throttle_wait_ns(&cursor->throttle, now_ns);
        if (wait_ns > 0) {
                run_timer_at(run, now_ns + wait_ns);
                return false;
        }
        length_bytes = kc_min_u64(length_bytes, data_max_bytes);
        throttle_take(&cursor->throttle, length_bytes);
        cursor->at_bytes += length_bytes;
        return deal(run, SPAN_DATA, number, mask, at_bytes, length_bytes);
}

/* One answer that stays out must not let what lies behind it grow without bound; the report that moves the
 * mark has us deal again. */
static bool ledgers_too_long(const struct run *run, uint64_t mask)
{
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (mask >> d & 1 && run->dests[d].ledger.n_ranges > LEDGER_RANGES_MAX)
                        return true;
        return false;
}

/* What destinations of `mask` lack at or after `from_bytes`: where that begins, which of them lack it, and
 * where it ends or others join in. Nothing that was dealt lies there. False: none lacks anything. */
static bool next_gap(const struct run *run, uint64_t mask, uint64_t from_bytes, uint64_t *ret_start_bytes,
    uint64_t *ret_end_bytes, uint64_t *ret_mask)
{
        uint64_t first_bytes = UINT64_MAX, bound_bytes = UINT64_MAX, start_bytes, end_bytes;

        *ret_mask = 0;
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                if (!(mask >> d & 1) ||
                    !ledger_gap(&run->dests[d].ledger, from_bytes, &start_bytes, &end_bytes))
                        continue;
                if (start_bytes < first_bytes) { /* those so far join in where theirs begins */
                        bound_bytes = kc_min_u64(first_bytes, end_bytes);
                        first_bytes = start_bytes;
                        *ret_mask = 1ull << d;
                } else if (start_bytes == first_bytes) {
                        bound_bytes = kc_min_u64(bound_bytes, end_bytes);
                        *ret_mask |= 1ull << d;
                } else {
                        bound_bytes = kc_min_u64(bound_bytes, start_bytes);
                }
        }
        *ret_start_bytes = first_bytes;
        *ret_end_bytes = bound_bytes;
        return *ret_mask != 0;
}

/* Those that still lack the end of the job. */
static uint64_t without_tail(const struct run *run, uint64_t mask)
{
        uint64_t start_bytes, end_bytes;

        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (!ledger_gap(&run->dests[d].ledger, run->body_end_bytes, &start_bytes, &end_bytes))
                        mask &= ~(1ull << d);
        return mask;
}

static bool is_suspect(const struct run *run, uint64_t at_bytes)
{
        uint64_t bound_bytes, piece_bytes;

        return suspects_at(&run->suspects, at_bytes, &bound_bytes, &piece_bytes);
}

/* What could not be read lies behind the cursor. Where the first error ends the job it is looked at before
 * anything else is begun, else when all the rest is done; so is what somebody else, who reads for himself,
 * has found out about. To go back nothing may be out. False: that is waited for. */
static bool go_back(struct run *run, uint64_t mask)
{
        struct cursor *cursor = &run->main;
        bool at_end = cursor->at_bytes == run->facts.length_bytes;
        bool now = at_end || run->spec->options.policy != COPY_POLICY_IGNORE || ledgers_too_long(run, mask);
        bool suspects = run->suspects.n > 0 && run->suspects.ranges[0].start_bytes < cursor->at_bytes && now;
        uint64_t start_bytes, end_bytes, lack_mask;

        if (!suspects && (!at_end || !next_gap(run, mask, 0, &start_bytes, &end_bytes, &lack_mask)))
                return true;
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (mask >> d & 1 && run->dests[d].outstanding_bytes > 0)
                        return false;
        if (cursor->fetching)
                return false;
        cursor->at_bytes = suspects ? run->suspects.ranges[0].start_bytes : start_bytes;
        return true;
}

static bool deal_main(struct run *run)
{
        struct cursor *cursor = &run->main;
        uint64_t mask = run_main_mask(run), start_bytes, end_bytes, lack_mask;

        if (mask && !go_back(run, mask))
                return false;
        if (!mask || cursor->at_bytes == run->facts.length_bytes ||
            (ledgers_too_long(run, mask) && !is_suspect(run, cursor->at_bytes)))
                return false;
        if (!next_gap(run, mask, cursor->at_bytes, &start_bytes, &end_bytes, &lack_mask)) {
                cursor->at_bytes = run->facts.length_bytes;
                return false;
        }
        cursor->at_bytes = start_bytes;
        if (cursor->at_bytes < run->body_end_bytes)
                return deal_range(run, cursor, 0, lack_mask, kc_min_u64(end_bytes, run->body_end_bytes),
                    span_max_bytes(run, cursor));
        if (!run->tail_begun) {
                run->tail_begun = true;
                run->tail_mask = without_tail(run, mask);
        }
        run->tail_mask &= mask; /* what has dropped out or reads for itself meanwhile */
        if (!run->tail_mask) {
                cursor->at_bytes = run->facts.length_bytes;
                return false;
        }
        return deal_tail(run, cursor, 0, &run->tail_mask);
}

/* A detached destination goes on when what it was dealt together with the others has come back. */
static bool deal_detached(struct run *run, unsigned d)
{
        struct run_dest *dest = &run->dests[d];
        struct cursor *cursor = dest->cursor;
        uint64_t start_bytes, end_bytes, mask = 1ull << d;

        if (kc_sm_state(&dest->sm) != DEST_COPYING || dest->dropped ||
            cursor->n_spans >= cursor->window.chunks)
                return false;
        if (cursor->n_spans == 0) {
                if (dest->outstanding_bytes > 0)
                        return false;
                /* Nothing is out: whatever has no fate is to be done, from the first gap on. */
                if (!ledger_gap(&dest->ledger, 0, &start_bytes, &end_bytes))
                        return false;
                if (!cursor_waits(cursor))
                        cursor->at_bytes = start_bytes;
        } else if (!ledger_gap(&dest->ledger, cursor->at_bytes, &start_bytes, &end_bytes)) {
                return false;
        }
        if (cursor->at_bytes < start_bytes && !cursor_waits(cursor))
                cursor->at_bytes = start_bytes;
        if (cursor->at_bytes < start_bytes || cursor->at_bytes >= end_bytes)
                return false;
        if (cursor->at_bytes >= run->body_end_bytes)
                return deal_tail(run, cursor, 1 + d, &mask);
        return deal_range(
            run, cursor, 1 + d, mask, kc_min_u64(end_bytes, run->body_end_bytes), run->facts.chunk_bytes);
}

void run_deal(struct run *run)
{
        struct leg *leg;

        if (kc_sm_state(&run->sm) != RUN_COPYING)
                return;
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                if (!run->dests[d].detached)
                        continue;
                while (run_going(run)) {
                        unsigned before = run->n_spans;

                        if (!deal_detached(run, d))
                                break;
                        run->dests[d].cursor->n_spans += run->n_spans - before;
                }
        }
        while (run_going(run) && (leg = idlest_leg(run)) && leg->n_spans < RUN_SPANS_PER_LEG)
                if (!deal_main(run))
                        break;
}
