/* Opening NBD exports: each phase's failure has its class and its name, one deadline holds for all, and a
 * cancel at any moment leaves nothing behind.
 * links: kc_io */
#include "lib/nbd-fixture.h"

#include <sys/un.h>

static struct nbd_fixture_open opened;

static void fails(struct nbd_fixture *fx, const char *uri, enum io_access access, int status,
    enum kc_class class, const char *words)
{
        assert_int_equal(nbd_fixture_open(fx, uri, access, 5000, &opened), status);
        assert_null(opened.open.endpoint);
        assert_int_equal(opened.open.error.code, status);
        assert_int_equal(opened.open.error.class, class);
        if (strstr(opened.open.error.message, words) == NULL)
                fail_msg("\"%s\" does not say \"%s\"", opened.open.error.message, words);
}

static void tcp_by_address_and_by_name(void **state)
{
        struct nbd_fixture *fx = *state;
        unsigned port = nbd_fixture_free_port();
        char port_text[8], uris[3][64], key[64];

        snprintf(port_text, sizeof port_text, "%u", port);
        snprintf(uris[0], 64, "nbd://127.0.0.1:%u/x", port);
        snprintf(uris[1], 64, "nbd://localhost:%u/x", port);
        snprintf(uris[2], 64, "nbd://[::1]:%u/x", port);
        snprintf(key, sizeof key, "nbd:tcp:127.0.0.1:%u/x", port);
        nbd_fixture_server(fx, "pid", "nbdkit", "-f", "-p", port_text, "-P", nbd_fixture_path(fx, "pid"),
            "memory", "1M", NULL);
        for (int i = 0; i < 3; i++) {
                struct endpoint *endpoint = nbd_fixture_must_open(fx, uris[i], IO_ACCESS_READ);

                assert_string_equal(endpoint->info.identity.key, key);
                assert_int_equal(endpoint->info.identity.base_bytes, 0);
                nbd_fixture_close(fx, endpoint);
        }
}

static void unix_identity_is_the_socket_and_the_export(void **state)
{
        struct nbd_fixture *fx = *state;
        char uri[512], link_path[128], expected[IO_KEY_MAX_BYTES];
        struct endpoint *endpoint, *other;
        struct stat st;

        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        assert_int_equal(stat(fx->dir, &st), 0);
        snprintf(link_path, sizeof link_path, "%s/link", fx->dir);
        assert_int_equal(symlink("sock", link_path), 0);
        snprintf(uri, sizeof uri, "nbd+unix:///a%%20b?socket=%s", link_path);
        snprintf(expected, sizeof expected, "nbd:unix:%lu:%lu/sock/a b", st.st_dev, st.st_ino);
        endpoint = nbd_fixture_must_open(fx, uri, IO_ACCESS_READ);
        assert_string_equal(endpoint->info.identity.key, expected);
        nbd_fixture_close(fx, endpoint);
        /* Long names differ in their digests. */
        snprintf(uri, sizeof uri, "nbd+unix:///%0200d1?socket=%s", 0, link_path);
        endpoint = nbd_fixture_must_open(fx, uri, IO_ACCESS_READ);
        snprintf(uri, sizeof uri, "nbd+unix:///%0200d2?socket=%s", 0, link_path);
        other = nbd_fixture_must_open(fx, uri, IO_ACCESS_READ);
        assert_true(strlen(endpoint->info.identity.key) < IO_KEY_MAX_BYTES);
        assert_non_null(strchr(endpoint->info.identity.key, '#'));
        assert_string_not_equal(endpoint->info.identity.key, other->info.identity.key);
        nbd_fixture_close(fx, endpoint);
        nbd_fixture_close(fx, other);
}

static void malformed_uri_is_refused(void **state)
{
        fails(*state, "nbd://h/?bogus=1", IO_ACCESS_READ, -EINVAL, KC_CLASS_INVALID,
            "nbd://h/?bogus=1: unknown parameter \"bogus\"");
}

static void refused_connections(void **state)
{
        struct nbd_fixture *fx = *state;
        char uri[160];

        snprintf(uri, sizeof uri, "nbd://127.0.0.1:%u/x", nbd_fixture_free_port());
        fails(fx, uri, IO_ACCESS_READ, -ECONNREFUSED, KC_CLASS_TRANSPORT, "/x: connect: connection refused");
        snprintf(uri, sizeof uri, "nbd+unix:///?socket=%s", nbd_fixture_path(fx, "missing"));
        fails(fx, uri, IO_ACCESS_READ, -ENOENT, KC_CLASS_TRANSPORT, ": connect: no such file");
}

