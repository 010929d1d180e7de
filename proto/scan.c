/* A look at a body before it is unpacked (scan.h). */
#include "scan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kc_limits.h"

#define FIELD_NUMBER_MAX ((1u << 29) - 1)

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct cursor {
        const uint8_t *at, *end;
};

static bool take_varint(struct cursor *cursor, uint64_t *ret_value)
{
        uint64_t value = 0;

        for (unsigned shift = 0; shift < 70; shift += 7) {
                if (cursor->at == cursor->end)
                        return false;
                value |= (uint64_t)(*cursor->at & 0x7f) << shift;
                if (!(*cursor->at++ & 0x80)) {
                        *ret_value = value;
                        return true;
                }
        }
        return false;
}

static bool skip(struct cursor *cursor, uint64_t bytes)
{
        if (bytes > (uint64_t)(cursor->end - cursor->at))
                return false;
        cursor->at += bytes;
        return true;
}

static bool text_is_good(const uint8_t *s, const uint8_t *end)
{
        while (s < end) {
                uint32_t code = *s;
                unsigned more;

                if (code == 0)
                        return false;
                s++;
                if (code < 0x80)
                        continue;
                if (code >= 0xc2 && code <= 0xdf)
                        more = 1, code &= 0x1f;
                else if (code >= 0xe0 && code <= 0xef)
                        more = 2, code &= 0x0f;
                else if (code >= 0xf0 && code <= 0xf4)
                        more = 3, code &= 0x07;
                else
                        return false;
                if ((size_t)(end - s) < more)
                        return false;
                for (unsigned i = 0; i < more; i++, s++) {
                        if ((*s & 0xc0) != 0x80)
                                return false;
                        code = code << 6 | (*s & 0x3f);
                }
                if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
                    (more == 3 && (code < 0x10000 || code > 0x10ffff)))
                        return false;
        }
        return true;
}

bool kc_scan_text(const char *text)
{
        const uint8_t *s = (const uint8_t *)text;

        return text_is_good(s, s + strlen(text));
}

static enum wire wire_of_type(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
                return WIRE_BYTES;
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
                return WIRE_32;
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return WIRE_64;
        default:
                return WIRE_VARINT;
        }
}

static void note(struct kc_scan *scan, enum kc_scan_finding finding,
    const ProtobufCMessageDescriptor *message, const ProtobufCFieldDescriptor *field, uint32_t number)
{
        if (scan->finding != KC_SCAN_FINE)
                return;
        scan->finding = finding;
        scan->message = message;
        scan->field = field;
        scan->field_number = number;
}

static int count(struct kc_scan *scan, uint64_t n)
{
        if (n > scan->fields_max - scan->n_fields)
                return -E2BIG;
        scan->n_fields += (unsigned)n;
        return 0;
}

/* The elements of a packed field: [at, end) must be made of whole ones. */
static int count_packed(struct kc_scan *scan, enum wire wire, struct cursor packed)
{
        size_t bytes = (size_t)(packed.end - packed.at);
        uint64_t ignored;

        if (wire == WIRE_32)
                return bytes % 4 ? -EPROTO : count(scan, bytes / 4);
        if (wire == WIRE_64)
                return bytes % 8 ? -EPROTO : count(scan, bytes / 8);
        while (packed.at < packed.end) {
                if (!take_varint(&packed, &ignored))
                        return -EPROTO;
                if (count(scan, 1) < 0)
                        return -E2BIG;
        }
        return 0;
}

static int scan_message(
    struct cursor cursor, const ProtobufCMessageDescriptor *type, unsigned depth, struct kc_scan *scan);

static int scan_bytes(struct cursor value, const ProtobufCMessageDescriptor *type,
    const ProtobufCFieldDescriptor *field, unsigned depth, struct kc_scan *scan)
{
        switch (field->type) {
        case PROTOBUF_C_TYPE_MESSAGE:
                return scan_message(value, field->descriptor, depth + 1, scan);
        case PROTOBUF_C_TYPE_STRING:
                if (!text_is_good(value.at, value.end))
                        note(scan, KC_SCAN_BAD_TEXT, type, field, field->id);
                return 0;
        case PROTOBUF_C_TYPE_BYTES:
                return 0;
        default:
                if (field->label != PROTOBUF_C_LABEL_REPEATED)
                        return -EPROTO;
                return count_packed(scan, wire_of_type(field->type), value);
        }
}

static int scan_field(
    struct cursor *cursor, const ProtobufCMessageDescriptor *type, unsigned depth, struct kc_scan *scan)
{
        const ProtobufCFieldDescriptor *field;
        struct cursor value;
        uint64_t tag, length;
        enum wire wire;
        int r;

        if (!take_varint(cursor, &tag))
                return -EPROTO;
        if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX)
                return -EPROTO;
        r = count(scan, 1);
        if (r < 0)
                return r;
        field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        if (!field)
                note(scan, KC_SCAN_UNKNOWN_FIELD, type, NULL, (uint32_t)(tag >> 3));

        wire = (enum wire)(tag & 7);
        if (field && wire != WIRE_BYTES && wire != wire_of_type(field->type))
                return -EPROTO;
        switch (wire) {
        case WIRE_VARINT:
                return take_varint(cursor, &length) ? 0 : -EPROTO;
        case WIRE_64:
                return skip(cursor, 8) ? 0 : -EPROTO;
        case WIRE_32:
                return skip(cursor, 4) ? 0 : -EPROTO;
        case WIRE_BYTES:
                if (!take_varint(cursor, &length))
                        return -EPROTO;
                value.at = cursor->at;
                if (!skip(cursor, length))
                        return -EPROTO;
                value.end = cursor->at;
                return field ? scan_bytes(value, type, field, depth, scan) : 0;
        default:
                return -EPROTO; /* groups, and two wire types that do not exist */
        }
}

static int scan_message(
    struct cursor cursor, const ProtobufCMessageDescriptor *type, unsigned depth, struct kc_scan *scan)
{
        int r = 0;

        if (depth > KC_DEPTH_MAX)
                return -E2BIG;
        while (cursor.at < cursor.end && r == 0)
                r = scan_field(&cursor, type, depth, scan);
        return r;
}

int kc_scan_body(const uint8_t *body, size_t body_bytes, const ProtobufCMessageDescriptor *type,
    unsigned fields_max, struct kc_scan *ret_scan)
{
        struct kc_scan scan = {.fields_max = fields_max};
        int r;

        r = scan_message((struct cursor){body, body + body_bytes}, type, 0, &scan);
        if (r == 0)
                *ret_scan = scan;
        return r;
}
