/* The jobs of one session: from the request until the peer has taken the terminal event.
 *
 * Events that may coalesce (state, progress, destinations that ended) are flags here; what they say is
 * fetched from the engine when there is room to say it. Terminal events are packed as they come and held: the
 * record keeps its place in the admission count until the bytes are written, so a peer that does not read
 * stops being read from, and nothing grows without bound. Completions of a batch's jobs are gathered into as
 * few frames as they fit. Nothing of a batch's jobs is said before its AcceptedMany.
 *
 * Owns its records. Borrows: the session. Thread: the control loop. Close: slots_abandon when the connection
 * is gone; records whose submission is open stay until the engine has answered. */
#ifndef RPC_SLOT_H
#define RPC_SLOT_H

#include "base/list.h"
#include "copy/engine.h"
#include "base/idmap.h"
#include "rpc/news.h"

struct rpc;
struct session;
struct batch;

struct slots {
        struct kc_list all;       /* struct slot.node */
        struct kc_list dirty;     /* job.queue: has flags to be said */
        struct kc_list done;      /* job.queue: terminal, alone */
        struct kc_list done_many; /* job.queue: terminal, of batches */
        unsigned n;               /* slots taken: records, and terminal events not yet written */
        size_t terminal_bytes;    /* packed completions that are held */
        size_t engine_bytes;      /* what the engine holds for jobs that have not ended */
};

struct slot {
        struct engine_submission submission;
        struct session *session;
        struct kc_idmap_node by_id; /* rpc->jobs, once accepted */
        struct kc_list node, queue;
        uint64_t request_id;
        struct batch *batch; /* until its AcceptedMany has been sent: its events wait for that */
        unsigned index;      /* in the batch */
        bool of_batch;
        bool accepted;
        bool detached; /* its answer is all that its owner hears, unless he watches it */
        struct news news;
        uint64_t progress_interval_ns; /* as the owner wants it; 0: no Progress */
        uint64_t progress_due_ns;      /* the next */
        uint64_t progress_slack_ns;    /* so much early is in time */
        uint64_t rate_bytes_per_s;     /* of late; 0: not known yet */
        uint32_t engine_bytes;         /* 0: it has ended */
        uint32_t terminal_bytes;
        uint8_t *terminal; /* packed: of a batch a Completion, else a whole ServerMessage */
};

void slots_init(struct slots *jobs);
/* A record for a job that is about to be submitted, or NULL. */
struct slot *slot_new(struct session *session, uint64_t request_id);
/* Submit `spec`, which passes to the engine, and answer with Accepted, Refused or Validated. */
void slot_submit(struct slot *slot, struct copy_spec *spec);
/* Before `spec` is submitted: note what it takes, and how often its owner wants to hear of it, and have the
 * engine look oftener, so that what everybody else sees of the job is of now. */
void slot_prepare(struct slot *slot, struct copy_spec *spec);
void slot_free(struct slot *slot);
/* A job's rate of late, whoever asks; 0: not known. */
uint64_t slot_rate(const struct rpc *rpc, uint64_t job_id);
/* The engine's yes: from now on the job has events. */
void slot_accepted(struct slot *slot, uint64_t job_id);
/* Nothing is to be said any more but what slot_on_event noted meanwhile. */
void slot_unhold(struct slot *slot);

/* An event of one of this session's jobs. `verbose`: the session watches it too. */
void slot_on_event(struct slot *slot, const struct job_event *event, bool verbose);
/* Say what is to be said, while there is room. */
void slots_flush(struct session *session);
/* `n` terminal events have been written. */
void slots_written(struct session *session, unsigned n);
/* Forget everything; nobody listens any more. */
void slots_abandon(struct session *session);

#endif
