/* What libnbd, libuv's resolver and connect(2) say, as our errno and class. Pure; any thread. */
#ifndef IO_NBD_ERROR_H
#define IO_NBD_ERROR_H

#include "base/error.h"

/* The class of an errno that an NBD request or a connection ended with. */
enum kc_class nbd_error_class(int code);

/* An UV_EAI_* (or another libuv) error of the resolver. Returns a negative errno; `err` says why. */
int nbd_error_resolve(int eai, struct kc_error *err);
/* A failed connect(2): `code` is a negative errno. Returns it. */
int nbd_error_connect(int code, struct kc_error *err);
/* The failure of the last libnbd call of this thread, in `phase` ("handshake"). Returns a negative errno. */
int nbd_error_handshake(const char *phase, struct kc_error *err);
/* libnbd's words for the last failure of this thread, without the name of the call that found out, and safe
 * to print (they quote the peer). Returns dst or a constant. */
const char *nbd_error_reason(char *dst, size_t dst_bytes);
/* Why the last libnbd call of this thread found the connection gone: -ENOTCONN when the peer or the network
 * ended it, -EPROTO when libnbd did because the peer broke the protocol. */
int nbd_error_death(void);

#endif
