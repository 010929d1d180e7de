/* Mapfiles, as GNU ddrescue reads and writes them: what of a copy's source is copied, and what could not be
 * read, so that ddrescue can go on where kcopyd has given up.
 *
 * Positions are bytes of the source. '+' is said only of what is known to be in every destination, '-' of
 * what could not be read, '?' of all else. Source: ddrescue's manual, "Mapfile structure". One thread. */
#ifndef CTL_MAPFILE_H
#define CTL_MAPFILE_H

#include <stdbool.h>

#include "kcopy.h"

struct mapfile {
        const char *path;
        const char *source;     /* its name, for a comment */
        uint64_t source_sector; /* where the copy began in it */
        bool goes_through;      /* --on-error ignore: what could be read was copied, wherever */
};

/* Whether it could be written, said on standard error if not; nothing is. */
bool mapfile_check(const char *path);
/* Write the map of a copy that ended as `result` says, whole or not at all. False: it was not, and that was
 * said. */
bool mapfile_write(const struct mapfile *map, const struct kcopy_result *result);

#endif
