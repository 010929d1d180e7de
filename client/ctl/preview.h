/* The server's rules for the regions of a job, as far as they can be told from what Open says of the devices:
 * what --dry-run goes by. The server itself knows more (aliases of a device, its reservation of pages).
 *
 * Owns nothing. Thread: any. */
#ifndef CTL_PREVIEW_H
#define CTL_PREVIEW_H

#include "ctl/region.h"

/* One end of a job. */
struct preview {
        const struct region *region;
        struct kcopy_device device; /* zeroed where there is none */
        bool null;                  /* null: */
        bool missing;               /* a file that would be created */
};

#define PREVIEW_REASON_BYTES 200
/* Each is true, or false with the reason (without the device's name). */

/* A source decides its job's length. */
bool preview_source(
    const struct preview *from, uint64_t *ret_length_bytes, char reason[PREVIEW_REASON_BYTES]);
/* The length that a destination says by itself, by its count or where its device ends; 0: it says none. */
bool preview_own_length(
    const struct preview *to, uint64_t *ret_length_bytes, char reason[PREVIEW_REASON_BYTES]);
bool preview_destination(const struct preview *to, uint64_t length_bytes, char reason[PREVIEW_REASON_BYTES]);
/* Do two ends of a job share bytes? By the names of their devices. */
bool preview_overlap(const struct preview *one, const struct preview *other, uint64_t length_bytes);

#endif
