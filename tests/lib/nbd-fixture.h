/* For tests against real NBD servers: a loop with an actor and an NBD context on it, servers as children, and
 * requests that are run to their end.
 *
 *   static int setup(void **state) { return nbd_fixture_setup(state); }      a folder, a loop, a context
 *   fx->dir                                                                  the folder: sockets, pid files
 *   nbd_fixture_server(fx, "READY-FILE", "nbdkit", "-f", …, NULL)            returns when READY-FILE is there
 *   nbd_fixture_hostile(fx, "--stall", "greeting", NULL)                     tests/lib/nbd-hostile.py
 *   nbd_fixture_open(fx, uri, access, timeout_ms, &open)                     0, or the open's status
 *   nbd_fixture_io(fx, endpoint, op, …)                                      one request; returns its status
 *   nbd_fixture_run(fx, &done)                                               the loop, until done, at most 20
 * s nbd_fixture_close(fx, endpoint) static int teardown(void **state) { return nbd_fixture_teardown(state); }
 * all gone, uv_loop_close() == 0
 *
 * Servers die with the test (by signal if it crashes). Single thread. */
#ifndef NBD_FIXTURE_H
#define NBD_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/actor_uv.h"
#include "base/log.h"
#include "io/nbd_context.h"
#include "io/nbd_tls.h"

#define NBD_FIXTURE_SERVERS_MAX 8
#define NBD_FIXTURE_LIMIT_MS 20000
#define NBD_FIXTURE_MS 1000000ull

struct nbd_fixture {
        uv_loop_t loop;
        struct kc_actor_uv actor;
        struct nbd_context *context;
        char dir[64];
        pid_t servers[NBD_FIXTURE_SERVERS_MAX];
        unsigned n_servers;
        bool limit_passed;
        bool closed; /* for on_closed callbacks */
        bool actor_closed;
        char uri[256]; /* the last that nbd_fixture_uri made */
};

static inline void nbd_fixture_on_limit(uv_timer_t *timer)
{
        *(bool *)timer->data = true;
}

static inline void nbd_fixture_on_limit_closed(uv_handle_t *handle)
{
        free(handle);
}

/* Run the loop until *done; fails the test if that takes too long. */
static inline void nbd_fixture_run(struct nbd_fixture *fx, const bool *done)
{
        uv_timer_t *limit = malloc(sizeof *limit);

        fx->limit_passed = false;
        uv_timer_init(&fx->loop, limit);
        limit->data = &fx->limit_passed;
        uv_timer_start(limit, nbd_fixture_on_limit, NBD_FIXTURE_LIMIT_MS, 0);
        while (!*done && !fx->limit_passed)
                uv_run(&fx->loop, UV_RUN_ONCE);
        uv_close((uv_handle_t *)limit, nbd_fixture_on_limit_closed);
        uv_run(&fx->loop, UV_RUN_NOWAIT);
        if (fx->limit_passed)
                fail_msg("not done within %d ms", NBD_FIXTURE_LIMIT_MS);
}

static inline void nbd_fixture_on_closed(void *arg)
{
        *(bool *)arg = true;
}

static inline void nbd_fixture_on_actor_closed(struct kc_actor_uv *actor)
{
        kc_container_of(actor, struct nbd_fixture, actor)->actor_closed = true;
}

static inline int nbd_fixture_setup_with(void **state, uint64_t disconnect_ms)
{
        struct nbd_fixture *fx = calloc(1, sizeof *fx);
        struct provider_config config = {.disconnect_ns = disconnect_ms * NBD_FIXTURE_MS,
            .idle_keep_single_ns = 1000 * NBD_FIXTURE_MS,
            .idle_keep_multi_ns = 5000 * NBD_FIXTURE_MS};

        kc_log_set_level(KC_LOG_ERROR); /* connections that are lost on purpose */
        snprintf(fx->dir, sizeof fx->dir, "/tmp/kcopy-nbd-XXXXXX");
        if (mkdtemp(fx->dir) == NULL || uv_loop_init(&fx->loop) < 0 ||
            kc_actor_uv_init(&fx->actor, &fx->loop, 1) < 0 ||
            nbd_context_new(&fx->actor, &config, &fx->context) < 0)
                return -1;
        *state = fx;
        return 0;
}

static inline int nbd_fixture_setup(void **state)
{
        return nbd_fixture_setup_with(state, 1000);
}

/* End the server that was started `index`-th, now. */
static inline void nbd_fixture_kill(struct nbd_fixture *fx, unsigned index)
{
        if (fx->servers[index] <= 0)
                return;
        kill(fx->servers[index], SIGKILL);
        waitpid(fx->servers[index], NULL, 0);
        fx->servers[index] = 0;
}

static inline void nbd_fixture_remove_dir(const char *dir)
{
        DIR *stream = opendir(dir);
        struct dirent *entry;

        while (stream != NULL && (entry = readdir(stream)) != NULL)
                if (entry->d_name[0] != '.')
                        unlinkat(dirfd(stream), entry->d_name, 0);
        if (stream != NULL)
                closedir(stream);
        rmdir(dir);
}

