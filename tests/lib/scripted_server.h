/* A server that says what a test tells it to: the other end of a socket pair for libkcopy's tests.
 *
 * Owns its end. Thread: one at a time. Closes with peer_done. Every failure is the test's. */
#ifndef TESTS_LIB_SCRIPTED_SERVER_H
#define TESTS_LIB_SCRIPTED_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "kcopy.pb-c.h"

struct peer {
        int fd;        /* the server's end */
        int client_fd; /* the client's, until it is handed over */
        struct kc_frame_reader reader;
        uint8_t buf[KC_FRAME_MAX_BYTES + KC_FRAME_HEADER_MAX_BYTES];
};

#define PEER_CHECK(what)                                                                                     \
        do {                                                                                                 \
                if (!(what)) {                                                                               \
                        fprintf(stderr, "scripted server, line %d: %s\n", __LINE__, #what);                  \
                        abort();                                                                             \
                }                                                                                            \
        } while (0)

static inline void peer_init(struct peer *peer)
{
        int pair[2];

        PEER_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        peer->fd = pair[0];
        peer->client_fd = pair[1];
        kc_frame_reader_init(&peer->reader, peer->buf, sizeof(peer->buf), KC_FRAME_MAX_BYTES);
}

static inline void peer_hang_up(struct peer *peer)
{
        if (peer->fd >= 0)
                close(peer->fd);
        peer->fd = -1;
}

static inline void peer_say_bytes(struct peer *peer, const void *bytes, size_t n)
{
        PEER_CHECK(send(peer->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
}

/* The message as a frame, to be freed. */
static inline uint8_t *peer_pack(const Kcopy__V1__ServerMessage *message, size_t *ret_bytes)
{
        size_t body_bytes = kcopy__v1__server_message__get_packed_size(message);
        uint8_t *frame = malloc(KC_FRAME_HEADER_MAX_BYTES + body_bytes);
        unsigned header_bytes;

        PEER_CHECK(frame);
        header_bytes = kc_frame_header(frame, (uint32_t)body_bytes);
        kcopy__v1__server_message__pack(message, frame + header_bytes);
        *ret_bytes = header_bytes + body_bytes;
        return frame;
}

static inline void peer_say(struct peer *peer, const Kcopy__V1__ServerMessage *message)
{
        size_t bytes;
        uint8_t *frame = peer_pack(message, &bytes);

        peer_say_bytes(peer, frame, bytes);
        free(frame);
}

/* The next message, to be freed; NULL when the client hung up. Blocks. */
static inline Kcopy__V1__ClientMessage *peer_hear(struct peer *peer)
{
        for (;;) {
                const uint8_t *body;
                uint32_t body_bytes;
                size_t room_bytes;
                uint8_t *room;
                ssize_t n;
                int rc = kc_frame_reader_next(&peer->reader, &body, &body_bytes);

                PEER_CHECK(rc >= 0);
                if (rc == 1) {
                        Kcopy__V1__ClientMessage *message =
                            kcopy__v1__client_message__unpack(NULL, body_bytes, body);

                        PEER_CHECK(message);
                        return message;
                }
                room = kc_frame_reader_room(&peer->reader, &room_bytes);
                n = recv(peer->fd, room, room_bytes, 0);
                PEER_CHECK(n >= 0);
                if (n == 0)
                        return NULL;
                kc_frame_reader_fed(&peer->reader, (size_t)n);
        }
}

/* Hear one message of the kind; returns its request id. */
static inline uint64_t peer_expect(struct peer *peer, Kcopy__V1__ClientMessage__BodyCase kind)
{
        Kcopy__V1__ClientMessage *message = peer_hear(peer);
        uint64_t id;

        PEER_CHECK(message && message->body_case == kind && message->request_id);
        id = message->request_id;
        kcopy__v1__client_message__free_unpacked(message, NULL);
        return id;
}

static inline void peer_welcome(
    struct peer *peer, uint64_t request_id, uint32_t pages, uint32_t batch_jobs_max)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Welcome welcome = KCOPY__V1__WELCOME__INIT;

        welcome.version = 1;
        welcome.pages = pages;
        welcome.instance_id = (ProtobufCBinaryData){16, (uint8_t *)"0123456789abcdef"};
        welcome.frame_max_bytes = KC_FRAME_MAX_BYTES;
        welcome.batch_jobs_max = batch_jobs_max;
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_WELCOME;
        message.welcome = &welcome;
        peer_say(peer, &message);
}

static inline void peer_accept(struct peer *peer, uint64_t request_id, uint64_t job, uint64_t length_bytes)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Accepted accepted = KCOPY__V1__ACCEPTED__INIT;

        accepted.job = job;
        accepted.length_bytes = length_bytes;
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_ACCEPTED;
        message.accepted = &accepted;
        peer_say(peer, &message);
}

static inline void peer_refuse(
    struct peer *peer, uint64_t request_id, const char *field, const char *errno_name)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Refused refused = KCOPY__V1__REFUSED__INIT;

        refused.field = (char *)(uintptr_t)field;
        refused.error_class = KCOPY__V1__ERROR_CLASS__ERROR_CLASS_LIMIT;
        refused.errno_name = (char *)(uintptr_t)errno_name;
        refused.reason = (char *)(uintptr_t) "too much";
        refused.has_limit = true;
        refused.limit = 17;
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_REFUSED;
        message.refused = &refused;
        peer_say(peer, &message);
}