static void export_that_is_not_there(void **state)
{
        struct nbd_fixture *fx = *state;
        char socket_path[128], image[128], pid[160];

        snprintf(image, sizeof image, "%s/image", fx->dir);
        snprintf(socket_path, sizeof socket_path, "%s/sock", fx->dir);
        snprintf(pid, sizeof pid, "--pid-file=%s/pid", fx->dir);
        close(open(image, O_CREAT | O_RDWR, 0600));
        assert_int_equal(truncate(image, 1 << 20), 0);
        nbd_fixture_server(
            fx, "pid", "qemu-nbd", "-t", "-f", "raw", "-k", socket_path, pid, "-x", "disk", image, NULL);
        snprintf(fx->uri, sizeof fx->uri, "nbd+unix:///other?socket=%s", socket_path);
        fails(fx, fx->uri, IO_ACCESS_READ, -ENOENT, KC_CLASS_NOT_FOUND, "export: server has no export named");
}

static void writing_to_a_read_only_export(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_nbdkit(fx, "-r", "memory", "1M", NULL);
        fails(fx, fx->uri, IO_ACCESS_WRITE, -EROFS, KC_CLASS_PERMISSION, "read-only");
        fails(fx, fx->uri, IO_ACCESS_READ_WRITE, -EROFS, KC_CLASS_PERMISSION, "read-only");
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        assert_true(endpoint->info.read_only);
        nbd_fixture_close(fx, endpoint);
}

static void exports_that_make_no_sense(void **state)
{
        static const struct {
                const char *option, *value, *words;
                int status;
                enum kc_class class;
        } cases[] = {
            {"--size", "18446744073709551615", "says size -1", -EPROTO, KC_CLASS_PROTOCOL},
            {"--size", "18446744073709551614", "says size -2", -EPROTO, KC_CLASS_PROTOCOL},
            {"--size", "9223372036854775808", "says size -9223372036854775808", -EPROTO, KC_CLASS_PROTOCOL},
            {"--flags", "0", "invalid eflags", -EPROTO, KC_CLASS_PROTOCOL},
            {"--blocks", "1,512,512", "says maximum block 512", -EPROTO, KC_CLASS_PROTOCOL},
            {"--greeting", "garbage", "handshake: server did not send expected NBD magic", -EPROTO,
                KC_CLASS_PROTOCOL},
            {"--refuse", "0x80000002", "export: server policy", -EACCES, KC_CLASS_PERMISSION},
            {"--refuse", "0x80000005", "server requires TLS", -EOPNOTSUPP, KC_CLASS_PERMISSION},
            {"--refuse", "0x80000007", "shutting down", -ESHUTDOWN, KC_CLASS_TRANSPORT},
            {"--refuse", "0x80000003", "rejected", -EPROTO, KC_CLASS_PROTOCOL},
        };
        struct nbd_fixture *fx = *state;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                unsigned server = nbd_fixture_hostile(fx, cases[i].option, cases[i].value, NULL);

                fails(fx, fx->uri, IO_ACCESS_READ, cases[i].status, cases[i].class, cases[i].words);
                nbd_fixture_kill(fx, server);
                fx->n_servers--;
        }
}

static void small_export_may_limit_requests_to_its_size(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--size", "1024", "--blocks", "1,512,1024", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        assert_int_equal(endpoint->info.block_max_bytes, 4096);
        nbd_fixture_close(fx, endpoint);
}

static void server_that_hangs_up_after_any_number_of_bytes(void **state)
{
        struct nbd_fixture *fx = *state;
        char bytes[16];
        int n_ready = 0;

        for (unsigned n = 0; n < 200; n += 13) {
                unsigned server;

                snprintf(bytes, sizeof bytes, "%u", n);
                server = nbd_fixture_hostile(fx, "--hangup", bytes, NULL);
                if (nbd_fixture_open(fx, fx->uri, IO_ACCESS_READ, 5000, &opened) == 0) {
                        nbd_fixture_close(fx, opened.open.endpoint);
                        n_ready++;
                } else {
                        assert_int_equal(opened.open.error.class, KC_CLASS_TRANSPORT);
                        assert_int_equal(opened.open.status, -ECONNRESET);
                }
                nbd_fixture_kill(fx, server);
                fx->n_servers--;
        }
        assert_true(n_ready < 8); /* most were cut in the handshake */
}

