/* Sizes as people write and read them (units.h). */
#include "ctl/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_MAX (366u * 24 * 3600)

struct unit {
        const char *name;
        unsigned shift;
};

static const struct unit UNITS[] = {
    {"B", 0},
    {"K", 10},
    {"KiB", 10},
    {"M", 20},
    {"MiB", 20},
    {"G", 30},
    {"GiB", 30},
    {"T", 40},
    {"TiB", 40},
};

static const struct unit *find_unit(const char *name, size_t name_bytes)
{
        for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++)
                if (strlen(UNITS[i].name) == name_bytes && memcmp(UNITS[i].name, name, name_bytes) == 0)
                        return &UNITS[i];
        return NULL;
}

enum units_result units_parse(const char *text, size_t text_bytes, uint64_t *ret_value, bool *ret_has_unit)
{
        const struct unit *unit = NULL;
        uint64_t value = 0;
        bool too_large = false;
        size_t i;

        for (i = 0; i < text_bytes && text[i] >= '0' && text[i] <= '9'; i++) {
                if (__builtin_mul_overflow(value, 10u, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
                        too_large = true;
        }
        if (i == 0)
                return UNITS_NO_NUMBER;
        if (i < text_bytes) {
                unit = find_unit(text + i, text_bytes - i);
                if (!unit)
                        return UNITS_NO_NUMBER;
        }
        if (too_large || value > (uint64_t)INT64_MAX >> (unit ? unit->shift : 0))
                return UNITS_TOO_LARGE;
        *ret_value = unit ? value << unit->shift : value;
        *ret_has_unit = unit != NULL;
        return UNITS_OK;
}

const char *units_format(uint64_t bytes, char text[UNITS_TEXT_BYTES])
{
        static const char *const NAMES[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double value = (double)bytes / 1024;
        unsigned i = 0;

        if (bytes < 1024) {
                snprintf(text, UNITS_TEXT_BYTES, "%" PRIu64 " B", bytes);
                return text;
        }
        /* 1023.95 would print as 1024.0 of the smaller unit */
        while (value >= 1023.95 && i + 1 < sizeof(NAMES) / sizeof(NAMES[0])) {
                value /= 1024;
                i++;
        }
        snprintf(text, UNITS_TEXT_BYTES, value < 99.95 ? "%.1f %s" : "%.0f %s", value, NAMES[i]);
        return text;
}

const char *units_format_duration(uint64_t seconds, char text[UNITS_TEXT_BYTES])
{
        uint64_t hours = seconds / 3600;
        unsigned minute = (unsigned)(seconds / 60 % 60), second = (unsigned)(seconds % 60);

        if (hours > 99999)
                snprintf(text, UNITS_TEXT_BYTES, "?");
        else if (hours)
                snprintf(text, UNITS_TEXT_BYTES, "%u:%02u:%02u", (unsigned)hours, minute, second);
        else
                snprintf(text, UNITS_TEXT_BYTES, "%u:%02u", minute, second);
        return text;
}

bool units_parse_seconds_ms(const char *text, uint64_t *ret_ms)
{
        uint64_t ms = 0, scale = 1000;
        bool digits = false;

        for (; *text >= '0' && *text <= '9'; text++, digits = true) {
                ms = ms * 10 + (uint64_t)(*text - '0') * 1000;
                if (ms > SECONDS_MAX * UINT64_C(1000))
                        return false;
        }
        if (*text == '.')
                for (text++; *text >= '0' && *text <= '9'; text++, digits = true) {
                        scale /= 10;
                        ms += (uint64_t)(*text - '0') * scale;
                }
        if (*text || !digits || ms == 0)
                return false;
        *ret_ms = ms;
        return true;
}
