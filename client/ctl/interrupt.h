/* Signals that end kcopyctl: the first can be held and answered in order (what follows within half a second
 * is the same wish), everything else cleans up and dies of the signal, so that the shell sees it.
 *
 * Process-wide, static. Thread: main. */
#ifndef CTL_INTERRUPT_H
#define CTL_INTERRUPT_H

#include <stdbool.h>

/* Catch SIGINT, SIGTERM, SIGHUP and SIGPIPE. 0 or a negative errno. */
int interrupt_init(void);
/* From here on, the first SIGINT, SIGTERM or SIGHUP makes interrupt_fd readable instead. */
void interrupt_hold(void);
int interrupt_fd(void);
/* The signal that was held, 0: none. */
int interrupt_pending(void);
/* If one was held, die of it (everything has been cleaned up). */
void interrupt_finish(void);

#endif
