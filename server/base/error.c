/* Errors for programs and people: see error.h. Pure, any thread. */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* How many bytes the UTF-8 character at `src` has; 0 where it is none (overlong, surrogate, cut, stray). */
static size_t utf8_bytes(const char *src, size_t src_bytes, uint32_t *ret_character)
{
        const unsigned char *s = (const unsigned char *)src;
        uint32_t character, smallest;
        size_t n;

        if (s[0] < 0x80) {
                *ret_character = s[0];
                return 1;
        }
        if ((s[0] & 0xe0) == 0xc0) {
                n = 2, character = s[0] & 0x1fu, smallest = 0x80;
        } else if ((s[0] & 0xf0) == 0xe0) {
                n = 3, character = s[0] & 0x0fu, smallest = 0x800;
        } else if ((s[0] & 0xf8) == 0xf0) {
                n = 4, character = s[0] & 0x07u, smallest = 0x10000;
        } else {
                return 0;
        }
        if (n > src_bytes)
                return 0;
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                character = character << 6 | (s[i] & 0x3fu);
        }
        if (character < smallest || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
                return 0;
        *ret_character = character;
        return n;
}

/* The length to cut `text` to so that no character is cut in two; `bytes` is where the room ended. */
static size_t whole_characters(const char *text, size_t bytes)
{
        size_t start = bytes;
        uint32_t character;

        while (start > 0 && bytes - start < 4) {
                start--;
                if (((unsigned char)text[start] & 0xc0) != 0x80)
                        return utf8_bytes(text + start, bytes - start, &character) == 0 ? start : bytes;
        }
        return bytes;
}

/* vsnprintf whose cut falls between characters. Returns the length. */
static size_t format(char *dst, size_t dst_bytes, const char *fmt, va_list ap)
{
        int n = vsnprintf(dst, dst_bytes, fmt, ap);

        if (n < 0) {
                dst[0] = '\0';
                return 0;
        }
        if ((size_t)n < dst_bytes)
                return (size_t)n;
        n = (int)whole_characters(dst, dst_bytes - 1);
        dst[n] = '\0';
        return (size_t)n;
}

int kc_error_set(struct kc_error *err, int code, enum kc_class class, const char *fmt, ...)
{
        va_list ap;

        assert(code < 0);
        if (err == NULL || err->code != 0)
                return code;
        err->code = code;
        err->class = class;
        va_start(ap, fmt);
        format(err->message, sizeof(err->message), fmt, ap);
        va_end(ap);
        return code;
}

void kc_error_prefix(struct kc_error *err, const char *fmt, ...)
{
        char message[KC_ERROR_MESSAGE_MAX_BYTES];
        size_t prefix_bytes, room_bytes, message_bytes;
        va_list ap;

        if (err == NULL || err->code == 0)
                return;
        va_start(ap, fmt);
        prefix_bytes = format(message, sizeof(message) - 2, fmt, ap);
        va_end(ap);
        memcpy(message + prefix_bytes, ": ", 2);
        prefix_bytes += 2;
        room_bytes = sizeof(message) - 1 - prefix_bytes;
        message_bytes = strnlen(err->message, sizeof(err->message));
        if (message_bytes > room_bytes)
                message_bytes = whole_characters(err->message, room_bytes);
        memcpy(message + prefix_bytes, err->message, message_bytes);
        message[prefix_bytes + message_bytes] = '\0';
        memcpy(err->message, message, prefix_bytes + message_bytes + 1);
}

const char *kc_errno_name(int code)
{
        static _Thread_local char unknown[24];
        const char *name;

        if (code < 0 && code != INT32_MIN)
                code = -code;
        name = strerrorname_np(code);
        if (name != NULL && code != 0)
                return name;
        snprintf(unknown, sizeof(unknown), "errno %d", code);
        return unknown;
}

int kc_errno_of_name(const char *name)
{
        if (name[0] == '\0')
                return 0;
        for (int code = 1; code < 134; code++) {
                const char *known = strerrorname_np(code);

                if (known != NULL && strcmp(known, name) == 0)
                        return -code;
        }
        return -EIO;
}

