/* Words for people (text.h). */
#include "ctl/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/captive.h"

#define CUT "…"

static void (*before_error)(void);

const char *text_escape(const char *text, char escaped[TEXT_ESCAPED_BYTES])
{
        static const char HEX[] = "0123456789abcdef";
        size_t n = 0;

        for (const unsigned char *c = (const unsigned char *)text; *c && n < TEXT_ESCAPED_BYTES - 5; c++) {
                /* C1 controls, as UTF-8 */
                bool c1 = *c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;

                if (*c < 0x20 || *c == 0x7f || c1) {
                        unsigned char code = c1 ? *++c : *c;

                        escaped[n++] = '\\';
                        escaped[n++] = 'x';
                        escaped[n++] = HEX[code >> 4];
                        escaped[n++] = HEX[code & 15];
                } else {
                        escaped[n++] = (char)*c;
                }
        }
        escaped[n] = '\0';
        return escaped;
}

void text_before_error(void (*before)(void))
{
        before_error = before;
}

static bool ends_in_colon(const char *text)
{
        size_t bytes = strlen(text);

        return bytes && text[bytes - 1] == ':';
}

void text_error(const char *subject, const char *format, ...)
{
        char reason[TEXT_ESCAPED_BYTES], escaped[TEXT_ESCAPED_BYTES];
        char *words;
        va_list args;

        if (before_error)
                before_error();
        va_start(args, format);
        vsnprintf(reason, sizeof(reason), format, args);
        va_end(args);
        /* "null:" has a colon of its own */
        fprintf(stderr, "kcopyctl: %s%s ", text_escape(subject, escaped), ends_in_colon(subject) ? "" : ":");
        words = captive_in_words(reason);
        fprintf(stderr, "%s\n", text_escape(words ? words : reason, escaped));
        free(words);
}

/* What the server makes of one byte that it does not print. */
static bool is_hex_of(const char *text, unsigned char byte)
{
        char hex[5];

        snprintf(hex, sizeof(hex), "\\x%02x", byte);
        return strncmp(text, hex, 4) == 0;
}

const char *text_without_subject(const char *message, const char *subject)
{
        const char *at = message;

        if (!subject || !subject[0])
                return message;
        for (const char *c = subject; *c; c++) {
                if (is_hex_of(at, (unsigned char)*c)) {
                        at += 4;
                } else if (*at == *c) {
                        at++;
                } else if (strncmp(at, CUT, strlen(CUT)) == 0) { /* the server cuts long names */
                        at += strlen(CUT);
                        break;
                } else {
                        return message;
                }
        }
        if (strncmp(at, ": ", 2) == 0)
                return at + 2;
        return ends_in_colon(subject) && *at == ' ' ? at + 1 : message;
}

struct class_name {
        const char *words, *json;
};

static const struct class_name CLASSES[] = {
    [KCOPY_CLASS_NONE] = {"no", "none"},
    [KCOPY_CLASS_TRANSPORT] = {"transport", "transport"},
    [KCOPY_CLASS_MEDIA] = {"media", "media"},
    [KCOPY_CLASS_NO_SPACE] = {"no space", "no_space"},
    [KCOPY_CLASS_PERMISSION] = {"permission", "permission"},
    [KCOPY_CLASS_PROTOCOL] = {"protocol", "protocol"},
    [KCOPY_CLASS_TIMEOUT] = {"timeout", "timeout"},
    [KCOPY_CLASS_CANCELLED] = {"cancelled", "cancelled"},
    [KCOPY_CLASS_STOPPED] = {"stopped", "stopped"},
    [KCOPY_CLASS_INVALID] = {"invalid", "invalid"},
    [KCOPY_CLASS_NOT_FOUND] = {"not found", "not_found"},
    [KCOPY_CLASS_LIMIT] = {"limit", "limit"},
    [KCOPY_CLASS_CONFLICT] = {"conflict", "conflict"},
    [KCOPY_CLASS_BUSY] = {"busy", "busy"},
    [KCOPY_CLASS_UNSUPPORTED] = {"unsupported", "unsupported"},
    [KCOPY_CLASS_INTERNAL] = {"internal", "internal"},
};

const char *text_class(enum kcopy_class error_class)
{
        return CLASSES[error_class].words;
}

const char *text_class_json(enum kcopy_class error_class)
{
        return CLASSES[error_class].json;
}

const char *text_state(enum kcopy_job_state state)
{
        static const char *const NAMES[] = {
            [KCOPY_WAITING] = "waiting",
            [KCOPY_RUNNING] = "running",
            [KCOPY_PAUSED] = "paused",
            [KCOPY_DRAINING] = "draining",
            [KCOPY_COMPLETED] = "completed",
            [KCOPY_FAILED] = "failed",
            [KCOPY_CANCELLED] = "cancelled",
            [KCOPY_REFUSED] = "refused",
            [KCOPY_LOST] = "lost",
            [KCOPY_VALIDATED] = "validated",
        };

        return NAMES[state];
}
