/* A chunk: a piece of a job in flight. It waits for pages, then for its read, then for its writes, then it
 * reports; the list it is on is its state.
 *
 *   pages_chunks → io_chunks → write_chunks → io_chunks → report_chunks → (freed, or adrift_chunks → freed)
 *
 * Reported is not settled: a command past its deadline is reported as in doubt, but its buffer and range stay
 * taken until it is answered, or the connection has been dead for the quarantine time.
 * Owns its buffer and requests. Thread: its lane. */
#ifndef COPY_CHUNK_H
#define COPY_CHUNK_H

#include "copy/leg.h"

struct chunk;

struct chunk_write { /* one destination */
        struct io_req req;
        struct chunk *chunk;
        unsigned destination;
        unsigned piece;            /* being done */
        uint64_t piece_done_bytes; /* of it */
        uint64_t done_bytes;       /* of the chunk */
        uint64_t requested_bytes;  /* by req */
        uint64_t deadline_ns;      /* of req, while in flight */
        bool in_flight, decided, reported;
        int status;
        enum kc_class class;
        bool unanswered;
        bool as_data;
        uint64_t doubt_bytes;
};

enum chunk_step { CHUNK_MERGE_READ, CHUNK_READ, CHUNK_WRITE };

struct chunk {
        struct kc_list node;     /* the lane's lists */
        struct kc_list leg_node; /* the leg's */
        struct leg *leg;
        struct span *span; /* only an address, for the report; may be gone after it */
        struct report *report;
        enum span_kind kind;
        uint64_t span_mask; /* the span's destinations that its report is still to tell of */
        bool main;
        uint64_t start_bytes;
        uint64_t length_bytes; /* zero chunks: up to 1 GiB */
        uint32_t buf_bytes;    /* wanted */
        unsigned char *buf;
        uint32_t pages;
        uint64_t begun_ns; /* when it had what it needed */

        enum chunk_step step;
        struct io_req read_req;
        bool reading;
        int read_status;
        enum kc_class read_class;
        uint64_t read_deadline_ns;
        bool adrift;        /* on adrift_chunks; in share->adrift_pages */
        bool hungry;        /* on its share's pages_chunks; in leg->n_pages_chunks */
        bool counted;       /* in leg->n_main */
        uint64_t settle_ns; /* adrift with nothing in flight: end of the quarantine */

        unsigned n_pieces;
        struct zeroes_piece pieces[CHUNK_PIECES_MAX];
        unsigned crew_epoch;  /* with `counted` */
        unsigned n_undecided; /* writes without an outcome */
        unsigned n_writes;
        struct chunk_write writes[];
};

/* NULL: out of memory. Cuts the next chunk off `span`; the destinations are in `mask` (not empty). */
struct chunk *chunk_new(struct leg *leg, struct span *span, uint64_t length_bytes, uint64_t mask);
/* Has what it needs: begin with its first I/O. */
void chunk_begin(struct chunk *chunk);
/* Whether pages are needed and not there. */
bool chunk_needs_pages(const struct chunk *chunk);
/* It has its pages, or needs none any more. */
void chunk_fed(struct chunk *chunk);
/* If only destinations hold it that read for themselves by now, the window does not count it any more, and
 * the others hear of their part. */
void chunk_check_stripped(struct chunk *chunk);
/* Steps run by lane_do_work. */
void chunk_prepare_writes(struct chunk *chunk);
void chunk_run_writes(struct chunk *chunk);
void chunk_run_report(struct chunk *chunk);
/* The leg was stopped: what is not being written will not be. */
void chunk_stop(struct chunk *chunk);
/* Decide everything as it stands and report. */
void chunk_abandon(struct chunk *chunk, int status, enum kc_class class);
/* Deadlines: decide commands that are overdue. Returns when to look again. */
uint64_t chunk_check_deadline(struct chunk *chunk, uint64_t now_ns);
/* Adds the destinations that it still waits for, when others are done with it. False: it is itself on its
 * way, so nobody is blocking the leg. */
bool chunk_blocking(const struct chunk *chunk, uint64_t *mask);
/* The name of the device that has not answered yet, or NULL. */
const char *chunk_stalled_on(const struct chunk *chunk);
/* Adrift: free it if everything has settled. Returns when to look again, UINT64_MAX if it is gone or unknown.
 */
uint64_t chunk_check_settled(struct chunk *chunk, uint64_t now_ns);

/* ---- for chunk.c, chunk_write.c, chunk_wait.c and chunk_report.c alone */

static inline struct leg_endpoint *chunk_destination(const struct chunk_write *w)
{
        return &w->chunk->leg->endpoints[1 + w->destination];
}

/* Where its read goes: the source, or the destination whose last block a tail is merged with. */
static inline struct leg_endpoint *chunk_read_endpoint(const struct chunk *chunk)
{
        return chunk->step == CHUNK_MERGE_READ ? chunk_destination(&chunk->writes[0])
                                               : &chunk->leg->endpoints[0];
}

static inline uint64_t chunk_now_ns(const struct chunk *chunk)
{
        return kc_actor_now_ns(chunk->leg->lane->actor);
}

const struct run_facts *chunk_facts(const struct chunk *chunk);
/* Put it at the end of one of the lane's lists, and have that looked at. */
void chunk_push(struct kc_list *list, struct chunk *chunk);
/* The outcome of one destination; the last one sends the report on its way. */
void chunk_decide(struct chunk_write *w, int status, enum kc_class class, uint64_t doubt_bytes);
/* … of all that have none; those with a request in flight are in doubt. */
void chunk_decide_rest(struct chunk *chunk, int status, enum kc_class class);
void chunk_read_failed(struct chunk *chunk, int status, enum kc_class class);
/* An answer came for what had been decided without it: only the settling is left. */
void chunk_late_answer(struct chunk *chunk, bool unanswered);
bool chunk_in_flight(const struct chunk *chunk);
/* The window counts what is in flight: not what was reported, however long it takes to settle. */
void chunk_uncount(struct chunk *chunk);
/* Report now those destinations that have settled, before the others. */
void chunk_report_early(struct chunk *chunk);
/* Zeroed, with room for so many writes; NULL: out of memory. */
struct report *report_new(unsigned n_writes);
void chunk_free(struct chunk *chunk);

#endif
