/* A job, on the control loop: from its submission to an hour after its terminal event.
 *
 *   submission: resolving (devices open) → validated → accepted, or refused and gone
 *   waiting:    for one of its client's slots, then for its locks
 *   running:    a run (run.h) carries it out on its home lane
 *   terminal:   completed, failed, cancelled: exactly one completion; what is unanswered may still drain
 *
 * Owns its spec, its result, its run while there is one, and a reference to each device while it needs them.
 * job_resolve.c: its devices and its validation; job.c: submission, acceptance, cancel; job_start.c: the
 * start of its run; job_locks.c: its locks; job_end.c: what comes back, and the end; job_told.c: what of
 * that is told; job_let_go.c: its devices, once more. */
#ifndef COPY_JOB_H
#define COPY_JOB_H

#include "base/sm.h"
#include "copy/client.h"
#include "copy/device.h"
#include "copy/lasting.h"
#include "copy/run.h"

struct resolve; /* the waits of a submission */
struct job_locks;

struct job {
        struct kc_list node;            /* the engine's jobs, by id; not before it is accepted */
        struct kc_list client_node;     /* the client's, until it is terminal and drained */
        struct kc_list runnable_node;   /* the client's queue, while it waits for a slot */
        struct kc_list running_node;    /* the engine's, while it has a run */
        struct kc_list overwriter_node; /* the engine's, while it waits for others' marks (lasting.h) */
        struct kc_list history_node;
        struct kc_idmap_node by_id; /* the engine's */
        struct engine *engine;
        struct engine_client *client; /* NULL once terminal and drained */
        uint64_t id;                  /* 0: not accepted */
        struct copy_spec *spec;
        struct engine_submission *submission; /* until answered */
        union {                               /* what it is answered with, once its devices are let go of */
                struct engine_refusal *refusal;
                struct engine_plan *validated;
        } answer;
        struct resolve *resolve;
        struct kc_sm sm;   /* enum job_state, once accepted */
        struct kc_msg msg; /* on its way: on_submit, then at most one on_cancel */
        bool msg_posted;
        bool no_memory; /* it could not be started */
        struct owner *owner;

        uint64_t length_bytes;
        uint32_t align_bytes, chunk_max_bytes;
        uint64_t accepted_ns, terminal_ns;
        struct job_locks *locks;   /* held or awaited; NULL: neither */
        struct job_result *result; /* terminal … */
        struct job_brief *brief;   /* … and drained, without an error: instead (history.h) */
        uint32_t history_bytes;    /* as counted in the engine's */

        struct run *run;
        struct lasting *lasting; /* NULL: it ends with its first run */
        char *stall;             /* why it makes no progress, NULL: it does */
        uint64_t progress_ns;
        bool helpers_wanted;
        uint64_t helpers; /* lanes that were asked to join */
        unsigned legs_posted, legs_late;
        bool cancel_wanted, cancel_posted, cancel_obeyed;
        bool restarted;
        bool run_done, run_drained;
        struct device_waiter close_waiter;
        struct kc_timer close_timer;        /* before that: until its end, which is owed, is tried again */
        unsigned closing_device;            /* while it lets go of its devices: the next one */
        void (*on_let_go)(struct job *job); /* … and what comes then; else NULL */

        struct job_ends {              /* [0]: source, [1 + i]: destinations */
                struct device *device; /* referenced; NULL: none, or let go */
                struct job_region region;
                char *name;            /* restarted: what to open again; else NULL */
                struct device *pinned; /* for the key in `ranges`; NULL: not locked */
                bool stuck;            /* device_stuck was said for this job */
        } * ends;
};

/* How many `ends` it has; a Zero job's first one is empty. */
static inline unsigned job_n_ends(const struct job *job)
{
        return 1 + job->spec->n_to;
}

/* A record for a job of this owner, which is not accepted; the spec passes to it. NULL: no memory, and the
 * spec is freed. */
