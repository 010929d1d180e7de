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

#include "base/alloc.h"
#include "copy/crew.h"
#include "copy/run.h"

/* Zero runs shorter than this are cheaper as data. */
#define ZERO_RUN_MIN_BYTES 32768u

const struct run_facts *chunk_facts(const struct chunk *chunk)
{
        return &chunk->leg->run->facts;
}

bool chunk_needs_pages(const struct chunk *chunk)
{
        return chunk->buf_bytes > 0 && !chunk->buf;
}

struct chunk *chunk_new(struct leg *leg, struct span *span, uint64_t length_bytes, uint64_t mask)
{
        unsigned n = (unsigned)__builtin_popcountll(mask);
        struct chunk *chunk = kc_zalloc(sizeof *chunk + n * sizeof *chunk->writes);
        struct report *report = report_new(n);

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
        chunk->span_mask = span->mask;
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
        if (chunk->main) {
                leg->n_main++;
                chunk->crew_epoch = crew_chunk_begins(leg->crew, length_bytes);
        }
        chunk->counted = chunk->main;
        return chunk;
}

void chunk_fed(struct chunk *chunk)
{
        chunk->hungry = false;
        chunk->leg->n_pages_chunks--;
}

void chunk_uncount(struct chunk *chunk)
{
        if (!chunk->counted)
                return;
        chunk->counted = false;
        chunk->leg->n_main--;
        crew_chunk_ends(chunk->leg->crew, chunk->length_bytes, chunk->crew_epoch);
}

void chunk_free(struct chunk *chunk)
{
        struct leg *leg = chunk->leg;

        if (chunk->adrift) {
                leg->n_adrift--;
                share_adrift(leg->share, chunk->buf, chunk->pages, false);
        }
        if (chunk->buf)
                share_free(leg->share, chunk->buf, chunk->pages);
        chunk_uncount(chunk);
        kc_list_del(&chunk->node);
        kc_list_del(&chunk->leg_node);
        leg_chunk_gone(leg);
        free(chunk->report);
        free(chunk);
}

/* ---- decisions */

/* A chunk that only destinations hold which read for themselves by now does not keep new ones from beginning:
 * they may never answer. Its pages stay taken; whoever is done with it hears of that now. */
void chunk_check_stripped(struct chunk *chunk)
{
        if (!chunk->main || chunk->step != CHUNK_WRITE || chunk->n_undecided == 0)
                return;
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (!chunk->writes[i].decided &&
                    !(chunk->leg->obeyed.strip_mask >> chunk->writes[i].destination & 1))
                        return;
        chunk_report_early(chunk);
        if (!chunk->counted)
                return;
        chunk_uncount(chunk);
        leg_update_ready(chunk->leg);
        lane_wake(chunk->leg->lane);
}

void chunk_push(struct kc_list *list, struct chunk *chunk)
{
        kc_list_move(list, &chunk->node);
        lane_wake(chunk->leg->lane);
}

void chunk_decide(struct chunk_write *w, int status, enum kc_class class, uint64_t doubt_bytes)
{
        struct chunk *chunk = w->chunk;

        assert(!w->decided);
        w->decided = true;
        w->status = status;
        w->class = class;
        w->doubt_bytes = doubt_bytes;
        if (--chunk->n_undecided == 0)
                chunk_push(&chunk->leg->lane->report_chunks, chunk);
        else
                chunk_check_stripped(chunk);
        leg_check_lag(chunk->leg); /* as it is now, with this one decided */
}

/* Every destination that has no outcome gets this one; those with a request in flight are in doubt. */
void chunk_decide_rest(struct chunk *chunk, int status, enum kc_class class)
{
        for (unsigned i = 0; i < chunk->n_writes; i++) {
                struct chunk_write *w = &chunk->writes[i];

                if (w->decided)
                        continue;
                chunk_decide(w, status, class, w->in_flight && w->req.sent ? w->requested_bytes : 0);
                if (w->in_flight) /* what has not left need not leave any more */
                        endpoint_withdraw(chunk_destination(w)->endpoint, &w->req);
        }
}

void chunk_read_failed(struct chunk *chunk, int status, enum kc_class class)
{
        chunk->read_status = status;
        chunk->read_class = class;
        chunk_decide_rest(chunk, 0, KC_CLASS_NONE);
}

bool chunk_in_flight(const struct chunk *chunk)
{
        if (chunk->reading)
                return true;
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (chunk->writes[i].in_flight)
                        return true;
        return false;
}

