#include "io/nbd_dial.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/nbd_error.h"
#include "io/nbd_watch.h"
#include "io/workers.h"

/* A Unix socket whose backlog is full says EAGAIN and offers nothing to wait for. */
#define BACKLOG_RETRY_NS (10 * 1000 * 1000ull)
/* A lane's two chunks go out whole. Measured: up to 10 % on Unix sockets, 5 % more than with twice as much,
 * which leaves the cache; TCP's autotuning is better left alone (FACTS). */
#define UNIX_SEND_BUFFER_BYTES (1 << 20)

struct nbd_dial {
        struct nbd_context *context;
        const struct nbd_uri *uri; /* not used after a cancel */
        uint64_t deadline_ns;
        nbd_dial_on_dialed *on_dialed;
        void *arg;

        struct kc_msg start;
        uv_getaddrinfo_t resolve;
        struct addrinfo *addresses, *address; /* TCP: all, and the one being tried */
        struct sockaddr_un unix_address;
        struct kc_timer timer;
        struct nbd_watch *watch;
        int fd;
        unsigned n_out; /* the start message and the resolver's request, while they have not come back */
        bool resolving;
        bool cancelled;
        struct kc_error error; /* of the last address tried */
};

static void on_attempt_timer(struct kc_timer *timer);
static void attempt_next(struct nbd_dial *dial);

static void stop_attempt(struct nbd_dial *dial)
{
        kc_actor_timer_stop(&dial->context->actor->actor, &dial->timer);
        nbd_watch_close(dial->watch);
        dial->watch = NULL;
        if (dial->fd >= 0)
                close(dial->fd);
        dial->fd = -1;
}

static void dial_free(struct nbd_dial *dial)
{
        assert(dial->n_out == 0 && dial->fd < 0 && dial->watch == NULL);
        if (dial->addresses != NULL)
                uv_freeaddrinfo(dial->addresses);
        free(dial);
}

/* Something that was out has come back. Returns false if nobody is interested any more. */
static bool came_back(struct nbd_dial *dial)
{
        struct nbd_context *context = dial->context;
        bool wanted = !dial->cancelled;

        dial->n_out--;
        if (!wanted && dial->n_out == 0)
                dial_free(dial);
        if (!wanted)
                nbd_context_release(context); /* may end the context: last */
        else
                context->n_held--; /* the open under way keeps the context alive */
        return wanted;
}

static void finish(struct nbd_dial *dial, int fd)
{
        nbd_dial_on_dialed *on_dialed = dial->on_dialed;
        void *arg = dial->arg;
        struct kc_error error = dial->error;

        assert(dial->n_out == 0);
        if (fd >= 0) {
                dial->fd = -1; /* handed over */
                if (dial->uri->transport == NBD_TRANSPORT_TCP)
                        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
                else
                        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){UNIX_SEND_BUFFER_BYTES}, sizeof(int));
        }
        stop_attempt(dial);
        dial_free(dial);
        on_dialed(arg, fd, &error);
}

static void attempt_failed(struct nbd_dial *dial, int code)
{
        stop_attempt(dial);
        dial->error.code = 0; /* the last address tells */
        nbd_error_connect(code, &dial->error);
        if (dial->address != NULL)
                dial->address = dial->address->ai_next;
        attempt_next(dial);
}

static void on_connected(void *arg, int events, bool failed)
{
        struct nbd_dial *dial = arg;
        int code = 0;
        socklen_t code_bytes = sizeof code;

        if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &code, &code_bytes) < 0)
                code = errno;
        if (code == 0 && failed)
                code = ECONNRESET;
        if (code != 0)
                attempt_failed(dial, -code);
        else
                finish(dial, dial->fd);
}

static unsigned addresses_left(const struct nbd_dial *dial)
{
        unsigned n = 0;

        for (const struct addrinfo *address = dial->address; address != NULL; address = address->ai_next)
                n++;
        return n;
}

/* An address that swallows packets may use its share of what is left, so that the next is tried too. */
static void start_attempt_timer(struct nbd_dial *dial)
{
        uint64_t now_ns = nbd_context_now_ns(dial->context);
        unsigned n_left = addresses_left(dial);

        if (n_left > 1 && dial->deadline_ns > now_ns)
                kc_actor_timer_start(&dial->context->actor->actor, &dial->timer,
                    now_ns + (dial->deadline_ns - now_ns) / n_left);
}

static void attempt(
    struct nbd_dial *dial, int family, const struct sockaddr *address, socklen_t address_bytes)
{
        int result;

