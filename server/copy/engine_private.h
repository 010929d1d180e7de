/* The engine as copy/ knows it: what engine.h hides. Thread: control. */
#ifndef COPY_ENGINE_PRIVATE_H
#define COPY_ENGINE_PRIVATE_H

#include "base/idmap.h"
#include "copy/engine.h"
#include "copy/lane.h"
#include "copy/locks.h"

/* How often a run that nobody watches says how far it is. */
#define ENGINE_SNAPSHOT_NS 1000000000ull

struct named_endpoint {
        struct kc_list node; /* by name */
        char *name, *device;
};

struct store_req;

struct engine {
        struct engine_config config;
        struct kc_actor *control;
        unsigned n_lanes;
        struct lane **lanes;
        struct kc_list clients, owners, devices, observers, names;
        struct kc_list jobs;        /* accepted, by id, terminal ones of the last hour included */
        struct kc_list history;     /* terminal ones, oldest first */
        struct kc_list running;     /* with a run */
        struct kc_list unlocked;    /* struct lasting: with something done, and without locks */
        struct kc_list overwriters; /* jobs about to begin, when it is stored that those are undone */
        struct kc_idmap by_id;
        struct locks *locks;
        struct engine_client *detached; /* whose pages and slots detached jobs have; NULL: no store */
        struct recovery *recovery;
        uint64_t ids_end; /* with a store: so far ids are reserved */
        bool reserving;
        struct store_req *prune; /* NULL: none is out */
        struct kc_timer prune_timer;
        uint64_t next_job_id, next_handle;
        uint32_t pages_granted;
        unsigned n_clients, n_running, n_waiting, n_history, n_resolving;
        size_t history_bytes;
        uint64_t n_devices_closed; /* ever */
        unsigned next_lane;        /* where the next device's home will be */
        struct kc_timer history_timer;

        bool closing, closed;
        unsigned lanes_closing;
        struct kc_timer close_timer;
        void (*on_closed)(void *arg, unsigned n_stuck);
        void *closed_arg;
};

/* Tell all observers. */
void engine_emit(struct engine *engine, const struct job_event *event);
/* A port was opened or a run prepared: helper lanes may be ready for jobs that want them. */
void engine_try_helpers(struct engine *engine);
/* Something went away: if the engine is closing, perhaps that was the last thing. */
void engine_check_closed(struct engine *engine);
/* The home of the next device: lanes in turn. */
unsigned engine_pick_lane(struct engine *engine);
/* What a region's or handle's name stands for: itself, or the device of a named endpoint; NULL with `err`
 * set. */
const char *engine_resolve_name(const struct engine *engine, const char *name, struct kc_error *err);

#endif