struct job *job_new(struct engine_client *client, struct owner *owner, struct copy_spec *spec);
/* It is accepted, with its id. */
void job_keep_record(struct job *job);
/* It waits for a slot of its client. */
void job_queue(struct job *job);
/* Begin a submission: engine_submit's work. */
int job_submit(struct engine_client *client, struct copy_spec *spec, struct engine_submission *submission);
/* It has a slot: its locks are next, unless it lost a device while it waited. */
void job_begin(struct job *job);
/* It has waited for its locks, and has them: the same once more. */
void job_locked(struct job *job);
/* Its turn has come: make a run of it. */
void job_start(struct job *job);
/* Ask for its end; harmless when it is terminal. Nothing happens inside the call. */
void job_cancel(struct job *job);
/* Helper lanes that have all ports by now join its run. */
void job_try_helpers(struct job *job);
/* Tell the observers its state, with the reason. */
void job_emit_state(struct job *job);
/* Why it was cancelled: a static text. */
const char *job_cancel_reason(const struct job *job);
const char *job_reason(const struct job *job, char *buf, size_t buf_bytes);
void job_free(struct job *job);
/* Its devices' part is over: what remains is for the history. */
void job_free_ends(struct job *job);
/* What an allocation takes of the heap: glibc's header and rounding. */
static inline size_t job_heap_bytes(size_t bytes)
{
        return (bytes + sizeof(size_t) + 15) / 16 * 16;
}

/* job_resolve.c: open or find its devices, validate; then one of the two below. */
void job_resolve(struct job *job);
/* It is cancelled: validate without waiting for devices that are not open yet. By message. */
void job_resolve_give_up(struct job *job);
void job_accept(struct job *job, const struct job_plan *plan);
void job_refuse(struct job *job, const struct engine_refusal *refusal);
void job_refuse_with(struct job *job, const char *field, int code, enum kc_class class, const char *message);
/* Instead of its own acceptance: it has been accepted before, as that job. */
void job_answer_existing(struct job *job, uint64_t job_id, uint64_t length_bytes);

/* job_let_go.c: give all devices back that its run does not need, then on_let_go, perhaps inside the call.
 * Until it is terminal each descriptor for writing closes before that, or hangs for the grace period. */
void job_let_go(struct job *job, void (*on_let_go)(struct job *job));

/* job_end.c */
/* It never ran: the terminal event of a job that has touched nothing. */
void job_end_unrun(struct job *job, enum job_state state, const struct kc_error *error, unsigned failed_end);
/* … because it was cancelled, or there was no memory for it. */
void job_end_unstarted(struct job *job);
/* There is no memory for the event itself yet: it is tried again. */
bool job_end_owed(const struct job *job);
/* It has let go of its devices: its end is told, or stored first. */
void job_tell_end(struct job *job);
/* Its completion is stored: tell it. */
void job_end_stored(struct job *job);
/* It is not ours any more, or not in this life: forget it, untold. */
void job_leave(struct job *job);
/* Something of its run has come back: perhaps that was the last thing. */
void job_check_run_gone(struct job *job);

/* job_told.c: the result of its run, before its devices are let go: what was told stands, what another job's
 * failed flush has put in doubt is in doubt. */
void job_settle_result(struct job *job);

/* job_locks.c */
/* Take its locks, now or when they are granted, and start. */
void job_lock(struct job *job);
bool job_waits_for_locks(const struct job *job);
/* Also those that it only waits for; harmless without any. */
void job_release_locks(struct job *job);
/* Its run is over, but not drained: only what may still be written stays locked. */
void job_keep_adrift_locked(struct job *job);
/* Whom it waits for. */
void job_describe_blocker(const struct job *job, char *buf, size_t buf_bytes);

/* From the run, on control. */
void job_on_run_prepared(struct kc_actor *actor, struct kc_msg *msg);
void job_on_created(struct kc_actor *actor, struct kc_msg *msg);
void job_on_run_snapshot(struct kc_actor *actor, struct kc_msg *msg);
void job_on_run_done(struct kc_actor *actor, struct kc_msg *msg);
void job_on_run_drained(struct kc_actor *actor, struct kc_msg *msg);
void job_on_late_leg(struct kc_actor *actor, struct kc_msg *msg);
void job_on_cancel_obeyed(struct kc_actor *actor, struct kc_msg *msg);

/* A stale run is over: it waits, which is told before others have its locks; then, once, it resolves again.
 */
void job_wait_again(struct job *job);
void job_restart(struct job *job);

#endif
