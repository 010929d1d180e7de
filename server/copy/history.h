/* The history: terminal jobs can be asked for, for an hour, as far as there is room for them.
 *
 * A stream of small jobs goes through it: what it keeps of each is written once and read once, when it goes,
 * and is long out of the cache by then. So it keeps little. Thread: control. */
#ifndef COPY_HISTORY_H
#define COPY_HISTORY_H

#include "copy/job.h"

void history_init(struct engine *engine);
/* It is terminal; its result is there. */
void history_add(struct job *job);
/* It has drained, and every event was told: keep its result as briefly as that can be. */
void history_shorten(struct job *job);
/* Its result, NULL while there is none; borrowed until the next call. */
const struct job_result *history_result(const struct job *job);
/* Let it go now. False: it has not ended, or has writes out. */
bool history_forget(struct job *job);
/* Let jobs go that are old or too many. */
void history_prune(struct engine *engine);

#endif
