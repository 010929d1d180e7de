/* What each request does to the database. Thread: packing any, the rest the store's. */
#ifndef STORE_SQLITE_OPS_H
#define STORE_SQLITE_OPS_H

#include <sqlite3.h>

#include "copy/store.h"

#define SQLITE_STATEMENTS 20u

struct sqlite_statements { /* prepared when they are first used */
        sqlite3_stmt *at[SQLITE_STATEMENTS];
};

void sqlite_statements_done(struct sqlite_statements *statements);

/* Copy what the request points to into req->packed. 0 or -ENOMEM. */
int sqlite_pack(struct store_req *req);
/* The request was answered: req->packed goes. */
void sqlite_packed_done(struct store_req *req);

/* Carry it out, inside a transaction. 0; or negative errno with `err`, and what was done is to be undone. */
int sqlite_run(
    sqlite3 *db, struct sqlite_statements *statements, struct store_req *req, struct kc_error *err);

#endif