        dial->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (dial->fd < 0) {
                attempt_failed(dial, -errno);
                return;
        }
        result = connect(dial->fd, address, address_bytes) < 0 ? -errno : 0;
        if (result == 0) {
                finish(dial, dial->fd);
                return;
        }
        if (result == -EAGAIN && family == AF_UNIX) {
                stop_attempt(dial);
                kc_actor_timer_start(&dial->context->actor->actor, &dial->timer,
                    nbd_context_now_ns(dial->context) + BACKLOG_RETRY_NS);
                return;
        }
        if (result != -EINPROGRESS && result != -EINTR) {
                attempt_failed(dial, result);
                return;
        }
        result = nbd_watch_open(dial->context, dial->fd, on_connected, dial, &dial->watch);
        if (result < 0) {
                attempt_failed(dial, result);
                return;
        }
        nbd_watch_set(dial->watch, UV_WRITABLE);
        start_attempt_timer(dial);
}

static void attempt_next(struct nbd_dial *dial)
{
        if (dial->address != NULL)
                attempt(dial, dial->address->ai_family, dial->address->ai_addr, dial->address->ai_addrlen);
        else if (dial->error.code != 0)
                finish(dial, dial->error.code);
        else
                finish(dial, nbd_error_resolve(UV_EAI_NODATA, &dial->error));
}

static void attempt_unix(struct nbd_dial *dial)
{
        attempt(dial, AF_UNIX, (const struct sockaddr *)&dial->unix_address, sizeof dial->unix_address);
}

static void on_attempt_timer(struct kc_timer *timer)
{
        struct nbd_dial *dial = kc_container_of(timer, struct nbd_dial, timer);

        if (dial->uri->transport == NBD_TRANSPORT_UNIX)
                attempt_unix(dial);
        else
                attempt_failed(dial, -ETIMEDOUT);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
        struct nbd_dial *dial = kc_container_of(resolve, struct nbd_dial, resolve);

        dial->addresses = dial->address = addresses;
        dial->resolving = false;
        if (!came_back(dial))
                return;
        if (status < 0)
                finish(dial, nbd_error_resolve(status, &dial->error));
        else
                attempt_next(dial);
}

static void resolve(struct nbd_dial *dial)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
        char port[8];
        int result;

        snprintf(port, sizeof port, "%u", dial->uri->port);
        /* A literal address needs no thread of the pool, of which DNS gets few. */
        if (getaddrinfo(dial->uri->host, port, &hints, &dial->addresses) == 0) {
                dial->address = dial->addresses;
                attempt_next(dial);
                return;
        }
        hints.ai_flags = AI_NUMERICSERV;
        result = workers_start(dial->context->actor->loop, &dial->error);
        if (result < 0) {
                finish(dial, result);
                return;
        }
        result = uv_getaddrinfo(
            dial->context->actor->loop, &dial->resolve, on_resolved, dial->uri->host, port, &hints);
        if (result < 0) {
                finish(dial, nbd_error_resolve(result, &dial->error));
                return;
        }
        dial->n_out++;
        dial->resolving = true;
        nbd_context_hold(dial->context);
}

static void on_start(struct kc_actor *actor, struct kc_msg *msg)
{
        struct nbd_dial *dial = kc_container_of(msg, struct nbd_dial, start);

        if (!came_back(dial))
                return;
        if (dial->uri->transport == NBD_TRANSPORT_UNIX)
                attempt_unix(dial);
        else
                resolve(dial);
}

int nbd_dial_start(struct nbd_context *context, const struct nbd_uri *uri, uint64_t deadline_ns,
    nbd_dial_on_dialed *on_dialed, void *arg, struct nbd_dial **ret_dial)
{
        struct nbd_dial *dial = calloc(1, sizeof *dial);

        if (dial == NULL)
                return -ENOMEM;
        dial->context = context;
        dial->uri = uri;
        dial->deadline_ns = deadline_ns;
        dial->on_dialed = on_dialed;
        dial->arg = arg;
        dial->fd = -1;
        dial->start.on_message = on_start;
        kc_timer_init(&dial->timer, on_attempt_timer);
        if (uri->transport == NBD_TRANSPORT_UNIX) {
                dial->unix_address.sun_family = AF_UNIX;
                /* nbd_uri_parse has seen to the length */
                strncpy(
                    dial->unix_address.sun_path, uri->socket_path, sizeof dial->unix_address.sun_path - 1);
        }
        dial->n_out = 1;
        nbd_context_hold(context);
        kc_actor_post(&context->actor->actor, &dial->start);
        *ret_dial = dial;
        return 0;
}

void nbd_dial_cancel(struct nbd_dial *dial)
{
        stop_attempt(dial);
        dial->cancelled = true;
        if (dial->resolving)
                uv_cancel((uv_req_t *)&dial->resolve); /* helps if it has not begun */
        if (dial->n_out == 0)
                dial_free(dial);
}

const char *nbd_dial_phase(const struct nbd_dial *dial)
{
        return dial->resolving ? "resolve" : "connect";
}
