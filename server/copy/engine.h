/* The copy engine: takes jobs from clients, runs them on the lanes, tells what happened.
 *
 * This header is all that rpc/ and daemon/ know of copy/. Everything here runs on the control loop's actor.
 * The engine sees the world through struct engine_config only: actors (time, chance, messages) and one
 * io_provider per lane; the simulator hands it others.
 *
 * Owns: clients, jobs, devices, locks, page grants. Borrows: actors and providers, which outlive it.
 * Close: engine_close (cancels what is left, drains up to a deadline), on_closed comes last, then
 * engine_free. */
#ifndef COPY_ENGINE_H
#define COPY_ENGINE_H

#include "copy/bad_ranges.h"
#include "copy/spec.h"
#include "io/endpoint.h"

struct engine;
struct engine_client;
struct job_store;

struct engine_config {
        struct kc_actor *control;
        unsigned n_lanes;
        struct kc_actor **lanes;        /* [n_lanes] */
        struct io_provider **providers; /* [n_lanes], by lane */
        uint32_t pages;                 /* all reservations together; KC_PAGE_BYTES each */
        uint64_t open_timeout_ns;       /* resolve, connect, TLS and options together; default 10 s */
        uint64_t command_timeout_ns;    /* one read, write, zero, flush; default 30 s */
        uint64_t cancel_grace_ns;  /* how long a cancelled or failed job waits for answers; default 2 s */
        uint64_t quarantine_ns;    /* how long an unanswered write may still land; default 30 s */
        uint64_t history_ns;       /* how long terminal events are kept; default 1 h */
        size_t history_max_bytes;  /* and how much memory they take; default 8 MiB */
        unsigned history_max_jobs; /* and how many at most; default 10,000 */
        uint64_t turn_bytes;       /* so much a lane begins before it looks at answers again; default 8 MiB */
        uint64_t helpers_min_bytes;  /* jobs at least this long use several lanes; default 16 MiB */
        unsigned client_running_max; /* jobs of one client that run at once; default 64 */
        /* What the engine does not look at: whoever admits jobs keeps each client below these. */
        unsigned client_queued_max;     /* jobs that wait; default 16,384 */
        size_t client_queued_max_bytes; /* and their engine_job_bytes; default 32 MiB */
        struct job_store *store;        /* for detached jobs; NULL: there are none. Outlives the engine */
        uint32_t detached_pages;        /* their reservation, out of `pages`; 0: as for a client */
        uint64_t checkpoint_ns;    /* how often they are flushed and their progress stored; default 10 s */
        uint64_t checkpoint_bytes; /* … or after so much; default 16 GiB */
        unsigned records_max;      /* detached jobs that have ended and are kept; default 10,000 */
        uint64_t records_age_ms;   /* … and for how long; default 30 days */
        uint64_t first_job_id;     /* ids never repeat: the wiring sees to it across restarts; default 1 */
};

void engine_config_defaults(struct engine_config *config);
/* Returns 0 and *ret_engine, or negative errno. `config` and its arrays are copied. */
int engine_new(const struct engine_config *config, struct engine **ret_engine);
/* Cancels every job; on_closed after the lanes have let go of everything that can still be let go, at the
 * latest after `deadline_ns` from now. *_stuck tells what could not be drained (0: nothing; then engine_free
 * may be called and the lanes stopped; otherwise the process has to leave with _exit). */
void engine_close(
    struct engine *engine, uint64_t deadline_ns, void (*on_closed)(void *arg, unsigned n_stuck), void *arg);
void engine_free(struct engine *engine); /* after on_closed with n_stuck 0; NULL is fine */

/* ---- clients: one reservation of pages, one stream of events */

enum job_state { /* numbers of JobState in kcopy.proto */
        JOB_WAITING = 1,
        JOB_RUNNING = 2,
        JOB_PAUSED = 3,
        JOB_DRAINING = 4,
        JOB_COMPLETED = 5,
        JOB_FAILED = 6,
        JOB_CANCELLED = 7,
};

struct job_error {             /* of one endpoint */
        struct kc_error error; /* code 0: none */
        bool has_sector;
        uint64_t sector; /* first bad one, in the device */
};

struct job_ledger { /* bytes; they add up to the job's length */
        uint64_t copied, zeroed, skipped, indeterminate, untouched;
};

