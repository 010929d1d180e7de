/* Regions on the command line (region.h). */
#include "ctl/region.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/units.h"
#include "scan.h"

enum tail {
        TAIL_NONE, /* not of the form: part of the name */
        TAIL_GOOD,
        TAIL_WRONG, /* of the form, with numbers that cannot be */
};

/* `value` as parsed from a part of a tail, in sectors. */
static bool to_sectors(
    const char *what, uint64_t value, bool has_unit, uint64_t *ret_sectors, char reason[REGION_REASON_BYTES])
{
        if (!has_unit && value > INT64_MAX / KCOPY_SECTOR_BYTES) {
                snprintf(reason, REGION_REASON_BYTES, "the %s is too large", what);
                return false;
        }
        if (has_unit && value % KCOPY_SECTOR_BYTES) {
                snprintf(reason, REGION_REASON_BYTES,
                    "the %s is no multiple of a sector (512 bytes); file:NAME takes a name with a # in it",
                    what);
                return false;
        }
        *ret_sectors = has_unit ? value / KCOPY_SECTOR_BYTES : value;
        return true;
}

/* A number with letters behind it that are no unit, as in 10GB: too likely meant as one to be a name's. */
static bool has_wrong_unit(const char *text, size_t text_bytes)
{
        size_t n_digits = 0, i;

        while (n_digits < text_bytes && isdigit((unsigned char)text[n_digits]))
                n_digits++;
        for (i = n_digits; i < text_bytes && isalpha((unsigned char)text[i]); i++)
                ;
        return n_digits && i == text_bytes && i > n_digits && i - n_digits <= 3;
}

/* `tail` starts at its '#'. */
static enum tail parse_tail(
    const char *tail, uint64_t *ret_sector, uint64_t *ret_count, char reason[REGION_REASON_BYTES])
{
        const char *start = tail + 1, *plus = strchr(start, '+');
        uint64_t start_value = 0, count_value = 0, sector, count;
        bool start_has_unit = false, count_has_unit = false;
        enum units_result first, second;

        if (!plus)
                return TAIL_NONE;
        first = units_parse(start, (size_t)(plus - start), &start_value, &start_has_unit);
        second = units_parse(plus + 1, strlen(plus + 1), &count_value, &count_has_unit);
        if (first == UNITS_NO_NUMBER || second == UNITS_NO_NUMBER) {
                bool first_wrong = first == UNITS_NO_NUMBER && has_wrong_unit(start, (size_t)(plus - start)),
                     second_wrong = second == UNITS_NO_NUMBER && has_wrong_unit(plus + 1, strlen(plus + 1));

                if ((first == UNITS_NO_NUMBER && !first_wrong) ||
                    (second == UNITS_NO_NUMBER && !second_wrong))
                        return TAIL_NONE;
                snprintf(reason, REGION_REASON_BYTES,
                    "the %s has an unknown unit; there are B, KiB, MiB, GiB and TiB; file:NAME takes a name "
                    "with a # in it",
                    first_wrong ? "start" : "count");
                return TAIL_WRONG;
        }
        if (first != UNITS_OK || second != UNITS_OK) {
                snprintf(reason, REGION_REASON_BYTES, "the %s is too large",
                    first != UNITS_OK ? "start" : "count");
                return TAIL_WRONG;
        }
        if (!to_sectors("start", start_value, start_has_unit, &sector, reason) ||
            !to_sectors("count", count_value, count_has_unit, &count, reason))
                return TAIL_WRONG;
        if (sector + count > INT64_MAX / KCOPY_SECTOR_BYTES) {
                snprintf(reason, REGION_REASON_BYTES, "the region ends beyond any device");
                return TAIL_WRONG;
        }
        *ret_sector = sector;
        *ret_count = count;
        return TAIL_GOOD;
}

bool region_is_uri(const char *name)
{
        size_t i = 0;

        if (!isalpha((unsigned char)name[0]))
                return false;
        while (isalnum((unsigned char)name[i]) || (name[i] && strchr("+-.", name[i])))
                i++;
        return strncmp(name + i, "://", 3) == 0;
}

static char *absolute(const char *name, const char *folder)
{
        char *here = NULL, *path = NULL;

        if (name[0] == '/')
                return strdup(name);
        if (!folder)
                folder = here = getcwd(NULL, 0);
        if (!folder || asprintf(&path, "%s%s%s", folder, strcmp(folder, "/") ? "/" : "", name) < 0)
                path = NULL;
        free(here);
        return path;
}

static char *resolve(const char *name, enum region_names names, const char *folder)
{
        if (strcmp(name, "null:") == 0 || region_is_uri(name))
                return strdup(name);
        if (!strchr(name, '/') && names == REGION_BARE_IS_ENDPOINT)
                return strdup(name);
        return absolute(name, folder);
}

bool region_parse(const char *text, enum region_names names, const char *folder, struct region *ret_region,
    char reason[REGION_REASON_BYTES])
{
        struct region region = {0};
        char *name = NULL;

        if (strncmp(text, "file:", 5) == 0) {
                if (!text[5]) {
                        snprintf(reason, REGION_REASON_BYTES, "file: needs a name");
                        return false;
                }
                region.device = absolute(text + 5, folder);
        } else {
                const char *hash = strrchr(text, '#');
                enum tail tail =
                    hash ? parse_tail(hash, &region.sector, &region.count_sectors, reason) : TAIL_NONE;

                if (tail == TAIL_WRONG)
                        return false;
                name = tail == TAIL_GOOD ? strndup(text, (size_t)(hash - text)) : strdup(text);
                if (name && strcmp(name, "-") == 0) {
                        snprintf(reason, REGION_REASON_BYTES,
                            "standard input and output cannot be copied; ./- is a file of that name");
                        free(name);
                        return false;
                }
                if (name && !name[0]) {
                        snprintf(reason, REGION_REASON_BYTES, "a device is needed");
                        free(name);
                        return false;
                }
                if (name)
                        region.device = resolve(name, names, folder);
                free(name);
        }
        if (!region.device) {
                snprintf(reason, REGION_REASON_BYTES, "no memory, or the current folder is gone");
                return false;
        }
        if (!kc_scan_text(region.device)) {
                snprintf(reason, REGION_REASON_BYTES,
                    "is no UTF-8, which names are on the way to a server; a link can have one that is");
                region_done(&region);
                return false;
        }
        *ret_region = region;
        return true;
}

bool region_parse_tail(
    const char *tail, uint64_t *ret_sector, uint64_t *ret_count_sectors, char reason[REGION_REASON_BYTES])
{
        if (!tail[0]) {
                *ret_sector = *ret_count_sectors = 0;
                return true;
        }
        switch (tail[0] == '#' ? parse_tail(tail, ret_sector, ret_count_sectors, reason) : TAIL_NONE) {
        case TAIL_GOOD:
                return true;
        case TAIL_NONE:
                snprintf(reason, REGION_REASON_BYTES, "only #START+COUNT may follow the bracket");
                return false;
        case TAIL_WRONG:
                break;
        }
        return false;
}

void region_done(struct region *region)
{
        free(region->device);
        region->device = NULL;
}

struct kcopy_io_region region_io(const struct region *region)
{
        return (struct kcopy_io_region){
            .device = region->device, .sector = region->sector, .count = region->count_sectors};
}
