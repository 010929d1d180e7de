/* Captive servers (captive.h). */
#include "ctl/captive.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/child.h"
#include "ctl/text.h"
#include "kcopy.h"

#define CAPTIVES_MAX (1 + KCOPY_DESTINATIONS_MAX)
#define BACKLOG 64
#define DYING_MS 200 /* a server closes its sockets before it can be seen to have ended */

struct captive {
        struct child child;
        char folder[80];
        struct sockaddr_un address;
        char *uri;
        const struct bracket *bracket;
        bool reported;
};

static struct captive captives[CAPTIVES_MAX];
static volatile sig_atomic_t n_captives;

static int listen_in_folder(struct captive *captive)
{
        const char *base = getenv("TMPDIR");
        int fd;

        if (!base || base[0] != '/' || strlen(base) > 40)
                base = "/tmp";
        snprintf(captive->folder, sizeof(captive->folder), "%s/kcopyctl-XXXXXX", base);
        if (!mkdtemp(captive->folder))
                return -errno;
        captive->address.sun_family = AF_UNIX;
        stpcpy(stpcpy(captive->address.sun_path, captive->folder), "/socket");
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && bind(fd, (struct sockaddr *)&captive->address, sizeof(captive->address)) == 0 &&
            listen(fd, BACKLOG) == 0)
                return fd;
        int error = errno;

        if (fd >= 0)
                close(fd);
        unlink(captive->address.sun_path);
        rmdir(captive->folder);
        return -error;
}

int captive_start(const struct bracket *bracket, char **ret_uri)
{
        struct captive *captive = &captives[n_captives];
        int fd, rc;

        if (n_captives == CAPTIVES_MAX) {
                text_error(bracket->text, "there are at most %u servers in brackets", CAPTIVES_MAX);
                return -E2BIG;
        }
        *captive = (struct captive){.bracket = bracket};
        fd = listen_in_folder(captive);
        if (fd < 0) {
                text_error(bracket->text, "no socket to listen on: %s", strerror(-fd));
                return fd;
        }
        rc = child_start(bracket->argv[0], bracket->argv, fd, CHILD_FD_LISTEN, true, &captive->child);
        close(fd);
        if (rc < 0) {
                text_error(bracket->text, "%s: %s", bracket->argv[0], strerror(-rc));
                unlink(captive->address.sun_path);
                rmdir(captive->folder);
                return rc;
        }
        n_captives++;
        *ret_uri = NULL;
        if (asprintf(&captive->uri, "nbd+unix:///?socket=%s", captive->address.sun_path) < 0) {
                captive->uri = NULL;
                return -ENOMEM;
        }
        *ret_uri = strdup(captive->uri);
        return *ret_uri ? 0 : -ENOMEM;
}

bool captive_report_dead(void)
{
        bool any = false;
        int grace_ms = DYING_MS;

        for (int i = 0; i < n_captives; i++) {
                struct captive *captive = &captives[i];

                if (!child_wait(&captive->child, grace_ms)) {
                        grace_ms = 0; /* one moment for all of them */
                        continue;
                }
                if (!captive->reported)
                        text_error(captive->bracket->text, "the command %s", child_describe(&captive->child));
                captive->reported = any = true;
        }
        return any;
}

static const struct captive *find(const char *device)
{
        for (int i = 0; i < n_captives; i++)
                if (captives[i].uri && strcmp(captives[i].uri, device) == 0)
                        return &captives[i];
        return NULL;
}

bool captive_is_dead(const char *device)
{
        const struct captive *captive = find(device);

        return captive && captive->reported;
}

const char *captive_name(const char *device)
{
        const struct captive *captive = find(device);

        return captive ? captive->bracket->text : device;
}

bool captive_owns(const char *device)
{
        return find(device) != NULL;
}

char *captive_in_words(const char *text)
{
        char *words = NULL;

        for (int i = 0; i < n_captives; i++) {
                const char *from = words ? words : text, *at;
                char *next = NULL;

                if (!captives[i].uri || !(at = strstr(from, captives[i].uri)))
                        continue;
                if (asprintf(&next, "%.*s%s%s", (int)(at - from), from, captives[i].bracket->text,
                        at + strlen(captives[i].uri)) < 0)
                        next = NULL;
                free(words);
                words = next;
                if (!words)
                        return NULL;
                i--; /* it may be there again */
        }
        return words;
}

void captive_stop_all(void)
{
        while (n_captives) {
                struct captive *captive = &captives[n_captives - 1];

                child_stop(&captive->child, 0);
                unlink(captive->address.sun_path);
                rmdir(captive->folder);
                free(captive->uri);
                captive->uri = NULL;
                n_captives--;
        }
}

void captive_abandon_all(void)
{
        for (int i = 0; i < n_captives; i++) {
                if (captives[i].child.pid && !captives[i].child.ended)
                        kill(-captives[i].child.pid, SIGTERM);
                unlink(captives[i].address.sun_path);
                rmdir(captives[i].folder);
        }
}
