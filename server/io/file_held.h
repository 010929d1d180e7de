/* Whether writing to a local device would pull it away from under somebody who is not stopped by O_EXCL: a
 * regular file that is swap, and loop devices in use over the same bytes.
 *
 * Not detected: mounts that this mount namespace does not show; a loop device that is only held open, by
 * whomever (a job of ours may, and is waited for by its identity); without the right to open /dev/loopN, one
 * whose backing file cannot be found by the path that sysfs shows; a file that is reached through another
 * file system (overlay, network) than the loop device or the swap goes through; anything that is mounted
 * after the open.
 *
 * Owns nothing. Costs a dozen system calls where no loop device is attached, some ten more for each that is.
 * May block (a loop device over a dead file system): pool threads only. */
#ifndef IO_FILE_HELD_H
#define IO_FILE_HELD_H

#include <sys/stat.h>

#include "io/endpoint.h"

/* What `st` and `info` describe is about to be written. If somebody holds it: true, and `text` says who:
 * "backs /dev/loop3, which is mounted on /srv", "is used as swap". */
bool file_held(const struct stat *st, const struct endpoint_info *info, char *text, size_t text_bytes);

#endif
