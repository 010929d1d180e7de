/* Who is at the other end (peer.h). */
#include "rpc/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void of_uid(uid_t uid, struct peer *ret_peer)
{
        snprintf(ret_peer->identity, sizeof(ret_peer->identity), "uid:%u", (unsigned)uid);
        ret_peer->sees_all = uid == 0 || uid == geteuid();
}

int peer_of_pipe(const uv_pipe_t *pipe, struct peer *ret_peer)
{
        struct ucred cred;
        socklen_t bytes = sizeof(cred);
        uv_os_fd_t fd;
        int r;

        r = uv_fileno((const uv_handle_t *)pipe, &fd);
        if (r < 0)
                return r;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &bytes) < 0)
                return -errno;
        of_uid(cred.uid, ret_peer);
        return 0;
}

int peer_of_tcp(const uv_tcp_t *tcp, struct peer *ret_peer)
{
        struct sockaddr_storage address;
        int bytes = sizeof(address);
        char name[INET6_ADDRSTRLEN];
        int r;

        r = uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &bytes);
        if (r < 0)
                return r;
        r = address.ss_family == AF_INET6
                ? uv_ip6_name((const struct sockaddr_in6 *)(const void *)&address, name, sizeof(name))
                : uv_ip4_name((const struct sockaddr_in *)(const void *)&address, name, sizeof(name));
        if (r < 0)
                return r;
        snprintf(ret_peer->identity, sizeof(ret_peer->identity), "tcp:%s", name);
        ret_peer->sees_all = false;
        return 0;
}

void peer_self(struct peer *ret_peer)
{
        of_uid(geteuid(), ret_peer);
}

bool peer_may_see(const struct peer *peer, const char *owner)
{
        return peer->sees_all || strcmp(peer->identity, owner) == 0;
}
