/* A remote endpoint: submits to an endpoint that another lane owns, by message.
 *
 * For devices that admit a single connection: it lives on one lane of the whole daemon, and the other lanes
 * use it through this. Requests travel as messages to the owner's lane and back; the buffer is borrowed on
 * the way as it is with any endpoint. Close waits for what is in flight and leaves the owner's endpoint open.
 *
 * Where a request is on the other lane is not known here (req->sent stays true until the answer is there),
 * but can be asked: `look` and `withdraw` are messages of their own, which may cross the answer's; on_done
 * comes once all the same.
 *
 * Owns: its in-flight wrappers (recycled). Borrows: the target endpoint, which must outlive it.
 * Thread: `here`; the target is touched on `there` only. */
#ifndef IO_REMOTE_H
#define IO_REMOTE_H

#include "io/endpoint.h"

/* Returns 0 and *ret_endpoint, or -ENOMEM. `info` is copied: the target's own may not be read from here. */
int remote_open(struct kc_actor *here, struct kc_actor *there, struct endpoint *target,
    const struct endpoint_info *info, struct endpoint **ret_endpoint);

#endif
