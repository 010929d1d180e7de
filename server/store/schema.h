/* The tables of the store, and how a store of an older version becomes one of this. Thread: the store's. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/error.h"

/* Open the database `path`, or create it, and bring it to this version. 0 and *ret_db, or negative errno:
 * -EPROTONOSUPPORT when a newer kcopyd made it. */
int schema_open(const char *path, bool create, sqlite3 **ret_db, struct kc_error *err);
/* A negative errno for what SQLite answered, and in words: what could not be done (NULL: a request), why, and
 * the remedy. */
int schema_error(sqlite3 *db, int code, const char *what, struct kc_error *err);

#endif
