/* A run: one job being carried out, on its home lane.
 *
 * It plans ranges, deals them as spans to legs (its own lane's and, for a large job, others'), keeps the
 * ledger of each destination from the reports that come back, applies the error policy, flushes, and tells
 * the control loop how it ended. It never sees a payload.
 *
 *   run_start → make room → deal ⇄ reports → each destination: cut, flush, done → legs end → job_on_run_done
 *
 * What can go wrong: an endpoint fails (policy), the job is cancelled, answers stay out (grace, then what is
 * unanswered is abandoned: done is told before everything has drained; job_on_run_drained follows).
 *
 * Made by the control loop (run_new), lent to the home lane from run_start until drained, freed by the
 * control loop (run_free). Fields are the home lane's unless marked. */
#ifndef COPY_RUN_H
#define COPY_RUN_H

#include "base/sm.h"
#include "copy/leg.h"
#include "copy/checkpoint.h"
#include "copy/ledger.h"
#include "copy/planner.h"
#include "copy/suspects.h"
#include "copy/throttle.h"
#include "copy/validate.h"
#include "copy/window.h"

struct job;
struct store_mark;

/* Spans a leg may hold that it has not cut up yet. */
#define RUN_SPANS_PER_LEG 2u
/* An error that belongs to no place of the device. */
#define RUN_NO_PLACE UINT64_MAX

/* Fixed from run_start on; every lane reads it. */
struct run_facts {
        unsigned n_to;
        bool zero_job;
        uint64_t length_bytes, from_start_bytes;
        uint64_t *to_start_bytes; /* [n_to] */
        uint32_t align_bytes, chunk_bytes;
        enum window_kind window;
        uint64_t timeout_ns;
        bool fua, unmap, detect_zeroes;
        bool pinned;        /* its lanes keep to a processor each */
        bool last_try;      /* the job does not begin again when connections are dead at its beginning */
        uint64_t zero_mask; /* destinations that read as zeroes already */
        uint64_t told_mask; /* … whose end an earlier attempt has told */
        const char *identity;
        unsigned priority;
};

enum run_state { RUN_PREPARING, RUN_COPYING, RUN_STOPPING, RUN_ENDING, RUN_DRAINED };
enum dest_state { DEST_COPYING, DEST_FLUSHING, DEST_DONE };

/* Where dealing has got to, for the destinations that go together. */
struct cursor {
        struct run *run;
        uint64_t at_bytes;
        struct planner planner;
        struct throttle throttle;
        struct io_req extents_req;
        uint64_t extents_at_bytes, extents_deadline_ns;
        bool fetching, fetch_late;
        bool ahead; /* extents_req was answered, and the planner is not told yet */
        /* of a detached destination */
        struct window window;
        unsigned n_spans; /* of one chunk each */
};

struct run_dest {
        struct run *run;
        struct kc_sm sm; /* enum dest_state */
        struct ledger ledger;
        struct job_error error;
        uint64_t error_bytes;       /* where in the job: the lowest one is kept */
        uint64_t outstanding_bytes; /* dealt, and neither reported nor returned */
        bool dropped;               /* failed for good, or for this attempt: gets nothing more */
        bool in_doubt;              /* a flush failed: what was written since the last good one … */
        uint64_t sure_copied_bytes, sure_zeroed_bytes; /* … is all but this */
        bool detached;                                 /* fell behind: has a cursor of its own */
        bool durable;
        uint64_t flushed_ns; /* when its flush was answered; 0: not by a flush */
        struct cursor *cursor;
        struct flush_ticket flush;
        bool flushing;       /* the ticket is out */
        uint64_t lost_bytes; /* changed, or perhaps, and not recorded where: no memory, or left open */
        struct io_req resize_req;
        bool resizing;
        bool cut;         /* or about to be: to its exact size, after the last write */
        bool resize_sent; /* and not refused: its size may be another one now */
        bool pinned;      /* something that was sent to it is not answered */
        uint64_t adrift_start_bytes, adrift_end_bytes; /* hull of ranges with unanswered writes */
};

/* On its way to control and back: a file that a destination is was created. */
struct run_created {
        struct kc_msg msg;
        struct run *run;
        unsigned d;
        struct io_identity identity;
        int status;
};

/* What control shows of a running job; travels to control and back. */
struct run_snapshot {
        struct kc_msg msg;
        bool posted;
        uint64_t rate_bytes_per_s;
        char reason[160];
        struct job_destination_result *destinations; /* [n_to] */
};

/* What an undrained run still holds of a destination when its terminal event is told. */
struct run_held {
        bool device;                     /* something that was sent to it is not answered */
        bool whole;                      /* … and may touch all of its region: a change of size */
        uint64_t start_bytes, end_bytes; /* in the job: where unanswered writes may still land; end 0: none */
};

struct run {
        struct run_facts facts;
        struct job *job; /* control's object: only an address here */
        uint64_t job_id;
        struct lane *lane;
        struct kc_actor *home, *control;
        const struct copy_spec *spec;  /* the job's, fixed */
        struct job_region *to_regions; /* [n_to]: what to resize */
        uint64_t cancel_grace_ns;
        bool wants_helpers;
        struct checkpoint *checkpoint; /* NULL: none are made */

        struct kc_sm sm;
        unsigned n_legs; /* by lane, of a job that may have helpers; else 1, the home lane's */
        struct leg *legs;
        struct leg *leg; /* the home lane's own */
        unsigned legs_open;

