/* A chunk's report: what became of it, for the run's accounts. The memory for the last word is there from the
 * start, so that it can always be said. */
#include "copy/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "copy/run.h"

struct report *report_new(unsigned n_writes)
{
        return kc_zalloc(sizeof(struct report) + n_writes * sizeof(struct report_write));
}

static bool something_unanswered(const struct chunk *chunk)
{
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (chunk->writes[i].unanswered)
                        return true;
        return false;
}

/* Only what was really read and written tells how fast that goes. */
static bool all_well(const struct chunk *chunk)
{
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (chunk->writes[i].status < 0)
                        return false;
        return chunk->read_status == 0;
}

static void fill(const struct chunk *chunk, struct report *report)
{
        report->span = chunk->span;
        report->leg = chunk->leg;
        report->mask = chunk->span_mask;
        report->start_bytes = chunk->start_bytes;
        report->end_bytes = chunk->start_bytes + chunk->length_bytes;
        report->n_pieces = chunk->n_pieces;
        memcpy(report->pieces, chunk->pieces, sizeof report->pieces);
}

static void add_write(const struct chunk *chunk, const struct chunk_write *w, struct report *report)
{
        report->writes[report->n_writes++] = (struct report_write){
            .destination = w->destination,
            .done_bytes = w->done_bytes,
            .doubt_bytes = w->doubt_bytes,
            .as_data = w->as_data,
            .status = w->status,
            .class = w->class,
            .bad_bytes = chunk->start_bytes + w->done_bytes,
            .pinned = w->in_flight || w->unanswered || (chunk->reading && chunk->step == CHUNK_MERGE_READ),
            .dead = w->status < 0 && leg_endpoint_gone(chunk_destination(w), w->class),
        };
}

/* Destinations that this chunk will not touch any more: their part has settled, or they have none because
 * they read for themselves. */
static uint64_t done_with(const struct chunk *chunk)
{
        uint64_t mask = chunk->span_mask;

        for (unsigned i = 0; i < chunk->n_writes; i++) {
                const struct chunk_write *w = &chunk->writes[i];

                if (!w->decided || w->in_flight || w->unanswered)
                        mask &= ~(1ull << w->destination);
        }
        return mask;
}

/* Somebody else may hold the chunk for long, perhaps for ever. Not said for want of memory: then later. */
void chunk_report_early(struct chunk *chunk)
{
        uint64_t mask = done_with(chunk);
        struct report *report = mask ? report_new(chunk->n_writes) : NULL;

        if (!report)
                return;
        fill(chunk, report);
        report->early = true;
        report->mask = mask;
        for (unsigned i = 0; i < chunk->n_writes; i++) {
                struct chunk_write *w = &chunk->writes[i];

                if (!(mask >> w->destination & 1))
                        continue;
                add_write(chunk, w, report);
                w->reported = true;
        }
        chunk->span_mask &= ~mask;
        leg_report(chunk->leg, report);
}

void chunk_run_report(struct chunk *chunk)
{
        struct report *report = chunk->report;
        struct leg *leg = chunk->leg;

        chunk->report = NULL;
        if (chunk->hungry)
                chunk_fed(chunk);
        fill(chunk, report);
        report->took_ns = chunk_now_ns(chunk) - chunk->begun_ns;
        report->adrift = chunk_in_flight(chunk) || something_unanswered(chunk);
        report->read_status = chunk->read_status;
        report->read_class = chunk->read_class;
        report->read_dead =
            chunk->read_status < 0 && leg_endpoint_gone(&leg->endpoints[0], chunk->read_class);
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (!chunk->writes[i].reported)
                        add_write(chunk, &chunk->writes[i], report);
        if (chunk->counted && chunk->kind == SPAN_DATA && all_well(chunk))
                leg_chunk_done(leg, chunk->length_bytes, report->took_ns);
        chunk_uncount(chunk);
        if (report->adrift) {
                chunk->adrift = true;
                leg->n_adrift++;
                share_adrift(leg->share, chunk->buf, chunk->pages, true);
                kc_list_move(&leg->lane->adrift_chunks, &chunk->node);
                lane_tick_at(leg->lane, chunk_now_ns(chunk));
        } else {
                chunk_free(chunk); /* the leg stays: its run waits for this report */
        }
        leg_report(leg, report);
}
