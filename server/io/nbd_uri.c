#include "io/nbd_uri.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <libxml/uri.h>

#define DEFAULT_PORT 10809
#define EXPORT_NAME_MAX_BYTES 4096 /* the protocol's limit of a string */

static int invalid(struct kc_error *err, const char *reason)
{
        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "%s", reason);
}

static int no_memory(struct kc_error *err)
{
        return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "out of memory");
}

/* Decode `length` bytes of `text`; libxml2 takes a length of 0 for "to the end". */
static char *decode(const char *text, size_t length_bytes)
{
        char *decoded, *copy;

        if (length_bytes == 0)
                return strdup("");
        decoded = xmlURIUnescapeString(text, (int)length_bytes, NULL);
        if (decoded == NULL)
                return NULL;
        copy = strdup(decoded);
        xmlFree(decoded);
        return copy;
}

static int parse_bool(const char *name, const char *value, bool *ret_value, struct kc_error *err)
{
        if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0) {
                *ret_value = true;
                return 0;
        }
        if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0) {
                *ret_value = false;
                return 0;
        }
        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "%s must be true or false", name);
}

/* Take one decoded parameter; `value` passes to the URI or is freed. */
static int take_parameter(
    struct nbd_uri *uri, const char *name, char *value, bool *verify_given, struct kc_error *err)
{
        char **slot = NULL;
        char escaped[64];
        int result;

        if (strcmp(name, "socket") == 0)
                slot = &uri->socket_path;
        else if (strcmp(name, "tls-psk-file") == 0)
                slot = &uri->tls_psk_file;
        else if (strcmp(name, "tls-certificates") == 0)
                slot = &uri->tls_certificates;
        if (slot != NULL) {
                if (*slot == NULL && value[0] != '\0') {
                        *slot = value;
                        return 0;
                }
                result = kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "parameter %s is given %s", name,
                    value[0] == '\0' ? "no value" : "twice");
        } else if (strcmp(name, "tls-verify-peer") == 0) {
                result = *verify_given ? invalid(err, "parameter tls-verify-peer is given twice")
                                       : parse_bool(name, value, &uri->tls_verify_peer, err);
                *verify_given = true;
        } else if (strcmp(name, "tls-hostname") == 0) {
                result = kc_error_set(err, -EINVAL, KC_CLASS_UNSUPPORTED,
                    "parameter tls-hostname is not supported; a certificate is checked against the host");
        } else {
                result = kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "unknown parameter \"%s\"",
                    kc_error_escape(escaped, sizeof escaped, name, strlen(name)));
        }
        free(value);
        return result;
}

static int parse_query(struct nbd_uri *uri, const char *query, bool *verify_given, struct kc_error *err)
{
        while (query != NULL && *query != '\0') {
                size_t length_bytes = strcspn(query, "&;");
                const char *equals = memchr(query, '=', length_bytes);
                size_t name_bytes = equals != NULL ? (size_t)(equals - query) : length_bytes;
                char *name, *value;
                int result;

                if (length_bytes > 0) {
                        name = decode(query, name_bytes);
                        value =
                            equals != NULL ? decode(equals + 1, length_bytes - name_bytes - 1) : strdup("");
                        if (name == NULL || value == NULL) {
                                free(name);
                                free(value);
                                return no_memory(err);
                        }
                        result = take_parameter(uri, name, value, verify_given, err);
                        free(name);
                        if (result < 0)
                                return result;
                }
                query += length_bytes;
                if (*query != '\0')
                        query++;
        }
        return 0;
}

static int take_scheme(struct nbd_uri *uri, const char *text, const xmlURI *xml, struct kc_error *err)
{
        const char *scheme = xml->scheme != NULL ? xml->scheme : "";

        if (strcmp(scheme, "nbd+vsock") == 0 || strcmp(scheme, "nbds+vsock") == 0)
                return kc_error_set(err, -EINVAL, KC_CLASS_UNSUPPORTED, "%s: is not supported", scheme);
        if (strcmp(scheme, "nbd") != 0 && strcmp(scheme, "nbds") != 0 && strcmp(scheme, "nbd+unix") != 0 &&
            strcmp(scheme, "nbds+unix") != 0)
                return invalid(
                    err, "no NBD URI; it starts with nbd://, nbds://, nbd+unix:// or nbds+unix://");
        if (strncmp(text + strlen(scheme), "://", 3) != 0)
                return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "must begin with %s://", scheme);
        uri->transport = strstr(scheme, "+unix") != NULL ? NBD_TRANSPORT_UNIX : NBD_TRANSPORT_TCP;
        uri->tls = scheme[3] == 's';
        return 0;
}

