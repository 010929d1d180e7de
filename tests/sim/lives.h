/* More than one life of a daemon: it is killed, loses power, or is stopped, and comes again with what its
 * store has, while devices and the store go on. Clients connect again and submit what they have not got rid
 * of; an operator resumes what waits for him, and gives up after a while.
 *
 * The order of calls: scenario_new, scenario_device…, lives_new, lives_begin, then jobs as ever; scenario_run
 * with lives_all_ended, lives_end. Owned by the scenario. Thread: one; acts as the control loop's actor, or
 * as nobody while there is no daemon. */
#ifndef SIM_LIVES_H
#define SIM_LIVES_H

#include "sim/scenario.h"
#include "sim/store_sim.h"

enum death {
        DEATH_KILL,  /* of the process: what its kernel has goes on */
        DEATH_POWER, /* of its machine: local devices lose what is not on stable storage */
        DEATH_STOP,  /* in order */
};

struct lives {
        struct scenario *s;
        struct store_sim store;
        bool up; /* the daemon takes jobs */
        unsigned n;
        uint64_t downtime_max_ns, life_max_ns;
        /* what is to come */
        unsigned n_deaths, n_pokes, n_cuts, n_troubles;
        struct world_event death_event, start_event, operator_event, poke_event, cut_event, trouble_event;
        uint64_t poke_max_ns;
        unsigned n_resumed[CHECKER_JOBS_MAX]; /* by the checker's index */
        bool over;
};

struct lives *lives_new(struct scenario *s);
/* The first life: returns when it takes jobs, with the clients connected. */
void lives_begin(struct lives *lives);
void lives_die(struct lives *lives, enum death death);
bool lives_all_ended(struct scenario *s);
/* Instead of scenario_end, also of a scenario that has failed: what its engine holds is let go then. */
void lives_end(struct scenario *s);
/* Whether a device may lose its power: no job reads from it. */
bool lives_may_cut(const struct scenario *s, const struct device *device);
/* What is drawn to come begins to. */
void lives_schedule(struct lives *lives);

#endif
