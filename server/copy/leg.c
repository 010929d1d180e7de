/* A job's work on one lane. See leg.h for the conversation with the home lane.
 *
 * The happy path: leg_open, spans arrive (on_span), leg_start_chunk cuts them in turn with the lane's other
 * legs, chunks report (leg_report), the span goes back, orders to end arrive, and the orders' answer is the
 * last word. */
#include "copy/leg.h"

#include <assert.h>
#include <errno.h>

#include "base/num.h"
#include "copy/chunk.h"
#include "copy/crew.h"
#include "copy/run.h"
#include "io/remote.h"

#define ZERO_CHUNK_MAX_BYTES (1ull << 30)

static void maybe_end(struct leg *leg);

void leg_init(
    struct leg *leg, struct run *run, struct lane *lane, struct share *share, struct leg_endpoint *endpoints)
{
        *leg = (struct leg){.run = run, .lane = lane, .share = share, .endpoints = endpoints};
        kc_list_init(&leg->ready_node);
        kc_list_init(&leg->spans);
        kc_list_init(&leg->chunks);
}

/* ---- opening: the ports of this lane are used as they are, those of others through a remote endpoint */

int leg_open(struct leg *leg)
{
        unsigned n = 1 + leg->run->facts.n_to;
        struct window window;
        int rc = 0;

        window_init(&window, leg->run->facts.window, kc_actor_now_ns(leg->lane->actor));
        lag_init(&leg->lag, kc_actor_now_ns(leg->lane->actor));
        for (unsigned i = 0; i < n && rc == 0; i++) {
                struct leg_endpoint *le = &leg->endpoints[i];

                le->leg = leg;
                if (!le->port)
                        continue;
                if (le->port->lane == leg->lane) {
                        le->endpoint = le->port_endpoint;
                        continue;
                }
                rc = remote_open(
                    leg->lane->actor, le->port->lane->actor, le->port_endpoint, le->port_info, &le->endpoint);
                le->remote = rc == 0;
        }
        if (rc == 0)
                rc = crew_join(leg, &window);
        leg->opened = rc == 0;
        if (leg->run->facts.pinned)
                kc_actor_pin(leg->lane->actor);
        return rc;
}

int leg_submit(struct leg *leg, struct leg_endpoint *le, struct io_req *req)
{
        int rc;

        req->flow = le->flow;
        req->window_bytes = (uint64_t)leg->crew->window.chunks * leg->run->facts.chunk_bytes;
        rc = endpoint_submit(le->endpoint, req);
        if (rc == 0 && req->held) { /* another one may begin instead */
                leg_update_ready(leg);
                lane_wake(leg->lane);
        }
        return rc;
}

/* ---- spans to chunks */

static void span_back(struct leg *leg, struct span *span)
{
        kc_list_del(&span->node);
        span->msg.on_message = run_on_span_back;
        kc_actor_post(leg->run->home, &span->msg);
}

/* Zero chunks take no pages, so something else has to limit them. */
#define ZERO_CHUNKS_MAX 16u

/* The window says what it takes to keep the devices busy alone. Where others want one of them too, the gate
 * there says what it takes to get a share. */
static bool room_in_window(const struct leg *leg)
{
        uint64_t wanted_bytes = 0;

        if (leg->n_main < leg->crew->window.chunks)
                return true;
        for (unsigned i = 0; i < 1 + leg->run->facts.n_to; i++) {
                const struct leg_endpoint *le = &leg->endpoints[i];

                if (le->at_port)
                        wanted_bytes = kc_max_u64(wanted_bytes, gate_wanted_bytes(&le->at_port->gate));
        }
        return (uint64_t)leg->n_main * leg->run->facts.chunk_bytes < wanted_bytes;
}

