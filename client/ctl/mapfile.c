/* Mapfiles (mapfile.h). */
#include "ctl/mapfile.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/text.h"

#define SECTOR_BYTES 512u

static bool fail(const char *path, const char *what)
{
        text_error(path, "the mapfile %s: %s", what, strerror(errno));
        return false;
}

/* Something that is not replaced, but written to: a pipe, /dev/stdout. */
static bool is_special(const char *path)
{
        struct stat info;

        return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

bool mapfile_check(const char *path)
{
        char *copy = strdup(path);
        bool writable = copy && access(is_special(path) ? path : dirname(copy), W_OK) == 0;

        free(copy);
        return writable || fail(path, "cannot be written there; nothing was begun");
}

/* ---- what is known */

static bool is_complete(const struct kcopy_result *result)
{
        for (unsigned i = 0; i < result->n_destinations; i++)
                if (result->destinations[i].untouched_bytes + result->destinations[i].indeterminate_bytes > 0)
                        return false;
        return true;
}

/* Every destination lacks what could not be read, and nothing else. (The end of a file may lie in a sector.
 * Where the list was too long it says too much, and could hide what else is missing.) */
static bool lacks_bad_ranges_only(const struct kcopy_result *result)
{
        uint64_t bad_sectors = 0, missing_bytes;

        for (unsigned i = 0; i < result->n_bad_ranges; i++)
                bad_sectors += result->bad_ranges[i].count;
        for (unsigned i = 0; i < result->n_destinations; i++) {
                const struct kcopy_destination_result *destination = &result->destinations[i];
                enum kcopy_class class = destination->error.error_class;

                missing_bytes = destination->untouched_bytes + destination->indeterminate_bytes;
                if ((class != KCOPY_CLASS_NONE && class != KCOPY_CLASS_STOPPED) ||
                    missing_bytes > bad_sectors * SECTOR_BYTES ||
                    missing_bytes + SECTOR_BYTES <= bad_sectors * SECTOR_BYTES)
                        return false;
        }
        return result->state != KCOPY_CANCELLED && result->n_bad_ranges < KCOPY_BAD_RANGES_MAX;
}

/* ---- the file */

static void put(FILE *file, uint64_t start, uint64_t end, char status)
{
        if (start < end)
                fprintf(file, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", start, end - start, status);
}

static void put_all(FILE *file, const struct mapfile *map, const struct kcopy_result *result)
{
        uint64_t at = map->source_sector * SECTOR_BYTES, end = at + result->length_bytes;
        bool known = is_complete(result) || (map->goes_through && lacks_bad_ranges_only(result));
        char rest = known ? '+' : '?', now = result->n_bad_ranges > 0 ? '-' : rest, name[TEXT_ESCAPED_BYTES];

        fprintf(file, "# Mapfile. Created by kcopyctl " KCOPY_VERSION "\n# Source: %s\n",
            text_escape(map->source, name));
        fprintf(file, "# current_pos  current_status  current_pass\n0x%08" PRIX64 "     %c               1\n",
            now == '-' ? result->bad_ranges[0].sector * SECTOR_BYTES : at, now);
        fprintf(file, "#      pos        size  status\n");
        put(file, 0, at, '?');
        for (unsigned i = 0; i < result->n_bad_ranges; i++) {
                const struct kcopy_sector_range *bad = &result->bad_ranges[i];
                uint64_t bad_start = bad->sector * SECTOR_BYTES,
                         bad_end = bad_start + bad->count * SECTOR_BYTES;

                put(file, at, bad_start, rest);
                at = bad_end < end ? bad_end : end;
                put(file, bad_start, at, '-');
        }
        put(file, at, end, rest);
}

static bool finish(FILE *file, bool sync)
{
        bool fine = fflush(file) == 0 && !ferror(file) && (!sync || fsync(fileno(file)) == 0);

        return fclose(file) == 0 && fine;
}

static bool write_through(const struct mapfile *map, const struct kcopy_result *result)
{
        FILE *file = fopen(map->path, "w");

        if (!file)
                return fail(map->path, "cannot be opened");
        put_all(file, map, result);
        return finish(file, false) || fail(map->path, "cannot be written");
}

static bool replace(const struct mapfile *map, const char *temporary, const struct kcopy_result *result)
{
        FILE *file = fopen(temporary, "w");

        if (!file)
                return fail(map->path, "cannot be created");
        put_all(file, map, result);
        if (finish(file, true) && rename(temporary, map->path) == 0)
                return true;
        fail(map->path, "cannot be written");
        unlink(temporary);
        return false;
}

bool mapfile_write(const struct mapfile *map, const struct kcopy_result *result)
{
        char *temporary;
        bool written;

        if (is_special(map->path))
                return write_through(map, result);
        if (asprintf(&temporary, "%s.%ld", map->path, (long)getpid()) < 0)
                return fail(map->path, "cannot be written");
        written = replace(map, temporary, result);
        free(temporary);
        return written;
}
