/* A look at the body of a frame before it is unpacked: is it sound, small enough, and does it say only what
 * the schema knows?
 *
 * protobuf-c has no limits of its own: it unpacks any number of fields to any depth, keeps unknown fields
 * (but loses them when a field is repeated and merged), and cuts a string at an embedded NUL. This walks the
 * raw bytes beside the schema instead, in one pass, allocating nothing. Any thread. */
#ifndef KC_SCAN_H
#define KC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* What is wrong with a body that can be unpacked: a reason to refuse the request, not the connection. */
enum kc_scan_finding {
        KC_SCAN_FINE,
        KC_SCAN_UNKNOWN_FIELD, /* `message` has no field `field_number` */
        KC_SCAN_BAD_TEXT,      /* `field` of `message` holds a NUL or is no UTF-8 */
};

struct kc_scan {
        unsigned n_fields;            /* all levels together; elements of packed fields count one each */
        enum kc_scan_finding finding; /* the first one */
        const ProtobufCMessageDescriptor *message;
        const ProtobufCFieldDescriptor *field;
        uint32_t field_number;
        unsigned fields_max;
};

/* Scan a body of type `type`. 0 and *ret_scan; or -EPROTO when it is malformed (cut short, groups, wire types
 * that do not exist or not for that field, field numbers out of range); -E2BIG when it has more than
 * fields_max fields or nests deeper than KC_DEPTH_MAX. */
int kc_scan_body(const uint8_t *body, size_t body_bytes, const ProtobufCMessageDescriptor *type,
    unsigned fields_max, struct kc_scan *ret_scan);
/* Whether a text may be sent as one: strict UTF-8 (no surrogates, nothing overlong). */
bool kc_scan_text(const char *text);

#endif