static inline int nbd_fixture_teardown(void **state)
{
        struct nbd_fixture *fx = *state;
        int result;

        for (unsigned i = 0; i < fx->n_servers; i++)
                nbd_fixture_kill(fx, i);
        if (fx->context->n_opens > 0 || fx->context->n_endpoints > 0) {
                fprintf(stderr, "the test left opens or endpoints behind\n"); /* it failed half-way */
                nbd_fixture_remove_dir(fx->dir);
                return -1;
        }
        fx->closed = false;
        nbd_context_close(fx->context, nbd_fixture_on_closed, &fx->closed);
        while (!fx->closed)
                uv_run(&fx->loop, UV_RUN_ONCE);
        kc_actor_uv_close(&fx->actor, nbd_fixture_on_actor_closed);
        uv_run(&fx->loop, UV_RUN_DEFAULT);
        result = fx->actor_closed ? uv_loop_close(&fx->loop) : -1;
        nbd_fixture_remove_dir(fx->dir);
        free(fx);
        return result;
}

/* "DIR/name", in a buffer that lives until the fourth call after. */
static inline const char *nbd_fixture_path(const struct nbd_fixture *fx, const char *name)
{
        static char paths[4][160];
        static unsigned turn;
        char *path = paths[turn++ % 4];

        snprintf(path, sizeof paths[0], "%s/%s", fx->dir, name);
        return path;
}

static inline void nbd_fixture_exec(const struct nbd_fixture *fx, char **argv)
{
        int log = open(nbd_fixture_path(fx, "log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        int null = open("/dev/null", O_RDONLY);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, 0);
        dup2(log, 1);
        dup2(log, 2);
        for (int fd = 3; fd < 256; fd++)
                close(fd);
        execvp(argv[0], argv);
        _exit(127);
}

/* Start argv and wait until the file `ready` (in fx->dir; NULL: do not wait) has something in it. Returns the
 * server's index. */
static inline unsigned nbd_fixture_start(struct nbd_fixture *fx, const char *ready, char **argv)
{
        const char *path = nbd_fixture_path(fx, ready != NULL ? ready : "none");
        unsigned index = fx->n_servers++;
        struct stat st;

        assert_true(index < NBD_FIXTURE_SERVERS_MAX);
        unlink(path);
        fx->servers[index] = fork();
        if (fx->servers[index] == 0)
                nbd_fixture_exec(fx, argv);
        for (int i = 0; ready != NULL && (stat(path, &st) < 0 || st.st_size == 0); i++) {
                if (i > 2000 || waitpid(fx->servers[index], NULL, WNOHANG) != 0)
                        fail_msg("%s did not start; see its log", argv[0]);
                nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
        }
        return index;
}

static inline void nbd_fixture_arguments(char **argv, unsigned n, unsigned n_max, va_list ap)
{
        do {
                assert_true(n < n_max);
                argv[n] = va_arg(ap, char *);
        } while (argv[n++] != NULL);
}

/* As nbd_fixture_start, with the arguments in the call; NULL ends them. */
static inline unsigned nbd_fixture_server(struct nbd_fixture *fx, const char *ready, ...)
{
        char *argv[40];
        va_list ap;

        va_start(ap, ready);
        nbd_fixture_arguments(argv, 0, 40, ap);
        va_end(ap);
        return nbd_fixture_start(fx, ready, argv);
}

/* A hostile server on DIR/sock; fx->uri names it. */
static inline unsigned nbd_fixture_hostile(struct nbd_fixture *fx, ...)
{
        static char script[512];
        char socket_path[128], ready_path[128];
        char *argv[40] = {
            (char *)"python3", script, (char *)"--unix", socket_path, (char *)"--ready", ready_path};
        va_list ap;

        snprintf(script, sizeof script, "%.*snbd-hostile.py", (int)(strrchr(__FILE__, '/') + 1 - __FILE__),
            __FILE__);
        snprintf(socket_path, sizeof socket_path, "%s/sock", fx->dir);
        snprintf(ready_path, sizeof ready_path, "%s/ready", fx->dir);
        unlink(socket_path);
        snprintf(fx->uri, sizeof fx->uri, "nbd+unix:///?socket=%s", socket_path);
        va_start(ap, fx);
        nbd_fixture_arguments(argv, 6, 40, ap);
        va_end(ap);
        return nbd_fixture_start(fx, "ready", argv);
}

/* nbdkit in the foreground on DIR/sock, with `arguments…`; fx->uri names it. */
static inline unsigned nbd_fixture_nbdkit(struct nbd_fixture *fx, ...)
{
        char socket_path[128], pid_path[128];
        char *argv[40] = {(char *)"nbdkit", (char *)"-f", (char *)"-U", socket_path, (char *)"-P", pid_path};
        va_list ap;

        snprintf(socket_path, sizeof socket_path, "%s/sock", fx->dir);
        snprintf(pid_path, sizeof pid_path, "%s/pid", fx->dir);
        unlink(socket_path);
        snprintf(fx->uri, sizeof fx->uri, "nbd+unix:///?socket=%s", socket_path);
        va_start(ap, fx);
        nbd_fixture_arguments(argv, 6, 40, ap);
        va_end(ap);
        return nbd_fixture_start(fx, "pid", argv);
}

/* A TCP port of the loopback that was free a moment ago. */
static inline unsigned nbd_fixture_free_port(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t address_bytes = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &address_bytes), 0);
        close(fd);
        return ntohs(address.sin_port);
}

