/* A client: a reservation of pages, a queue of jobs, handles. Outlives its connection until what it has in
 * flight has drained: only then are its pages free again. Owns its bank, shares and handles. Thread: control
 * (shares: see lane.h). */
#ifndef COPY_CLIENT_H
#define COPY_CLIENT_H

#include "copy/engine_private.h"
#include "copy/pool.h"

struct device;

struct handle {
        struct kc_list node;
        uint64_t id;
        struct device *device;
        bool write;
};

/* Whose a job is: one for each identity. Shared by its clients and their jobs, also those that the history
 * keeps when they have gone. */
struct owner {
        struct kc_list node; /* on the engine's list */
        unsigned n_users;
        char identity[];
};

struct engine_client {
        struct kc_list node;
        struct engine *engine;
        struct owner *owner;
        unsigned lane; /* where the devices of its handles live: a copy between two of them crosses none */
        struct bank bank;
        struct kc_list wants;                           /* shares that wait for a slab */
        unsigned shares_open;                           /* shares whose lane has not given everything back */
        struct kc_list runnable[COPY_PRIORITY_MAX + 1]; /* jobs that wait for a slot, by priority */
        struct kc_list resuming; /* … that hold their locks from the run before: they come first */
        struct kc_list jobs;     /* all of them that are not gone, terminal and drained ones excepted */
        struct kc_list handles;
        struct kc_list openings; /* of handles, under way */
        unsigned n_jobs;         /* not terminal, submissions included */
        unsigned n_runs;         /* runs that exist: slots taken, drained or not */
        unsigned n_locking; /* jobs that wait for their locks: they start when they have them, slot or not */
        bool starting;      /* inside client_start_jobs */
        bool closing, closed, cancel, shares_closing;
        struct kc_msg closed_msg;
        bool closed_posted;
        void (*on_closed)(void *arg);
        void *closed_arg;
        struct share shares[]; /* by lane */
};

/* The one of this identity, referenced; NULL: no memory. */
struct owner *owner_get(struct engine *engine, const char *identity);
struct owner *owner_ref(struct owner *owner);
void owner_unref(struct owner *owner); /* takes NULL */
/* Start jobs that may run, as far as there are slots. */
void client_start_jobs(struct engine_client *client);
/* Something of it ended: perhaps it has no more. */
void client_check_closed(struct engine_client *client);
struct handle *client_handle(struct engine_client *client, uint64_t id);
/* It is gone: refuse, by message, what waits for a device to open. */
void client_give_up_opens(struct engine_client *client);

/* A run of the client has a leg on the lane; or had, and nothing of it is left. */
void client_leg_begins(struct engine_client *client, unsigned lane);
void client_leg_gone(struct engine_client *client, unsigned lane);

/* From share.c, on control. */
void client_on_slab_wanted(struct kc_actor *actor, struct kc_msg *msg);
void client_on_slab_refused(struct kc_actor *actor, struct kc_msg *msg);
void client_on_share_starved(struct kc_actor *actor, struct kc_msg *msg);
void client_on_recalled(struct kc_actor *actor, struct kc_msg *msg);
void client_on_share_closed(struct kc_actor *actor, struct kc_msg *msg);

#endif