/* A late answer came: only the settling is left. */
void chunk_late_answer(struct chunk *chunk, bool unanswered)
{
        if (unanswered)
                chunk->settle_ns = chunk_now_ns(chunk) + chunk->leg->lane->quarantine_ns;
        lane_tick_at(chunk->leg->lane, chunk_now_ns(chunk));
}

/* ---- the read */

static void find_zeroes(struct chunk *chunk)
{
        const struct run_facts *facts = chunk_facts(chunk);

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
                chunk_late_answer(chunk, false);
                return;
        }
        if (req->status == -ECANCELED && chunk->leg->obeyed.stop) { /* withdrawn */
                chunk_decide_rest(chunk, -ECANCELED, KC_CLASS_CANCELLED);
                return;
        }
        if (req->status < 0) {
                if (chunk->step == CHUNK_MERGE_READ) /* it is the destination that could not be read */
                        chunk_decide(&chunk->writes[0], req->status, req->class, 0);
                else
                        chunk_read_failed(chunk, req->status, req->class);
                return;
        }
        if (chunk->leg->obeyed.stop) {
                chunk_decide_rest(chunk, -ECANCELED, KC_CLASS_CANCELLED);
                return;
        }
        if (chunk->step == CHUNK_MERGE_READ) {
                chunk->step = CHUNK_READ;
                read_submit(chunk);
                return;
        }
        chunk_push(&chunk->leg->lane->write_chunks, chunk);
}

/* A Zero job has no source: its tail is merged with zeroes. */
static bool has_source(const struct chunk *chunk)
{
        return chunk->leg->endpoints[0].endpoint != NULL;
}

static void read_submit(struct chunk *chunk)
{
        const struct run_facts *facts = chunk_facts(chunk);
        struct io_req *req = &chunk->read_req;
        struct leg_endpoint *from;
        int rc;

        req->op = IO_READ;
        req->flags = 0;
        req->on_done = on_read_done;
        if (chunk->step == CHUNK_MERGE_READ) {
                /* The block that the tail ends in, as it is now; the tail goes on top of it. */
                const struct chunk_write *w = &chunk->writes[0];
                uint32_t block = chunk_destination(w)->endpoint->info.block_min_bytes;

                from = chunk_destination(w);
                req->offset_bytes =
                    facts->to_start_bytes[w->destination] + chunk->start_bytes + chunk->buf_bytes - block;
                req->length_bytes = block;
                req->buf = chunk->buf + chunk->buf_bytes - block;
        } else if (!has_source(chunk)) {
                memset(chunk->buf, 0, chunk->length_bytes);
                chunk_push(&chunk->leg->lane->write_chunks, chunk);
                return;
        } else {
                from = &chunk->leg->endpoints[0];
                req->offset_bytes = facts->from_start_bytes + chunk->start_bytes;
                req->length_bytes = chunk->length_bytes;
                req->buf = chunk->buf;
        }
        chunk->read_deadline_ns = chunk_now_ns(chunk) + facts->timeout_ns;
        chunk->reading = true;
        rc = leg_submit(chunk->leg, from, req);
        if (rc < 0) {
                chunk->reading = false;
                if (chunk->step == CHUNK_MERGE_READ)
                        chunk_decide(&chunk->writes[0], rc, endpoint_class_of_refusal(rc), 0);
                else
                        chunk_read_failed(chunk, rc, endpoint_class_of_refusal(rc));
                return;
        }
        lane_tick_at(chunk->leg->lane, chunk->read_deadline_ns);
}

void chunk_begin(struct chunk *chunk)
{
        assert(!chunk_needs_pages(chunk));
        chunk->begun_ns = chunk_now_ns(chunk);
        if (chunk->kind == SPAN_ZERO) {
                chunk_push(&chunk->leg->lane->write_chunks, chunk);
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
        if (chunk->hungry) {
                chunk_decide_rest(chunk, -ECANCELED, KC_CLASS_CANCELLED);
                return;
        }
        if (chunk->reading)
                endpoint_withdraw(chunk_read_endpoint(chunk)->endpoint, &chunk->read_req);
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (chunk->writes[i].in_flight)
                        endpoint_withdraw(
                            chunk_destination(&chunk->writes[i])->endpoint, &chunk->writes[i].req);
}

void chunk_abandon(struct chunk *chunk, int status, enum kc_class class)
{
        if (chunk->n_undecided > 0)
                chunk_decide_rest(chunk, status, class);
}
