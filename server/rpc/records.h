/* Requests about detached jobs that need the store: those of earlier lives of the daemon, what has happened
 * to a job (replay.h), and what is to be forgotten. Each holds the session until the store has answered, and
 * counts among its calls (call.h).
 *
 * Owns its calls. Borrows: the session, the store. Thread: the control loop. */
#ifndef RPC_RECORDS_H
#define RPC_RECORDS_H

#include "kcopy.pb-c.h"

struct session;

/* Answer the request from the store: JobInfo, JobList, Done, or Refused. */
void records_get(struct session *session, uint64_t request_id, uint64_t job_id);
void records_list(struct session *session, uint64_t request_id, const Kcopy__V1__List *list);
void records_forget(struct session *session, uint64_t request_id, uint64_t job_id);
/* Done, then the job's events from number `from` on; 0: only its end, which it has had. Or Refused. */
void records_replay(struct session *session, uint64_t request_id, uint64_t job_id, uint64_t from);

#endif
