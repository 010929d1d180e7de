#include "io/nbd_identity.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NAME_MAX_BYTES 41u /* of what is kept of a name: as much as a digest takes */
#define PEER_BYTES 128u

/* The address that we are connected to. An IPv4 address in IPv6 dress is that address; ::1 counts as
 * 127.0.0.1, since a server that listens on one of the two nearly always listens on both. */
static void tcp_peer(char *dst, size_t dst_bytes, const struct sockaddr_storage *address)
{
        const struct sockaddr_in *in4 = (const void *)address;
        const struct sockaddr_in6 *in6 = (const void *)address;
        char text[INET6_ADDRSTRLEN] = "?";

        if (address->ss_family == AF_INET)
                inet_ntop(AF_INET, &in4->sin_addr, text, sizeof text);
        else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
                inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof text);
        else if (IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr))
                snprintf(text, sizeof text, "127.0.0.1");
        else
                inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        snprintf(dst, dst_bytes, "tcp:%s:%u", text,
            ntohs(address->ss_family == AF_INET ? in4->sin_port : in6->sin6_port));
}

/* A name that has the form of another's digest makes two devices look like one: they wait for each other, and
 * nothing worse. */
static void digest(char *dst, size_t dst_bytes, const char *name)
{
        snprintf(dst, dst_bytes, "%.24s#%016" PRIx64, name, (uint64_t)XXH3_64bits(name, strlen(name)));
}

/* The folder and the name in it, and not the socket's own inode: a server that was started anew has another
 * socket and the same blocks, which may be locked yet for the sake of its predecessor. */
static void unix_peer(char *dst, size_t dst_bytes, const char *path)
{
        char real[PATH_MAX], short_name[NAME_MAX_BYTES + 1];
        const char *name;
        struct stat st;
        char *slash;

        if (realpath(path, real) == NULL || (slash = strrchr(real, '/')) == NULL) {
                snprintf(dst, dst_bytes, "unix:%s", path);
                return;
        }
        name = slash + 1;
        *slash = '\0';
        if (stat(real[0] ? real : "/", &st) < 0) {
                snprintf(dst, dst_bytes, "unix:%s", path);
                return;
        }
        if (strlen(name) > NAME_MAX_BYTES) {
                digest(short_name, sizeof short_name, name);
                name = short_name;
        }
        snprintf(dst, dst_bytes, "unix:%" PRIu64 ":%" PRIu64 "/%s", (uint64_t)st.st_dev, (uint64_t)st.st_ino,
            name);
}

static void peer_name(char *dst, size_t dst_bytes, int fd, const struct nbd_uri *uri)
{
        struct sockaddr_storage address;
        socklen_t address_bytes = sizeof address;

        if (uri->transport == NBD_TRANSPORT_UNIX) {
                unix_peer(dst, dst_bytes, uri->socket_path);
        } else if (getpeername(fd, (struct sockaddr *)&address, &address_bytes) == 0 &&
                   (address.ss_family == AF_INET || address.ss_family == AF_INET6)) {
                tcp_peer(dst, dst_bytes, &address);
        } else {
                snprintf(dst, dst_bytes, "tcp:%s:%u", uri->host, uri->port);
        }
}

void nbd_identity_of(
    int fd, const struct nbd_uri *uri, const char *export_name, struct io_identity *ret_identity)
{
        char peer[PEER_BYTES], short_name[NAME_MAX_BYTES + 1];
        char *key = ret_identity->key;
        size_t key_bytes = sizeof ret_identity->key;
        int length;

        peer_name(peer, sizeof peer, fd, uri);
        ret_identity->base_bytes = 0;
        length = snprintf(key, key_bytes, "nbd:%s/%s", peer, export_name);
        if (length >= 0 && (size_t)length < key_bytes)
                return;
        digest(short_name, sizeof short_name, export_name);
        snprintf(key, key_bytes, "nbd:%s/%s", peer, short_name);
}
