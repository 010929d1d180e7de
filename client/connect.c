/* Finding and reaching a server (connect.h). */
#include "connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "kc_limits.h"

#define TEXT_OF(x) TEXT_OF_(x)
#define TEXT_OF_(x) #x

/* A peer that went away without a word is noticed after about a minute. */
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

static int wait_connected(int fd, uint64_t deadline_ns)
{
        struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
        int error = 0;
        socklen_t error_bytes = sizeof(error);

        for (;;) {
                uint64_t now_ns = client_now_ns();
                int n;

                if (now_ns >= deadline_ns)
                        return -ETIMEDOUT;
                n = poll(&pollfd, 1, (int)((deadline_ns - now_ns) / 1000000) + 1);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        break;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) < 0)
                return -errno;
        return -error;
}

static int connect_address(
    int family, const struct sockaddr *address, socklen_t address_bytes, uint64_t deadline_ns, int *ret_fd)
{
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int rc = 0;

        if (fd < 0)
                return -errno;
        /* EAGAIN: a Unix listener whose backlog is full; there is nothing to poll for, so ask again */
        while (connect(fd, address, address_bytes) < 0) {
                if (errno == EINPROGRESS || errno == EINTR)
                        rc = wait_connected(fd, deadline_ns);
                else if (errno == EAGAIN && client_now_ns() < deadline_ns && poll(NULL, 0, 10) == 0)
                        continue;
                else
                        rc = -errno;
                break;
        }
        if (rc < 0) {
                close(fd);
                return rc;
        }
        *ret_fd = fd;
        return 0;
}

static int connect_unix(
    const char *path, uint64_t deadline_ns, int *ret_fd, char *message, unsigned message_bytes)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int rc;

        if (!path[0] || strlen(path) >= sizeof(address.sun_path)) {
                snprintf(message, message_bytes, "unix:%s: a socket's path has 1 to %zu bytes", path,
                    sizeof(address.sun_path) - 1);
                return -EINVAL;
        }
        strcpy(address.sun_path, path);
        rc = connect_address(AF_UNIX, (struct sockaddr *)&address, sizeof(address), deadline_ns, ret_fd);
        if (rc < 0)
                snprintf(message, message_bytes, "unix:%s: %s", path, strerror(-rc));
        return rc;
}

static void tune_tcp(int fd)
{
        const struct {
                int level, name, value;
        } options[] = {
            {IPPROTO_TCP, TCP_NODELAY, 1},
            {SOL_SOCKET, SO_KEEPALIVE, 1},
            {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
            {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
            {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
            {IPPROTO_TCP, TCP_USER_TIMEOUT,
                (KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * KEEPALIVE_PROBES) * 1000},
        };

        /* each is an improvement only */
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
                (void)setsockopt(
                    fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

/* HOST, HOST:PORT, [HOST] or [HOST]:PORT, cut in place. False: none of them. */
static bool split_host(char *text, char **ret_host, const char **ret_port)
{
        char *colon;

        *ret_port = TEXT_OF(KC_DEFAULT_TCP_PORT);
        if (text[0] == '[') {
                char *end = strchr(text, ']');

                if (!end || (end[1] && end[1] != ':'))
                        return false;
                colon = end[1] ? end + 1 : NULL;
                *end = '\0';
                *ret_host = text + 1;
        } else {
                colon = strchr(text, ':');
                if (colon && strchr(colon + 1, ':'))
                        return false;
                *ret_host = text;
        }
        if (colon) {
                *colon = '\0';
                *ret_port = colon + 1;
        }
        /* getaddrinfo takes what is above modulo 65536 */
        return **ret_host && **ret_port && strtoul(*ret_port, NULL, 10) <= UINT16_MAX;
}

static int connect_tcp(
    const char *text, uint64_t deadline_ns, int *ret_fd, char *message, unsigned message_bytes)
{
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        struct addrinfo *addresses = NULL;
        const char *port;
        char *copy = strdup(text), *host;
        int rc = -EHOSTUNREACH;

        if (!copy) {
                snprintf(message, message_bytes, "no memory");
                return -ENOMEM;
        }
        if (!split_host(copy, &host, &port)) {
                snprintf(message, message_bytes,
                    "tcp:%s: write tcp:HOST:PORT, a port of at most 65535 and an IPv6 number in brackets",
                    text);
                free(copy);
                return -EINVAL;
        }
        int code = getaddrinfo(host, port, &hints, &addresses);

        if (code) {
                snprintf(message, message_bytes, "tcp:%s: %s", text, gai_strerror(code));
                free(copy);
                return code == EAI_MEMORY ? -ENOMEM : -EHOSTUNREACH;
        }
        for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
                rc = connect_address(a->ai_family, a->ai_addr, a->ai_addrlen, deadline_ns, ret_fd);
                if (rc == 0) {
                        tune_tcp(*ret_fd);
                        break;
                }
        }
        if (rc < 0)
                snprintf(message, message_bytes, "tcp:%s: %s", text, strerror(-rc));
        freeaddrinfo(addresses);
        free(copy);
        return rc;
}

int connect_server(
    const char *server, uint64_t deadline_ns, int *ret_fd, char *message, unsigned message_bytes)
{
        if (strncmp(server, "unix:", 5) == 0)
                return connect_unix(server + 5, deadline_ns, ret_fd, message, message_bytes);
        if (strncmp(server, "tcp:", 4) == 0)
                return connect_tcp(server + 4, deadline_ns, ret_fd, message, message_bytes);
        snprintf(message, message_bytes, "%s: a server is unix:PATH or tcp:HOST:PORT", server);
        return -EINVAL;
}
