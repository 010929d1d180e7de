/* A socket as a stream of frames (stream.h). */
#include "stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kc_limits.h"

#define IN_ROOM_BYTES (KC_FRAME_HEADER_MAX_BYTES + KC_FRAME_MAX_BYTES)
#define OUT_ROOM_MIN_BYTES 4096u
#define OUT_KEEP_BYTES (256u * 1024) /* an empty buffer larger than this is given back */

int stream_init(struct stream *stream, int fd)
{
        uint8_t *in = malloc(IN_ROOM_BYTES);

        if (!in)
                return -ENOMEM;
        *stream = (struct stream){.fd = fd, .in = in};
        kc_frame_reader_init(&stream->reader, in, IN_ROOM_BYTES, KC_FRAME_MAX_BYTES);
        return 0;
}

void stream_done(struct stream *stream)
{
        free(stream->in);
        free(stream->out);
        close(stream->fd);
        *stream = (struct stream){.fd = -1};
}

/* ---- out */

static int reserve(struct stream *stream, size_t bytes)
{
        size_t queued = stream->out_end_bytes - stream->out_start_bytes;
        size_t room = stream->out_room_bytes ? stream->out_room_bytes : OUT_ROOM_MIN_BYTES;
        uint8_t *out;

        if (stream->out_room_bytes - stream->out_end_bytes >= bytes)
                return 0;
        /* Moving down is worth it only when it frees half: else a slow peer costs a move per message. */
        if (stream->out_start_bytes >= queued && stream->out_room_bytes - queued >= bytes) {
                memmove(stream->out, stream->out + stream->out_start_bytes, queued);
                stream->out_start_bytes = 0;
                stream->out_end_bytes = queued;
                return 0;
        }
        while (room - stream->out_end_bytes < bytes || room < stream->out_end_bytes)
                room *= 2;
        out = realloc(stream->out, room);
        if (!out)
                return -ENOMEM;
        stream->out = out;
        stream->out_room_bytes = room;
        return 0;
}

int stream_queue(struct stream *stream, const Kcopy__V1__ClientMessage *message)
{
        size_t body_bytes = kcopy__v1__client_message__get_packed_size(message);
        size_t header_bytes;
        int rc;

        if (body_bytes > KC_FRAME_MAX_BYTES)
                return -E2BIG;
        rc = reserve(stream, KC_FRAME_HEADER_MAX_BYTES + body_bytes);
        if (rc < 0)
                return rc;
        header_bytes = kc_frame_header(stream->out + stream->out_end_bytes, (uint32_t)body_bytes);
        stream->out_end_bytes += header_bytes;
        kcopy__v1__client_message__pack(message, stream->out + stream->out_end_bytes);
        stream->out_end_bytes += body_bytes;
        return 0;
}

size_t stream_queued_bytes(const struct stream *stream)
{
        return stream->out_end_bytes - stream->out_start_bytes;
}

void stream_unqueue(struct stream *stream, size_t queued_bytes)
{
        assert(queued_bytes <= stream_queued_bytes(stream));
        stream->out_end_bytes = stream->out_start_bytes + queued_bytes;
}

int stream_flush(struct stream *stream)
{
        while (stream->out_start_bytes < stream->out_end_bytes) {
                ssize_t n = send(stream->fd, stream->out + stream->out_start_bytes,
                    stream->out_end_bytes - stream->out_start_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return 0;
                if (n < 0)
                        return -errno;
                stream->out_start_bytes += (size_t)n;
        }
        stream->out_start_bytes = stream->out_end_bytes = 0;
        if (stream->out_room_bytes > OUT_KEEP_BYTES) {
                free(stream->out);
                stream->out = NULL;
                stream->out_room_bytes = 0;
        }
        return 0;
}

/* ---- in */

int stream_fill(struct stream *stream)
{
        size_t room_bytes;
        uint8_t *room = kc_frame_reader_room(&stream->reader, &room_bytes);
        ssize_t n;

        /* full, it would hold a complete frame, and that was to be taken first */
        assert(room_bytes);
        do
                n = recv(stream->fd, room, room_bytes, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
        if (n == 0)
                return -ENOTCONN;
        kc_frame_reader_fed(&stream->reader, (size_t)n);
        return 1;
}

int stream_take(struct stream *stream, const uint8_t **ret_body, uint32_t *ret_body_bytes)
{
        return kc_frame_reader_next(&stream->reader, ret_body, ret_body_bytes);
}
