/* Frames (frame.h). */
#include "frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void kc_frame_reader_init(
    struct kc_frame_reader *reader, uint8_t *buf, size_t capacity_bytes, uint32_t body_max_bytes)
{
        memset(reader, 0, sizeof(*reader));
        reader->buf = buf;
        reader->capacity_bytes = capacity_bytes;
        kc_frame_reader_limit(reader, body_max_bytes);
}

void kc_frame_reader_limit(struct kc_frame_reader *reader, uint32_t body_max_bytes)
{
        assert(reader->capacity_bytes >= (size_t)body_max_bytes + KC_FRAME_HEADER_MAX_BYTES);
        reader->body_max_bytes = body_max_bytes;
}

uint8_t *kc_frame_reader_room(struct kc_frame_reader *reader, size_t *ret_room_bytes)
{
        if (reader->begin == reader->end) {
                reader->begin = reader->end = 0;
        } else if (reader->begin) {
                memmove(reader->buf, reader->buf + reader->begin, reader->end - reader->begin);
                reader->end -= reader->begin;
                reader->begin = 0;
        }
        *ret_room_bytes = reader->capacity_bytes - reader->end;
        return reader->buf + reader->end;
}

void kc_frame_reader_fed(struct kc_frame_reader *reader, size_t bytes)
{
        assert(bytes <= reader->capacity_bytes - reader->end);
        reader->end += bytes;
}

int kc_frame_reader_next(struct kc_frame_reader *reader, const uint8_t **ret_body, uint32_t *ret_body_bytes)
{
        const uint8_t *data = reader->buf + reader->begin;
        size_t bytes = reader->end - reader->begin;
        uint64_t length = 0;
        unsigned n = 0;

        for (;;) {
                if (n == KC_FRAME_HEADER_MAX_BYTES)
                        return -EPROTO;
                if (n == bytes)
                        return 0;
                length |= (uint64_t)(data[n] & 0x7f) << (7 * n);
                if (!(data[n++] & 0x80))
                        break;
        }
        if (length > UINT32_MAX)
                return -EPROTO;
        if (length > reader->body_max_bytes)
                return -EMSGSIZE;
        if (bytes - n < length)
                return 0;
        *ret_body = data + n;
        *ret_body_bytes = (uint32_t)length;
        reader->begin += n + (size_t)length;
        return 1;
}

unsigned kc_frame_header(uint8_t header[KC_FRAME_HEADER_MAX_BYTES], uint32_t body_bytes)
{
        unsigned n = 0;

        for (; body_bytes > 0x7f; body_bytes >>= 7)
                header[n++] = (uint8_t)(body_bytes | 0x80);
        header[n++] = (uint8_t)body_bytes;
        return n;
}

unsigned kc_frame_header_bytes(uint32_t body_bytes)
{
        unsigned n = 1;

        for (; body_bytes > 0x7f; body_bytes >>= 7)
                n++;
        return n;
}
