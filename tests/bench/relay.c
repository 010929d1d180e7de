/* relay DELAY_MS UNIX_SOCKET: a long TCP line to a server that is near.
 *
 * Listens on a free port of 127.0.0.1 and prints its number. What comes in on a connection leaves for the
 * socket DELAY_MS later, and the other way round; order and speed stay as they are, up to QUEUE_BYTES under
 * way in each direction. Each direction of a connection has a thread that reads and one that writes. Ends
 * when standard input does. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES (256u * 1024)
#define QUEUE_BYTES (256u << 20)
#define NS_PER_S 1000000000L

struct piece {
        struct piece *next;
        struct timespec due;
        size_t length_bytes; /* 0: the end */
        char data[];
};

struct way { /* one direction */
        int from, to;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct piece *first, **last;
        struct piece *spare; /* used again: new memory for each was a fifth of the relay's time */
        size_t queued_bytes;
};

static long delay_ns;

static void die(const char *what)
{
        fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void push(struct way *way, struct piece *piece)
{
        clock_gettime(CLOCK_MONOTONIC, &piece->due);
        piece->due.tv_nsec += delay_ns;
        piece->due.tv_sec += piece->due.tv_nsec / NS_PER_S;
        piece->due.tv_nsec %= NS_PER_S;
        piece->next = NULL;
        pthread_mutex_lock(&way->lock);
        while (way->queued_bytes > QUEUE_BYTES)
                pthread_cond_wait(&way->changed, &way->lock);
        *way->last = piece;
        way->last = &piece->next;
        way->queued_bytes += piece->length_bytes;
        pthread_cond_broadcast(&way->changed);
        pthread_mutex_unlock(&way->lock);
}

static struct piece *pop(struct way *way)
{
        struct piece *piece;

        pthread_mutex_lock(&way->lock);
        while (!way->first)
                pthread_cond_wait(&way->changed, &way->lock);
        piece = way->first;
        way->first = piece->next;
        if (!way->first)
                way->last = &way->first;
        way->queued_bytes -= piece->length_bytes;
        pthread_cond_broadcast(&way->changed);
        pthread_mutex_unlock(&way->lock);
        return piece;
}

static struct piece *piece_get(struct way *way)
{
        struct piece *piece;

        pthread_mutex_lock(&way->lock);
        piece = way->spare;
        if (piece)
                way->spare = piece->next;
        pthread_mutex_unlock(&way->lock);
        if (!piece)
                piece = malloc(sizeof(*piece) + PIECE_BYTES);
        if (!piece)
                die("memory");
        return piece;
}

static void piece_put(struct way *way, struct piece *piece)
{
        pthread_mutex_lock(&way->lock);
        piece->next = way->spare;
        way->spare = piece;
        pthread_mutex_unlock(&way->lock);
}

static void *run_reader(void *arg)
{
        struct way *way = arg;
        struct piece *piece;
        ssize_t n;

        do {
                piece = piece_get(way);
                n = recv(way->from, piece->data, PIECE_BYTES, 0);
                piece->length_bytes = n > 0 ? (size_t)n : 0;
                push(way, piece);
        } while (n > 0);
        return NULL;
}

static void *run_writer(void *arg)
{
        struct way *way = arg;
        bool more = true;

        while (more) {
                struct piece *piece = pop(way);
                size_t sent = 0;

                while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &piece->due, NULL) == EINTR)
                        ;
                more = piece->length_bytes > 0;
                while (sent < piece->length_bytes) {
                        ssize_t n =
                            send(way->to, piece->data + sent, piece->length_bytes - sent, MSG_NOSIGNAL);

                        if (n < 0)
                                break; /* the other direction tells */
                        sent += (size_t)n;
                }
                if (!more)
                        shutdown(way->to, SHUT_WR);
                piece_put(way, piece);
        }
        return NULL;
}

static void start_way(struct way *way, int from, int to, pthread_t *ret_threads)
{
        way->from = from;
        way->to = to;
        way->last = &way->first;
        pthread_mutex_init(&way->lock, NULL);
        pthread_cond_init(&way->changed, NULL);
        if (pthread_create(&ret_threads[0], NULL, run_reader, way) != 0 ||
            pthread_create(&ret_threads[1], NULL, run_writer, way) != 0)
                die("thread");
}

struct line { /* one connection */
        int client, server;
        struct way ways[2];
};

static void free_pieces(struct piece *pieces)
{
        while (pieces) {
                struct piece *next = pieces->next;

                free(pieces);
                pieces = next;
        }
}

static void *run_line(void *arg)
{
        struct line *line = arg;
        pthread_t threads[4];

        start_way(&line->ways[0], line->client, line->server, &threads[0]);
        start_way(&line->ways[1], line->server, line->client, &threads[2]);
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        close(line->client);
        close(line->server);
        free_pieces(line->ways[0].spare);
        free_pieces(line->ways[1].spare);
        free(line);
        return NULL;
}

static int connect_to(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
                die(path);
        strcpy(address.sun_path, path);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                die(path);
        return fd;
}

static void *run_watch(void *arg)
{
        char byte;

        while (read(0, &byte, 1) > 0)
                ;
        exit(0);
}

int main(int argc, char **argv)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
        pthread_t thread;

        if (argc != 3)
                return 2;
        delay_ns = atol(argv[1]) * 1000000;
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 64) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &length) < 0)
                die("listen");
        printf("%u\n", ntohs(address.sin_port));
        fflush(stdout);
        if (pthread_create(&thread, NULL, run_watch, NULL) != 0)
                die("thread");
        for (;;) {
                struct line *line = calloc(1, sizeof(*line));

                if (!line)
                        die("memory");
                line->client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
                if (line->client < 0)
                        die("accept");
                setsockopt(line->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                line->server = connect_to(argv[2]);
                if (pthread_create(&thread, NULL, run_line, line) != 0)
                        die("thread");
                pthread_detach(thread);
        }
}