static void stalls(struct nbd_fixture *fx, const char *phase, const char *words)
{
        unsigned server = nbd_fixture_hostile(fx, "--stall", phase, NULL);
        uint64_t begin_ms = nbd_fixture_now_ms(), elapsed_ms;

        assert_int_equal(nbd_fixture_open(fx, fx->uri, IO_ACCESS_READ, 300, &opened), -ETIMEDOUT);
        elapsed_ms = nbd_fixture_now_ms() - begin_ms;
        assert_int_equal(opened.open.error.class, KC_CLASS_TIMEOUT);
        if (strstr(opened.open.error.message, words) == NULL)
                fail_msg("\"%s\" does not say \"%s\"", opened.open.error.message, words);
        assert_in_range(elapsed_ms, 299, 10000);
        nbd_fixture_kill(fx, server);
        fx->n_servers--;
}

static void stall_in_each_phase_ends_at_the_deadline(void **state)
{
        struct nbd_fixture *fx = *state;

        stalls(fx, "accept", "no answer to the handshake within 300 ms");
        stalls(fx, "greeting", "no answer to the handshake within 300 ms");
        stalls(fx, "options", "no answer to the handshake within 300 ms");
        stalls(fx, "export", "no answer to the export within 300 ms");
}

/* Fills the backlog of a listener that never accepts. Returns how many. */
static unsigned fill_backlog(struct nbd_fixture *fx, int fds[8])
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        unsigned n = 0;

        snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", fx->dir);
        for (; n < 8; n++) {
                fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                if (connect(fds[n], (struct sockaddr *)&address, sizeof address) < 0) {
                        assert_int_equal(errno, EAGAIN);
                        close(fds[n]);
                        return n;
                }
        }
        return n;
}

static void full_backlog_is_waited_for_up_to_the_deadline(void **state)
{
        struct nbd_fixture *fx = *state;
        int fds[8];
        unsigned n;

        nbd_fixture_hostile(fx, "--stall", "accept", NULL);
        n = fill_backlog(fx, fds);
        assert_in_range(n, 1, 7);
        assert_int_equal(nbd_fixture_open(fx, fx->uri, IO_ACCESS_READ, 200, &opened), -ETIMEDOUT);
        assert_non_null(strstr(opened.open.error.message, "no answer to the connect within 200 ms"));
        while (n > 0)
                close(fds[--n]);
}

static void whole_seconds_are_told_as_such(void **state)
{
        struct nbd_fixture *fx = *state;

        nbd_fixture_hostile(fx, "--stall", "greeting", NULL);
        assert_int_equal(nbd_fixture_open(fx, fx->uri, IO_ACCESS_READ, 1000, &opened), -ETIMEDOUT);
        assert_non_null(strstr(opened.open.error.message, "no answer to the handshake within 1 s"));
}

static void stalled_open_does_not_hold_up_another(void **state)
{
        struct nbd_fixture *fx = *state;
        static struct nbd_fixture_open stalled;
        char stalling_uri[256];
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--stall", "greeting", NULL);
        snprintf(stalling_uri, sizeof stalling_uri, "%s", fx->uri);
        assert_int_equal(rename(nbd_fixture_path(fx, "sock"), nbd_fixture_path(fx, "stalled")), 0);
        snprintf(
            stalling_uri, sizeof stalling_uri, "nbd+unix:///?socket=%s", nbd_fixture_path(fx, "stalled"));
        nbd_fixture_open_start(fx, stalling_uri, IO_ACCESS_READ, 15000, &stalled);
        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        assert_false(stalled.done);
        nbd_fixture_close(fx, endpoint);
        nbd_open_cancel(fx->context, &stalled.open);
        nbd_fixture_run(fx, &stalled.done);
}

