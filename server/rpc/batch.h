/* The jobs of one CopyMany until the last of them has been accepted or refused: then one AcceptedMany goes
 * out, and what happened to them meanwhile may be said.
 *
 * Owns the answers. Borrows: the session, which each unanswered job holds. Thread: the control loop. Close:
 * frees itself with the last answer. */
#ifndef RPC_BATCH_H
#define RPC_BATCH_H

#include "copy/engine.h"

struct session;
struct batch;
struct slot;

/* NULL: out of memory. Then submit or refuse each job, in any order, and seal. */
struct batch *batch_new(struct session *session, uint64_t request_id, unsigned n_jobs);
/* `spec` passes to the engine. Out of memory loses the session. */
void batch_submit(struct batch *batch, unsigned index, struct copy_spec *spec);
void batch_refuse(struct batch *batch, unsigned index, const struct engine_refusal *refusal);
/* Nothing is added any more. The batch may be gone afterwards. */
void batch_seal(struct batch *batch);
/* The session has forgotten that job. */
void batch_forget(struct batch *batch, unsigned index);

#endif
