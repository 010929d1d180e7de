/* A listening socket (listener.h). */
#include "daemon/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/options.h"
#include "kc_limits.h"

#define TEXT_OF(x) TEXT_OF_(x)
#define TEXT_OF_(x) #x
#define BACKLOG 128

struct listener {
        union {
                uv_handle_t handle;
                uv_stream_t stream;
                uv_pipe_t pipe;
                uv_tcp_t tcp;
        } uv;
        struct rpc *rpc;
        dev_t dev; /* of the socket's name, to know it again */
        ino_t ino;
        char address[512];
        char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* empty: TCP */
};

static void on_connection(uv_stream_t *stream, int status)
{
        struct listener *listener = stream->data;

        if (status < 0)
                kc_log_warning("daemon", "connection not accepted: %s", uv_strerror(status));
        else
                rpc_accept(listener->rpc, stream);
}

/* ---- Unix */

/* Does somebody listen there? 1, 0 (the name is stale) or negative errno. */
static int is_answered(const struct sockaddr_un *address)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int r;

        if (fd < 0)
                return -errno;
        r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 1 : -errno;
        close(fd);
        if (r == -EAGAIN) /* its queue is full */
                return 1;
        return r == -ECONNREFUSED ? 0 : r;
}

static int make_room(const struct sockaddr_un *address, struct kc_error *err)
{
        struct stat st;
        int r;

        if (lstat(address->sun_path, &st) < 0)
                return 0;
        if (!S_ISSOCK(st.st_mode))
                return kc_error_set(err, -EEXIST, KC_CLASS_INVALID,
                    "unix:%s: exists and is no socket; name another path", address->sun_path);
        r = is_answered(address);
        if (r > 0)
                return kc_error_set(err, -EADDRINUSE, KC_CLASS_BUSY,
                    "unix:%s: another server answers there; stop it or name another path", address->sun_path);
        if (r < 0 || unlink(address->sun_path) < 0)
                return kc_error_set(err, r < 0 ? r : -errno, KC_CLASS_PERMISSION,
                    "unix:%s: exists, and cannot be replaced", address->sun_path);
        return 0;
}

static int bind_unix(const struct sockaddr_un *address, int *ret_fd, struct kc_error *err)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        mode_t mask;
        int r;

        if (fd < 0)
                return kc_error_set(
                    err, -errno, KC_CLASS_INTERNAL, "unix:%s: no socket: %m", address->sun_path);
        mask = umask(0117);
        r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
        umask(mask);
        if (r < 0) {
                close(fd);
                return kc_error_set(err, r, kc_class_of_errno(r), "unix:%s: cannot be created: %s",
                    address->sun_path, strerror(-r));
        }
        *ret_fd = fd;
        return 0;
}

/* The folder of the socket is there. The default's own is made: /run is empty after a boot. Any other that is
 * missing is a mistake in the path. */
static int check_parent(const char *path, struct kc_error *err)
{
        char parent[sizeof(((struct sockaddr_un *)0)->sun_path)];
        struct stat st;
        char *slash;

        snprintf(parent, sizeof(parent), "%s", path);
        slash = strrchr(parent, '/');
        if (!slash || slash == parent)
                return 0;
        *slash = '\0';
        if (strcmp(path, OPTIONS_DEFAULT_SOCKET) == 0)
                mkdir(parent, 0755); /* bind says what is wrong */
        if (stat(parent, &st) < 0 && errno == ENOENT)
                return kc_error_set(err, -ENOENT, KC_CLASS_NOT_FOUND,
                    "unix:%s: there is no folder %s; create it, or name another path", path, parent);
        return 0;
}

static int check_unix(const char *path, struct kc_error *err)
{
        const size_t path_max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

        if (*path && strlen(path) <= path_max)
                return 0;
        return kc_error_set(err, -ENAMETOOLONG, KC_CLASS_INVALID,
            "unix:%s: a socket's path has 1 to %zu bytes", path, path_max);
}

static int open_unix(uv_loop_t *loop, struct listener *listener, const char *path, struct kc_error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct stat st;
        int fd = -1, r = check_unix(path, err);

        uv_pipe_init(loop, &listener->uv.pipe, 0);
        if (r < 0)
                return r;
        strcpy(address.sun_path, path);
        r = check_parent(path, err);
        if (r < 0)
                return r;
        r = make_room(&address, err);
        if (r < 0)
                return r;
        r = bind_unix(&address, &fd, err);
        if (r < 0)
                return r;
        if (lstat(path, &st) == 0) {
                listener->dev = st.st_dev;
                listener->ino = st.st_ino;
                strcpy(listener->path, path);
        }
        r = uv_pipe_open(&listener->uv.pipe, fd);
        if (r < 0) {
                close(fd);
                return kc_error_set(err, r, KC_CLASS_INTERNAL, "unix:%s: %s", path, uv_strerror(r));
        }
        return 0;
}

