#include "io/nbd_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/nbd_error.h"
#include "io/nbd_setup.h"

#define POLL_SLICE_MS 100 /* how soon the thread notices that it was abandoned */

struct nbd_tls {
        /* the lane's */
        struct nbd_context *context;
        nbd_tls_on_connected *on_connected;
        void *arg;
        bool cancelled; /* after the thread had posted its result */

        /* the thread's until it has posted */
        struct nbd_uri uri;
        struct nbd_handle *handle;
        struct kc_error error;
        struct kc_actor *actor;
        struct kc_msg result;

        pthread_mutex_t lock;   /* guards what is below */
        bool abandoned, posted; /* who frees this */
        int breaker_fd;         /* a duplicate of the socket, to shut it down by; or -1 */
};

static void tls_free(struct nbd_tls *tls)
{
        nbd_close(tls->handle);
        nbd_uri_done(&tls->uri);
        pthread_mutex_destroy(&tls->lock);
        free(tls);
}

static void on_result(struct kc_actor *actor, struct kc_msg *msg)
{
        struct nbd_tls *tls = kc_container_of(msg, struct nbd_tls, result);
        struct nbd_context *context = tls->context;
        struct nbd_handle *handle = tls->handle;

        pthread_mutex_lock(&tls->lock); /* the thread may still be on its way out of it */
        pthread_mutex_unlock(&tls->lock);
        if (!tls->cancelled) {
                tls->handle = NULL;
                tls->on_connected(tls->arg, handle, &tls->error);
        }
        tls_free(tls);
        nbd_context_release(context);
}

/* Under the lock. */
static void drop_breaker(struct nbd_tls *tls)
{
        if (tls->breaker_fd >= 0)
                close(tls->breaker_fd);
        tls->breaker_fd = -1;
}

/* libnbd opens a socket for each address that it tries, and shows it between two steps: make each of them
 * block, and breakable from outside. */
static void adopt_socket(struct nbd_tls *tls)
{
        int fd = nbd_aio_get_fd(tls->handle);
        int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;

        if (flags < 0 || (flags & O_NONBLOCK) == 0)
                return; /* none now, or seen already */
        pthread_mutex_lock(&tls->lock);
        drop_breaker(tls);
        tls->breaker_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (tls->breaker_fd >= 0)
                fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
        pthread_mutex_unlock(&tls->lock);
}

static int connect_start(struct nbd_tls *tls)
{
        char port[8];

        if (tls->uri.transport == NBD_TRANSPORT_UNIX)
                return nbd_aio_connect_unix(tls->handle, tls->uri.socket_path);
        snprintf(port, sizeof port, "%u", tls->uri.port);
        return nbd_aio_connect_tcp(tls->handle, tls->uri.host, port);
}

static bool is_abandoned(struct nbd_tls *tls)
{
        bool abandoned;

        pthread_mutex_lock(&tls->lock);
        abandoned = tls->abandoned;
        pthread_mutex_unlock(&tls->lock);
        return abandoned;
}

/* Without this file libnbd falls back to the system's authorities, and checks nothing at all then. */
static int check_authority(struct nbd_tls *tls)
{
        char path[PATH_MAX];
        int code;

        if (tls->uri.tls_certificates == NULL || !tls->uri.tls_verify_peer)
                return 0;
        snprintf(path, sizeof path, "%s/ca-cert.pem", tls->uri.tls_certificates);
        if (access(path, R_OK) == 0)
                return 0;
        code = -errno;
        return kc_error_set(&tls->error, code, KC_CLASS_PERMISSION,
            "tls-certificates: no readable ca-cert.pem in it (%s)", kc_errno_name(code));
}

