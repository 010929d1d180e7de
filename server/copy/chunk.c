/* The life of a chunk. The happy path, top to bottom of the story at the end of the file:
 *
 *   chunk_begin → read → on_read_done → (lane_do_work) chunk_run_writes → write_next … → decide → report
 *
 * What can go wrong: a read or a write is refused, fails, is past its deadline, or will never be answered;
 * the leg is stopped or abandoned in between. Each ends in a decision per destination, and a chunk whose
 * destinations are all decided reports. Late answers only settle it. */
#include "copy/chunk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy/run.h"

/* Written zeroes come from here: never written to, so it stays the kernel's zero page. */
#define ZERO_BUFFER_BYTES (1u << 20)
static unsigned char zero_buffer[ZERO_BUFFER_BYTES] __attribute__((aligned(KC_PAGE_BYTES)));

/* Zero runs shorter than this are cheaper as data. */
#define ZERO_RUN_MIN_BYTES 32768u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static struct leg_endpoint *destination_of(const struct chunk_write *w)
{
        return &w->chunk->leg->endpoints[1 + w->destination];
}

static const struct run_facts *facts_of(const struct chunk *chunk)
{
        return &chunk->leg->run->facts;
}

static uint64_t now_ns(const struct chunk *chunk)
{
        return kc_actor_now_ns(chunk->leg->lane->actor);
}

bool chunk_needs_pages(const struct chunk *chunk)
{
        return chunk->buf_bytes > 0 && !chunk->buf;
}

struct chunk *chunk_new(struct leg *leg, struct span *span, uint64_t length_bytes, uint64_t mask)
{
        unsigned n = (unsigned)__builtin_popcountll(mask);
        struct chunk *chunk = calloc(1, sizeof *chunk + n * sizeof *chunk->writes);
        struct report *report = calloc(1, sizeof *report + n * sizeof *report->writes);

        if (!chunk || !report) {
                free(chunk);
                free(report);
                return NULL;
        }
        kc_list_init(&chunk->node);
        kc_list_push(&leg->chunks, &chunk->leg_node);
        chunk->leg = leg;
        chunk->span = span;
        chunk->report = report;
        chunk->kind = span->kind;
        chunk->main = span->cursor == 0;
        chunk->start_bytes = span->next_bytes;
        chunk->length_bytes = length_bytes;
        chunk->n_pieces = 1;
        chunk->pieces[0] = (struct zeroes_piece){0, 0, span->kind == SPAN_ZERO};
        for (unsigned d = 0; mask; d++, mask >>= 1) {
                if (!(mask & 1))
                        continue;
                struct chunk_write *w = &chunk->writes[chunk->n_writes++];
                w->chunk = chunk;
                w->destination = d;
        }
        chunk->n_undecided = chunk->n_writes;
        if (span->kind == SPAN_DATA) {
                chunk->buf_bytes = (uint32_t)length_bytes;
        } else if (span->kind == SPAN_TAIL) {
                uint32_t block =
                    leg->endpoints[1 + chunk->writes[0].destination].endpoint->info.block_min_bytes;

                assert(chunk->n_writes == 1);
                chunk->buf_bytes = (uint32_t)((length_bytes + block - 1) / block * block);
        }
        leg->n_chunks++;
        if (chunk->main)
                leg->n_main++;
        chunk->counted = chunk->main;
        return chunk;
}

void chunk_fed(struct chunk *chunk)
{
        chunk->hungry = false;
        chunk->leg->n_pages_chunks--;
}

/* The window counts what is in flight: not what was reported, however long it takes to settle. */
static void uncount(struct chunk *chunk)
{
        if (!chunk->counted)
                return;
        chunk->counted = false;
        chunk->leg->n_main--;
}

static void free_chunk(struct chunk *chunk)
{
        struct leg *leg = chunk->leg;

        if (chunk->adrift)
                share_adrift(leg->share, chunk->pages, false);
        if (chunk->buf)
                share_free(leg->share, chunk->buf, chunk->pages);
        uncount(chunk);
        kc_list_del(&chunk->node);
        kc_list_del(&chunk->leg_node);
        leg_chunk_gone(leg, chunk);
        free(chunk->report);
        free(chunk);
}

/* ---- decisions */

static void push(struct kc_list *list, struct chunk *chunk)
{
        kc_list_move(list, &chunk->node);
        lane_wake(chunk->leg->lane);
}

