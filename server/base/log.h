/* The log: one line per event on standard error, "level area message key=value…".
 * Thread-safe (one write(2) per line). Strings from peers are escaped by the caller (kc_error_escape). */
#ifndef KC_LOG_H
#define KC_LOG_H

#include <stdbool.h>

enum kc_log_level { KC_LOG_ERROR, KC_LOG_WARNING, KC_LOG_INFO, KC_LOG_DEBUG };

void kc_log_set_level(enum kc_log_level level); /* before threads start; default INFO */
bool kc_log_enabled(enum kc_log_level level);
/* Keeps errno. `area` is a short static word: "io/nbd", "copy", "rpc". */
void kc_log(enum kc_log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define kc_log_error(area, ...) kc_log(KC_LOG_ERROR, area, __VA_ARGS__)
#define kc_log_warning(area, ...) kc_log(KC_LOG_WARNING, area, __VA_ARGS__)
#define kc_log_info(area, ...) kc_log(KC_LOG_INFO, area, __VA_ARGS__)
#define kc_log_debug(area, ...)                                                                              \
        do {                                                                                                 \
                if (kc_log_enabled(KC_LOG_DEBUG))                                                            \
                        kc_log(KC_LOG_DEBUG, area, __VA_ARGS__);                                             \
        } while (0)

#endif
