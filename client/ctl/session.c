/* A connection for one command (session.h). */
#include "ctl/session.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/json.h"
#include "ctl/names.h"
#include "ctl/text.h"

/* 32 MiB, as much as nbdcopy takes: with half of it a copy over 10 ms each way is a third slower than
 * nbdcopy. It is touched only where the way is long. */
#define PAGES_DEFAULT 8192u
#define GOODBYE_MS 10000 /* a cancelled job's writes may be out for longer than anybody wants to wait */
#define DAEMON_GRACE_MS 10000
#define DAEMON_DYING_MS 500

/* kcopyd beside this program, in ../sbin, else wherever $PATH has it. */
static void find_daemon(char path[PATH_MAX])
{
        static const char *const PLACES[] = {"kcopyd", "../sbin/kcopyd"};
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (n > 0) {
                self[n] = '\0';
                slash = strrchr(self, '/');
                for (unsigned i = 0; slash && i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
                        int bytes = snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - self), self, PLACES[i]);

                        if (bytes < PATH_MAX && access(path, X_OK) == 0)
                                return;
                }
        }
        strcpy(path, "kcopyd");
}

static enum ctl_status no_server(struct session *session, const struct ctl *ctl, int rc, const char *reason)
{
        const char *what = text_without_subject(reason, session->server);

        if (strncmp(what, "pages: ", 7) == 0) { /* it is there, and has said no */
                text_error("--pages", "%s; fewer may do", what + 7);
                if (ctl->json)
                        json_line(json_refused("pages", rc, what));
                child_stop(&session->daemon, 0);
                return CTL_REFUSED;
        }
        if (session->daemon.pid && child_wait(&session->daemon, DAEMON_DYING_MS))
                text_error(session->server, "the private daemon %s", child_describe(&session->daemon));
        else
                text_error(session->server, "%s%s", what,
                    session->daemon.pid || rc == -ESHUTDOWN ? ""
                    : rc == -EACCES ? "; its socket is not for you: its owner and mode say for whom it is"
                                    : "; is kcopyd running there? --server names another one");
        child_stop(&session->daemon, 0);
        return CTL_NO_SERVER;
}

enum ctl_status session_open(struct session *session, const struct ctl *ctl, unsigned pages)
{
        char message[512];
        int rc;

        /* --server has been looked at when it was parsed */
        if (ctl->server && !names_is_server(ctl->server)) {
                text_error("KCOPYD_SERVER", "%s is neither unix:PATH nor tcp:HOST[:PORT]", ctl->server);
                return CTL_USAGE;
        }
        *session = (struct session){.server = ctl->server ? ctl->server : "kcopyd"};
        rc = kcopy_client_create(ctl->server, pages, &session->client, message, sizeof(message));
        return rc < 0 ? no_server(session, ctl, rc, message) : CTL_DONE;
}

enum ctl_status session_open_private(struct session *session, const struct ctl *ctl, unsigned pages)
{
        char path[PATH_MAX], pages_text[16], message[512];
        char *argv[] = {
            "kcopyd", "--connection-fd", "3", "--pages", pages_text, "--log-level", "error", NULL};
        int pair[2], rc;

        if (ctl->server)
                return session_open(session, ctl, pages);
        *session = (struct session){.server = "kcopyd"};
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
                text_error("kcopyd", "no socket pair: %s", strerror(errno));
                return CTL_NO_SERVER;
        }
        if (!pages)
                pages = PAGES_DEFAULT;
        snprintf(pages_text, sizeof(pages_text), "%u", pages);
        find_daemon(path);
        rc = child_start(path, argv, pair[1], CHILD_FD_PLAIN, false, &session->daemon);
        close(pair[1]);
        if (rc < 0) {
                close(pair[0]);
                text_error("kcopyd", "%s cannot be started: %s; --server names one that runs already", path,
                    strerror(-rc));
                return CTL_NO_SERVER;
        }
        rc = kcopy_client_create_fd(pair[0], pages, &session->client, message, sizeof(message));
        return rc < 0 ? no_server(session, ctl, rc, message) : CTL_DONE;
}

void session_report_lost(struct session *session, const char *reason)
{
        if (session->daemon.pid && child_wait(&session->daemon, DAEMON_DYING_MS))
                text_error(session->server, "the private daemon %s; what it has written is not known",
                    child_describe(&session->daemon));
        else
                text_error(session->server, "%s; what has been written is not known", reason);
}

void session_report_stopping(const struct session *session, uint64_t drain_ms, const char *what)
{
        if (drain_ms)
                text_error(session->server,
                    "the server is shutting down; it waits up to %" PRIu64 " s for %s to end",
                    drain_ms / 1000 + (drain_ms % 1000 != 0), what);
        else
                text_error(
                    session->server, "the server is shutting down; it does not wait for %s to end", what);
}

void session_close(struct session *session, bool goodbye)
{
        kcopy_set_timeout(session->client, GOODBYE_MS);
        if (goodbye)
                kcopy_client_destroy(session->client);
        else
                kcopy_client_abandon(session->client);
        session->client = NULL;
        /* it ends by itself when its one connection is gone */
        child_stop(&session->daemon, goodbye ? DAEMON_GRACE_MS : DAEMON_DYING_MS);
        /* what it did stands, but a daemon that cannot even end well should be known */
        if (goodbye && session->daemon.ended && session->daemon.status)
                text_error(
                    session->server, "the private daemon %s at its end", child_describe(&session->daemon));
}

enum ctl_status session_failed(struct session *session, int rc, const char *subject)
{
        text_error(subject ? subject : session->server, "%s",
            text_without_subject(kcopy_error(session->client), subject));
        return rc == -ENOTCONN || rc == -ETIMEDOUT ? CTL_NO_SERVER : CTL_REFUSED;
}