static void decide(struct chunk_write *w, int status, enum kc_class class, uint64_t doubt_bytes)
{
        struct chunk *chunk = w->chunk;

        assert(!w->decided);
        w->decided = true;
        w->late = w->in_flight;
        w->status = status;
        w->class = class;
        w->doubt_bytes = doubt_bytes;
        leg_check_lag(chunk->leg);
        if (--chunk->n_undecided == 0)
                push(&chunk->leg->lane->report_chunks, chunk);
}

/* Every destination that has no outcome gets this one; those with a request in flight are in doubt. */
static void decide_rest(struct chunk *chunk, int status, enum kc_class class)
{
        for (unsigned i = 0; i < chunk->n_writes; i++) {
                struct chunk_write *w = &chunk->writes[i];

                if (!w->decided)
                        decide(w, status, class, w->in_flight ? w->requested_bytes : 0);
        }
}

static void read_failed(struct chunk *chunk, int status, enum kc_class class)
{
        chunk->read_status = status;
        chunk->read_class = class;
        decide_rest(chunk, 0, KC_CLASS_NONE);
}

static bool something_in_flight(const struct chunk *chunk)
{
        if (chunk->reading)
                return true;
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (chunk->writes[i].in_flight)
                        return true;
        return false;
}

static bool something_unanswered(const struct chunk *chunk)
{
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (chunk->writes[i].unanswered)
                        return true;
        return false;
}

/* A late answer came: only the settling is left. */
static void on_settled(struct chunk *chunk, bool unanswered)
{
        if (unanswered)
                chunk->settle_ns = now_ns(chunk) + chunk->leg->lane->quarantine_ns;
        lane_tick_at(chunk->leg->lane, now_ns(chunk));
}

/* ---- writes */

static void write_next(struct chunk_write *w);

static void on_write_done(struct io_req *req)
{
        struct chunk_write *w = kc_container_of(req, struct chunk_write, req);
        struct chunk *chunk = w->chunk;
        struct zeroes_piece *piece = &chunk->pieces[w->piece];
        uint64_t piece_bytes =
            w->as_data || chunk->kind != SPAN_DATA ? chunk->length_bytes : piece->length_bytes;

        w->in_flight = false;
        w->unanswered = req->unanswered;
        if (w->decided) {
                on_settled(chunk, req->unanswered);
                return;
        }
        if (req->status == -EOPNOTSUPP && req->op == IO_ZERO) {
                destination_of(w)->no_zero = true; /* the next rung: written zeroes */
                write_next(w);
                return;
        }
        if (req->status < 0) {
                if (req->unanswered)
                        chunk->settle_ns = now_ns(chunk) + chunk->leg->lane->quarantine_ns;
                decide(w, req->status, req->class, w->requested_bytes);
                return;
        }
        w->piece_done_bytes += w->requested_bytes;
        w->done_bytes += w->requested_bytes;
        if (w->piece_done_bytes >= piece_bytes) {
                w->piece++;
                w->piece_done_bytes = 0;
        }
        write_next(w);
}

static void write_submit(struct chunk_write *w, enum io_op op, void *buf, uint64_t at_bytes, uint64_t bytes)
{
        struct chunk *chunk = w->chunk;
        const struct run_facts *facts = facts_of(chunk);
        struct endpoint *endpoint = destination_of(w)->endpoint;
        struct io_req *req = &w->req;
        int rc;

        req->op = op;
        req->flags = 0;
        if (facts->fua && endpoint->info.can_fua)
                req->flags |= IO_FUA;
        if (op == IO_ZERO && facts->unmap)
                req->flags |= IO_UNMAP;
        req->offset_bytes = facts->to_start_bytes[w->destination] + chunk->start_bytes + at_bytes;
        req->length_bytes = bytes;
        req->buf = buf;
        req->on_done = on_write_done;
        w->requested_bytes = min_u64(bytes, chunk->length_bytes - at_bytes);
        w->sent_ns = now_ns(chunk);
        w->deadline_ns = w->sent_ns + facts->timeout_ns;
        w->in_flight = true;
        rc = endpoint_submit(endpoint, req);
        if (rc < 0) {
                w->in_flight = false;
                decide(w, rc, kc_class_of_errno(rc), 0);
                return;
        }
        lane_tick_at(chunk->leg->lane, w->deadline_ns);
}

