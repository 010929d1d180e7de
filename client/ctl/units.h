/* Sizes as people write and read them: parsing with units of 1024, and printing.
 *
 * Owns nothing. Thread: any. */
#ifndef CTL_UNITS_H
#define CTL_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum units_result {
        UNITS_OK,
        UNITS_NO_NUMBER, /* not of the form DIGITS[UNIT] */
        UNITS_TOO_LARGE, /* more bytes than a device can have (2^63 - 1) */
};
/* Parse `text` (all `text_bytes` of it): digits, then nothing, B, K, M, G, T or KiB, MiB, GiB, TiB. The
 * number comes out in bytes when it has a unit, and bare otherwise. */
enum units_result units_parse(const char *text, size_t text_bytes, uint64_t *ret_value, bool *ret_has_unit);

#define UNITS_NAMES "units of 1024: B, K or KiB, M or MiB, G or GiB, T or TiB"

#define UNITS_TEXT_BYTES 24
/* "1.5 GiB", "512 B"; into `text`, which is returned. */
const char *units_format(uint64_t bytes, char text[UNITS_TEXT_BYTES]);
/* "0:07", "3:25:01"; into `text`, which is returned. */
const char *units_format_duration(uint64_t seconds, char text[UNITS_TEXT_BYTES]);
/* Seconds, with an optional fraction, as milliseconds; 0.001 to a year. */
#define UNITS_SECONDS_MAX_TEXT "31622400 (a year)"
bool units_parse_seconds_ms(const char *text, uint64_t *ret_ms);

#endif
