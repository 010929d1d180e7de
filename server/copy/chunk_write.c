/* A chunk's writes: per destination one request at a time, piece by piece, down the ladder for zeroes: a zero
 * request, unmapping or not as the job says, else written zeroes. */
#include "copy/chunk.h"

#include <errno.h>

#include "base/num.h"
#include "copy/run.h"

/* Written zeroes come from here: never written to, so it stays the kernel's zero page. */
#define ZERO_BUFFER_BYTES (1u << 20)
static unsigned char zero_buffer[ZERO_BUFFER_BYTES] __attribute__((aligned(KC_PAGE_BYTES)));

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
                chunk_late_answer(chunk, req->unanswered);
                return;
        }
        if (req->status == -EOPNOTSUPP && req->op == IO_ZERO) {
                chunk_destination(w)->no_zero = true; /* the next rung: written zeroes */
                write_next(w);
                return;
        }
        if (req->status < 0) {
                if (req->unanswered)
                        chunk->settle_ns = chunk_now_ns(chunk) + chunk->leg->lane->quarantine_ns;
                chunk_decide(w, req->status, req->class, req->sent ? w->requested_bytes : 0);
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
        const struct run_facts *facts = chunk_facts(chunk);
        const struct endpoint *endpoint = chunk_destination(w)->endpoint;
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
        w->requested_bytes = kc_min_u64(bytes, chunk->length_bytes - at_bytes);
        w->deadline_ns = chunk_now_ns(chunk) + facts->timeout_ns;
        w->in_flight = true;
        rc = leg_submit(chunk->leg, chunk_destination(w), req);
        if (rc < 0) {
                w->in_flight = false;
                chunk_decide(w, rc, endpoint_class_of_refusal(rc), 0);
                return;
        }
        lane_tick_at(chunk->leg->lane, w->deadline_ns);
}

/* Written zeroes: from the chunk's own buffer where it has one (it holds zeroes there), else from ours. */
static void write_zeroes(struct chunk_write *w, uint64_t at_bytes, uint64_t bytes)
{
        struct chunk *chunk = w->chunk;
        const struct endpoint_info *info = &chunk_destination(w)->endpoint->info;

        if (chunk->buf) {
                write_submit(w, IO_WRITE, chunk->buf + at_bytes, at_bytes, bytes);
                return;
        }
        bytes = kc_min_u64(bytes, info->block_max_bytes);
        if (bytes > ZERO_BUFFER_BYTES)
                bytes = ZERO_BUFFER_BYTES;
        write_submit(w, IO_WRITE, zero_buffer, at_bytes, bytes);
}

static void write_next(struct chunk_write *w)
{
        struct chunk *chunk = w->chunk;
        const struct run_facts *facts = chunk_facts(chunk);
        const struct endpoint_info *info = &chunk_destination(w)->endpoint->info;
        bool can_zero = info->zero_max_bytes > 0 && !chunk_destination(w)->no_zero;
        bool declared = facts->zero_mask >> w->destination & 1;

        /* Detected zeroes do not pay where they cannot be asked for: one write of it all. */
        if (w->done_bytes == 0 && chunk->kind == SPAN_DATA && !can_zero && !declared)
                w->as_data = true;

        while (w->done_bytes < chunk->length_bytes) {
                const struct zeroes_piece *piece = &chunk->pieces[w->piece];
                uint64_t left = chunk->length_bytes - w->done_bytes;

                if (chunk->leg->obeyed.stop) {
                        chunk_decide(w, -ECANCELED, KC_CLASS_CANCELLED, 0);
                        return;
                }
                if (chunk->kind == SPAN_TAIL) {
                        write_submit(w, IO_WRITE, chunk->buf, 0, chunk->buf_bytes);
                        return;
                }
                if (chunk->kind == SPAN_ZERO) {
                        if (can_zero)
                                write_submit(
                                    w, IO_ZERO, NULL, w->done_bytes, kc_min_u64(left, info->zero_max_bytes));
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
                                    w, IO_ZERO, NULL, w->done_bytes, kc_min_u64(left, info->zero_max_bytes));
                        else
                                write_zeroes(w, w->done_bytes, left);
                        return;
                }
                /* The client says it reads as zeroes already. */
                w->done_bytes += left;
                w->piece++;
                w->piece_done_bytes = 0;
        }
        chunk_decide(w, 0, KC_CLASS_NONE, 0);
}

void chunk_run_writes(struct chunk *chunk)
{
        chunk->step = CHUNK_WRITE;
        kc_list_move(&chunk->leg->lane->io_chunks, &chunk->node);
        if (chunk->n_writes > 1) /* somebody may fall behind without a word */
                lane_tick_at(chunk->leg->lane, chunk_now_ns(chunk) + LAG_PERIOD_NS);
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (!chunk->writes[i].decided)
                        write_next(&chunk->writes[i]);
}