/* Written zeroes: from the chunk's own buffer where it has one (it holds zeroes there), else from ours. */
static void write_zeroes(struct chunk_write *w, uint64_t at_bytes, uint64_t bytes)
{
        struct chunk *chunk = w->chunk;
        const struct endpoint_info *info = &destination_of(w)->endpoint->info;

        if (chunk->buf) {
                write_submit(w, IO_WRITE, chunk->buf + at_bytes, at_bytes, bytes);
                return;
        }
        bytes = min_u64(bytes, info->block_max_bytes);
        if (bytes > ZERO_BUFFER_BYTES)
                bytes = ZERO_BUFFER_BYTES;
        write_submit(w, IO_WRITE, zero_buffer, at_bytes, bytes);
}

static void write_next(struct chunk_write *w)
{
        struct chunk *chunk = w->chunk;
        const struct run_facts *facts = facts_of(chunk);
        const struct endpoint_info *info = &destination_of(w)->endpoint->info;
        bool can_zero = info->zero_max_bytes > 0 && !destination_of(w)->no_zero;
        bool declared = facts->zero_mask >> w->destination & 1;

        /* Detected zeroes do not pay where they cannot be asked for: one write of it all. */
        if (w->done_bytes == 0 && chunk->kind == SPAN_DATA && !can_zero && !declared)
                w->as_data = true;

        while (w->done_bytes < chunk->length_bytes) {
                const struct zeroes_piece *piece = &chunk->pieces[w->piece];
                uint64_t left = chunk->length_bytes - w->done_bytes;

                if (chunk->leg->obeyed.stop) {
                        decide(w, -ECANCELED, KC_CLASS_CANCELLED, 0);
                        return;
                }
                if (chunk->kind == SPAN_TAIL) {
                        write_submit(w, IO_WRITE, chunk->buf, 0, chunk->buf_bytes);
                        return;
                }
                if (chunk->kind == SPAN_ZERO) {
                        if (can_zero)
                                write_submit(
                                    w, IO_ZERO, NULL, w->done_bytes, min_u64(left, info->zero_max_bytes));
                        else
                                write_zeroes(w, w->done_bytes, left);
                        return;
                }
                if (w->as_data) {
                        write_submit(w, IO_WRITE, chunk->buf + w->done_bytes, w->done_bytes, left);
                        return;
                }
                left = piece->length_bytes - w->piece_done_bytes;
                if (!piece->zero) {
                        write_submit(w, IO_WRITE, chunk->buf + w->done_bytes, w->done_bytes, left);
                        return;
                }
                if (!declared) {
                        if (can_zero)
                                write_submit(
                                    w, IO_ZERO, NULL, w->done_bytes, min_u64(left, info->zero_max_bytes));
                        else
                                write_zeroes(w, w->done_bytes, left);
                        return;
                }
                /* The client says it reads as zeroes already. */
                w->done_bytes += left;
                w->piece++;
                w->piece_done_bytes = 0;
        }
        decide(w, 0, KC_CLASS_NONE, 0);
}

void chunk_run_writes(struct chunk *chunk)
{
        chunk->step = CHUNK_WRITE;
        kc_list_move(&chunk->leg->lane->io_chunks, &chunk->node);
        if (chunk->n_writes > 1) /* somebody may fall behind without a word */
                lane_tick_at(chunk->leg->lane, now_ns(chunk) + LAG_PERIOD_NS);
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (!chunk->writes[i].decided)
                        write_next(&chunk->writes[i]);
}

/* ---- the read */

static void find_zeroes(struct chunk *chunk)
{
        const struct run_facts *facts = facts_of(chunk);

        chunk->pieces[0].length_bytes = (uint32_t)chunk->length_bytes;
        if (!facts->detect_zeroes || chunk->kind != SPAN_DATA)
                return;
        chunk->n_pieces = zeroes_pieces(chunk->buf, (uint32_t)chunk->length_bytes,
            facts->align_bytes > KC_PAGE_BYTES ? facts->align_bytes : KC_PAGE_BYTES, ZERO_RUN_MIN_BYTES,
            chunk->pieces, CHUNK_PIECES_MAX);
}

static void read_submit(struct chunk *chunk);

static void on_read_done(struct io_req *req)
{
        struct chunk *chunk = kc_container_of(req, struct chunk, read_req);

        chunk->reading = false;
        if (chunk->n_undecided == 0) { /* decided without it */
                on_settled(chunk, false);
                return;
        }
        if (req->status < 0) {
                if (chunk->step == CHUNK_MERGE_READ) /* it is the destination that could not be read */
                        decide(&chunk->writes[0], req->status, req->class, 0);
                else
                        read_failed(chunk, req->status, req->class);
                return;
        }
        if (chunk->leg->obeyed.stop) {
                decide_rest(chunk, -ECANCELED, KC_CLASS_CANCELLED);
                return;
        }
        if (chunk->step == CHUNK_MERGE_READ) {
                chunk->step = CHUNK_READ;
                read_submit(chunk);
                return;
        }
        push(&chunk->leg->lane->write_chunks, chunk);
}