/* A completion of n destinations; those in `write_err` have failed. */
static inline void peer_complete(
    struct peer *peer, uint64_t job, unsigned n_destinations, uint64_t write_err, bool read_err)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Completion completion = KCOPY__V1__COMPLETION__INIT;
        Kcopy__V1__EndpointError error = KCOPY__V1__ENDPOINT_ERROR__INIT;
        Kcopy__V1__DestinationResult results[64], *pointers[64];
        Kcopy__V1__Ledger ledger = KCOPY__V1__LEDGER__INIT;

        error.error_class = KCOPY__V1__ERROR_CLASS__ERROR_CLASS_MEDIA;
        error.errno_name = (char *)(uintptr_t) "EIO";
        error.message = (char *)(uintptr_t) "disk: input/output error";
        error.has_sector = true;
        error.sector = 42;
        ledger.copied_bytes = 4096;
        for (unsigned i = 0; i < n_destinations; i++) {
                kcopy__v1__destination_result__init(&results[i]);
                /* not in their order: the index is what counts */
                results[i].index = n_destinations - 1 - i;
                results[i].ledger = &ledger;
                results[i].durable = !(write_err & UINT64_C(1) << results[i].index);
                results[i].error = results[i].durable ? NULL : &error;
                pointers[i] = &results[i];
        }
        completion.job = job;
        completion.state = write_err || read_err ? KCOPY__V1__JOB_STATE__JOB_STATE_FAILED
                                                 : KCOPY__V1__JOB_STATE__JOB_STATE_COMPLETED;
        completion.read_err = read_err;
        completion.source_error = read_err ? &error : NULL;
        completion.write_err = write_err;
        completion.durable = !write_err;
        completion.length_bytes = 4096;
        completion.elapsed_ms = 5;
        completion.n_destinations = n_destinations;
        completion.destinations = pointers;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION;
        message.completion = &completion;
        peer_say(peer, &message);
}

static inline void peer_reply_empty(
    struct peer *peer, uint64_t request_id, Kcopy__V1__ServerMessage__BodyCase kind)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Done done = KCOPY__V1__DONE__INIT;
        Kcopy__V1__Farewell farewell = KCOPY__V1__FAREWELL__INIT;

        message.request_id = request_id;
        message.body_case = kind;
        if (kind == KCOPY__V1__SERVER_MESSAGE__BODY_DONE)
                message.done = &done;
        else
                message.farewell = &farewell;
        peer_say(peer, &message);
}

#endif