const char *kc_class_name(enum kc_class class)
{
        switch (class) {
        case KC_CLASS_NONE:
                return "none";
        case KC_CLASS_TRANSPORT:
                return "transport";
        case KC_CLASS_MEDIA:
                return "media";
        case KC_CLASS_NO_SPACE:
                return "no space";
        case KC_CLASS_PERMISSION:
                return "permission";
        case KC_CLASS_PROTOCOL:
                return "protocol";
        case KC_CLASS_TIMEOUT:
                return "timeout";
        case KC_CLASS_CANCELLED:
                return "cancelled";
        case KC_CLASS_STOPPED:
                return "stopped";
        case KC_CLASS_INVALID:
                return "invalid";
        case KC_CLASS_NOT_FOUND:
                return "not found";
        case KC_CLASS_LIMIT:
                return "limit";
        case KC_CLASS_CONFLICT:
                return "conflict";
        case KC_CLASS_BUSY:
                return "busy";
        case KC_CLASS_UNSUPPORTED:
                return "unsupported";
        case KC_CLASS_INTERNAL:
                return "internal";
        }
        return "unknown"; /* a number from a newer peer */
}

enum kc_class kc_class_of_errno(int code)
{
        if (code < 0 && code != INT32_MIN)
                code = -code;
        switch (code) {
        case 0:
                return KC_CLASS_NONE;
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
                return KC_CLASS_NO_SPACE;
        case EPERM:
        case EACCES:
        case EROFS:
                return KC_CLASS_PERMISSION;
        case ENOTCONN:
        case ECONNRESET:
        case ECONNREFUSED:
        case ECONNABORTED:
        case EPIPE:
        case ESHUTDOWN: /* also an NBD server that is about to stop */
        case ENETDOWN:
        case ENETUNREACH:
        case ENETRESET:
        case EHOSTDOWN:
        case EHOSTUNREACH:
                return KC_CLASS_TRANSPORT;
        case ETIMEDOUT:
                return KC_CLASS_TIMEOUT;
        case EPROTO:
                return KC_CLASS_PROTOCOL;
        case ECANCELED:
                return KC_CLASS_CANCELLED;
        default:
                return KC_CLASS_MEDIA;
        }
}

/* What a terminal acts on, or what makes a line read otherwise than it is written: C0, DEL, C1, line and
 * paragraph separators, marks and overrides of writing direction. */
static bool is_control(uint32_t character)
{
        return character < 0x20 || (character >= 0x7f && character <= 0x9f) || character == 0x200e ||
               character == 0x200f || (character >= 0x2028 && character <= 0x202e) ||
               (character >= 0x2066 && character <= 0x2069);
}

char *kc_error_escape(char *dst, size_t dst_bytes, const char *src, size_t src_bytes)
{
        static const char hex[] = "0123456789abcdef";
        static const char cut[] = "…";
        const size_t cut_bytes = sizeof(cut) - 1;
        size_t used = 0, cut_at = 0; /* cut_at: the last place where the mark would still fit */

        assert(dst_bytes > 0);
        for (size_t at = 0; at < src_bytes;) {
                uint32_t character = 0;
                size_t n = utf8_bytes(src + at, src_bytes - at, &character);
                bool plain = n > 0 && !is_control(character) && character != '"' && character != '\\';
                size_t in = n > 0 ? n : 1, out = plain ? n : 4 * in;

                if (used + out >= dst_bytes) {
                        used = cut_at;
                        if (used + cut_bytes < dst_bytes) {
                                memcpy(dst + used, cut, cut_bytes);
                                used += cut_bytes;
                        }
                        break;
                }
                if (plain) {
                        memcpy(dst + used, src + at, n);
                } else {
                        for (size_t i = 0; i < in; i++) {
                                unsigned char c = (unsigned char)src[at + i];

                                memcpy(dst + used + 4 * i,
                                    (const char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
                        }
                }
                used += out;
                at += in;
                if (used + cut_bytes < dst_bytes)
                        cut_at = used;
        }
        dst[used] = '\0';
        return dst;
}