/* A Zero job has no source: its tail is merged with zeroes. */
static bool has_source(const struct chunk *chunk)
{
        return chunk->leg->endpoints[0].endpoint != NULL;
}

static void read_submit(struct chunk *chunk)
{
        const struct run_facts *facts = facts_of(chunk);
        struct io_req *req = &chunk->read_req;
        struct endpoint *endpoint;
        int rc;

        req->op = IO_READ;
        req->flags = 0;
        req->on_done = on_read_done;
        if (chunk->step == CHUNK_MERGE_READ) {
                /* The block that the tail ends in, as it is now; the tail goes on top of it. */
                const struct chunk_write *w = &chunk->writes[0];
                uint32_t block = destination_of(w)->endpoint->info.block_min_bytes;

                endpoint = destination_of(w)->endpoint;
                req->offset_bytes =
                    facts->to_start_bytes[w->destination] + chunk->start_bytes + chunk->buf_bytes - block;
                req->length_bytes = block;
                req->buf = chunk->buf + chunk->buf_bytes - block;
        } else if (!has_source(chunk)) {
                memset(chunk->buf, 0, chunk->length_bytes);
                push(&chunk->leg->lane->write_chunks, chunk);
                return;
        } else {
                endpoint = chunk->leg->endpoints[0].endpoint;
                req->offset_bytes = facts->from_start_bytes + chunk->start_bytes;
                req->length_bytes = chunk->length_bytes;
                req->buf = chunk->buf;
        }
        chunk->read_sent_ns = now_ns(chunk);
        chunk->read_deadline_ns = chunk->read_sent_ns + facts->timeout_ns;
        chunk->reading = true;
        rc = endpoint_submit(endpoint, req);
        if (rc < 0) {
                chunk->reading = false;
                if (chunk->step == CHUNK_MERGE_READ)
                        decide(&chunk->writes[0], rc, kc_class_of_errno(rc), 0);
                else
                        read_failed(chunk, rc, kc_class_of_errno(rc));
                return;
        }
        lane_tick_at(chunk->leg->lane, chunk->read_deadline_ns);
}

void chunk_begin(struct chunk *chunk)
{
        assert(!chunk_needs_pages(chunk));
        if (chunk->kind == SPAN_ZERO) {
                push(&chunk->leg->lane->write_chunks, chunk);
                return;
        }
        kc_list_move(&chunk->leg->lane->io_chunks, &chunk->node);
        chunk->step = chunk->kind == SPAN_TAIL ? CHUNK_MERGE_READ : CHUNK_READ;
        read_submit(chunk);
}

/* Called between the read and the writes: the data is there. */
void chunk_prepare_writes(struct chunk *chunk)
{
        if (chunk->kind == SPAN_DATA)
                find_zeroes(chunk);
}

/* ---- stop, abandon, deadlines */

void chunk_stop(struct chunk *chunk)
{
        /* What is being read or written is waited for (chunk_abandon ends that); the rest need not begin. */
        if (chunk->hungry)
                decide_rest(chunk, -ECANCELED, KC_CLASS_CANCELLED);
}

void chunk_abandon(struct chunk *chunk, int status, enum kc_class class)
{
        if (chunk->n_undecided > 0)
                decide_rest(chunk, status, class);
}

uint64_t chunk_check_deadline(struct chunk *chunk, uint64_t now)
{
        uint64_t next = UINT64_MAX;

        if (chunk->reading && chunk->n_undecided > 0) {
                if (now < chunk->read_deadline_ns)
                        next = chunk->read_deadline_ns;
                else if (chunk->step == CHUNK_MERGE_READ)
                        decide(&chunk->writes[0], -ETIMEDOUT, KC_CLASS_TIMEOUT, 0);
                else
                        read_failed(chunk, -ETIMEDOUT, KC_CLASS_TIMEOUT);
        }
        for (unsigned i = 0; i < chunk->n_writes; i++) {
                struct chunk_write *w = &chunk->writes[i];

                if (!w->in_flight || w->decided)
                        continue;
                if (now < w->deadline_ns)
                        next = min_u64(next, w->deadline_ns);
                else
                        decide(w, -ETIMEDOUT, KC_CLASS_TIMEOUT, w->requested_bytes);
        }
        return next;
}

