/* Watching a socket whose owner closes it by itself, as libnbd does: events belong to the socket, never to
 * whoever has got its number since. links: kc_io */
#include "lib/nbd-fixture.h"

#include "io/nbd_watch.h"

struct watched {
        int fd, peer; /* a socket pair; `fd` is the owner's, which the watch duplicates */
        struct nbd_watch *watch;
        bool ready, failed;
        int events;
};

static struct watched watched, stranger;

static void on_ready(void *arg, int events, bool failed)
{
        struct watched *w = arg;

        w->ready = true;
        w->events = events;
        w->failed = failed;
        nbd_watch_set(w->watch, 0); /* the level stays up */
}

static void make_pair(struct watched *w)
{
        int fds[2];

        memset(w, 0, sizeof *w);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        w->fd = fds[0];
        w->peer = fds[1];
}

static void watch_begin(struct nbd_fixture *fx, struct watched *w)
{
        assert_int_equal(nbd_watch_open(fx->context, w->fd, on_ready, w, &w->watch), 0);
        nbd_watch_set(w->watch, UV_READABLE);
}

static void watch_end(struct watched *w)
{
        nbd_watch_close(w->watch);
        w->watch = NULL;
}

/* `watched` waits for something to read; its owner closes it, and the number goes to `stranger`, which has.
 */
static void owner_closes(struct nbd_fixture *fx)
{
        make_pair(&watched);
        watch_begin(fx, &watched);
        uv_run(&fx->loop, UV_RUN_NOWAIT); /* now the kernel knows of it */
        assert_false(watched.ready);
        make_pair(&stranger);
        assert_int_equal(dup3(stranger.fd, watched.fd, O_CLOEXEC), watched.fd); /* closes it first */
        close(stranger.fd);
        stranger.fd = watched.fd;
        assert_int_equal(write(stranger.peer, "x", 1), 1);
}

static void turn(struct nbd_fixture *fx)
{
        for (int i = 0; i < 5; i++)
                uv_run(&fx->loop, UV_RUN_NOWAIT);
}

static void expect_event(struct nbd_fixture *fx, struct watched *w, int events)
{
        nbd_fixture_run(fx, &w->ready);
        assert_false(w->failed);
        assert_int_equal(w->events & events, events);
        w->ready = false;
}

static bool hung_up(int peer)
{
        char byte;

        return recv(peer, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

static void events_are_the_sockets_whoever_has_its_number(void **state)
{
        struct nbd_fixture *fx = *state;

        owner_closes(fx);
        turn(fx);
        assert_false(watched.ready); /* the stranger's byte is none of its business */
        assert_false(hung_up(watched.peer));
        assert_int_equal(write(watched.peer, "x", 1), 1);
        expect_event(fx, &watched, UV_READABLE);
        /* and it goes on so, in the other direction and when the peer leaves */
        nbd_watch_set(watched.watch, UV_WRITABLE);
        expect_event(fx, &watched, UV_WRITABLE);
        shutdown(watched.peer, SHUT_RDWR);
        nbd_watch_set(watched.watch, UV_READABLE);
        expect_event(fx, &watched, UV_READABLE);
}

static void a_watch_of_the_reused_number_is_another(void **state)
{
        struct nbd_fixture *fx = *state;

        owner_closes(fx);
        watch_begin(fx, &stranger);
        expect_event(fx, &stranger, UV_READABLE);
        assert_false(watched.ready);
        assert_int_equal(write(watched.peer, "x", 1), 1);
        expect_event(fx, &watched, UV_READABLE);
        assert_false(stranger.ready);
        /* The end of one is not the end of the other. */
        watch_end(&watched);
        nbd_watch_set(stranger.watch, UV_READABLE);
        expect_event(fx, &stranger, UV_READABLE);
}

static void close_lets_go_at_once_and_of_nothing_else(void **state)
{
        struct nbd_fixture *fx = *state;
        char byte;

        owner_closes(fx);
        assert_false(hung_up(watched.peer));
        watch_end(&watched);
        assert_true(hung_up(watched.peer)); /* before the loop has turned */
        assert_int_equal(recv(stranger.fd, &byte, 1, 0), 1);
        assert_false(hung_up(stranger.peer));
        assert_int_equal(write(watched.peer, "x", 1), -1);
        turn(fx);
        assert_false(watched.ready);
        assert_false(hung_up(stranger.peer));
}

static void on_ready_go_on(void *arg, int events, bool failed)
{
        struct watched *w = arg;
        int code;
        socklen_t code_bytes = sizeof code;

        w->ready = w->ready || !failed;
        w->failed = w->failed || failed;
        if (failed) /* what the owner finds out by using the socket */
                getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &code, &code_bytes);
        nbd_watch_set(w->watch, failed ? UV_READABLE : 0);
}

/* A TCP reset is an error condition and no event, and libuv stops polling: setting the same mask starts it.
 */
static void a_watch_that_failed_can_be_set_again(void **state)
{
        struct nbd_fixture *fx = *state;
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t address_bytes = sizeof address;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &address_bytes), 0);
        make_pair(&stranger);
        memset(&watched, 0, sizeof watched);
        watched.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(watched.fd, (struct sockaddr *)&address, sizeof address), 0);
        watched.peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(watched.peer >= 0);
        close(listener);
        assert_int_equal(
            nbd_watch_open(fx->context, watched.fd, on_ready_go_on, &watched, &watched.watch), 0);
        nbd_watch_set(watched.watch, UV_READABLE);
        uv_run(&fx->loop, UV_RUN_NOWAIT);
        assert_int_equal(setsockopt(watched.peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                             sizeof(struct linger)),
            0);
        close(watched.peer);
        nbd_fixture_run(fx, &watched.ready);
        assert_true(watched.failed);
        watched.peer = watched.fd; /* the teardown's to close */
}

static int teardown(void **state)
{
        watch_end(&watched);
        watch_end(&stranger);
        close(watched.peer);
        close(stranger.fd); /* once watched.fd */
        close(stranger.peer);
        return nbd_fixture_teardown(state);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                events_are_the_sockets_whoever_has_its_number, nbd_fixture_setup, teardown),
            cmocka_unit_test_setup_teardown(
                a_watch_of_the_reused_number_is_another, nbd_fixture_setup, teardown),
            cmocka_unit_test_setup_teardown(
                close_lets_go_at_once_and_of_nothing_else, nbd_fixture_setup, teardown),
            cmocka_unit_test_setup_teardown(
                a_watch_that_failed_can_be_set_again, nbd_fixture_setup, teardown),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
