/* Open requests that the engine has not answered yet, and the number of handles that came of them. Both are
 * limited: beyond the one nothing is read, beyond the other Open is refused.
 * Owns its records. Thread: the control loop. Close: the engine answers every call, also after its client is
 * closed; each holds the session until then. */
#ifndef RPC_CALL_H
#define RPC_CALL_H

#include <stdbool.h>
#include <stdint.h>

struct session;

struct calls {
        unsigned n;         /* under way */
        unsigned n_handles; /* opened and not closed */
};

/* A handle has been closed. */
void call_handle_closed(struct session *session);
/* Open `device` for the session and answer `request_id` with Opened or Refused. */
void call_open(struct session *session, uint64_t request_id, const char *device, bool write);

#endif
