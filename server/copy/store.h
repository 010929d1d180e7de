/* The store: what has to outlive the daemon, as the engine sees it: detached jobs, how far they are, their
 * events and their ends.
 *
 * The engine knows this vtable alone. store/ keeps it in SQLite, the simulator in a world that loses power,
 * and a database that a fleet of daemons shares can be a third: hence claims and epochs.
 *
 * A request is its caller's, and borrowed from store_submit until its on_done, which runs on the control
 * actor and never inside store_submit. What it points to is needed until store_submit returns and no longer.
 * Requests take effect in the order in which they were submitted. One that is answered with 0 is on stable
 * storage; one that is answered with anything else has changed nothing.
 *
 * Whoever runs a job has claimed it, by creating it or by STORE_CLAIM. Each claim gives the job a new epoch,
 * and every update carries it: with another one it is answered with -ESTALE, because somebody else runs the
 * job by now, and this one's word counts no longer.
 *
 * Status: 0; -ESTALE; -ENOENT (no such job); -EEXIST (the key is taken by another spec);
 * -EBUSY (STORE_FORGET: it has not ended); -ENOSPC, -EIO, -ENOMEM and others of the kind: the store cannot,
 * and may be asked again later; -ECANCELED: it is closing.
 *
 * Owned by the wiring, which opens it before the engine and closes it after. Thread: control. */
#ifndef COPY_STORE_H
#define COPY_STORE_H

#include "copy/engine.h"
#include "copy/ledger.h"

/* How far a job is: what is on stable storage. */
struct store_mark {
        uint64_t length_bytes;
        struct bad_ranges bad; /* of the source; ends[0].error is the first */
        unsigned n_to;
        struct store_mark_end {
                char identity[KC_IDENTITY_MAX_BYTES + 1]; /* of the device, as its provider names it */
                uint64_t size_bytes;                      /* … its size then; 0 with "": not known yet */
                char instance[IO_INSTANCE_MAX_BYTES];     /* … which of that name; and where it is in it */
                uint64_t base_bytes;
                struct job_error error; /* the first on the way, of a job that goes on all the same … */
                uint64_t error_bytes;   /* … and where it is in the job */
                struct ledger ledger;   /* destinations: fates that are on stable storage */
                bool told;              /* its end is among the events … */
                bool durable;           /* … which call it durable */
                uint64_t doubt_bytes;   /* not kept: at most so many without a fate may have been written */
        } ends[];                       /* [1 + n_to]: the source first */
};

struct store_job { /* a record, as it is read */
        uint64_t id, epoch;
        char *identity; /* whose it is */
        char *key;      /* NULL: none */
        struct copy_spec *spec;
        enum job_state state;
        char *reason;
        uint64_t next_seq;             /* of its next event; the first is 1 */
        uint64_t created_ms, ended_ms; /* since 1970; ended_ms 0: it has not ended */
        uint64_t age_ms;               /* since it was created */
        uint64_t length_bytes;
        struct store_mark *mark;   /* NULL: none yet, or left out */
        struct job_result *result; /* terminal: its completion */
};

struct store_event { /* as it is told */
        uint64_t seq, at_ms;
        uint32_t body_bytes;
        uint8_t *body; /* a packed kcopy.v1.ServerMessage */
};

enum store_op {
        STORE_FIND,    /* in: create; out: existed, and then job_id, length_bytes */
        STORE_CREATE,  /* in: create; out: job_id, epoch, existed: then that job is an older one */
        STORE_CLAIM,   /* all jobs that have not ended; out: jobs, each with its new epoch */
        STORE_UPDATE,  /* in: job_id, epoch, update */
        STORE_FORGET,  /* in: job_id, which has ended; its key may be used again */
        STORE_GET,     /* in: job_id; out: jobs, one, without its mark */
        STORE_LIST,    /* in: after, limit; out: jobs by id, without their marks; more */
        STORE_EVENTS,  /* in: job_id, after (a sequence number), limit; out: events; more */
        STORE_PRUNE,   /* in: prune: ended jobs that are too old or too many */
        STORE_RESERVE, /* in: limit; out: job_id, the first of as many that nobody else gives */
};

struct store_req {
        /* in */
        enum store_op op;
        uint64_t job_id, epoch, after;
        unsigned limit;
        union {
                struct {                 /* STORE_FIND, STORE_CREATE */
                        uint64_t job_id; /* for a job that is new */
                        const char *identity, *key;
                        const struct copy_spec *spec;
                        uint64_t length_bytes;
                        const struct store_mark *mark; /* what its devices are; or NULL */
                } create;
                struct { /* all of it or nothing */
                        bool has_state;
                        enum job_state state;
                        const char *reason;
                        const struct store_mark *mark;   /* NULL: as it was */
                        const struct copy_spec *spec;    /* NULL: as it was */
                        const struct job_result *result; /* its end; NULL: not yet */
                        uint64_t first_seq;              /* of the events */
                        unsigned n_events;
                        const struct job_event *events;
                } update;
                struct {
                        uint64_t age_max_ms; /* since their end */
                        unsigned jobs_max;   /* of those that have ended */
                } prune;
        };
        void (*on_done)(struct store_req *req);

        /* out */
        int status;
        struct kc_error error; /* set if status is: what, why and the remedy */
        bool existed, more;
        uint64_t length_bytes; /* STORE_FIND, STORE_CREATE: of the job that existed */
        unsigned n_jobs, n_events;
        struct store_job *jobs; /* until store_req_done */
        struct store_event *events;

        /* the store's */
        struct job_store *store;
        struct kc_msg msg;
        void *packed;
};

struct job_store;

struct job_store_ops {
        /* 0; or -ENOMEM, and nothing comes of it. */
        int (*submit)(struct job_store *store, struct store_req *req);
};

struct job_store {
        const struct job_store_ops *ops;
};

static inline int store_submit(struct job_store *store, struct store_req *req)
{
        return store->ops->submit(store, req);
}

/* Free what an answer brought; harmless twice, or without an answer. */
void store_req_done(struct store_req *req);
/* For stores: nothing is known of its answer yet. */
void store_req_begin(struct store_req *req, struct job_store *store);
void store_job_done(struct store_job *job);
struct store_mark *store_mark_new(unsigned n_to, uint64_t length_bytes); /* with empty ledgers; or NULL */
void store_mark_free(struct store_mark *mark);                           /* takes NULL */

#endif
