/* Frames: a varint with the length of the body, then the body, which is protobuf's own "delimited" framing.
 *
 * A reader is fed bytes as they come and gives whole bodies back, in place. It owns nothing: the buffer is
 * the caller's and must hold one frame of the allowed size, header included. No allocation, no I/O, any
 * thread. */
#ifndef KC_FRAME_H
#define KC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "kc_limits.h"

struct kc_frame_reader {
        uint8_t *buf; /* borrowed */
        size_t capacity_bytes;
        size_t begin, end; /* what was fed and not yet taken: buf[begin … end) */
        uint32_t body_max_bytes;
};

/* `capacity_bytes` is at least body_max_bytes + KC_FRAME_HEADER_MAX_BYTES, also when the limit is raised
 * later. */
void kc_frame_reader_init(
    struct kc_frame_reader *reader, uint8_t *buf, size_t capacity_bytes, uint32_t body_max_bytes);
/* Frames that have not been taken yet are held to the new limit. */
void kc_frame_reader_limit(struct kc_frame_reader *reader, uint32_t body_max_bytes);

/* Where the next bytes go, and how many there is room for (0: the buffer is full of what was not taken).
 * Bodies that were given out are void afterwards. */
uint8_t *kc_frame_reader_room(struct kc_frame_reader *reader, size_t *ret_room_bytes);
/* `bytes` of that room have been filled. */
void kc_frame_reader_fed(struct kc_frame_reader *reader, size_t bytes);

/* Take the next whole body: 1 and *ret_body, valid until the next kc_frame_reader_room; 0 when more bytes are
 * needed; -EMSGSIZE when the body would be larger than allowed; -EPROTO when the length is no varint32. After
 * an error there is no way to find the next frame. */
int kc_frame_reader_next(struct kc_frame_reader *reader, const uint8_t **ret_body, uint32_t *ret_body_bytes);

/* Write the header of a body of that size; returns the header's length. */
unsigned kc_frame_header(uint8_t header[KC_FRAME_HEADER_MAX_BYTES], uint32_t body_bytes);
/* What kc_frame_header would return. */
unsigned kc_frame_header_bytes(uint32_t body_bytes);

#endif
