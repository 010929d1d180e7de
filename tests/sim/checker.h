/* The checker: holds a run to the contract of DESIGN 3, from the devices' traces and the events alone, never
 * from the engine's counters.
 *
 * While the run lasts (checker.c): every change of a device is data that a live job justifies, no command
 * touches a range with an unanswered write, buffers stay within their client's reservation. At each event
 * (check_events.c): order, exactly one terminal event, errors and bits agree, regions are equal and stable
 * where the completion says so. At the end (check_trace.c): ledgers agree with the trace, running jobs were
 * not interleaved, refused jobs changed nothing.
 *
 * Detached jobs (check_store.c, in sim-lives): what their daemon has stored counts, whatever becomes of it;
 * each event is looked at when it is stored, and told with the same words and number; a checkpoint calls
 * written what is on stable storage; a death takes with it what is attached, and nothing else.
 *
 * Owns its bookkeeping. Borrows world and devices. Thread: one. Close: checker_done. */
#ifndef SIM_CHECKER_H
#define SIM_CHECKER_H

#include "copy/engine.h"
#include "copy/ledger.h"
#include "sim/device.h"

#define CHECKER_JOBS_MAX 64u /* a bit each in device_op.jobs_mask */
#define CHECKER_TO_MAX 8u
#define CHECKER_CLIENTS_MAX 4u
#define CHECKER_DETACHED 3u /* the client that detached jobs are of */
#define CHECKER_STORED_MAX 512u
#define CHECKER_PAGES_MAX 16384u /* of the table, a power of two */

struct check_region {
        struct device *device; /* NULL: none */
        uint64_t start_bytes;
};

enum check_state {
        CHECK_SUBMITTED,
        CHECK_ACCEPTED,
        CHECK_REFUSED,
        CHECK_VALIDATED,
        CHECK_TERMINAL,
        CHECK_GONE, /* with the process that it was of, or it was another job all the time */
};

struct check_mark { /* how far a job is, as it is stored */
        unsigned n_to;
        struct check_mark_end {
                bool told;
                unsigned n_ranges;
                struct ledger_range *ranges; /* what it calls written */
        } ends[CHECKER_TO_MAX];
};

struct check_job {
        enum check_state state;
        unsigned index, client;
        uint64_t id;
        enum copy_operation operation;
        struct copy_options options;
        struct check_region from;
        unsigned n_to;
        struct check_region to[CHECKER_TO_MAX];
        struct device *opens[CHECKER_TO_MAX]; /* for writing, whatever is wrong with its region */
        uint64_t length_bytes;
        bool expect_accepted, expect_completed; /* by construction */
        bool cancel_asked;
        bool running; /* as the last state event said */
        bool has_run;
        /* detached */
        bool detached, stored;
        unsigned n_runs;   /* that it has begun, as far as they were told */
        bool lasting;      /* it may have several turns */
        unsigned attempts; /* lives in which it had not ended */
        const char *key;   /* NULL: none */
        unsigned n_stored; /* events, by number - 1: what they say */
        uint64_t digests[CHECKER_STORED_MAX];
        uint64_t told_seq;       /* the last one in this life */
        struct check_mark *mark; /* NULL: none */
        uint64_t again_moment;   /* when it went back to wait, to begin again; 0: never */
        uint64_t destination_done_ns[CHECKER_TO_MAX];       /* 0: not told */
        struct job_destination_result told[CHECKER_TO_MAX]; /* … and what was said then */
        /* the terminal event */
        enum job_state end;
        uint64_t end_ns;
        bool read_err;
        struct kc_error source_error;
        bool durable;
        uint64_t write_err;
        struct job_destination_result results[CHECKER_TO_MAX];
};

struct check_page { /* of memory that endpoints hold, by address */
        uintptr_t page;
        unsigned refs, quarantined;
        int client; /* -1: nobody's for certain */
};

struct check_open { /* a change that may still reach the device */
        struct device_op *op;
        uint64_t until_ns; /* unanswered: end of its quarantine; else UINT64_MAX */
        const void *buf;
};

