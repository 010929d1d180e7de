#include "io/nbd_error.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libnbd.h>
#include <uv.h>

enum kc_class nbd_error_class(int code)
{
        switch (-code) {
        case ENOTCONN:
        case ESHUTDOWN:
        case ECONNRESET:
        case ECONNABORTED:
        case ECONNREFUSED:
        case EPIPE:
                return KC_CLASS_TRANSPORT;
        case EOPNOTSUPP:
                return KC_CLASS_UNSUPPORTED;
        case ENOMEM:
                return KC_CLASS_INTERNAL;
        default:
                return kc_class_of_errno(code);
        }
}

/* "connection refused", as the middle of a sentence. */
static void describe(char *dst, size_t dst_bytes, int code)
{
        const char *text = strerrordesc_np(-code);

        snprintf(dst, dst_bytes, "%s", text != NULL ? text : kc_errno_name(code));
        if (isupper((unsigned char)dst[0]) && islower((unsigned char)dst[1]))
                dst[0] = (char)tolower((unsigned char)dst[0]);
}

int nbd_error_resolve(int eai, struct kc_error *err)
{
        int code;

        switch (eai) {
        case UV_EAI_MEMORY:
        case UV_ENOMEM:
                code = -ENOMEM;
                break;
        case UV_EAI_AGAIN:
                code = -EAGAIN;
                break;
        case UV_EAI_NONAME:
        case UV_EAI_NODATA:
                code = -ENOENT;
                break;
        default:
                code = -EHOSTUNREACH;
        }
        return kc_error_set(err, code, KC_CLASS_TRANSPORT, "resolve: %s", uv_strerror(eai));
}

int nbd_error_connect(int code, struct kc_error *err)
{
        char text[80];

        describe(text, sizeof text, code);
        return kc_error_set(err, code,
            code == -EACCES || code == -EPERM ? KC_CLASS_PERMISSION : KC_CLASS_TRANSPORT, "connect: %s",
            text);
}

const char *nbd_error_reason(char *dst, size_t dst_bytes)
{
        const char *text = nbd_get_error();
        const char *colon;

        if (text == NULL)
                return "no reason given";
        if (strncmp(text, "nbd_", 4) == 0 && (colon = strstr(text, ": ")) != NULL)
                text = colon + 2;
        if (strncmp(text, "handshake: ", 11) == 0)
                text += 11;
        return kc_error_escape(dst, dst_bytes, text, strlen(text));
}

/* libnbd has an errno only for what the kernel said and for a few refusals; the rest is text. */
static int handshake_code(const char *text, enum kc_class *ret_class)
{
        int code = nbd_get_errno();

        switch (code) {
        case 0:
                break;
        case ENOENT:
                *ret_class = strstr(text, "no export") != NULL ? KC_CLASS_NOT_FOUND : KC_CLASS_PERMISSION;
                return -ENOENT;
        case ENOTSUP:
                *ret_class =
                    strstr(text, "requires TLS") != NULL ? KC_CLASS_PERMISSION : KC_CLASS_UNSUPPORTED;
                return -EOPNOTSUPP;
        case EINVAL: /* "server rejected …", "invalid eflags", a user that is not in the key file */
                *ret_class = strstr(text, "PSK file") != NULL ? KC_CLASS_PERMISSION : KC_CLASS_PROTOCOL;
                return *ret_class == KC_CLASS_PROTOCOL ? -EPROTO : -EACCES;
        default:
                *ret_class = nbd_error_class(-code);
                if (*ret_class == KC_CLASS_MEDIA)
                        *ret_class = KC_CLASS_TRANSPORT;
                return -code;
        }
        if (strstr(text, "gnutls_handshake") !=
            NULL) { /* a wrong key looks like a hang-up: servers just leave */
                *ret_class = KC_CLASS_PERMISSION;
                return -EACCES;
        }
        if (strstr(text, "disconnected") != NULL || strstr(text, "terminated") != NULL) {
                *ret_class = KC_CLASS_TRANSPORT;
                return -ECONNRESET;
        }
        if (strstr(text, "getaddrinfo") != NULL) {
                *ret_class = KC_CLASS_TRANSPORT;
                return -EHOSTUNREACH;
        }
        if (strstr(text, "gnutls") != NULL || strstr(text, "policy") != NULL) {
                *ret_class = KC_CLASS_PERMISSION;
                return -EACCES;
        }
        *ret_class = KC_CLASS_PROTOCOL;
        return -EPROTO;
}

/* What to do about a refusal whose text alone says little, or "". */
static const char *handshake_remedy(const char *text)
{
        if (strstr(text, "getlogin_r") != NULL)
                return "; name the user of the key: nbds://USER@HOST";
        if (strstr(text, "no export") != NULL)
                return "; nbdinfo --list URI shows which there are";
        return "";
}

int nbd_error_handshake(const char *phase, struct kc_error *err)
{
        const char *text = nbd_get_error() ?: "";
        const char *remedy = handshake_remedy(text);
        char reason[KC_ERROR_MESSAGE_MAX_BYTES];
        enum kc_class class;
        int code = handshake_code(text, &class);

        /* what a peer sends may be long: the remedy still has its place behind it, and behind its name */
        nbd_error_reason(reason, remedy[0] != '\0' ? 96 : sizeof reason);
        return kc_error_set(err, code, class, "%s: %s%s", phase, reason, remedy);
}

int nbd_error_death(void)
{
        const char *text = nbd_get_error();

        if (nbd_get_errno() != 0 || text == NULL || strstr(text, "disconnected") != NULL ||
            strstr(text, "gnutls") != NULL)
                return -ENOTCONN;
        return -EPROTO;
}
