/* Who is at the other end of a connection, and whose jobs they may see.
 * Owns nothing. Thread: the control loop. */
#ifndef RPC_PEER_H
#define RPC_PEER_H

#include <stdbool.h>
#include <uv.h>

#define PEER_IDENTITY_MAX_BYTES 80

struct peer {
        char identity[PEER_IDENTITY_MAX_BYTES]; /* "uid:1000", "tcp:127.0.0.1" */
        bool sees_all;                          /* root, and the daemon's own user */
};

/* By SO_PEERCRED, or the address. 0 or negative errno. */
int peer_of_pipe(const uv_pipe_t *pipe, struct peer *ret_peer);
int peer_of_tcp(const uv_tcp_t *tcp, struct peer *ret_peer);
/* This process's own user. */
void peer_self(struct peer *ret_peer);
bool peer_may_see(const struct peer *peer, const char *owner);

#endif
