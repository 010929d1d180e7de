/* What the server says, taken apart: replies to their jobs and requests, events to their callbacks. */
#ifndef CLIENT_RECEIVE_H
#define CLIENT_RECEIVE_H

#include "client.h"

/* Handle one frame's body; runs callbacks. 0, or -ENOTCONN: it was garbage or a goodbye, the client is lost.
 */
int receive_body(struct kcopy_client *client, const uint8_t *body, size_t body_bytes);

#endif
