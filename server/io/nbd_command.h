/* One command in libnbd's hands, for one io_req.
 *
 * Its callbacks run under the handle's lock: they note what they are told and move the command to
 * endpoint->completed, no more. They never retire it (FACTS: the auto-retire trap): nbd_command_retire does,
 * once the notify has returned.
 * Lives in its endpoint; on one of the endpoint's lists idle, in_flight, completed. Thread: the lane. */
#ifndef IO_NBD_COMMAND_H
#define IO_NBD_COMMAND_H

#include <libnbd.h>

#include "io/endpoint.h"
#include "io/nbd_cover.h"

struct nbd_command {
        struct kc_list node;
        struct kc_list *completed; /* where it goes when it is answered; borrowed from the endpoint */
        struct io_req *req;
        int64_t cookie;
        uint32_t block_min_bytes;
        int answer_errno; /* as the completion callback was told; 0 is not yet success */
        int extents_result;
        struct nbd_cover cover;
};

/* Hand it to libnbd; it must be on in_flight already, since it may complete before this returns. Returns 0,
 * or negative errno when libnbd did not take it (nothing was sent). */
int nbd_command_issue(struct nbd_command *command, struct nbd_handle *handle);
/* It is completed: take it back and fill the request's results. `death`: 0, or the negative errno that the
 * connection ended with; then a write whose answer was no success counts as unanswered. */
void nbd_command_retire(struct nbd_command *command, struct nbd_handle *handle, int death);
/* It will never be answered (the handle is closed): fill the request's results with `code`. */
void nbd_command_abandon(struct nbd_command *command, int code);
/* Bytes of block status that may be asked for at once: bounds what an honest server's reply makes libnbd
 * allocate. 0: there is no whole block in the range. */
uint64_t nbd_command_extents_bytes(const struct io_req *req, uint32_t block_min_bytes);

#endif
