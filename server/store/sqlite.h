/* The job store in SQLite (copy/store.h), in the daemon's state directory.
 *
 * Its own thread, because every commit waits for the disk. Requests that come while one commit is under way
 * go into the next together: a commit for each batch, a savepoint for each request. After an error that the
 * database may not outlive it is opened anew with the next request, so that a disk that was full or away is
 * used again when it is mended.
 *
 * Owns the database and the thread. Borrows the control actor. Thread: control. Close: sqlite_store_close,
 * when no request is out. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "copy/store.h"

/* The store in file `path`, made if it is not there; `control` is where requests are answered. 0 and
 * *ret_store, or negative errno: -EPROTONOSUPPORT when a newer kcopyd made it, -EBUSY when another program
 * has it open. */
int sqlite_store_open(
    struct kc_actor *control, const char *path, struct job_store **ret_store, struct kc_error *err);
/* NULL is fine. */
void sqlite_store_close(struct job_store *store);

#endif
