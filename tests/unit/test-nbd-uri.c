/* NBD URIs: what is taken from them, and what is refused by name.
 * links: kc_io */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "io/nbd.h"
#include "io/nbd_uri.h"

static struct nbd_uri parse(const char *text)
{
        struct kc_error err = {0};
        struct nbd_uri uri;

        if (nbd_uri_parse(text, &uri, &err) != 0)
                fail_msg("%s: %s", text, err.message);
        return uri;
}

/* The reason must hold `words`, and nothing may have been written to the result. */
static void refused(const char *text, const char *words)
{
        struct kc_error err = {0};
        struct nbd_uri uri = {.port = 4711};

        assert_true(nbd_uri_parse(text, &uri, &err) < 0);
        assert_int_equal(uri.port, 4711);
        assert_true(err.code < 0 && err.class != KC_CLASS_NONE);
        if (strstr(err.message, words) == NULL)
                fail_msg("%s: refused for \"%s\", not for \"%s\"", text, err.message, words);
}

static void tcp_with_everything(void **state)
{
        struct nbd_uri uri = parse("nbd://example.com:1234/some/export");

        assert_int_equal(uri.transport, NBD_TRANSPORT_TCP);
        assert_false(uri.tls);
        assert_string_equal(uri.host, "example.com");
        assert_int_equal(uri.port, 1234);
        assert_string_equal(uri.export_name, "some/export");
        nbd_uri_done(&uri);
        nbd_uri_done(&uri); /* harmless */
}

static void port_and_export_have_defaults(void **state)
{
        static const char *const texts[] = {"nbd://example.com", "nbd://example.com/", "nbd://example.com/?"};

        for (size_t i = 0; i < 3; i++) {
                struct nbd_uri uri = parse(texts[i]);

                assert_int_equal(uri.port, 10809);
                assert_string_equal(uri.export_name, "");
                nbd_uri_done(&uri);
        }
}

static void no_host_is_localhost(void **state)
{
        struct nbd_uri uri = parse("nbd:///x");

        assert_string_equal(uri.host, "localhost");
        nbd_uri_done(&uri);
}

static void ipv6_loses_its_brackets(void **state)
{
        struct nbd_uri uri = parse("nbd://[::1]:10810/x");

        assert_string_equal(uri.host, "::1");
        assert_int_equal(uri.port, 10810);
        nbd_uri_done(&uri);
}

static void export_name_is_percent_decoded(void **state)
{
        struct nbd_uri uri = parse("nbd://h/a%20b%2Fc%3F%23%C3%A4//d");

        assert_string_equal(uri.export_name, "a b/c?#\xc3\xa4//d");
        nbd_uri_done(&uri);
}

static void unix_socket(void **state)
{
        struct nbd_uri uri = parse("nbd+unix:///x?socket=/tmp/a%20b.sock");

        assert_int_equal(uri.transport, NBD_TRANSPORT_UNIX);
        assert_string_equal(uri.socket_path, "/tmp/a b.sock");
        assert_string_equal(uri.export_name, "x");
        nbd_uri_done(&uri);
        uri = parse("nbd+unix://?socket=s;");
        assert_string_equal(uri.export_name, "");
        nbd_uri_done(&uri);
}

static void tls_with_a_key(void **state)
{
        struct nbd_uri uri = parse("nbds+unix://alice@/x?socket=/s&tls-psk-file=/k");

        assert_true(uri.tls);
        assert_string_equal(uri.tls_user, "alice");
        assert_string_equal(uri.tls_psk_file, "/k");
        nbd_uri_done(&uri);
}

static void tls_with_certificates(void **state)
{
        struct nbd_uri uri = parse("nbds://h/?tls-certificates=/pki");

        assert_true(uri.tls && uri.tls_verify_peer);
        assert_string_equal(uri.tls_certificates, "/pki");
        nbd_uri_done(&uri);
        uri = parse("nbds+unix:///?socket=/s&tls-certificates=/pki&tls-verify-peer=false");
        assert_false(uri.tls_verify_peer);
        nbd_uri_done(&uri);
}

static void tls_that_would_check_nothing_is_refused(void **state)
{
        refused("nbds://h/", "tls-psk-file");
        refused("nbds+unix:///?socket=/s&tls-certificates=/pki", "cannot be checked");
        refused("nbds://h/?tls-certificates=/a&tls-psk-file=/b", "exclude");
        refused("nbds://h/?tls-certificates=/a&tls-hostname=x", "tls-hostname");
        refused("nbds://h/?tls-certificates=/a&tls-verify-peer=maybe", "tls-verify-peer must be");
        refused("nbd://h/?tls-psk-file=/b", "nbds");
        refused("nbd://h/?tls-verify-peer=true", "nbds");
        refused("nbd://alice@h/", "nbds");
}

static void unknown_parameters_are_refused_by_name(void **state)
{
        refused("nbd://h/x?frobnicate=1", "\"frobnicate\"");
        refused("nbd://h/x?=1", "\"\"");
        refused("nbd+unix:///?socket=/s&a%0Ab", "\\x0a");
        refused("nbd+unix:///?socket=/a&socket=/b", "twice");
        refused("nbd+unix:///?socket=", "no value");
}

static void what_does_not_belong_is_refused(void **state)
{
        char text[5000];

        refused("nbd:foo", "nbd://");
        refused("http://h/", "no NBD URI");
        refused("nbd+vsock://2/", "not supported");
        refused("nbd://h/x#2+2", "%23");
        refused("nbd://h/a%00b", "%00");
        refused("nbd://h:99999/", "65535");
        refused("nbd://h/?socket=/s", "nbd+unix");
        refused("nbd+unix:///x", "parameter socket is missing");
        refused("nbd+unix://h/x?socket=/s", "no host");
        refused("nbd://h /", "well-formed");
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        memcpy(text, "nbd://h/", 8);
        refused(text, "4096");
        memcpy(text, "nbd+unix:///?socket=/", 21);
        text[200] = '\0';
        refused(text, "107");
}

static void schemes_are_told_from_paths(void **state)
{
        assert_true(nbd_is_uri("nbd://h"));
        assert_true(nbd_is_uri("nbds+unix:///?socket=x"));
        assert_true(nbd_is_uri("nbd+vsock://2"));
        assert_true(nbd_is_uri("nbd:foo"));
        assert_false(nbd_is_uri("/dev/nbd0"));
        assert_false(nbd_is_uri("nbd"));
        assert_false(nbd_is_uri("null:"));
        assert_false(nbd_is_uri(""));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(tcp_with_everything),
            cmocka_unit_test(port_and_export_have_defaults),
            cmocka_unit_test(no_host_is_localhost),
            cmocka_unit_test(ipv6_loses_its_brackets),
            cmocka_unit_test(export_name_is_percent_decoded),
            cmocka_unit_test(unix_socket),
            cmocka_unit_test(tls_with_a_key),
            cmocka_unit_test(tls_with_certificates),
            cmocka_unit_test(tls_that_would_check_nothing_is_refused),
            cmocka_unit_test(unknown_parameters_are_refused_by_name),
            cmocka_unit_test(what_does_not_belong_is_refused),
            cmocka_unit_test(schemes_are_told_from_paths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
