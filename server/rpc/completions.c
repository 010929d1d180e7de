/* Completions frames put together from packed parts (completions.h). */
#include "rpc/completions.h"

#include <string.h>

#include "frame.h"
#include "kcopy.pb-c.h"

#define WIRE_BYTES 2u
#define BODY_TAG (KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETIONS << 3 | WIRE_BYTES)
#define PART_TAG (1u << 3 | WIRE_BYTES) /* Completions.completions */

/* A frame's header is a varint32, as tags and lengths are. */
static uint8_t *put_varint(uint8_t *at, size_t value)
{
        return at + kc_frame_header(at, (uint32_t)value);
}

static size_t varint_bytes(size_t value)
{
        return kc_frame_header_bytes((uint32_t)value);
}

static size_t message_bytes(size_t body_bytes)
{
        return varint_bytes(BODY_TAG) + varint_bytes(body_bytes) + body_bytes;
}

size_t completions_grow(size_t body_bytes, uint32_t part_bytes)
{
        return body_bytes + varint_bytes(PART_TAG) + varint_bytes(part_bytes) + part_bytes;
}

bool completions_fits(size_t body_bytes)
{
        return message_bytes(body_bytes) <= KC_FRAME_MAX_BYTES;
}

size_t completions_frame_bytes(size_t body_bytes)
{
        size_t bytes = message_bytes(body_bytes);

        return varint_bytes(bytes) + bytes;
}

uint8_t *completions_begin(uint8_t *at, size_t body_bytes)
{
        at = put_varint(at, message_bytes(body_bytes));
        at = put_varint(at, BODY_TAG);
        return put_varint(at, body_bytes);
}

uint8_t *completions_add(uint8_t *at, const uint8_t *part, uint32_t part_bytes)
{
        at = put_varint(at, PART_TAG);
        at = put_varint(at, part_bytes);
        memcpy(at, part, part_bytes);
        return at + part_bytes;
}
