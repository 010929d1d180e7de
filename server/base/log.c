/* The log on standard error: see log.h. A line that standard error does not take is lost: the log never
 * waits longer than its reader makes write(2) wait, and never fails. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024 /* below PIPE_BUF: lines of several threads do not mix in a pipe */

static enum kc_log_level log_level = KC_LOG_INFO;

static const char *const level_names[] = {
    [KC_LOG_ERROR] = "error",
    [KC_LOG_WARNING] = "warning",
    [KC_LOG_INFO] = "info",
    [KC_LOG_DEBUG] = "debug",
};

void kc_log_set_level(enum kc_log_level level)
{
        log_level = level;
}

bool kc_log_enabled(enum kc_log_level level)
{
        return level <= log_level;
}

void kc_log(enum kc_log_level level, const char *area, const char *fmt, ...)
{
        char line[LINE_MAX_BYTES];
        const size_t room_bytes = sizeof(line) - 1; /* the newline takes the place of the NUL */
        int saved_errno = errno;
        size_t used;
        ssize_t written;
        va_list ap;
        int n;

        if (!kc_log_enabled(level))
                return;
        n = snprintf(line, sizeof(line), "%s %s ", level_names[level], area);
        used = n < 0 ? 0 : (size_t)n < room_bytes ? (size_t)n : room_bytes;
        errno = saved_errno; /* for %m */
        va_start(ap, fmt);
        n = vsnprintf(line + used, sizeof(line) - used, fmt, ap);
        va_end(ap);
        used += n < 0 ? 0 : (size_t)n < room_bytes - used ? (size_t)n : room_bytes - used;
        for (size_t i = 0; i < used; i++) {
                if (line[i] == '\n') /* one event, one line */
                        line[i] = ' ';
        }
        line[used++] = '\n';
        do {
                written = write(STDERR_FILENO, line, used);
        } while (written < 0 && errno == EINTR);
        errno = saved_errno;
}
