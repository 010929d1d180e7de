/* One region as written on the command line: DEVICE, DEVICE#START+COUNT or file:NAME.
 *
 * START and COUNT are sectors when plain and bytes (in multiples of 512) with a unit. A tail that is not of
 * that form belongs to the name, unless only its unit is unknown (10GB); file: takes the rest as a file's
 * name, whatever it looks like. Owns its device name. Thread: any. */
#ifndef CTL_REGION_H
#define CTL_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "kcopy.h"

enum region_names {
        REGION_BARE_IS_FILE,     /* a word without a slash is a file in the current folder */
        REGION_BARE_IS_ENDPOINT, /* … is a name that the server knows */
};

struct region {
        char *device;
        uint64_t sector;
        uint64_t count_sectors; /* 0: to the end, or the source's length */
};

#define REGION_REASON_BYTES 160
/* Parse `text`. Relative file names become absolute against `folder` (NULL: the current one). True, or false
 * with the reason. */
bool region_parse(const char *text, enum region_names names, const char *folder, struct region *ret_region,
    char reason[REGION_REASON_BYTES]);
/* Parse a tail alone, "#START+COUNT", or "" for all of the device. */
bool region_parse_tail(
    const char *tail, uint64_t *ret_sector, uint64_t *ret_count_sectors, char reason[REGION_REASON_BYTES]);
/* "nbd://…", or of any other scheme. */
bool region_is_uri(const char *name);
void region_done(struct region *region);
/* The library's view of it; borrows the name. */
struct kcopy_io_region region_io(const struct region *region);

#endif
