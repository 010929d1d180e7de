/* What a local device really is, for judging overlap: partitions are followed to their disk, loop devices to
 * what backs them, and a file that does not exist yet is named by its directory.
 *
 * Not detected: device mapper and md mappings, files of a file system that lies on the other device,
 * reflinks, and a loop device whose backing file another namespace's file system holds.
 *
 * Owns nothing. May block (sysfs, ioctls on dead devices): pool threads only. */
#ifndef IO_IDENTITY_H
#define IO_IDENTITY_H

#include <sys/stat.h>

#include "io/endpoint.h"

/* `fd` is open on the regular file or block device that `st` describes. */
void identity_of_open(int fd, const struct stat *st, struct io_identity *ret_identity);
/* The same of a block device that nobody has opened. */
void identity_of_device(dev_t dev, struct io_identity *ret_identity);
/* A file `name` to be created in the directory `dir`; long names end in a digest. */
void identity_of_new(const struct stat *dir, const char *name, struct io_identity *ret_identity);
/* The disk of a partition and where it begins; false where `dev` is no partition (or sysfs is missing). */
bool identity_partition(dev_t dev, dev_t *ret_disk, uint64_t *ret_start_bytes);

#endif