bool chunk_blocking(const struct chunk *chunk, uint64_t *mask)
{
        if (!chunk->counted || chunk->hungry)
                return true; /* it is not in the way */
        if (chunk->step != CHUNK_WRITE || chunk->n_undecided == chunk->n_writes)
                return false;
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (!chunk->writes[i].decided)
                        *mask |= 1ull << chunk->writes[i].destination;
        return true;
}

const char *chunk_stalled_on(const struct chunk *chunk)
{
        if (chunk->reading)
                return chunk->step == CHUNK_MERGE_READ ? destination_of(&chunk->writes[0])->port->name
                                                       : chunk->leg->endpoints[0].port->name;
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (chunk->writes[i].in_flight)
                        return destination_of(&chunk->writes[i])->port->name;
        return NULL;
}

/* No answer for the quarantine time after the deadline: the connection is ended, which fails what is pending.
 */
static uint64_t kill_if_overdue(
    struct chunk *chunk, struct leg_endpoint *le, uint64_t deadline_ns, uint64_t now)
{
        uint64_t kill_ns = deadline_ns + chunk->leg->lane->quarantine_ns;

        if (now < kill_ns)
                return kill_ns;
        leg_kill_endpoint(chunk->leg, le);
        return UINT64_MAX;
}

uint64_t chunk_check_settled(struct chunk *chunk, uint64_t now)
{
        uint64_t next = UINT64_MAX;

        if (something_in_flight(chunk)) {
                if (chunk->reading) {
                        bool merge = chunk->step == CHUNK_MERGE_READ;

                        next = kill_if_overdue(chunk,
                            merge ? destination_of(&chunk->writes[0]) : &chunk->leg->endpoints[0],
                            chunk->read_deadline_ns, now);
                }
                for (unsigned i = 0; i < chunk->n_writes; i++) {
                        struct chunk_write *w = &chunk->writes[i];

                        if (w->in_flight)
                                next = min_u64(
                                    next, kill_if_overdue(chunk, destination_of(w), w->deadline_ns, now));
                }
                return next;
        }
        if (now < chunk->settle_ns)
                return chunk->settle_ns;
        free_chunk(chunk);
        return UINT64_MAX;
}

/* ---- the report */

void chunk_run_report(struct chunk *chunk)
{
        struct report *report = chunk->report;
        struct leg *leg = chunk->leg;

        chunk->report = NULL;
        if (chunk->hungry)
                chunk_fed(chunk);
        report->span = chunk->span;
        report->leg = leg;
        report->start_bytes = chunk->start_bytes;
        report->end_bytes = chunk->start_bytes + chunk->length_bytes;
        report->adrift = something_in_flight(chunk) || something_unanswered(chunk);
        report->read_status = chunk->read_status;
        report->read_class = chunk->read_class;
        report->read_dead =
            chunk->read_status < 0 && leg_endpoint_gone(&leg->endpoints[0], chunk->read_class);
        report->n_pieces = chunk->n_pieces;
        memcpy(report->pieces, chunk->pieces, sizeof report->pieces);
        report->n_writes = chunk->n_writes;
        for (unsigned i = 0; i < chunk->n_writes; i++) {
                const struct chunk_write *w = &chunk->writes[i];
                struct report_write *out = &report->writes[i];

                out->destination = w->destination;
                out->done_bytes = w->done_bytes;
                out->doubt_bytes = w->doubt_bytes;
                out->as_data = w->as_data;
                out->status = w->status;
                out->class = w->class;
                out->bad_bytes = chunk->start_bytes + w->done_bytes;
                out->pinned =
                    w->in_flight || w->unanswered || (chunk->reading && chunk->step == CHUNK_MERGE_READ);
                out->dead = w->status < 0 && leg_endpoint_gone(destination_of(w), w->class);
        }
        window_completed(&leg->window, chunk->length_bytes, leg->window_limited, now_ns(chunk));
        uncount(chunk);
        if (report->adrift) {
                chunk->adrift = true;
                share_adrift(leg->share, chunk->pages, true);
                kc_list_move(&leg->lane->adrift_chunks, &chunk->node);
                lane_tick_at(leg->lane, now_ns(chunk));
        } else {
                free_chunk(chunk);
        }
        leg_report(leg, report);
}
