#include "io/nbd_identity.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

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

static void peer_name(char *dst, size_t dst_bytes, int fd, const struct nbd_uri *uri)
{
        struct sockaddr_storage address;
        socklen_t address_bytes = sizeof address;
        struct stat st;

        if (uri->transport == NBD_TRANSPORT_UNIX) {
                if (stat(uri->socket_path, &st) == 0)
                        snprintf(dst, dst_bytes, "unix:%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev,
                            (uint64_t)st.st_ino);
                else
                        snprintf(dst, dst_bytes, "unix:%s", uri->socket_path);
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
        char peer[128];
        char *key = ret_identity->key;
        size_t key_bytes = sizeof ret_identity->key;
        int length;

        peer_name(peer, sizeof peer, fd, uri);
        ret_identity->base_bytes = 0;
        length = snprintf(key, key_bytes, "nbd:%s/%s", peer, export_name);
        if (length >= 0 && (size_t)length < key_bytes)
                return;
        /* A name that has the form of another's digest makes two devices look like one: they wait for each
         * other, and nothing worse. */
        snprintf(key, key_bytes, "nbd:%s/%.24s#%016" PRIx64, peer, export_name,
            (uint64_t)XXH3_64bits(export_name, strlen(export_name)));
}
