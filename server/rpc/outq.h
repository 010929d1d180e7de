/* What is still to be written to a peer: whole frames, packed one behind another into chunks.
 *
 * Frames are reserved, filled in place and committed; one gathering write at a time takes chunks off the
 * front. The number of bytes it holds is what backpressure goes by. Frames that end a job are counted with
 * the chunk that carries them, so that the job's slot is given back when the peer has taken them. Owns its
 * chunks. Thread: the control loop. Close: outq_done, when no write is under way. */
#ifndef RPC_OUTQ_H
#define RPC_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

#define OUTQ_GATHER_MAX 16

struct outq {
        struct kc_list waiting; /* chunks, oldest first; the last one may have room */
        struct kc_list sending; /* those of the write under way */
        size_t bytes;           /* committed and not yet written */
};

void outq_init(struct outq *out);
void outq_done(struct outq *out);

/* Room for a frame of `bytes`, or NULL. Void at the next call of any kind, unless committed. */
uint8_t *outq_reserve(struct outq *out, size_t bytes);
/* The reserved room has been filled; `n_terminal` jobs end with this frame. */
void outq_commit(struct outq *out, size_t bytes, unsigned n_terminal);

/* Begin a write: fills bufs (OUTQ_GATHER_MAX of them) and returns how many, 0 when there is nothing to do. */
unsigned outq_send_begin(struct outq *out, uv_buf_t *bufs);
/* That write has ended; returns how many jobs ended with what it carried. */
unsigned outq_send_end(struct outq *out);

static inline bool outq_sending(const struct outq *out)
{
        return !kc_list_empty(&out->sending);
}

#endif