/* Whether nobody else uses its devices just now; false where that is not known, on another lane. */
static bool is_alone(const struct leg *leg)
{
        for (unsigned i = 0; i < 1 + leg->run->facts.n_to; i++) {
                const struct leg_endpoint *le = &leg->endpoints[i];

                if (le->port &&
                    (!le->at_port || le->at_port->gate.n_flows > (unsigned)(le->flow->n_reqs > 0)))
                        return false;
        }
        return true;
}

/* The first span that may go on: main ones only while the window has room, those of a destination that reads
 * for itself whenever they come (the home lane limits them). */
static struct span *startable_span(struct leg *leg)
{
        if (leg->n_pages_chunks > 0 || leg->obeyed.stop)
                return NULL;
        kc_list_for_each (pos, &leg->spans) {
                struct span *span = kc_list_entry(pos, struct span, node);

                if (span->kind == SPAN_ZERO && leg->n_chunks - leg->n_adrift >= ZERO_CHUNKS_MAX)
                        continue;
                if (span->cursor != 0 || room_in_window(leg))
                        return span;
        }
        return NULL;
}

void leg_chunk_done(struct leg *leg, uint64_t bytes, uint64_t took_ns)
{
        struct crew *crew = leg->crew;

        crew->window.may_leap = crew_together(crew) || is_alone(leg);
        window_completed(
            &crew->window, bytes, took_ns, crew->window_limited, kc_actor_now_ns(leg->lane->actor));
}

void leg_update_ready(struct leg *leg)
{
        bool ready = leg->opened && !leg->ended && startable_span(leg) != NULL;

        if (!ready)
                kc_list_del(&leg->ready_node);
        else if (kc_list_empty(&leg->ready_node))
                kc_list_push(&leg->lane->ready_legs, &leg->ready_node);
}

static uint64_t data_chunk_bytes(const struct leg *leg)
{
        const struct run_facts *facts = &leg->run->facts;

        /* its crew may be of another kind */
        return facts->window == WINDOW_LARGE ? window_chunk_bytes(&leg->crew->window, facts->chunk_bytes)
                                             : facts->chunk_bytes;
}

static uint64_t zero_chunk_bytes(const struct leg *leg, uint64_t mask)
{
        const struct run_facts *facts = &leg->run->facts;
        uint64_t bytes = ZERO_CHUNK_MAX_BYTES;

        for (unsigned d = 0; d < facts->n_to; d++) {
                const struct leg_endpoint *le = &leg->endpoints[1 + d];

                if (!(mask >> d & 1))
                        continue;
                /* Where zeroes have to be written, a chunk is as long as one of data: cancel comes between.
                 */
                if (le->no_zero || le->endpoint->info.zero_max_bytes == 0)
                        return facts->chunk_bytes;
                if (le->endpoint->info.zero_max_bytes < bytes)
                        bytes = le->endpoint->info.zero_max_bytes;
        }
        bytes -= bytes % facts->align_bytes;
        return bytes > facts->chunk_bytes ? bytes : facts->chunk_bytes;
}

bool leg_start_chunk(struct leg *leg, uint64_t *ret_bytes)
{
        struct span *span = startable_span(leg);
        struct chunk *chunk;
        uint64_t mask, bytes;

        if (!span)
                return false;
        mask = span->cursor == 0 ? span->mask & ~leg->obeyed.strip_mask : span->mask;
        bytes = span->kind == SPAN_ZERO ? zero_chunk_bytes(leg, mask) : data_chunk_bytes(leg);
        if (bytes > span->end_bytes - span->next_bytes || span->kind == SPAN_TAIL)
                bytes = span->end_bytes - span->next_bytes;
        chunk = mask ? chunk_new(leg, span, bytes, mask) : NULL;
        if (!chunk) {
                span->refused = mask != 0;
                span_back(leg, span);
                return false;
        }
        span->next_bytes += bytes;
        *ret_bytes = span->kind == SPAN_ZERO ? 0 : bytes;
        if (span->next_bytes == span->end_bytes)
                span_back(leg, span);
        leg_check_lag(leg);
        leg->crew->window_limited =
            !(crew_together(leg->crew) ? crew_has_room(leg->crew) : room_in_window(leg)) &&
            leg->n_pages_chunks == 0;
        if (chunk_needs_pages(chunk)) {
                struct share *share = leg->share;

                if (kc_list_empty(&share->pages_chunks))
                        chunk->buf = share_alloc(share, chunk->buf_bytes, &chunk->pages);
                if (!chunk->buf) {
                        chunk->hungry = true;
                        leg->n_pages_chunks++;
                        kc_list_push(&share->pages_chunks, &chunk->node);
                        if (kc_list_empty(&share->hungry_node))
                                kc_list_push(&leg->lane->hungry_shares, &share->hungry_node);
                        share_check_starved(share);
                        return true;
                }
        }
        chunk_begin(chunk);
        return true;
}

