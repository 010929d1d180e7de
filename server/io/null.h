/* null: a destination that swallows whatever is written to it.
 *
 * Owns: nothing but itself. Borrows: the actor, requests until on_done. Thread: its lane.
 * Close: by the endpoint's close, after what was submitted has been answered. */
#ifndef IO_NULL_H
#define IO_NULL_H

#include "io/endpoint.h"

/* Is `device` the name "null:"? */
bool null_is_name(const char *device);
/* Returns 0 and *ret_endpoint, or negative errno with `err` filled: reading it is refused. */
int null_new(
    struct kc_actor *actor, enum io_access access, struct endpoint **ret_endpoint, struct kc_error *err);

#endif