static void cancel_in_mid_handshake(void **state)
{
        static const char *const phases[] = {"accept", "greeting", "options", "export"};
        struct nbd_fixture *fx = *state;

        for (int phase = 0; phase < 4; phase++) {
                unsigned server = nbd_fixture_hostile(fx, "--stall", phases[phase], NULL);

                for (int i = 0; i < 50; i++) {
                        nbd_fixture_open_start(fx, fx->uri, IO_ACCESS_READ, 10000, &opened);
                        for (int turn = 0; turn < i % 10; turn++)
                                uv_run(&fx->loop, UV_RUN_NOWAIT);
                        assert_false(opened.done);
                        nbd_open_cancel(fx->context, &opened.open);
                        assert_false(opened.done);
                        nbd_fixture_run(fx, &opened.done);
                        assert_int_equal(opened.open.status, -ECANCELED);
                        assert_int_equal(opened.open.error.class, KC_CLASS_CANCELLED);
                }
                nbd_fixture_kill(fx, server);
                fx->n_servers--;
        }
}

static void cancel_at_any_turn_of_an_open_that_succeeds(void **state)
{
        struct nbd_fixture *fx = *state;
        int n_opened = 0;

        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        for (int i = 0; i < 50; i++) {
                nbd_fixture_open_start(fx, fx->uri, IO_ACCESS_READ, 10000, &opened);
                for (int turn = 0; turn < i / 2 && !opened.done; turn++)
                        uv_run(&fx->loop, UV_RUN_ONCE);
                if (!opened.done)
                        nbd_open_cancel(fx->context, &opened.open);
                nbd_fixture_run(fx, &opened.done);
                if (opened.open.endpoint != NULL) {
                        n_opened++;
                        nbd_fixture_close(fx, opened.open.endpoint);
                } else {
                        assert_int_equal(opened.open.status, -ECANCELED);
                }
        }
        assert_in_range(n_opened, 1, 49);
}

static void cancel_before_the_first_turn(void **state)
{
        static const char *const uris[] = {"nbd://localhost:1/", "nbd://127.0.0.1:1/", "nbd://?bogus"};
        struct nbd_fixture *fx = *state;

        for (int i = 0; i < 3; i++) {
                nbd_fixture_open_start(fx, uris[i], IO_ACCESS_READ, 10000, &opened);
                nbd_open_cancel(fx->context, &opened.open);
                nbd_fixture_run(fx, &opened.done);
                assert_int_equal(opened.open.status, i < 2 ? -ECANCELED : -EINVAL);
        }
}

static unsigned count_descriptors(void)
{
        DIR *stream = opendir("/proc/self/fd");
        unsigned n = 0;

        while (readdir(stream) != NULL)
                n++;
        closedir(stream);
        return n;
}

static void no_descriptor_is_left_behind(void **state)
{
        struct nbd_fixture *fx = *state;
        unsigned before;
        char refused[64];

        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        snprintf(refused, sizeof refused, "nbd://localhost:%u/", nbd_fixture_free_port());
        nbd_fixture_close(fx, nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ));
        before = count_descriptors();
        for (int i = 0; i < 20; i++) {
                nbd_fixture_close(fx, nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ));
                assert_int_equal(nbd_fixture_open(fx, refused, IO_ACCESS_READ, 5000, &opened), -ECONNREFUSED);
        }
        assert_int_equal(count_descriptors(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nbd_fixture_setup, nbd_fixture_teardown)

int main(void)
{
        static const struct CMUnitTest tests[] = {
            TEST(tcp_by_address_and_by_name),
            TEST(unix_identity_is_the_socket_and_the_export),
            TEST(malformed_uri_is_refused),
            TEST(refused_connections),
            TEST(export_that_is_not_there),
            TEST(writing_to_a_read_only_export),
            TEST(exports_that_make_no_sense),
            TEST(small_export_may_limit_requests_to_its_size),
            TEST(server_that_hangs_up_after_any_number_of_bytes),
            TEST(stall_in_each_phase_ends_at_the_deadline),
            TEST(full_backlog_is_waited_for_up_to_the_deadline),
            TEST(whole_seconds_are_told_as_such),
            TEST(stalled_open_does_not_hold_up_another),
            TEST(cancel_in_mid_handshake),
            TEST(cancel_at_any_turn_of_an_open_that_succeeds),
            TEST(cancel_before_the_first_turn),
            TEST(no_descriptor_is_left_behind),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