static void on_span(struct kc_actor *actor, struct kc_msg *msg)
{
        struct span *span = kc_container_of(msg, struct span, msg);
        struct leg *leg = span->leg;

        kc_list_init(&span->node);
        kc_list_push(&leg->spans, &span->node);
        if (leg->obeyed.stop) {
                span_back(leg, span);
                return;
        }
        leg_update_ready(leg);
        lane_wake(leg->lane);
}

void leg_deal(struct leg *leg, struct span *span)
{
        span->leg = leg;
        span->next_bytes = span->start_bytes;
        span->msg.on_message = on_span;
        leg->n_spans++;
        kc_actor_post(leg->lane->actor, &span->msg);
}

void leg_report(struct leg *leg, struct report *report)
{
        leg_update_ready(leg);
        lane_wake(leg->lane);
        report->msg.on_message = run_on_report;
        kc_actor_post(leg->run->home, &report->msg);
}

void leg_chunk_gone(struct leg *leg)
{
        leg->n_chunks--;
        maybe_end(leg);
}

/* ---- an endpoint that does not answer */

bool leg_endpoint_gone(const struct leg_endpoint *le, enum kc_class class)
{
        return (le->endpoint && le->endpoint->dead) || class == KC_CLASS_TRANSPORT ||
               class == KC_CLASS_TIMEOUT;
}

static void on_killed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct leg_endpoint *le = kc_container_of(msg, struct leg_endpoint, kill_msg);
        struct leg *leg = le->leg;
        struct run *run = leg->run;
        bool at_home = leg == run->leg;

        leg->kills--;
        maybe_end(leg); /* elsewhere the run may be gone after that */
        if (at_home)    /* the run asks for kills itself, also when its leg has ended */
                run_work(run);
}

static void on_kill(struct kc_actor *actor, struct kc_msg *msg)
{
        struct leg_endpoint *le = kc_container_of(msg, struct leg_endpoint, kill_msg);

        port_kill(le->port);
        le->kill_msg.on_message = on_killed;
        kc_actor_post(le->leg->lane->actor, &le->kill_msg);
}

void leg_kill_endpoint(struct leg *leg, struct leg_endpoint *le)
{
        if (le->kill_posted)
                return;
        le->kill_posted = true;
        leg->kills++;
        le->kill_msg.on_message = on_kill;
        kc_actor_post(le->port->lane->actor, &le->kill_msg);
}

/* ---- a destination that holds the others up */

static void on_notice_back(struct kc_actor *actor, struct kc_msg *msg)
{
        struct leg *leg = kc_container_of(msg, struct leg, notice_msg);

        leg->notice_posted = false;
        maybe_end(leg);
}

void leg_notice_taken(struct leg *leg)
{
        leg->notice_msg.on_message = on_notice_back;
        kc_actor_post(leg->lane->actor, &leg->notice_msg);
}

static uint64_t blocking(const struct leg *leg)
{
        uint64_t mask = 0;

        if (room_in_window(leg) && leg->n_pages_chunks == 0)
                return 0;
        kc_list_for_each (pos, &leg->chunks)
                if (!chunk_blocking(kc_list_entry(pos, struct chunk, leg_node), &mask))
                        return 0;
        return mask;
}

