/* The journal of a detached job: what it has to tell is stored first, with its number, and told then. So
 * whoever hears of something hears of it again after the daemon's death, under the same number.
 *
 *   journal_tell, journal_mark → one update of all that has gathered → stored → the observers
 *
 * One update is out at a time. What the store cannot take (a full disk) stays here and is tried again; the
 * job shows why. If somebody else has taken the job over (-ESTALE), it is not ours to speak of any more.
 *
 * Owned by its job. Thread: control. Close: journal_free, when it is not out (journal_busy). */
#ifndef COPY_JOURNAL_H
#define COPY_JOURNAL_H

#include "base/list.h"
#include "copy/store.h"

struct job;
struct journal;

/* A journal for the claimed job, whose next event has this number; NULL: no memory. */
struct journal *journal_new(struct job *job, uint64_t epoch, uint64_t next_seq);
void journal_free(struct journal *journal); /* takes NULL */

/* Store the event, and tell it then: STATE, DESTINATION_DONE (its destination is copied), or COMPLETION (its
 * result stays the job's, and as it is). 0 or -ENOMEM. */
int journal_tell(struct journal *journal, const struct job_event *event);
/* Store how far it is, the job's lasting->mark as it is when its turn comes: lasting_on_stored. */
void journal_mark(struct journal *journal);
/* Store another spec, the job's new one. */
void journal_spec(struct journal *journal);
/* Whether a mark is on the way. */
bool journal_marking(const struct journal *journal);
/* Whether anything is on the way. */
bool journal_busy(const struct journal *journal);
/* Nothing is on the way, or what is cannot be stored now: the job need not wait for it. */
bool journal_may_be_left(const struct journal *journal);
/* Why nothing gets stored; NULL: it does. */
const char *journal_trouble(const struct journal *journal);

#endif