/* Wait until somebody listens on a TCP port, without connecting: some servers take one client only. */
static inline void nbd_fixture_wait_port(unsigned port)
{
        char wanted[16], line[256];

        snprintf(wanted, sizeof wanted, ":%04X ", port);
        for (int i = 0; i < 2000; i++) {
                FILE *sockets = fopen("/proc/net/tcp", "r");
                bool found = false;

                while (fgets(line, sizeof line, sockets) != NULL)
                        found |= strstr(line, wanted) != NULL && strstr(line, " 0A ") != NULL;
                fclose(sockets);
                if (found)
                        return;
                nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
        }
        fail_msg("nobody listens on port %u", port);
}

struct nbd_fixture_open {
        struct io_open open;
        bool done;
};

static inline void nbd_fixture_on_open(struct io_open *open)
{
        struct nbd_fixture_open *o = kc_container_of(open, struct nbd_fixture_open, open);

        assert_false(o->done);
        o->done = true;
}

static inline void nbd_fixture_open_start(struct nbd_fixture *fx, const char *uri, enum io_access access,
    uint64_t timeout_ms, struct nbd_fixture_open *o)
{
        *o = (struct nbd_fixture_open){.open = {.device = uri,
                                           .access = access,
                                           .timeout_ns = timeout_ms * NBD_FIXTURE_MS,
                                           .on_open = nbd_fixture_on_open}};
        nbd_open(fx->context, &o->open);
        assert_false(o->done); /* never inside the call */
}

/* Returns the status; *o has the rest. */
static inline int nbd_fixture_open(struct nbd_fixture *fx, const char *uri, enum io_access access,
    uint64_t timeout_ms, struct nbd_fixture_open *o)
{
        nbd_fixture_open_start(fx, uri, access, timeout_ms, o);
        nbd_fixture_run(fx, &o->done);
        return o->open.status;
}

/* Open or fail the test. */
static inline struct endpoint *nbd_fixture_must_open(
    struct nbd_fixture *fx, const char *uri, enum io_access access)
{
        struct nbd_fixture_open o;

        if (nbd_fixture_open(fx, uri, access, 10000, &o) != 0)
                fail_msg("%s", o.open.error.message);
        return o.open.endpoint;
}

struct nbd_fixture_req {
        struct io_req req;
        bool done;
        struct io_extent extents[IO_EXTENTS_PER_REQ];
};

static inline void nbd_fixture_on_done(struct io_req *req)
{
        struct nbd_fixture_req *r = kc_container_of(req, struct nbd_fixture_req, req);

        assert_false(r->done);
        r->done = true;
}

static inline int nbd_fixture_submit(struct endpoint *endpoint, struct nbd_fixture_req *r, enum io_op op,
    unsigned flags, uint64_t offset_bytes, uint64_t length_bytes, void *buf)
{
        int result;

        memset(r, 0, sizeof *r);
        r->req = (struct io_req){.op = op,
            .flags = flags,
            .offset_bytes = offset_bytes,
            .length_bytes = length_bytes,
            .buf = buf,
            .extents = r->extents,
            .on_done = nbd_fixture_on_done};
        result = endpoint_submit(endpoint, &r->req);
        assert_false(r->done); /* never inside the submit */
        return result;
}

/* One request to its end; returns its status, or that of the submit. */
static inline int nbd_fixture_io(struct nbd_fixture *fx, struct endpoint *endpoint, struct nbd_fixture_req *r,
    enum io_op op, unsigned flags, uint64_t offset_bytes, uint64_t length_bytes, void *buf)
{
        int result = nbd_fixture_submit(endpoint, r, op, flags, offset_bytes, length_bytes, buf);

        if (result < 0)
                return result;
        nbd_fixture_run(fx, &r->done);
        return r->req.status;
}

static inline void nbd_fixture_close(struct nbd_fixture *fx, struct endpoint *endpoint)
{
        bool closed = false;

        endpoint_close(endpoint, nbd_fixture_on_closed, &closed);
        assert_false(closed); /* never inside the call */
        nbd_fixture_run(fx, &closed);
}

static inline uint64_t nbd_fixture_now_ms(void)
{
        return uv_hrtime() / NBD_FIXTURE_MS;
}

#endif
