/* Detached jobs at either end of a daemon's life: accepted when the store has them, claimed from it again
 * when the next daemon starts. Thread: control. */
#ifndef COPY_DETACHED_H
#define COPY_DETACHED_H

#include "copy/job.h"

/* A new submission: if its key is known, it is answered with that job, or refused; else it is resolved. */
void detached_find(struct job *job);
/* It is valid: have it stored, then accept it. */
void detached_create(struct job *job);
/* Now and every hour: let the records go that are too old or too many. */
void detached_prune(struct engine *engine);
/* More ids, if few are left. */
void detached_reserve_ids(struct engine *engine);

#endif
