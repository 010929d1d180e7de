/* An engine for tests of the layers above it: it does no I/O and does what the test says, when it says so.
 *
 * Implements copy/engine.h whole. By default it answers and completes nothing: the test calls
 * fake_accept_all, fake_complete and the like. With `automatic` it accepts and completes every job in the
 * next turn of the loop, so that a whole daemon can be run on it. Device names that begin with "refuse:" are
 * refused. A job that is only to be validated has block devices of the job's size, and "/new…" as files that
 * it would create. Thread: the control loop. */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include "copy/engine.h"

struct fake_job {
        struct kc_list node; /* engine->jobs, by id */
        uint64_t id;         /* 0: not answered yet */
        struct engine_client *client;
        struct engine_submission *submission;
        struct copy_spec *spec;
        enum job_state state;
        const char *reason;
        char owner[80];
        bool cancelled;
        struct job_result *result;
        struct job_destination_result destinations[KC_DESTINATIONS_MAX];
};

struct fake_open {
        struct kc_list node;
        struct engine_client *client;
        struct engine_open *open;
        char name[64];
        bool refused;
};

struct engine_client {
        struct kc_list node;
        struct engine *engine;
        char identity[80];
        uint32_t pages;
        unsigned n_jobs; /* unanswered and not terminal */
        bool closing, cancelled;
        void (*on_closed)(void *arg);
        void *arg;
};

struct engine {
        struct engine_config config;
        struct kc_list clients, submitted, jobs, opens, observers;
        struct kc_msg work; /* deferred: closes of clients, and everything in automatic mode */
        bool work_posted, automatic;
        uint64_t next_id, next_handle;
        uint32_t pages_granted;
        unsigned n_submitted, n_accepted, n_completed, n_cancelled;
        void (*on_closed)(void *arg, unsigned n_stuck);
        void *arg;
};

struct fake_job *fake_job_get(struct engine *engine, uint64_t job_id);
/* Answer everything that was submitted or opened. */
void fake_accept_all(struct engine *engine);
/* Answer the oldest submission. */
void fake_accept_one(struct engine *engine);
/* Events; the job's fields are what they say. */
void fake_emit(struct engine *engine, struct fake_job *job, enum job_event_type type, unsigned index);
/* The terminal event; failed with EIO on each destination in `write_err`. */
void fake_complete(struct engine *engine, struct fake_job *job, enum job_state state, uint64_t write_err);
void fake_complete_all(struct engine *engine);

#endif
