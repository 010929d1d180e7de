/* Checkpoints of a run: how far it is, on stable storage (DESIGN 6).
 *
 *   copy each destination's ledger → flush it → the flush is answered → control stores the ledgers → back
 * here
 *
 * A ledger is copied before its flush is sent, so all that it calls written was answered by then. Rounds
 * begin when so much time has passed and something was done since, or when so many bytes were done; one at a
 * time, a next one not before the last is stored. The last round of a run that stops, and may go on in
 * another, covers what has come back by then.
 *
 * A flush that fails ends its destination, as the last one would. Owned by the run. Thread: home lane;
 * checkpoint_new and checkpoint_free: control. */
#ifndef COPY_CHECKPOINT_H
#define COPY_CHECKPOINT_H

#include "copy/engine.h"
#include "copy/ledger.h"
#include "copy/port.h"

struct run;

struct checkpoint {
        struct run *run;
        uint64_t interval_ns, interval_bytes;
        uint64_t last_ns, last_bytes; /* when the last round ended, and run->accounted_bytes when it began */
        bool ended;                   /* the last round was made */
        unsigned n_flushing;
        bool posted; /* control has it */
        struct kc_msg msg;
        struct bad_ranges bad; /* as the ledgers were */
        struct job_error bad_error;
        uint64_t bad_error_bytes;
        struct checkpoint_dest {
                struct flush_ticket flush;
                struct run *run;
                unsigned d;
                struct ledger ledger; /* as it was when the flush was sent … */
                struct job_error error;
                uint64_t error_bytes;
                bool flushing;
                bool good; /* … and the flush was answered well: control takes the ledger */
        } dests[];
};

/* NULL: no memory. */
struct checkpoint *checkpoint_new(
    struct run *run, unsigned n_to, uint64_t interval_ns, uint64_t interval_bytes);
void checkpoint_free(struct checkpoint *checkpoint, unsigned n_to); /* takes NULL */

/* Whether a round is under way, or with control. */
static inline bool checkpoint_out(const struct checkpoint *checkpoint)
{
        return checkpoint && (checkpoint->n_flushing > 0 || checkpoint->posted);
}

/* Whether its flush of destination `d` is under way. */
bool checkpoint_flushes(const struct run *run, unsigned d);
/* Begin a round, if one is due. */
void checkpoint_poll(struct run *run);
/* The run stops, and all spans are back: begin the last round. False: it was made, or there is nothing that
 * it could tell. */
bool checkpoint_last(struct run *run);
/* Control has stored it, or could not. */
void checkpoint_return(struct checkpoint *checkpoint);

#endif