void leg_check_lag(struct leg *leg)
{
        uint64_t lagging;

        if (leg->run->facts.n_to < 2 || leg->obeyed.stop)
                return;
        lagging = lag_update(&leg->lag, blocking(leg), kc_actor_now_ns(leg->lane->actor));
        lagging &= ~leg->obeyed.strip_mask;
        if (!lagging || leg->notice_posted)
                return;
        leg->notice_posted = true;
        leg->notice_mask = lagging;
        leg->notice_msg.on_message = run_on_notice;
        kc_actor_post(leg->run->home, &leg->notice_msg);
}

/* ---- orders */

static void orders_back(struct leg *leg)
{
        leg->orders_msg.on_message = run_on_orders_obeyed;
        kc_actor_post(leg->run->home, &leg->orders_msg);
}

static void on_remote_closed(void *arg)
{
        struct leg *leg = arg;

        leg->closing_remotes--;
        maybe_end(leg);
}

/* Its answer is the leg's last word: on another lane than the run's, neither is touched after that. */
static void maybe_end(struct leg *leg)
{
        unsigned n = 1 + leg->run->facts.n_to;

        if (!leg->end_pending || leg->n_chunks > 0 || leg->kills > 0 || leg->notice_posted)
                return;
        assert(kc_list_empty(&leg->spans));
        if (!leg->ended) {
                leg->ended = true;
                leg->closing_remotes = 1; /* so that a close that ends at once does not end us twice */
                for (unsigned i = 0; i < n; i++) {
                        if (!leg->endpoints[i].remote)
                                continue;
                        leg->closing_remotes++;
                        endpoint_close(leg->endpoints[i].endpoint, on_remote_closed, leg);
                }
                kc_list_del(&leg->ready_node);
                if (leg->opened)
                        crew_leave(leg);
                if (leg->run->facts.pinned)
                        kc_actor_unpin(leg->lane->actor);
                leg->closing_remotes--;
        }
        if (leg->closing_remotes > 0)
                return;
        leg->end_pending = false;
        orders_back(leg);
}

static void on_orders(struct kc_actor *actor, struct kc_msg *msg)
{
        struct leg *leg = kc_container_of(msg, struct leg, orders_msg);
        struct leg_orders *orders = &leg->orders;
        bool stop = orders->stop && !leg->obeyed.stop;
        bool abandon = orders->abandon && !leg->obeyed.abandon;

        leg->obeyed = *orders;
        kc_list_for_each_safe (pos, &leg->chunks)
                chunk_check_stripped(kc_list_entry(pos, struct chunk, leg_node));
        if (stop) {
                kc_list_for_each_safe (pos, &leg->spans)
                        span_back(leg, kc_list_entry(pos, struct span, node));
                kc_list_for_each_safe (pos, &leg->chunks)
                        chunk_stop(kc_list_entry(pos, struct chunk, leg_node));
        }
        if (abandon)
                kc_list_for_each_safe (pos, &leg->chunks)
                        chunk_abandon(
                            kc_list_entry(pos, struct chunk, leg_node), -ECANCELED, KC_CLASS_CANCELLED);
        leg_update_ready(leg);
        if (orders->end) {
                leg->end_pending = true;
                maybe_end(leg);
                return;
        }
        orders_back(leg);
}

bool leg_same_orders(const struct leg_orders *a, const struct leg_orders *b)
{
        return a->strip_mask == b->strip_mask && a->stop == b->stop && a->abandon == b->abandon &&
               a->end == b->end;
}

void leg_order(struct leg *leg)
{
        if (leg->orders_posted)
                return; /* its answer sees that more is wanted */
        leg->orders_posted = true;
        leg->orders = leg->wanted;
        leg->orders_msg.on_message = on_orders;
        kc_actor_post(leg->lane->actor, &leg->orders_msg);
}
