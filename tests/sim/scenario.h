/* A scenario: the engine on simulated lanes and devices, its clients and jobs, under the checker's eyes.
 *
 * The order of calls: scenario_new, scenario_device…, scenario_start, then clients and jobs (now or at a
 * time), scenario_run, scenario_end. draw.c makes a random one from a seed; cases make directed ones.
 *
 * Owns everything in it, the engine included. Thread: one; acts as the control loop's actor.
 * Close: scenario_end, which closes the engine and looks at what is left, and scenario_free. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/checker.h"
#include "sim/endpoint_sim.h"

#define SCENARIO_DEVICES_MAX 8u
#define SCENARIO_CLIENTS_MAX 3u
#define SCENARIO_HANDLES_MAX 4u
#define SCENARIO_STEPS_MAX 4000000ull
#define WISH_KEY_MAX_BYTES 16u

struct lives;
struct scenario;

struct wish_region {
        unsigned device;
        uint64_t sector, count_sectors;
};

struct wish { /* a job that is to be submitted */
        unsigned client;
        enum copy_operation operation;
        struct copy_options options;
        struct wish_region from;
        unsigned n_to;
        struct wish_region to[CHECKER_TO_MAX];
        bool expect_accepted;
        bool expect_completed; /* unless it is cancelled */
        bool by_handle;        /* where the client has one */
        size_t names_bytes;    /* more of its spec than it uses */
        bool detached;
        uint64_t retry_for_ns;
        char key[WISH_KEY_MAX_BYTES]; /* "": none */
};

struct scenario_job {
        struct engine_submission submission; /* first: the casts */
        struct scenario *scenario;
        struct wish wish;
        struct check_job *check;
        struct world_event submit_event, cancel_event;
        bool submitted;
        uint64_t submitted_ns, ended_ns;
};

struct scenario_client {
        struct scenario *scenario;
        struct engine_client *client; /* NULL: gone */
        char identity[16];
        uint32_t wanted_pages, pages;
        bool closing, close_cancels;
        struct world_event close_event;
};

struct scenario_handle {
        struct engine_open open; /* first: the casts */
        struct scenario *scenario;
        unsigned client, device;
        bool write;
        uint64_t handle; /* 0: not open */
};

struct scenario {
        struct world world;
        unsigned n_lanes, n_devices, n_clients, n_jobs, n_handles;
        struct device devices[SCENARIO_DEVICES_MAX];
        struct provider_sim providers[WORLD_LANES_MAX];
        struct checker checker;
        struct engine_config config;
        struct engine *engine;
        struct engine_observer observer;
        struct scenario_client clients[SCENARIO_CLIENTS_MAX];
        struct scenario_job jobs[CHECKER_JOBS_MAX];
        struct scenario_handle handles[SCENARIO_HANDLES_MAX];
        uint64_t close_deadline_ns;
        struct world_event close_event; /* started: the engine closes while jobs run */
        bool closing, closed;
        bool may_be_stuck;
        bool may_lack_memory; /* the engine may say so when it is asked for something */
        unsigned n_stuck;
        struct lives *lives; /* NULL: the daemon has one life (lives.h) */
        void (*free_lives)(struct lives *lives);
        void (*on_closed)(struct lives *lives); /* the engine has closed */
};

/* `config` has defaults that a case may change before scenario_start. */
struct scenario *scenario_new(uint64_t seed, unsigned n_lanes, bool verbose);
void scenario_free(struct scenario *scenario);
unsigned scenario_device(struct scenario *scenario, const struct device_config *config);
void scenario_start(struct scenario *scenario);
/* Part of it: make an engine, now or again. */
void scenario_start_engine(struct scenario *scenario);
/* Connect a client, for the first time or again. */
void scenario_connect(struct scenario_client *client);
unsigned scenario_client(struct scenario *scenario, const char *identity, uint32_t pages);
void scenario_close_client(struct scenario *scenario, unsigned client, bool cancel);
void scenario_open_handle(struct scenario *scenario, unsigned client, unsigned device, bool write);
/* Submit now, or `delay_ns` from now. */
struct scenario_job *scenario_submit(struct scenario *scenario, const struct wish *wish);
struct scenario_job *scenario_submit_later(
    struct scenario *scenario, const struct wish *wish, uint64_t delay_ns);
void scenario_cancel(struct scenario_job *job);
void scenario_close_engine(struct scenario *scenario);
/* Run until `done` says so. False: it never did, within limits of time and steps, or something failed. */
bool scenario_run(struct scenario *scenario, bool (*done)(struct scenario *scenario), const char *what);
/* Run for this long. */
void scenario_run_for(struct scenario *scenario, uint64_t ns);
bool scenario_all_ended(struct scenario *scenario);
/* Close what is open, free the engine, look at what is left. */
void scenario_end(struct scenario *scenario);

/* The program's own (draw_one.c, draw_lives.c): a run of the seed, to its end. */
struct scenario *sim_random(uint64_t seed, bool verbose);

/* draw.c: parts of a scenario, from the seed. */
void draw_config(struct scenario *scenario, bool faults);
/* The number of lanes is drawn apart, so that the same seed is another scenario with another `salt`. */
struct scenario *draw_begin(uint64_t seed, uint64_t salt, bool verbose);
/* 2 to 6; returns how many. `late_max_ns`: how long writes without an answer may take to land; 0: as drawn.
 */
unsigned draw_all_devices(struct scenario *scenario, bool faults, uint64_t late_max_ns);
/* A wish for one of the clients. */
void draw_wish(struct scenario *scenario, bool faults, struct wish *ret_wish);

#endif
