/* How a loop drives a libnbd handle: which events it waits for, and what it is told of them. */
#ifndef IO_NBD_DRIVE_H
#define IO_NBD_DRIVE_H

#include <stdbool.h>

#include <libnbd.h>

/* UV_READABLE | UV_WRITABLE as the handle's direction is now; 0 when the connection is gone. To be asked
 * again after every libnbd call on the handle. */
int nbd_drive_events(struct nbd_handle *handle);
/* Tell the handle of one wake-up: of reading or of writing, never of both (FACTS), reading first. `failed`:
 * the poll broke off without events, as after a TCP reset; the handle finds out by trying. */
void nbd_drive_notify(struct nbd_handle *handle, int events, bool failed);
bool nbd_drive_gone(struct nbd_handle *handle);

#endif
