/* Signals that end kcopyctl (interrupt.h). */
#include "ctl/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "ctl/captive.h"
#include "ctl/progress.h"

/* One wish may come as several signals: timeout(1) signals its child and then the child's group. */
#define SAME_WISH_MS 500

static int wake_pipe[2] = {-1, -1};
static volatile sig_atomic_t hold, pending;
static int64_t held_ms; /* when `pending` came; the handler's own */

static void die(int signum)
{
        sigset_t only;

        signal(signum, SIG_DFL);
        sigemptyset(&only);
        sigaddset(&only, signum);
        kill(getpid(), signum);
        sigprocmask(SIG_UNBLOCK, &only, NULL);
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_signal(int signum)
{
        int saved = errno;
        ssize_t written;

        if (hold && !pending && signum != SIGPIPE) {
                pending = signum;
                held_ms = now_ms();
                written = write(wake_pipe[1], "", 1); /* full: it is readable already */
                (void)written;
                errno = saved;
                return;
        }
        if (pending && signum != SIGPIPE && now_ms() - held_ms < SAME_WISH_MS) {
                errno = saved;
                return;
        }
        /* A private daemon sees our end of its socket go, and cancels. */
        captive_abandon_all();
        progress_break_line();
        die(signum);
}

int interrupt_init(void)
{
        static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
        struct sigaction action = {.sa_handler = on_signal};

        if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        sigfillset(&action.sa_mask);
        for (unsigned i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++) {
                struct sigaction old;

                /* nohup and the like: what was ignored stays ignored */
                if (sigaction(SIGNALS[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
                        continue;
                if (sigaction(SIGNALS[i], &action, NULL) < 0)
                        return -errno;
        }
        return 0;
}

void interrupt_hold(void)
{
        hold = 1;
}

int interrupt_fd(void)
{
        return wake_pipe[0];
}

int interrupt_pending(void)
{
        return pending;
}

void interrupt_finish(void)
{
        if (pending)
                die(pending);
}