struct job_destination_result {
        struct job_ledger ledger;
        struct job_error error; /* code 0: complete */
        bool durable;
        uint64_t sure_copied_bytes, sure_zeroed_bytes; /* … flushed by a checkpoint */
        uint64_t flushed_ns; /* when its flush was answered; 0: durable by FUA, or not */
        bool done;           /* it has ended */
        bool detached;       /* it fell behind and reads for itself */
};

struct job_result {           /* the terminal event */
        enum job_state state; /* completed, failed, cancelled */
        bool read_err;
        uint64_t write_err; /* bit i: destination i is not complete, and its error is set */
        bool durable;
        uint64_t length_bytes, elapsed_ns;
        struct job_error source_error;
        struct bad_ranges bad; /* of the source: with any, read_err is set */
        unsigned n_destinations;
        struct job_destination_result destinations[];
};

struct job_result *job_result_new(unsigned n_destinations); /* zeroed; NULL: no memory */
void job_result_free(struct job_result *result);            /* takes NULL */

enum job_event_type { JOB_EVENT_STATE, JOB_EVENT_PROGRESS, JOB_EVENT_DESTINATION_DONE, JOB_EVENT_COMPLETION };

struct job_event {
        enum job_event_type type;
        uint64_t job_id;
        struct engine_client *client; /* whose job it is; NULL once that client has gone */
        const struct copy_spec *spec;
        /* STATE */
        enum job_state state;
        const char *reason; /* borrowed for the call; "" when there is none */
        /* PROGRESS: where it stands; n_destinations numbers */
        uint64_t length_bytes, elapsed_ns, rate_bytes_per_s;
        unsigned n_destinations;
        const uint64_t *done_bytes;
        /* DESTINATION_DONE */
        unsigned index;
        const struct job_destination_result *destination;
        /* COMPLETION */
        const struct job_result *result;
        uint64_t seq; /* of a detached job: its number among the stored ones; 0: it is not stored */
};

/* Told of every event of every job, on the control loop, never inside an engine_ call; everything in the
 * event is borrowed for the call. For each job the order is: on_accepted of its submission, states, progress
 * and destinations, exactly one completion, nothing after. */
struct engine_observer {
        void (*on_event)(struct engine_observer *observer, const struct job_event *event);
        struct kc_list node; /* the engine's */
};

void engine_observe(struct engine *engine, struct engine_observer *observer);
void engine_unobserve(struct engine *engine, struct engine_observer *observer);

/* Reserve `pages` (0: the default) for a client; at most what is left of the engine's pages is granted,
 * rounded down to whole slabs (pool.h), and that may be nothing: its jobs are refused then. Returns 0,
 * *ret_client and *ret_pages, or -ENOMEM, or -ECANCELED while the engine closes (err says so). */
int engine_client_open(struct engine *engine, const char *identity, uint32_t pages,
    struct engine_client **ret_client, uint32_t *ret_pages, struct kc_error *err);
/* End a client: with `cancel` its jobs are cancelled, without they are waited for. on_closed when each of
 * them has had its terminal event; the client is gone then, whatever is still draining (which stays charged).
 */
void engine_client_close(struct engine_client *client, bool cancel, void (*on_closed)(void *arg), void *arg);
/* May be called again with cancel = true while a close without is under way. */
void engine_client_cancel(struct engine_client *client);

/* ---- jobs */

struct engine_refusal {
        char field[64]; /* "to[2].count" */
        struct kc_error error;
        bool has_limit;
        uint64_t limit; /* in the field's unit */
};

struct engine_planned { /* one of a job's devices, as the validation found it */
        enum io_kind kind;
        uint64_t size_bytes;       /* 0: absent, or null: */
        uint64_t size_after_bytes; /* the job would create, grow or cut a file to it; else size_bytes */
        bool created, mounted_rw;
        char identity[KC_IDENTITY_MAX_BYTES + 1];
};

struct engine_plan { /* what would become of a job that is only validated */
        uint64_t length_bytes;
        bool has_from; /* Copy */
        unsigned n_to;
        struct engine_planned from, to[KC_DESTINATIONS_MAX];
};

struct engine_submission {
        /* Exactly one of the three, exactly once, never inside engine_submit. Then the submission may go. */
        void (*on_accepted)(struct engine_submission *submission, uint64_t job_id, uint64_t length_bytes);
        void (*on_refused)(struct engine_submission *submission, const struct engine_refusal *refusal);
        /* Instead of on_accepted for a spec with options.validate_only, which may be NULL for others: the
         * job's devices were opened and are let go of again; it has no id, no locks and no events. */
        void (*on_validated)(struct engine_submission *submission, const struct engine_plan *plan);
};

