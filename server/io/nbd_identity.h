/* By what name overlap with another region on the same export is noticed. Pure but for asking the socket. */
#ifndef IO_NBD_IDENTITY_H
#define IO_NBD_IDENTITY_H

#include "io/endpoint.h"
#include "io/nbd_uri.h"

/* `fd` is the connected socket; `export_name` the server's own name for the export where it told one. */
void nbd_identity_of(
    int fd, const struct nbd_uri *uri, const char *export_name, struct io_identity *ret_identity);

#endif
