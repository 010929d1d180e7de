/* TLS: keys and certificates, on the helper thread, and nothing unchecked.
 * links: kc_io */
#include "lib/nbd-fixture.h"

static struct nbd_fixture_open opened;

static void shell(const char *format, const char *dir)
{
        char command[1024];

        snprintf(command, sizeof command, format, dir, dir, dir, dir, dir);
        if (system(command) != 0)
                fail_msg("%s", command);
}

static void make_key(const struct nbd_fixture *fx, const char *name)
{
        char command[512];

        snprintf(command, sizeof command, "psktool -u alice -p %s/%s >/dev/null 2>&1", fx->dir, name);
        assert_int_equal(system(command), 0);
}

/* An authority and a server's certificate for localhost (and 127.0.0.1). */
static void make_certificates(const struct nbd_fixture *fx)
{
        shell(
            "cd %s && umask 077 && "
            "printf 'cn=authority\\nca\\ncert_signing_key\\nexpiration_days=2\\n' >ca.info && "
            "printf 'cn=localhost\\ndns_name=localhost\\nip_address=127.0.0.1\\ntls_www_server\\n"
            "encryption_key\\nsigning_key\\nexpiration_days=2\\n' >server.info && "
            "certtool --generate-privkey --ecc --outfile ca-key.pem >log 2>&1 && "
            "certtool --generate-self-signed --load-privkey ca-key.pem --template ca.info "
            "--outfile ca-cert.pem >>log 2>&1 && "
            "certtool --generate-privkey --ecc --outfile server-key.pem >>log 2>&1 && "
            "certtool --generate-certificate --load-privkey server-key.pem --load-ca-certificate ca-cert.pem "
            "--load-ca-privkey ca-key.pem --template server.info --outfile server-cert.pem >>log 2>&1",
            fx->dir);
}

static unsigned tls_server(struct nbd_fixture *fx, const char *credentials)
{
        unsigned port = nbd_fixture_free_port();
        char port_text[16];

        snprintf(port_text, sizeof port_text, "%u", port);
        nbd_fixture_server(fx, "pid", "nbdkit", "-f", "-p", port_text, "-P", nbd_fixture_path(fx, "pid"),
            "--tls=require", credentials, "memory", "1M", NULL);
        return port;
}

static void works(struct nbd_fixture *fx, const char *uri)
{
        static char out[65536], in[65536];
        struct endpoint *endpoint = nbd_fixture_must_open(fx, uri, IO_ACCESS_READ_WRITE);
        struct nbd_fixture_req r;

        memset(out, 'x', sizeof out);
        for (int i = 0; i < 5; i++) {
                assert_int_equal(
                    nbd_fixture_io(fx, endpoint, &r, IO_WRITE, 0, (uint64_t)i << 16, sizeof out, out), 0);
                assert_int_equal(
                    nbd_fixture_io(fx, endpoint, &r, IO_READ, 0, (uint64_t)i << 16, sizeof in, in), 0);
                assert_memory_equal(in, out, sizeof in);
        }
        nbd_fixture_close(fx, endpoint);
}

static void fails(struct nbd_fixture *fx, const char *uri, enum kc_class class, const char *words)
{
        assert_true(nbd_fixture_open(fx, uri, IO_ACCESS_READ, 5000, &opened) < 0);
        if (opened.open.error.class != class || strstr(opened.open.error.message, words) == NULL)
                fail_msg("%s (%s, not %s)", opened.open.error.message, kc_class_name(opened.open.error.class),
                    kc_class_name(class));
}

static void key_over_tcp_and_unix(void **state)
{
        struct nbd_fixture *fx = *state;
        char credentials[128], uri[320];

        make_key(fx, "keys");
        make_key(fx, "other");
        snprintf(credentials, sizeof credentials, "--tls-psk=%s/keys", fx->dir);
        snprintf(uri, sizeof uri, "nbds://alice@localhost:%u/?tls-psk-file=%s/keys",
            tls_server(fx, credentials), fx->dir);
        works(fx, uri);
        nbd_fixture_nbdkit(fx, "--tls=require", credentials, "memory", "1M", NULL);
        snprintf(
            uri, sizeof uri, "nbds+unix://alice@/?socket=%s/sock&tls-psk-file=%s/keys", fx->dir, fx->dir);
        works(fx, uri);
        snprintf(
            uri, sizeof uri, "nbds+unix://alice@/?socket=%s/sock&tls-psk-file=%s/other", fx->dir, fx->dir);
        fails(fx, uri, KC_CLASS_PERMISSION, "TLS connect: gnutls");
        snprintf(uri, sizeof uri, "nbds+unix://bob@/?socket=%s/sock&tls-psk-file=%s/keys", fx->dir, fx->dir);
        fails(fx, uri, KC_CLASS_PERMISSION, "bob");
        fails(fx, fx->uri, KC_CLASS_PERMISSION, "requires TLS");
}

