/* Child processes (child.h). */
#include "ctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TERM_GRACE_MS 5000

static const int CAUGHT[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

/* In the child: everything up to exec; returns only on failure, with the errno. */
static int become(
    const char *file, char *const argv[], int fd, enum child_fd how, bool dies_with_us, pid_t parent)
{
        int null = open("/dev/null", O_RDWR);
        char pid[24];
        sigset_t none;

        for (size_t i = 0; i < sizeof(CAUGHT) / sizeof(CAUGHT[0]); i++)
                signal(CAUGHT[i], SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (setpgid(0, 0) < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                return errno;
        if (null > STDERR_FILENO && null != fd && null != 3)
                close(null);
        if (dies_with_us) {
                if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
                        return errno;
                if (getppid() != parent) /* it died before we said so */
                        _exit(1);
        }
        if (fd == 3) {
                if (fcntl(fd, F_SETFD, 0) < 0)
                        return errno;
        } else if (dup2(fd, 3) < 0) {
                return errno;
        }
        if (how == CHILD_FD_LISTEN) {
                snprintf(pid, sizeof(pid), "%ld", (long)getpid());
                setenv("LISTEN_FDS", "1", 1);
                setenv("LISTEN_PID", pid, 1);
                unsetenv("LISTEN_FDNAMES");
        }
        execvp(file, argv);
        return errno;
}

int child_start(const char *file, char *const argv[], int fd, enum child_fd how, bool dies_with_us,
    struct child *ret_child)
{
        struct child child = {0};
        pid_t parent = getpid();
        int error_pipe[2], error = 0;
        ssize_t n;

        if (pipe2(error_pipe, O_CLOEXEC) < 0)
                return -errno;
        if (error_pipe[1] == 3 || error_pipe[0] == 3) { /* 3 is about to be replaced in the child */
                int moved = fcntl(error_pipe[error_pipe[1] == 3], F_DUPFD_CLOEXEC, 4);

                if (moved < 0) {
                        error = -errno;
                        close(error_pipe[0]);
                        close(error_pipe[1]);
                        return error;
                }
                close(3);
                error_pipe[error_pipe[1] == 3] = moved;
        }
        child.pid = fork();
        if (child.pid == 0) {
                error = become(file, argv, fd, how, dies_with_us, parent);
                n = write(error_pipe[1], &error, sizeof(error));
                _exit(n == sizeof(error) ? 127 : 126);
        }
        close(error_pipe[1]);
        if (child.pid < 0) {
                error = errno;
                close(error_pipe[0]);
                return -error;
        }
        setpgid(child.pid, child.pid); /* whoever comes first: the group exists when we go on */
        do
                n = read(error_pipe[0], &error, sizeof(error));
        while (n < 0 && errno == EINTR);
        close(error_pipe[0]);
        if (n == sizeof(error)) {
                waitpid(child.pid, NULL, 0);
                return -error;
        }
        child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
        if (child.pidfd < 0) {
                error = errno;
                kill(-child.pid, SIGKILL);
                waitpid(child.pid, NULL, 0);
                return -error;
        }
        *ret_child = child;
        return 0;
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool child_wait(struct child *child, int timeout_ms)
{
        struct pollfd pollfd = {.fd = child->pidfd, .events = POLLIN};
        int64_t deadline_ms = now_ms() + timeout_ms;
        int n;

        if (child->ended)
                return true;
        do {
                int64_t left_ms = deadline_ms - now_ms();

                n = poll(&pollfd, 1, left_ms > 0 ? (int)left_ms : 0);
        } while (n < 0 && errno == EINTR);
        if (n <= 0 || waitpid(child->pid, &child->status, WNOHANG) != child->pid)
                return false;
        child->ended = true;
        return true;
}

void child_stop(struct child *child, int grace_ms)
{
        if (!child->pid)
                return;
        if (!child_wait(child, grace_ms)) {
                kill(-child->pid, SIGTERM);
                if (!child_wait(child, TERM_GRACE_MS)) {
                        kill(-child->pid, SIGKILL);
                        waitpid(child->pid, &child->status, 0);
                        child->ended = true;
                }
        }
        close(child->pidfd);
        child->pid = 0;
}

const char *child_describe(const struct child *child)
{
        static char text[80];

        if (WIFSIGNALED(child->status))
                snprintf(text, sizeof(text), "was killed by signal %d (%s)", WTERMSIG(child->status),
                    strsignal(WTERMSIG(child->status)));
        else
                snprintf(text, sizeof(text), "exited with status %d", WEXITSTATUS(child->status));
        return text;
}
