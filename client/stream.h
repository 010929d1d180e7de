/* A socket as a stream of frames, both ways, that never blocks.
 *
 * Owns the descriptor, a write buffer that grows with what is queued (it is drained by stream_flush only),
 * and a read buffer of one frame. Thread: the client's. Closes with stream_done, queued or not. */
#ifndef CLIENT_STREAM_H
#define CLIENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "kcopy.pb-c.h"

struct stream {
        int fd;
        uint8_t *out;
        size_t out_start_bytes, out_end_bytes, out_room_bytes; /* queued: [start, end) */
        uint8_t *in;
        struct kc_frame_reader reader; /* of `in` */
};

/* 0, or -ENOMEM (the descriptor is still the caller's). */
int stream_init(struct stream *stream, int fd);
void stream_done(struct stream *stream);

/* Append one message. 0, -ENOMEM, or -E2BIG: more than a frame holds. */
int stream_queue(struct stream *stream, const Kcopy__V1__ClientMessage *message);
/* Bytes queued; with stream_unqueue, what was queued since can be taken back before the next flush. */
size_t stream_queued_bytes(const struct stream *stream);
void stream_unqueue(struct stream *stream, size_t queued_bytes);

/* Send what the socket takes now. 0 or a negative errno: the connection is over. */
int stream_flush(struct stream *stream);
/* Receive what is there. 1: something came, 0: nothing for now, -ENOTCONN: the peer hung up, or another
 * negative errno. Every complete frame must have been taken before. */
int stream_fill(struct stream *stream);
/* Take the next complete frame: as kc_frame_reader_next. */
int stream_take(struct stream *stream, const uint8_t **ret_body, uint32_t *ret_body_bytes);

#endif