static void remove_name(struct listener *listener)
{
        struct stat st;

        if (listener->path[0] && lstat(listener->path, &st) == 0 && st.st_dev == listener->dev &&
            st.st_ino == listener->ino)
                unlink(listener->path);
        listener->path[0] = '\0';
}

/* ---- TCP */

/* HOST, HOST:PORT, [HOST] or [HOST]:PORT, cut in place. False: none of them. */
static bool split_host(char *text, char **ret_host, const char **ret_port)
{
        char *colon = strchr(text, ':'), *end;

        *ret_port = TEXT_OF(KC_DEFAULT_TCP_PORT);
        *ret_host = text;
        if (text[0] == '[') {
                end = strchr(text, ']');
                if (!end || (end[1] && end[1] != ':'))
                        return false;
                colon = end[1] ? end + 1 : NULL;
                *end = '\0';
                *ret_host = text + 1;
        } else if (colon && strchr(colon + 1, ':')) {
                return false;
        }
        if (colon) {
                *colon = '\0';
                *ret_port = colon + 1;
        }
        /* getaddrinfo knows services by name, and takes numbers modulo 65536 */
        return **ret_host && **ret_port && strspn(*ret_port, "0123456789") == strlen(*ret_port) &&
               strtoul(*ret_port, NULL, 10) <= UINT16_MAX;
}

static int refuse_tcp(const char *address, struct kc_error *err)
{
        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID,
            "tcp:%s: write tcp:HOST[:PORT], a port of at most 65535 and an IPv6 number in brackets", address);
}

static void note_port(struct listener *listener, const char *host)
{
        struct sockaddr_storage address;
        int bytes = sizeof(address);
        in_port_t port = 0;

        if (uv_tcp_getsockname(&listener->uv.tcp, (struct sockaddr *)&address, &bytes) == 0)
                port = address.ss_family == AF_INET6
                           ? ((const struct sockaddr_in6 *)(const void *)&address)->sin6_port
                           : ((const struct sockaddr_in *)(const void *)&address)->sin_port;
        snprintf(listener->address, sizeof(listener->address),
            strchr(host, ':') ? "tcp:[%s]:%u" : "tcp:%s:%u", host, ntohs(port));
}

static int open_tcp(uv_loop_t *loop, struct listener *listener, const char *address, struct kc_error *err)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
        char *copy = strdup(address), *host;
        const char *port;
        int r;

        uv_tcp_init(loop, &listener->uv.tcp);
        if (!copy || !split_host(copy, &host, &port)) {
                free(copy);
                return refuse_tcp(address, err);
        }
        r = getaddrinfo(host, port, &hints, &found);
        if (r != 0) {
                free(copy);
                return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "tcp:%s: %s", address, gai_strerror(r));
        }
        r = uv_tcp_bind(&listener->uv.tcp, found->ai_addr, 0);
        freeaddrinfo(found);
        if (r < 0)
                kc_error_set(err, r, KC_CLASS_TRANSPORT, "tcp:%s: %s", address, uv_strerror(r));
        else
                note_port(listener, host);
        free(copy);
        return r;
}

/* ---- both */

int listener_check(const char *address, struct kc_error *err)
{
        char *copy, *host;
        const char *port;
        int r = 0;

        if (strncmp(address, "unix:", 5) == 0)
                return check_unix(address + 5, err);
        copy = strdup(address + 4);
        if (!copy || !split_host(copy, &host, &port))
                r = refuse_tcp(address + 4, err);
        free(copy);
        return r;
}

static void on_closed(uv_handle_t *handle)
{
        free(handle->data);
}

void listener_close(struct listener *listener)
{
        if (!listener)
                return;
        remove_name(listener);
        uv_close(&listener->uv.handle, on_closed);
}

const char *listener_address(const struct listener *listener)
{
        return listener->address;
}

int listener_open(uv_loop_t *loop, struct rpc *rpc, const char *address, struct listener **ret_listener,
    struct kc_error *err)
{
        struct listener *listener = calloc(1, sizeof(*listener));
        int r;

        if (!listener)
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "%s: out of memory", address);
        listener->rpc = rpc;
        snprintf(listener->address, sizeof(listener->address), "%s", address);
        if (strncmp(address, "unix:", 5) == 0)
                r = open_unix(loop, listener, address + 5, err);
        else
                r = open_tcp(loop, listener, address + 4, err);
        listener->uv.handle.data = listener;
        if (r == 0) {
                r = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
                if (r < 0)
                        kc_error_set(err, r, KC_CLASS_TRANSPORT, "%s: %s", address, uv_strerror(r));
        }
        if (r < 0) {
                listener_close(listener);
                return r;
        }
        *ret_listener = listener;
        return 0;
}
