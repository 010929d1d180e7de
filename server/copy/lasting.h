/* What a job has that outlives its runs: one that is detached (DESIGN 6), or that tries lost connections
 * again.
 *
 *   run → it is suspended, or has lost an endpoint → drained → (paused | waits a while) → resolved → queued →
 * run
 *
 * Each run begins with what those before it have flushed. Between two runs the job keeps its locks, so that
 * nobody else writes where it has written; a paused one has none, and begins anew if somebody has.
 *
 * lasting.c: what it has done, and what is stored of it; lasting_overwrites.c: by whom it is undone;
 * lasting_check.c: that its devices are the same; lasting_suspend.c: why it does not run, and when it does
 * again. Owned by its job. Thread: control. */
#ifndef COPY_LASTING_H
#define COPY_LASTING_H

#include "copy/journal.h"

struct run;

enum suspension {
        SUSPEND_NOT,
        SUSPEND_LOST,     /* an endpoint is gone, and is tried again */
        SUSPEND_PAUSE,    /* somebody wants it so, or has to look at it first */
        SUSPEND_ADJUST,   /* to go on at once, otherwise */
        SUSPEND_SHUTDOWN, /* to go on in the daemon's next life */
};

struct lasting {
        struct job *job;
        struct kc_list unlocked_node; /* the engine's, while it has no locks */
        struct journal *journal;      /* NULL: it is not detached, or not accepted */
        struct store_mark *mark;      /* how far it is; from its acceptance on */
        bool resumed;                 /* there was a run before: the next one begins with the mark */
        bool marking;                 /* its run waits until the mark is stored */
        bool goes_on;                 /* its run is over, or about to be, and not the last one */
        bool end_told;                /* its completion is with the journal, or stored … */
        uint64_t end_seq;             /* … under this number */
        enum suspension suspended;    /* why it does not run, or its run is to stop */
        bool suspend_posted, suspend_obeyed;
        char reason[256];       /* PAUSE: why, for people */
        struct copy_spec *spec; /* ADJUST: the next run's; NULL: as it was */
        /* LOST */
        struct kc_error lost;   /* what, and why */
        uint64_t lost_since_ns; /* without progress since; 0: nothing is lost */
        uint64_t best_bytes;    /* the furthest it has been, of all destinations together */
        uint64_t retry_ns;      /* when it is tried again */
        unsigned n_tries;
        struct kc_timer timer;
        /* from outside: one at a time, the last wins */
        struct kc_msg msg;
        bool msg_posted;
        enum suspension asked; /* SUSPEND_NOT: resume */
};

/* It is claimed from the store: paused, for that reason, or to go on. */
void lasting_recover(struct job *job, const char *paused);
/* For a job with spec->lasting; NULL: no memory. */
struct lasting *lasting_new(struct job *job);
void lasting_free(struct lasting *lasting); /* takes NULL */

/* Tell an event; of a detached job, once it is stored. */
void job_tell(struct job *job, const struct job_event *event);

/* What it is to do, as of the last adjustment that was asked for. */
const struct copy_spec *lasting_spec(const struct job *job);
/* Ask that the job be suspended for this reason, or with SUSPEND_NOT that it go on. `spec` is the job's from
 * then on (SUSPEND_ADJUST, else NULL). Nothing happens inside the call. */
void lasting_ask(struct job *job, enum suspension what, struct copy_spec *spec);

/* The devices are open and fit: that they are what they were. False: the job is suspended, or refused. */
bool lasting_check(struct job *job);
/* A destination is a file that was created, and is known as that from now on. */
void lasting_created(struct job *job, unsigned d, const struct io_identity *identity);
/* A destination has ended; tell it. */
void lasting_destination_done(struct job *job, unsigned d, const struct job_destination_result *result);
/* Its run is over: whether it goes on with another one, later. Asked once, when the result is there. */
bool lasting_goes_on(struct job *job);
/* … and by now nothing is left of the run: what comes instead of the end. */
void lasting_go_on(struct job *job);
/* Destination `d` has ended with this run: what those before it have left in doubt is in doubt. */
void lasting_doubt(const struct job *job, unsigned d, struct job_destination_result *result);
/* Whether this end is a destination that has ended: nothing more is done to it. */
bool lasting_told(const struct job *job, unsigned end);
/* Whether it is told to its run that it is to stop, and the run has not answered. */
bool lasting_suspending(const struct job *job);
/* Whether this error of an endpoint is no reason to give up yet. */
bool lasting_may_try(const struct job *job, const struct kc_error *error);
/* The next run begins with what those before it have done, and makes checkpoints. 0 or -ENOMEM. */
int lasting_prepare(struct job *job, struct run *run);
/* It ends without a run: what runs have done to destination `d` goes to *ret_result, whose ledger says that
 * it is untouched. True: it had ended before, and this is all there is to say. */
bool lasting_fill(const struct job *job, unsigned d, struct job_destination_result *ret_result);
/* … and to *result what runs could not read. */
void lasting_fill_source(const struct job *job, struct job_result *result);
/* It ends: nothing more is tried. */
void lasting_stop(struct job *job);
/* It was accepted once and could not be resolved now: true if that may change, or an operator has to look. */
bool lasting_bears(struct job *job, const struct engine_refusal *refusal);
/* It has nothing under way and is to be suspended: instead of what it was about to do. False: it is not. */
bool lasting_halts(struct job *job);
/* Its end is to be stored before it is told. False: it is by now, or need not be. */
bool lasting_holds_end(struct job *job);
/* Why it does not run; false: not for a reason that is known here. */
bool lasting_reason(const struct job *job, char *buf, size_t buf_bytes);

/* The job has its locks and is about to write: what others without locks have done there is done no longer.
 * True: it has to wait until that is stored; job_start follows. */
bool lasting_overwrites(struct job *writer);
void lasting_overwriters_go_on(struct engine *engine);

/* It is to be tried again, or its end is. */
void lasting_on_timer(struct kc_timer *timer);
/* From the run, on control. */
void job_on_checkpoint(struct kc_actor *actor, struct kc_msg *msg);
void job_on_suspend_obeyed(struct kc_actor *actor, struct kc_msg *msg);

/* From the journal. */
void lasting_on_stored(struct job *job, bool marked);
void lasting_on_store_trouble(struct job *job);
void lasting_on_taken_over(struct job *job, const struct kc_error *error);

#endif
