/* Who else uses a block device: mounts and swap (of it, its partitions, and what is mapped onto it) and
 * holders. Owns nothing. May block: pool threads only. */
#ifndef IO_FILE_MOUNTS_H
#define IO_FILE_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Is a file system on it mounted for writing, as far as this mount namespace shows? */
bool file_mounts_writable(dev_t dev);
/* "mounted on /srv", "used as swap", "held by dm-0"; false where none of it can be seen. */
bool file_mounts_find(dev_t dev, char *text, size_t text_bytes);
/* The same for a device that is known to be in use: "mounted or in use" when it cannot be told. */
void file_mounts_user(dev_t dev, char *text, size_t text_bytes);
/* Is this regular file active swap space, as far as its path in /proc/swaps can be followed? */
bool file_mounts_swap_file(const struct stat *st);

#endif
