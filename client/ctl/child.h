/* A child process in a process group of its own, followed through a descriptor.
 *
 * Owns the process and its pidfd. One thread. Closes with child_stop, which reaps it. */
#ifndef CTL_CHILD_H
#define CTL_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
        pid_t pid; /* 0: none; also the number of its process group */
        int pidfd;
        bool ended;
        int status; /* of waitpid, once it has ended */
};

enum child_fd {
        CHILD_FD_PLAIN,  /* descriptor 3 is handed over, nothing is said about it */
        CHILD_FD_LISTEN, /* … as in systemd's socket activation (LISTEN_FDS) */
};

/* Start `file` (looked up in $PATH) with `fd` as its descriptor 3. Standard input and output are /dev/null,
 * standard error is ours. It gets SIGTERM when we die, if `dies_with_us`. 0 and *ret_child, or a negative
 * errno: it could not be started, and nothing is left. */
int child_start(const char *file, char *const argv[], int fd, enum child_fd how, bool dies_with_us,
    struct child *ret_child);
/* Wait at most `timeout_ms` for its end. True: it has ended (and was reaped). */
bool child_wait(struct child *child, int timeout_ms);
/* End it if it has not ended by itself within `grace_ms`: SIGTERM, then SIGKILL, for its whole group. */
void child_stop(struct child *child, int grace_ms);
/* "exited with status 1", "was killed by signal 9 (Killed)"; static. */
const char *child_describe(const struct child *child);

#endif
