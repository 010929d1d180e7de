/* What went wrong, for a program (code, class) and for a person (message).
 *
 * Functions return negative errno; where a person will read the reason they also fill a struct kc_error,
 * their last parameter, which may be NULL. The first error wins: kc_error_set does nothing on an error that
 * is already set. Context is added going up with kc_error_prefix. Messages read "subject: reason[; remedy]".
 * Strings that came from a peer pass through kc_error_escape first. */
#ifndef KC_ERROR_H
#define KC_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define KC_ERROR_MESSAGE_MAX_BYTES 256

/* The classes of DESIGN 3, and those that only a refusal has (from KC_CLASS_INVALID on). The numbers are
 * those of enum ErrorClass in kcopy.proto. */
enum kc_class {
        KC_CLASS_NONE = 0,
        KC_CLASS_TRANSPORT = 1, /* the way to the device: resolve, connect, reset, hung up */
        KC_CLASS_MEDIA = 2,     /* the device itself answered with an I/O error */
        KC_CLASS_NO_SPACE = 3,
        KC_CLASS_PERMISSION = 4,
        KC_CLASS_PROTOCOL = 5,  /* the peer broke its protocol: short answer, bad reply */
        KC_CLASS_TIMEOUT = 6,   /* no answer within the deadline */
        KC_CLASS_CANCELLED = 7, /* somebody cancelled the job */
        KC_CLASS_STOPPED = 8,   /* ended because something else in the job failed */
        KC_CLASS_INVALID = 9,   /* the request makes no sense: field, reason, limit */
        KC_CLASS_NOT_FOUND = 10,
        KC_CLASS_LIMIT = 11,    /* a limit of the daemon or of the reservation */
        KC_CLASS_CONFLICT = 12, /* regions of one job overlap */
        KC_CLASS_BUSY = 13,     /* mounted, claimed, in use */
        KC_CLASS_UNSUPPORTED = 14,
        KC_CLASS_INTERNAL = 15,
};

struct kc_error {
        int code; /* negative errno; 0: no error */
        enum kc_class class;
        char message[KC_ERROR_MESSAGE_MAX_BYTES]; /* cut, never overrun; NUL-terminated UTF-8 */
};

/* Record an error unless one is recorded already. Returns `code`, so that it can end a function:
 * return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "..."). */
int kc_error_set(struct kc_error *err, int code, enum kc_class class, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Put "prefix: " in front of the message of an error that is set. */
void kc_error_prefix(struct kc_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "EIO" for -EIO (or EIO); "E????" style names never: an unknown number prints as "errno 1234" from a
 * static, per-thread buffer. */
const char *kc_errno_name(int code);

/* -EIO for "EIO"; -EIO also for a name that is not known here. 0 for "". */
int kc_errno_of_name(const char *name);

/* "transport", "no space", …: the words of DESIGN 3. */
const char *kc_class_name(enum kc_class class);

/* The class that a bare errno of a device's answer means: -ENOSPC → NO_SPACE, -EPERM/-EACCES/-EROFS →
 * PERMISSION, -ENOTCONN/-ECONNRESET/… → TRANSPORT, -ETIMEDOUT → TIMEOUT, -EPROTO → PROTOCOL, -ECANCELED →
 * CANCELLED, anything else → MEDIA. */
enum kc_class kc_class_of_errno(int code);

/* Copy `src` (length `src_bytes`) into `dst` with control characters, double quotes (the log's), backslashes
 * and invalid UTF-8 as \xNN; always NUL-terminates; ends with "…" when cut. Returns dst. */
char *kc_error_escape(char *dst, size_t dst_bytes, const char *src, size_t src_bytes);

#endif
