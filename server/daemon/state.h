/* The folder for what outlives the daemon: created with mode 0700, held by one daemon at a time.
 * Owns a descriptor with a lock. Thread: any one. Close: state_close. */
#ifndef DAEMON_STATE_H
#define DAEMON_STATE_H

#include "base/error.h"

/* Returns 0 and *ret_fd, or negative errno with `err` filled. */
int state_open(const char *path, int *ret_fd, struct kc_error *err);
void state_close(int fd); /* -1 is fine */

#endif