/* Validate and queue a job. `spec` passes to the engine, whatever the outcome. `submission` is the caller's
 * and must live until its callback (also when the client is closed meanwhile: -ECANCELED, refused). Returns
 * 0, or -ENOMEM without a callback. */
int engine_submit(struct engine_client *client, struct copy_spec *spec, struct engine_submission *submission);
/* What a job of this spec takes of the heap, as long as it waits. */
size_t engine_job_bytes(const struct copy_spec *spec);
/* 0, or -ENOENT; cancelling what is terminal already is fine. */
int engine_job_cancel(struct engine *engine, uint64_t job_id);
/* Let it stop where it is, keeping what it has done, or go on. 0, -ENOENT, or -EINVAL: it ends with its
 * connection. In vain once it ends. */
int engine_job_pause(struct engine *engine, uint64_t job_id);
int engine_job_resume(struct engine *engine, uint64_t job_id);

struct engine_adjustment {
        bool set_rate, set_priority;
        uint64_t rate_bytes_per_s;
        unsigned priority; /* 0 … COPY_PRIORITY_MAX */
};

/* Have it go on otherwise. As engine_job_pause, or -ENOMEM. */
int engine_job_adjust(struct engine *engine, uint64_t job_id, const struct engine_adjustment *adjustment);
/* Remember no more that it has ended: 0; -ENOENT; -EBUSY: it has not, or may still have writes out. What the
 * store has of it is not touched. */
int engine_job_forget(struct engine *engine, uint64_t job_id);

/* With a store: claim the jobs that an earlier daemon has left, and let them go on. on_recovered once, never
 * inside; before it no job may be submitted. 0 or -ENOMEM. */
int engine_recover(struct engine *engine,
    void (*on_recovered)(void *arg, int status, const struct kc_error *error), void *arg);

struct engine_job_view { /* borrowed, valid until the engine is called or returns to the loop */
        uint64_t job_id;
        enum job_state state;
        bool draining; /* terminal, with unanswered writes */
        const char *reason;
        const char *owner;
        const struct copy_spec *spec;
        uint64_t length_bytes, elapsed_ns;
        const struct job_destination_result *destinations; /* [spec->n_to]; running: as of the last report */
        const struct job_result *result;                   /* terminal */
};

/* 0 and *ret_view, or -ENOENT. */
int engine_job_get(struct engine *engine, uint64_t job_id, struct engine_job_view *ret_view);
/* The job with the smallest id > `after` (terminal ones only if asked for), or -ENOENT. */
int engine_job_next(struct engine *engine, uint64_t after, bool terminal, struct engine_job_view *ret_view);
/* "endpoint from" of a region, for people: the device's name as given, or the handle's. */
const char *engine_region_name(
    struct engine *engine, const struct copy_spec *spec, const struct copy_region *region);

/* ---- handles: a device kept open by a client */

struct engine_open {
        void (*on_opened)(
            struct engine_open *open, uint64_t handle, const char *name, const struct endpoint_info *info);
        void (*on_refused)(struct engine_open *open, const struct engine_refusal *refusal);
};

/* As engine_submit: one of the callbacks, once, never inside; or -ENOMEM and none. `device` is copied. */
int engine_open(struct engine_client *client, const char *device, bool write, struct engine_open *open);
/* 0, or -ENOENT. Jobs that use it go on. */
int engine_close_handle(struct engine_client *client, uint64_t handle);

/* ---- the whole */

struct engine_stats {
        uint32_t pages, pages_granted;
        unsigned n_lanes, clients, jobs_running, jobs_waiting, devices_open;
};

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats);
/* The device with the smallest name > `after` that is open; 0 or -ENOENT. Borrowed until the next call. */
int engine_device_next(struct engine *engine, const char *after, const char **ret_name, unsigned *ret_users);

/* Named endpoints of the configuration; `device` is what the name stands for. Before the first client. */
int engine_name_endpoint(struct engine *engine, const char *name, const char *device);
int engine_endpoint_next(
    struct engine *engine, const char *after, const char **ret_name, const char **ret_device);

#endif
