#include "io/nbd_drive.h"

#include <uv.h>

int nbd_drive_events(struct nbd_handle *handle)
{
        unsigned direction = nbd_aio_get_direction(handle);

        return ((direction & LIBNBD_AIO_DIRECTION_READ) != 0 ? UV_READABLE : 0) |
               ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? UV_WRITABLE : 0);
}

void nbd_drive_notify(struct nbd_handle *handle, int events, bool failed)
{
        int wanted = nbd_drive_events(handle);

        if (!failed)
                wanted &= events;
        /* What a notify returns is also the handle's state, which the caller looks at. */
        if ((wanted & UV_READABLE) != 0)
                nbd_aio_notify_read(handle);
        else if ((wanted & UV_WRITABLE) != 0)
                nbd_aio_notify_write(handle);
}

bool nbd_drive_gone(struct nbd_handle *handle)
{
        return nbd_aio_is_dead(handle) || nbd_aio_is_closed(handle);
}