static int take_address(struct nbd_uri *uri, const xmlURI *xml, struct kc_error *err)
{
        const char *host = xml->server != NULL ? xml->server : "";
        size_t host_bytes = strlen(host);

        if (uri->transport == NBD_TRANSPORT_UNIX) {
                if (uri->socket_path == NULL)
                        return invalid(err, "parameter socket is missing (nbd+unix:///EXPORT?socket=PATH)");
                if (host_bytes > 0 || xml->port > 0)
                        return invalid(
                            err, "a Unix socket has no host or port (nbd+unix:///EXPORT?socket=PATH)");
                if (strlen(uri->socket_path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
                        return kc_error_set(err, -ENAMETOOLONG, KC_CLASS_INVALID,
                            "the socket's path is longer than %zu bytes",
                            sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
                return 0;
        }
        if (uri->socket_path != NULL)
                return invalid(err, "parameter socket belongs to nbd+unix://");
        if (xml->port > UINT16_MAX)
                return kc_error_set(
                    err, -EINVAL, KC_CLASS_INVALID, "port %d is above %d", xml->port, UINT16_MAX);
        uri->port = (uint16_t)(xml->port > 0 ? xml->port : DEFAULT_PORT);
        if (host_bytes >= 2 && host[0] == '[' && host[host_bytes - 1] == ']')
                uri->host = strndup(host + 1, host_bytes - 2);
        else
                uri->host = strdup(host_bytes > 0 ? host : "localhost");
        return uri->host != NULL ? 0 : no_memory(err);
}

static int take_names(struct nbd_uri *uri, const xmlURI *xml, struct kc_error *err)
{
        const char *path = xml->path != NULL && xml->path[0] == '/' ? xml->path + 1 : "";

        if (strlen(path) > EXPORT_NAME_MAX_BYTES)
                return kc_error_set(err, -ENAMETOOLONG, KC_CLASS_INVALID,
                    "the export's name is longer than %d bytes", EXPORT_NAME_MAX_BYTES);
        uri->export_name = strdup(path);
        if (uri->export_name == NULL)
                return no_memory(err);
        if (xml->user != NULL && xml->user[0] != '\0') {
                uri->tls_user = strdup(xml->user);
                if (uri->tls_user == NULL)
                        return no_memory(err);
        }
        return 0;
}

/* What libnbd 1.14 would let pass without any check is refused here (FACTS; CVE-2024-7383): a certificate is
 * verified only over TCP that libnbd itself connects, and only against a folder that it was given. */
static int check_tls(const struct nbd_uri *uri, bool verify_given, struct kc_error *err)
{
        if (!uri->tls) {
                if (uri->tls_psk_file != NULL || uri->tls_certificates != NULL || verify_given ||
                    uri->tls_user != NULL)
                        return invalid(err, "TLS parameters and a user name need nbds:// or nbds+unix://");
                return 0;
        }
        if (uri->tls_psk_file != NULL && uri->tls_certificates != NULL)
                return invalid(err, "tls-psk-file and tls-certificates exclude each other");
        if (uri->tls_psk_file == NULL && uri->tls_certificates == NULL)
                return invalid(err, "TLS needs tls-psk-file=FILE or tls-certificates=FOLDER");
        if (uri->tls_certificates != NULL && uri->transport == NBD_TRANSPORT_UNIX && uri->tls_verify_peer)
                return invalid(err, "certificates cannot be checked over a Unix socket; "
                                    "use tls-psk-file, or say tls-verify-peer=false");
        return 0;
}

int nbd_uri_parse(const char *text, struct nbd_uri *ret_uri, struct kc_error *err)
{
        struct nbd_uri uri = {.tls_verify_peer = true};
        bool verify_given = false;
        xmlURI *xml;
        int result;

        if (strstr(text, "%00") != NULL)
                return invalid(err, "%00 has no place in a URI");
        xml = xmlParseURI(text);
        if (xml == NULL)
                return invalid(err, "no well-formed URI");
        result = take_scheme(&uri, text, xml, err);
        if (result == 0 && xml->fragment != NULL)
                result = invalid(err, "a URI with a fragment; write %23 for a '#' in an export's name");
        if (result == 0)
                result = parse_query(&uri, xml->query_raw, &verify_given, err);
        if (result == 0)
                result = take_address(&uri, xml, err);
        if (result == 0)
                result = take_names(&uri, xml, err);
        if (result == 0)
                result = check_tls(&uri, verify_given, err);
        xmlFreeURI(xml);
        if (result < 0) {
                nbd_uri_done(&uri);
                return result;
        }
        *ret_uri = uri;
        return 0;
}

void nbd_uri_done(struct nbd_uri *uri)
{
        free(uri->host);
        free(uri->socket_path);
        free(uri->export_name);
        free(uri->tls_user);
        free(uri->tls_psk_file);
        free(uri->tls_certificates);
        *uri = (struct nbd_uri){0};
}
