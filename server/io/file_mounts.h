/* Who else uses a block device: mounts (of it, its partitions, and what is mapped onto it) and holders.
 * Owns nothing. May block: pool threads only. */
#ifndef IO_FILE_MOUNTS_H
#define IO_FILE_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Is a file system on it mounted for writing, as far as this mount namespace shows? */
bool file_mounts_writable(dev_t dev);
/* "mounted on /srv", "held by dm-0", or "mounted or in use" when it cannot be told. */
void file_mounts_user(dev_t dev, char *text, size_t text_bytes);

#endif