struct checker {
        struct device_watch watch; /* first: the casts */
        struct world *world;
        struct device *devices;
        unsigned n_devices;
        uint64_t quarantine_ns;
        struct check_job jobs[CHECKER_JOBS_MAX];
        unsigned n_jobs;
        uint32_t granted_pages[CHECKER_CLIENTS_MAX], used_pages[CHECKER_CLIENTS_MAX],
            most_pages[CHECKER_CLIENTS_MAX];
        uint32_t total_used_pages;
        struct check_page *pages;
        struct check_open *open;
        unsigned n_open, open_room;
        bool expect_wrong_data; /* a device lies: what is found is not held against the engine */
        unsigned n_wrong_data;
        bool handles_open; /* clients hold devices open themselves */
        void (*on_told)(struct checker *checker, struct check_job *job, const struct job_event *event);
        bool close_is_quick; /* devices close well before a completion stops waiting for that */
};

/* Sets each device's watch. */
void checker_init(struct checker *checker, struct world *world, struct device *devices, unsigned n_devices,
    uint64_t quarantine_ns);
void checker_done(struct checker *checker);
/* A client has this reservation; 0 when it has gone and drained. */
void checker_client(struct checker *checker, unsigned client, uint32_t pages);

/* ---- what the driver tells (check_events.c) */

/* A job was submitted; the caller then fills in regions and length. */
struct check_job *checker_submitted(struct checker *checker, unsigned client, const struct copy_spec *spec);
void checker_accepted(struct checker *checker, struct check_job *job, uint64_t id, uint64_t length_bytes);
void checker_refused(struct checker *checker, struct check_job *job, const struct engine_refusal *refusal);
void checker_validated(struct checker *checker, struct check_job *job, const struct engine_plan *plan);
void checker_event(struct checker *checker, const struct job_event *event);
/* The world's failure, told with the job's number and a number that helps. */
void checker_fail_job(
    struct checker *checker, const struct check_job *job, const char *what, uint64_t detail);
/* Its bad ranges, when it has ended and the rest was checked. */
void checker_check_bad(struct checker *checker, const struct check_job *job, const struct bad_ranges *bad);
/* No other live job changes what this one read, or wrote to `to`, so that the contents can be looked at now.
 */
bool checker_undisturbed(const struct checker *checker, const struct check_job *job, unsigned to);
unsigned checker_n_live(const struct checker *checker); /* submitted or accepted, not terminal */

/* Whether `result` says what the job's terminal event said (checker.c). */
bool check_as_told(const struct check_job *job, const struct job_result *result);

/* ---- what the store tells (check_store.c) */

struct store_mark;
struct check_mark *check_mark_new(const struct store_mark *mark);
void check_mark_free(struct check_mark *mark); /* takes NULL */
/* Whose spec this is. */
struct check_job *checker_job_of(struct checker *checker, const struct copy_spec *spec);
/* Its record is on stable storage. */
void checker_created(struct checker *checker, struct check_job *job, uint64_t id);
/* So is this event of it, and this mark, which is the checker's from here on. */
void checker_stored(struct checker *checker, const struct job_event *event);
void checker_marked(struct checker *checker, uint64_t job_id, struct check_mark *mark);
/* The engine tells an event of a detached job. */
void checker_told(struct checker *checker, struct check_job *job, const struct job_event *event);
/* The process is dead. */
void checker_died(struct checker *checker);
/* Of all jobs that have not ended: what is stored of them holds. */
void checker_check_marks(struct checker *checker);

/* Look at an event, as it is told or stored (check_events.c). */
void check_event(struct checker *checker, struct check_job *job, const struct job_event *event);

/* After the run (check_trace.c). */
void checker_end(struct checker *checker);

static inline bool check_live(const struct check_job *job)
{
        return job->state == CHECK_SUBMITTED || job->state == CHECK_ACCEPTED;
}

/* It may use devices: one that is only to be validated reads, writes, resizes and holds nothing. */
static inline bool check_works(const struct check_job *job)
{
        return check_live(job) && !job->options.validate_only;
}

static inline bool check_overlap(uint64_t a_start, uint64_t a_end, uint64_t b_start, uint64_t b_end)
{
        return a_start < b_end && b_start < a_end;
}

#endif