        struct run_dest *dests;
        struct cursor main;
        uint64_t body_end_bytes; /* from here on tails have to be merged */
        uint64_t merge_mask;     /* destinations whose tail has to be */
        uint64_t tail_mask;      /* … tails not dealt yet */
        bool tail_begun;
        unsigned n_spans; /* dealt, and not fully known */
        unsigned n_resizing, n_flushing, n_fetching, n_adrift;
        uint64_t resize_deadline_ns;
        struct job_error source_error;
        uint64_t source_error_bytes;
        struct suspects suspects;   /* could not be read at once: tried again in pieces … */
        struct bad_ranges bad;      /* … all to no avail */
        struct job_error bad_error; /* what was not read, and no connection was lost: the first; control's
                                     from done_msg on */
        uint64_t bad_error_bytes;
        bool cancelled, abandoned, suspended, no_memory;
        const char *cancel_reason;  /* before cancel_msg is posted; static */
        const char *suspend_reason; /* likewise */
        bool stale;                 /* a connection was dead before anything was done: worth another try */
        char stop_reason[KC_ERROR_MESSAGE_MAX_BYTES];
        struct kc_timer timer; /* throttle, grace, progress, stalls: the earliest */
        uint64_t grace_ns;     /* when to abandon; 0: not stopping */
        uint64_t started_ns, progress_ns, progress_interval_ns, last_report_ns;
        uint64_t progress_done_bytes;
        uint64_t accounted_bytes; /* of all reports, for each destination: when a checkpoint is due */
        struct run_snapshot snapshot;
        bool snapshot_wanted;
        bool done_posted;

        /* messages */
        struct kc_msg start_msg, cancel_msg, suspend_msg, prepared_msg, done_msg, drained_msg;
        bool drained; /* in done_msg */
        unsigned legs_gone;
        unsigned legs_told;        /* in done_msg (drained) or drained_msg: how many have come and gone */
        struct job_result *result; /* in done_msg; the job's from there on */
        struct run_held *held;     /* in done_msg: [n_to] */
        struct job_destination_result *view; /* control's: [n_to], as of the last snapshot */
        bool source_gone;                    /* in done_msg: do not use these connections again */
        uint64_t dests_gone;                 /* … by destination */
};

static inline struct leg *run_leg(const struct run *run, unsigned lane_index)
{
        return &run->legs[run->n_legs > 1 ? lane_index : 0];
}

/* Control, before run_start: what earlier attempts have done. 0 or -ENOMEM. */
int run_go_on(struct run *run, const struct store_mark *mark);
/* Control: a run for n_to destinations over n_legs lanes, or NULL. facts' arrays, view and result have their
 * room. */
struct run *run_new(unsigned n_to, unsigned n_legs, const struct copy_spec *spec);
void run_free(struct run *run);
/* Control: everything but the state is filled in; the home lane begins. */
void run_start(struct run *run);
/* Control: once, any time between run_start and drained. */
void run_cancel(struct run *run, const char *reason);
/* Control: likewise. Stop, so that another run can go on from what this one has flushed; a run that is about
 * to be complete completes. job_on_suspend_obeyed follows. */
void run_suspend(struct run *run, const char *why);
/* Control: a helper lane's leg has its endpoints: it opens there and then joins. */
void run_add_leg(struct run *run, unsigned lane_index);

/* Messages that legs send to the home lane. */
void run_on_span_back(struct kc_actor *actor, struct kc_msg *msg);
void run_on_report(struct kc_actor *actor, struct kc_msg *msg);
void run_on_notice(struct kc_actor *actor, struct kc_msg *msg);
void run_on_orders_obeyed(struct kc_actor *actor, struct kc_msg *msg);

/* run_deal.c: hand out spans as far as legs, windows and the rate allow. */
void run_deal(struct run *run);
int cursor_init(struct cursor *cursor, struct run *run);
void cursor_done(struct cursor *cursor);
void run_check_fetches(struct run *run, uint64_t now_ns);
/* The destinations that the main cursor still serves. */
uint64_t run_main_mask(const struct run *run);
/* Whether it waits for extents; not for those that are late: it goes on without. */
static inline bool cursor_waits(const struct cursor *cursor)
{
        return cursor->fetching && !cursor->fetch_late;
}
/* Let destination `d` read for itself from now on. */
void run_detach(struct run *run, unsigned d);

/* Control has looked at the snapshot. */
void run_snapshot_return(struct run *run);

/* run_account.c: reports into ledgers and errors. */
void run_account(struct run *run, const struct report *report);
void run_dest_failed(struct run *run, unsigned d, int status, enum kc_class class, uint64_t at_bytes,
    bool gone, const char *what);
/* Endpoint 0 (source) or 1 + i (destination i) is of no more use. */
void run_endpoint_gone(struct run *run, unsigned endpoint);
/* Of the last one, or a checkpoint's: it is final, and what was written since the last good one in doubt. */
void run_flush_failed(struct run *run, unsigned d, const struct flush_ticket *ticket);
void run_source_failed(struct run *run, int status, enum kc_class class, uint64_t at_bytes, bool gone);
void run_fill_result(struct run *run);
void run_fill_destination(const struct run *run, unsigned d, struct job_destination_result *ret_result);
void run_snapshot(struct run *run);

/* run_begin.c: control knows of the created file. */
void run_on_created(struct kc_actor *actor, struct kc_msg *msg);
/* run_begin.c: the first span may be dealt once every file has its size. */
void run_maybe_copy(struct run *run);
bool run_waits_for_resize(const struct run *run);
/* Cut what is longer than it is to be. False: it is not, and nothing was done. */
bool run_cut(struct run *run, unsigned d);
void run_check_resizes(struct run *run, uint64_t now_ns);

/* run.c */
void run_on_timer(struct kc_timer *timer);
void run_work(struct run *run);
void run_stop(struct run *run, const char *why);
void run_no_memory(struct run *run); /* stop for that */
void run_drop(struct run *run, unsigned d);
void run_timer_at(struct run *run, uint64_t at_ns);
bool run_going(const struct run *run); /* neither stopping nor over */

#endif
