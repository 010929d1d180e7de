/* A leg: a job's work on one lane. Spans come in from the run's home lane, are cut into chunks, and each
 * chunk's outcome goes back as a report.
 *
 *   home lane (run.c)                     a lane (leg.c, chunk.c)
 *     span  ─────────────────────────────▶  cut into chunks
 *           ◀───────────────────────────── span back: how far it was used
 *           ◀───────────────────────────── report: one per chunk
 *     orders (strip, stop, abandon, end) ─▶  obeyed
 *           ◀───────────────────────────── orders back; after `end`: nothing of the job is left here
 *           ◀───────────────────────────── notice: a destination holds the others up
 *
 * Owned by its run, which outlives it. Thread: the lane; marked fields are the home lane's. */
#ifndef COPY_LEG_H
#define COPY_LEG_H

#include "copy/lag.h"
#include "copy/lane.h"
#include "copy/port.h"
#include "copy/window.h"
#include "copy/zeroes.h"

struct crew;
struct run;

enum span_kind {
        SPAN_DATA, /* read, write */
        SPAN_ZERO, /* make it zero */
        SPAN_TAIL, /* less than a minimum block of one destination: read, merge, write its last block */
};

/* A range of the job that one lane is to do. The home lane's, lent to the leg until it comes back. */
struct span {
        struct kc_msg msg; /* home → lane → home */
        struct kc_list node;
        struct run *run;
        struct leg *leg;
        enum span_kind kind;
        unsigned cursor;                 /* which of the run's cursors dealt it; 0: the main one */
        uint64_t mask;                   /* destinations */
        uint64_t start_bytes, end_bytes; /* in the job */
        uint64_t next_bytes;             /* the leg's: chunks were cut up to here */
        uint64_t known_bytes;            /* the home lane's: bytes reported or returned */
        bool returned;                   /* the home lane's */
        bool refused; /* the leg's: could not even begin for want of memory; it ends the job */
};

#define CHUNK_PIECES_MAX 16u

/* What became of one destination's part of a chunk: [0, done) is as it should be, [done, done + doubt) was
 * sent and is in doubt, the rest was not touched. */
struct report_write {
        unsigned destination;
        uint64_t done_bytes, doubt_bytes;
        bool as_data; /* zero pieces were written like data */
        bool pinned;  /* something is still in flight to it */
        bool dead;    /* the connection is gone */
        int status;
        enum kc_class class;
        uint64_t bad_bytes; /* with status: offset in the job of the request that failed */
};

/* What became of a chunk. Made by the leg, freed by the home lane. */
struct report {
        struct kc_msg msg;
        struct span *span;
        struct leg *leg;
        uint64_t mask; /* the span's destinations that it is about, also those that are not written to */
        uint64_t start_bytes, end_bytes;
        uint64_t took_ns; /* since it had its pages */
        bool early;       /* of some destinations, before the last one; the chunk goes on */
        bool adrift;      /* something of it is unanswered: its range stays locked until the leg has ended */
        bool read_dead;
        int read_status; /* the source's; nothing was written then */
        enum kc_class read_class;
        unsigned n_pieces;
        struct zeroes_piece pieces[CHUNK_PIECES_MAX]; /* data: where detected zeroes are */
        unsigned n_writes;
        struct report_write writes[];
};

/* What the home lane wants of a leg; it comes back when obeyed. */
struct leg_orders {
        uint64_t strip_mask; /* main spans: leave these destinations out of chunks not yet begun */
        bool stop;           /* begin nothing, write nothing that is not being written; return spans */
        bool abandon;        /* report what is in flight as it stands */
        bool end;            /* answered when nothing of the job is left on the lane */
};

struct leg_endpoint {
        struct port *port;              /* whose endpoint it is, maybe another lane's; NULL: no source */
        struct port *home_port;         /* the device's, where it is flushed */
        struct endpoint *port_endpoint; /* the port's: only an address unless the lane is its own */
        const struct endpoint_info *port_info; /* the device's, fixed */
        struct port *at_port;      /* the lane's: the port, while it is this lane's and open; else NULL */
        struct kc_list port_node;  /* … on its list */
        struct endpoint *endpoint; /* to submit to: the port's own, or a remote one of this leg's */
        bool remote;
        struct io_flow own_flow; /* the run's at the port that it submits to: that port's lane's */
        struct io_flow *flow;    /* of the port's lane, whoever submits */
        bool kill_posted;
        struct kc_msg kill_msg; /* to the port's lane and back */
        struct leg *leg;
        bool no_zero; /* destination: zero requests were refused once: write zeroes */
};

struct leg {
        struct run *run;
        struct lane *lane;
        struct share *share;
        struct kc_list ready_node; /* on the lane's list, or its crew's: has a span, and room in its window */
        struct crew *crew;         /* whose window it has; while it is open */
        struct kc_list spans;      /* to cut */
        struct kc_list chunks;     /* by leg_node: all that exist */
        unsigned n_chunks;         /* on `chunks`, adrift included */
        unsigned n_adrift;
        unsigned n_main;         /* chunks of the main cursor in flight: what the window limits */
        unsigned n_pages_chunks; /* waiting for pages: at most one main one */
        struct lag lag;
        struct leg_orders obeyed;
        bool opened, ended;
        struct leg_orders orders; /* in orders_msg */
        struct kc_msg orders_msg;
        bool end_pending;
        struct kc_msg notice_msg;
        uint64_t notice_mask;
        bool notice_posted;
        unsigned closing_remotes, kills;
        struct leg_endpoint *endpoints; /* [1 + n]: source, destinations */

        /* the home lane's */
        struct leg_orders wanted;
        bool orders_posted;
        bool ready; /* spans may be dealt to it */
        unsigned n_spans;
};

void leg_init(
    struct leg *leg, struct run *run, struct lane *lane, struct share *share, struct leg_endpoint *endpoints);
/* On the lane: connect to the endpoints. 0 or -ENOMEM. */
int leg_open(struct leg *leg);
/* On the home lane. */
void leg_deal(struct leg *leg, struct span *span);
bool leg_same_orders(const struct leg_orders *a, const struct leg_orders *b);
void leg_order(struct leg *leg); /* `wanted` changed */

/* On the home lane: the notice was dealt with, the leg may send another. */
void leg_notice_taken(struct leg *leg);
/* On the home lane and back: the report is the home lane's from here on. */
void leg_report(struct leg *leg, struct report *report);
/* An endpoint has not answered for the quarantine time. */
void leg_kill_endpoint(struct leg *leg, struct leg_endpoint *le);
/* Whether an error of this class means that nothing more can be expected of the endpoint. */
bool leg_endpoint_gone(const struct leg_endpoint *le, enum kc_class class);

/* For lane.c and chunk.c. */
int leg_submit(struct leg *leg, struct leg_endpoint *le, struct io_req *req);
bool leg_start_chunk(struct leg *leg, uint64_t *ret_bytes);
void leg_update_ready(struct leg *leg);
/* A chunk of data was read and written in full, and teaches the window. */
void leg_chunk_done(struct leg *leg, uint64_t bytes, uint64_t took_ns);
/* With its end ordered the leg may be gone after that. */
void leg_chunk_gone(struct leg *leg);
/* See who is holding the others up now, and tell the home lane if somebody has for too long. */
void leg_check_lag(struct leg *leg);

#endif
