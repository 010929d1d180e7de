/* The simulated store: the real statements (store/sqlite_ops.c) on a database in memory, which is what is on
 * stable storage. A request takes effect a while after it was submitted, and is answered a while after that;
 * in between the process may die. It fails when the world wants it to.
 *
 * Owns: the database, and copies of what is on its way. Borrows: requests, until they are answered or the
 * process has died. Thread: one; acts as the control loop's actor. Close: store_sim_done. */
#ifndef SIM_STORE_SIM_H
#define SIM_STORE_SIM_H

#include <sqlite3.h>

#include "copy/store.h"
#include "sim/checker.h"
#include "store/sqlite_ops.h"

struct store_entry;

struct store_sim {
        struct job_store store; /* first: the cast */
        struct world *world;
        struct checker *checker;
        sqlite3 *db;
        struct sqlite_statements statements;
        struct store_entry *first, **last; /* that have no answer */
        struct world_event event;          /* the first one's effect, then its answer */
        uint64_t delay_min_ns, delay_max_ns;
        unsigned fails_one_in; /* 0: never */
};

void store_sim_init(struct store_sim *store, struct world *world, struct checker *checker);
void store_sim_done(struct store_sim *store);
/* The process has died: nobody waits for an answer, and what has not taken effect never will. */
void store_sim_forget(struct store_sim *store);
/* Whether nothing is on its way. */
bool store_sim_idle(const struct store_sim *store);
/* How many jobs it has that have not ended. */
unsigned store_sim_unended(struct store_sim *store);

#endif