static void certificate_is_checked_against_the_host(void **state)
{
        struct nbd_fixture *fx = *state;
        char credentials[128], uri[320], other[160];
        unsigned port;

        make_certificates(fx);
        snprintf(credentials, sizeof credentials, "--tls-certificates=%s", fx->dir);
        port = tls_server(fx, credentials);
        snprintf(uri, sizeof uri, "nbds://localhost:%u/?tls-certificates=%s", port, fx->dir);
        works(fx, uri);
        /* The certificate is not for this name of the same server. */
        snprintf(uri, sizeof uri, "nbds://127.0.0.2:%u/?tls-certificates=%s", port, fx->dir);
        fails(fx, uri, KC_CLASS_PERMISSION, "TLS connect: gnutls_handshake");
        snprintf(
            uri, sizeof uri, "nbds://127.0.0.2:%u/?tls-certificates=%s&tls-verify-peer=false", port, fx->dir);
        works(fx, uri);
        /* A folder without an authority: libnbd would fall back to the system's, and check nothing. */
        snprintf(other, sizeof other, "%s/none", fx->dir);
        assert_int_equal(mkdir(other, 0700), 0);
        snprintf(uri, sizeof uri, "nbds://localhost:%u/?tls-certificates=%s", port, other);
        fails(fx, uri, KC_CLASS_PERMISSION, "ca-cert.pem");
        assert_int_equal(rmdir(other), 0);
        snprintf(
            uri, sizeof uri, "nbds://localhost:%u/?tls-certificates=%s", nbd_fixture_free_port(), fx->dir);
        fails(fx, uri, KC_CLASS_TRANSPORT, "onnection refused");
}

static void server_without_tls_is_refused(void **state)
{
        struct nbd_fixture *fx = *state;
        char uri[320];

        make_key(fx, "keys");
        nbd_fixture_nbdkit(fx, "memory", "1M", NULL);
        snprintf(
            uri, sizeof uri, "nbds+unix://alice@/?socket=%s/sock&tls-psk-file=%s/keys", fx->dir, fx->dir);
        fails(fx, uri, KC_CLASS_UNSUPPORTED, "TLS");
}

static void stall_in_the_tls_phase_ends_at_the_deadline(void **state)
{
        struct nbd_fixture *fx = *state;
        char uri[320], port[16];

        make_certificates(fx);
        make_key(fx, "keys");
        snprintf(port, sizeof port, "%u", nbd_fixture_free_port());
        nbd_fixture_hostile(fx, "--stall", "tls", "--tcp", port, NULL);
        snprintf(uri, sizeof uri, "nbds://alice@127.0.0.1:%s/?tls-psk-file=%s/keys", port, fx->dir);
        assert_int_equal(nbd_fixture_open(fx, uri, IO_ACCESS_READ, 300, &opened), -ETIMEDOUT);
        assert_non_null(strstr(opened.open.error.message, "no answer to the TLS connect within 300 ms"));
        snprintf(uri, sizeof uri, "nbds://127.0.0.1:%s/?tls-certificates=%s", port, fx->dir);
        assert_int_equal(nbd_fixture_open(fx, uri, IO_ACCESS_READ, 300, &opened), -ETIMEDOUT);
        assert_non_null(strstr(opened.open.error.message, "no answer to the TLS connect within 300 ms"));
}

static void cancel_of_the_helper_at_any_moment(void **state)
{
        struct nbd_fixture *fx = *state;
        char credentials[128], uri[320];
        unsigned n_opened = 0;

        make_certificates(fx);
        snprintf(credentials, sizeof credentials, "--tls-certificates=%s", fx->dir);
        snprintf(uri, sizeof uri, "nbds://localhost:%u/?tls-certificates=%s", tls_server(fx, credentials),
            fx->dir);
        for (unsigned i = 0; i < 50; i++) {
                uint64_t until_ns = uv_hrtime() + i * 400000ull; /* an open takes a few ms */

                nbd_fixture_open_start(fx, uri, IO_ACCESS_READ, 10000, &opened);
                while (!opened.done && uv_hrtime() < until_ns)
                        uv_run(&fx->loop, UV_RUN_NOWAIT);
                if (!opened.done)
                        nbd_open_cancel(fx->context, &opened.open);
                nbd_fixture_run(fx, &opened.done);
                if (opened.open.endpoint != NULL) {
                        nbd_fixture_close(fx, opened.open.endpoint);
                        n_opened++;
                } else {
                        assert_int_equal(opened.open.status, -ECANCELED);
                }
        }
        assert_in_range(n_opened, 0, 49);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nbd_fixture_setup, nbd_fixture_teardown)

int main(void)
{
        static const struct CMUnitTest tests[] = {
            TEST(key_over_tcp_and_unix),
            TEST(certificate_is_checked_against_the_host),
            TEST(server_without_tls_is_refused),
            TEST(stall_in_the_tls_phase_ends_at_the_deadline),
            TEST(cancel_of_the_helper_at_any_moment),
        };

        int failed = cmocka_run_group_tests(tests, NULL, NULL);

        /* exit() takes GnuTLS apart, also under a helper that was abandoned */
        return nbd_tls_wait_idle(NBD_FIXTURE_LIMIT_MS) ? failed : 1;
}
