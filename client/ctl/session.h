/* A connection to a server for one command: a system's daemon, or a private one that lives as long.
 *
 * Owns the client and the private daemon. One thread. Closes with session_close. */
#ifndef CTL_SESSION_H
#define CTL_SESSION_H

#include <stdbool.h>

#include "ctl/child.h"
#include "ctl/ctl.h"
#include "kcopy.h"

struct session {
        struct kcopy_client *client;
        struct child daemon; /* pid 0: a server of the system */
        const char *server;  /* its name, for messages */
};

/* Connect to ctl's server or the system's. CTL_DONE, or the status to leave with (reported). */
enum ctl_status session_open(struct session *session, const struct ctl *ctl, unsigned pages);
/* The same, but without --server start a private daemon. */
enum ctl_status session_open_private(struct session *session, const struct ctl *ctl, unsigned pages);
/* Say why the connection was lost, as far as it can be known: the reason is kcopy's or the daemon's end. */
void session_report_lost(struct session *session, const char *reason);
/* Say goodbye, or just hang up, if the server is not worth waiting for; a private daemon is reaped. */
void session_close(struct session *session, bool goodbye);
/* Report that the server shuts down; `what` it waits for: "this job". */
void session_report_stopping(const struct session *session, uint64_t drain_ms, const char *what);
/* Report a blocking call that failed with `rc`, about `subject` (NULL: the server); returns the status. */
enum ctl_status session_failed(struct session *session, int rc, const char *subject);

#endif
