/* A replay tells the events of one detached job from a number on, as they are stored, and then those that
 * follow, each as soon as it is stored: whoever is told of an event is told of all before it, in the very
 * same words.
 *
 * Owns its records. Borrows: the session (held while the store is asked), the store. Thread: the control
 * loop. Close: replays_stop. */
#ifndef RPC_REPLAY_H
#define RPC_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define REPLAYS_MAX 64u /* of one session */

struct session;

struct replays {
        struct kc_list all;
        unsigned n;
};

void replays_init(struct session *session);
void replays_stop(struct session *session);
/* Events from number `from` on, and the last one, which ends it, whatever its number: it is to come yet, as
 * number `next_seq` or later, or stored from `from` on. */
void replay_begin(struct session *session, uint64_t job_id, uint64_t from, uint64_t next_seq);
/* No more of them; harmless where there is none. */
void replay_end(struct session *session, uint64_t job_id);
/* Whether the job's events come from a replay: nothing else is to tell of them. */
bool replay_covers(const struct session *session, uint64_t job_id);
/* The job has had an event, which is stored. */
void replay_on_event(struct session *session, uint64_t job_id);
/* There is room again. */
void replays_flush(struct session *session);

#endif
