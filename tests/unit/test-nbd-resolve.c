/* Resolving names: what the resolver says has a class, and one that hangs harms nobody.
 * links: kc_io
 *
 * The program's own getaddrinfo stands in for libc's, so that no query leaves the machine. */
#include "lib/nbd-fixture.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned n_stuck;
static bool released;

static int stay_stuck(void)
{
        pthread_mutex_lock(&lock);
        n_stuck++;
        pthread_cond_broadcast(&changed);
        while (!released)
                pthread_cond_wait(&changed, &lock);
        n_stuck--;
        pthread_mutex_unlock(&lock);
        return EAI_NONAME;
}

__attribute__((visibility("default"))) int getaddrinfo(
    const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

        real = (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
        if (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0)
                return real(node, service, hints, result);
        if (strcmp(node, "unknown") == 0)
                return EAI_NONAME;
        if (strcmp(node, "later") == 0)
                return EAI_AGAIN;
        if (strcmp(node, "broken") == 0)
                return EAI_FAIL;
        if (strcmp(node, "stuck") == 0)
                return stay_stuck();
        /* The first of two refuses, or swallows what it is sent. */
        if (strcmp(node, "two") == 0 || strcmp(node, "silent") == 0) {
                struct addrinfo *second;
                int status = real(*node == 't' ? "127.77.77.77" : "127.88.88.88", service, hints, result);

                if (status == 0 && real("127.0.0.1", service, hints, &second) == 0)
                        (*result)->ai_next = second;
                return status;
        }
        fail_msg("unexpected name %s", node);
        return EAI_FAIL;
}

static void wait_until_stuck(unsigned n)
{
        pthread_mutex_lock(&lock);
        while (n_stuck < n)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
}

static void release(void)
{
        pthread_mutex_lock(&lock);
        released = true;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

static struct nbd_fixture_open opened;

static void resolver_errors_are_transport_errors(void **state)
{
        static const struct {
                const char *uri, *words;
                int status;
        } cases[] = {
            {"nbd://unknown/", "nbd://unknown/: resolve: unknown node", -ENOENT},
            {"nbd://later/", "nbd://later/: resolve: temporary failure", -EAGAIN},
            {"nbd://broken/", "nbd://broken/: resolve: permanent failure", -EHOSTUNREACH},
        };
        struct nbd_fixture *fx = *state;

        for (int i = 0; i < 3; i++) {
                assert_int_equal(
                    nbd_fixture_open(fx, cases[i].uri, IO_ACCESS_READ, 5000, &opened), cases[i].status);
                assert_int_equal(opened.open.error.class, KC_CLASS_TRANSPORT);
                if (strstr(opened.open.error.message, cases[i].words) == NULL)
                        fail_msg("\"%s\" does not say \"%s\"", opened.open.error.message, cases[i].words);
        }
}

static void next_address_is_tried(void **state)
{
        struct nbd_fixture *fx = *state;
        char port[16], uri[64];

        snprintf(port, sizeof port, "%u", nbd_fixture_free_port());
        snprintf(uri, sizeof uri, "nbd://two:%s/", port);
        nbd_fixture_server(fx, "pid", "nbdkit", "-f", "-i", "127.0.0.1", "-p", port, "-P",
            nbd_fixture_path(fx, "pid"), "memory", "1M", NULL);
        nbd_fixture_close(fx, nbd_fixture_must_open(fx, uri, IO_ACCESS_READ));
        nbd_fixture_kill(fx, 0);
        assert_int_equal(nbd_fixture_open(fx, uri, IO_ACCESS_READ, 5000, &opened), -ECONNREFUSED);
}

/* A listener whose queue is full answers nobody: connections to it neither succeed nor fail. Its sockets. */
static unsigned listen_in_silence(unsigned port, int fds[8])
{
        struct sockaddr_in address = {.sin_family = AF_INET,
            .sin_port = htons((uint16_t)port),
            .sin_addr.s_addr = inet_addr("127.88.88.88")};
        unsigned n = 0;
        int ready;

        fds[n++] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fds[0], (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(fds[0], 0), 0);
        do {
                struct pollfd poll_fd;

                assert_true(n < 8);
                fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void)connect(fds[n], (struct sockaddr *)&address, sizeof address);
                poll_fd = (struct pollfd){.fd = fds[n++], .events = POLLOUT};
                ready = poll(&poll_fd, 1, 100);
        } while (ready > 0);
        return n;
}

static void next_address_is_tried_in_time_when_one_is_silent(void **state)
{
        struct nbd_fixture *fx = *state;
        unsigned port = nbd_fixture_free_port(), n;
        char port_text[16], uri[64];
        int fds[8];

        snprintf(port_text, sizeof port_text, "%u", port);
        snprintf(uri, sizeof uri, "nbd://silent:%u/", port);
        nbd_fixture_server(fx, "pid", "nbdkit", "-f", "-i", "127.0.0.1", "-p", port_text, "-P",
            nbd_fixture_path(fx, "pid"), "memory", "1M", NULL);
        n = listen_in_silence(port, fds);
        assert_int_equal(nbd_fixture_open(fx, uri, IO_ACCESS_READ, 3000, &opened), 0);
        nbd_fixture_close(fx, opened.open.endpoint);
        while (n > 0)
                close(fds[--n]);
}

static void stuck_resolver_ends_at_the_deadline_and_hurts_nobody(void **state)
{
        struct nbd_fixture *fx = *state;
        static struct nbd_fixture_open cancelled;
        static const struct provider_config config;
        struct endpoint *endpoint;
        bool closed = false;

        released = false;
        nbd_fixture_open_start(fx, "nbd://stuck/", IO_ACCESS_READ, 10000, &cancelled);
        assert_int_equal(nbd_fixture_open(fx, "nbd://stuck/", IO_ACCESS_READ, 200, &opened), -ETIMEDOUT);
        assert_int_equal(opened.open.error.class, KC_CLASS_TIMEOUT);
        assert_non_null(
            strstr(opened.open.error.message, "nbd://stuck/: no answer to the resolve within 200 ms"));
        wait_until_stuck(2);
        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        nbd_fixture_close(fx, endpoint);
        nbd_open_cancel(fx->context, &cancelled.open);
        nbd_fixture_run(fx, &cancelled.done);
        assert_int_equal(cancelled.open.status, -ECANCELED);
        /* The context waits for it as it closes: its memory is the loop's. */
        nbd_context_close(fx->context, nbd_fixture_on_closed, &closed);
        for (int i = 0; i < 5; i++)
                uv_run(&fx->loop, UV_RUN_NOWAIT);
        assert_false(closed);
        release();
        nbd_fixture_run(fx, &closed);
        assert_int_equal(nbd_context_new(&fx->actor, &config, &fx->context), 0); /* for the teardown */
}

/* Certificates resolve on a thread of their own, which nobody waits for. */
static void stuck_tls_helper_is_left_to_itself(void **state)
{
        struct nbd_fixture *fx = *state;
        char uri[160];

        released = false;
        close(open(nbd_fixture_path(fx, "ca-cert.pem"), O_CREAT | O_WRONLY, 0600));
        snprintf(uri, sizeof uri, "nbds://stuck/?tls-certificates=%s", fx->dir);
        nbd_fixture_open_start(fx, uri, IO_ACCESS_READ, 10000, &opened);
        wait_until_stuck(1);
        nbd_open_cancel(fx->context, &opened.open);
        nbd_fixture_run(fx, &opened.done);
        assert_int_equal(opened.open.status, -ECANCELED);
        assert_int_equal(nbd_fixture_open(fx, uri, IO_ACCESS_READ, 200, &opened), -ETIMEDOUT);
        assert_non_null(strstr(opened.open.error.message, "no answer to the TLS connect within 200 ms"));
}

static int teardown_with_the_helper_stuck(void **state)
{
        int result = nbd_fixture_teardown(state);

        wait_until_stuck(2); /* still, after the loop has ended */
        release();
        return result;
}

static void wait_until_free(void)
{
        for (;;) {
                bool stuck;

                pthread_mutex_lock(&lock);
                stuck = n_stuck > 0;
                pthread_mutex_unlock(&lock);
                if (!stuck)
                        return;
                nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                resolver_errors_are_transport_errors, nbd_fixture_setup, nbd_fixture_teardown),
            cmocka_unit_test_setup_teardown(next_address_is_tried, nbd_fixture_setup, nbd_fixture_teardown),
            cmocka_unit_test_setup_teardown(
                next_address_is_tried_in_time_when_one_is_silent, nbd_fixture_setup, nbd_fixture_teardown),
            cmocka_unit_test_setup_teardown(stuck_resolver_ends_at_the_deadline_and_hurts_nobody,
                nbd_fixture_setup, nbd_fixture_teardown),
            cmocka_unit_test_setup_teardown(
                stuck_tls_helper_is_left_to_itself, nbd_fixture_setup, teardown_with_the_helper_stuck),
        };
        int result = cmocka_run_group_tests(tests, NULL, NULL);

        wait_until_free();
        return result;
}