static int connect_blocking(struct nbd_tls *tls)
{
        int result;

        result = check_authority(tls);
        if (result == 0)
                result = nbd_setup(&tls->uri, &tls->handle, &tls->error);
        if (result < 0)
                return result;
        if (connect_start(tls) < 0)
                return nbd_error_handshake("TLS connect", &tls->error);
        while (nbd_aio_is_connecting(tls->handle)) {
                if (is_abandoned(tls))
                        return -ECANCELED; /* nobody will read why */
                adopt_socket(tls);
                if (nbd_poll(tls->handle, POLL_SLICE_MS) < 0)
                        return nbd_error_handshake("TLS connect", &tls->error);
        }
        if (!nbd_aio_is_negotiating(tls->handle))
                return nbd_error_handshake("TLS connect", &tls->error);
        result = fcntl(nbd_aio_get_fd(tls->handle), F_GETFL);
        fcntl(nbd_aio_get_fd(tls->handle), F_SETFL, result | O_NONBLOCK);
        return 0;
}

/* How many threads run, in the whole process: exit() takes GnuTLS apart under one that is still in it. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned n;
} helpers = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void count_helpers(int by)
{
        pthread_mutex_lock(&helpers.lock);
        helpers.n += (unsigned)by;
        pthread_cond_broadcast(&helpers.changed);
        pthread_mutex_unlock(&helpers.lock);
}

bool nbd_tls_wait_idle(unsigned timeout_ms)
{
        struct timespec until;
        bool idle;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
        }
        pthread_mutex_lock(&helpers.lock);
        while (helpers.n > 0 && pthread_cond_timedwait(&helpers.changed, &helpers.lock, &until) == 0)
                ;
        idle = helpers.n == 0;
        pthread_mutex_unlock(&helpers.lock);
        return idle;
}

static void *tls_thread(void *arg)
{
        struct nbd_tls *tls = arg;
        bool discard;

        if (connect_blocking(tls) < 0) {
                nbd_close(tls->handle);
                tls->handle = NULL;
        }
        /* Posted under the lock: once the lane has abandoned this, its actor may be gone. */
        pthread_mutex_lock(&tls->lock);
        drop_breaker(tls);
        discard = tls->abandoned;
        tls->posted = true;
        if (!discard)
                kc_actor_post(tls->actor, &tls->result);
        pthread_mutex_unlock(&tls->lock);
        if (discard)
                tls_free(tls);
        count_helpers(-1);
        return NULL;
}

static int start_thread(struct nbd_tls *tls)
{
        pthread_attr_t attributes;
        sigset_t all, before;
        pthread_t thread;
        int result;

        result = -pthread_attr_init(&attributes);
        if (result < 0)
                return result;
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        sigfillset(&all); /* signals are the main loop's */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        count_helpers(1);
        result = -pthread_create(&thread, &attributes, tls_thread, tls);
        if (result < 0)
                count_helpers(-1);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return result;
}

int nbd_tls_start(struct nbd_context *context, const char *device, nbd_tls_on_connected *on_connected,
    void *arg, struct nbd_tls **ret_tls)
{
        struct nbd_tls *tls = calloc(1, sizeof *tls);
        int result;

        if (tls == NULL)
                return -ENOMEM;
        pthread_mutex_init(&tls->lock, NULL);
        tls->breaker_fd = -1;
        tls->context = context;
        tls->on_connected = on_connected;
        tls->arg = arg;
        tls->actor = &context->actor->actor;
        tls->result.on_message = on_result;
        /* A copy of its own: it may outlive whoever started it. */
        result = nbd_uri_parse(device, &tls->uri, NULL);
        if (result == 0)
                result = start_thread(tls);
        if (result < 0) {
                tls_free(tls);
                return result;
        }
        nbd_context_hold(context);
        *ret_tls = tls;
        return 0;
}

void nbd_tls_cancel(struct nbd_tls *tls)
{
        struct nbd_context *context = tls->context;
        bool posted;

        pthread_mutex_lock(&tls->lock);
        posted = tls->posted;
        tls->cancelled = posted;
        tls->abandoned = !posted;
        if (tls->breaker_fd >= 0)
                shutdown(tls->breaker_fd, SHUT_RDWR);
        pthread_mutex_unlock(&tls->lock);
        if (!posted)
                nbd_context_release(context); /* `tls` is the thread's now */
}
