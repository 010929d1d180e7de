/* An NBD URI, taken apart as nbd_connect_uri(3) documents it, and with everything that it allows silently
 * (unknown parameters, a fragment, TLS that checks nothing) refused by name.
 *
 * Owns its strings; nbd_uri_done frees them. Any thread. */
#ifndef IO_NBD_URI_H
#define IO_NBD_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum nbd_transport { NBD_TRANSPORT_TCP, NBD_TRANSPORT_UNIX };

struct nbd_uri {
        enum nbd_transport transport;
        bool tls; /* required, never merely allowed */
        bool tls_verify_peer;
        uint16_t port;          /* TCP */
        char *host;             /* TCP; without the brackets of an IPv6 address */
        char *socket_path;      /* Unix */
        char *export_name;      /* decoded, without the leading slash; "" is the default export */
        char *tls_user;         /* NULL: the login name, as libnbd has it */
        char *tls_psk_file;     /* NULL: certificates */
        char *tls_certificates; /* folder; NULL: pre-shared key */
};

/* Returns 0 and *ret_uri, or -EINVAL / -ENOMEM with the reason; the caller adds the subject. */
int nbd_uri_parse(const char *text, struct nbd_uri *ret_uri, struct kc_error *err);
void nbd_uri_done(struct nbd_uri *uri);

#endif
