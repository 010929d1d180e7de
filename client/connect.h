/* Finding and reaching a server by its address. */
#ifndef CLIENT_CONNECT_H
#define CLIENT_CONNECT_H

#include <stdint.h>

/* Connect to "unix:PATH" or "tcp:HOST[:PORT]" ([HOST] for IPv6 numbers), blocking until `deadline_ns` (names
 * are looked up by the system's resolver, which has deadlines of its own). 0 and *ret_fd, or a negative errno
 * with the reason in `message`. */
int connect_server(
    const char *server, uint64_t deadline_ns, int *ret_fd, char *message, unsigned message_bytes);

#endif
