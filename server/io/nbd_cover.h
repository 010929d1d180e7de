/* Which parts of a read the server's chunks have covered: each byte must come exactly once.
 *
 * libnbd only adds the chunks' lengths up, so a server that sends one part twice and another never passes its
 * check, and stale memory would be copied (FACTS). Servers answer in order, or nearly so: a few runs are
 * enough, and one that scatters more than that is told off. Owns nothing; lives in its command. */
#ifndef IO_NBD_COVER_H
#define IO_NBD_COVER_H

#include <stdbool.h>
#include <stdint.h>

#define NBD_COVER_RUNS_MAX 16u

struct nbd_cover {
        unsigned n;
        struct {
                uint32_t start_bytes, end_bytes;
        } runs[NBD_COVER_RUNS_MAX]; /* sorted, apart from each other */
};

static inline void nbd_cover_init(struct nbd_cover *cover)
{
        cover->n = 0;
}

/* A chunk [start, end) has come. Returns 0, or -EPROTO: part of it had come before, or too scattered. */
int nbd_cover_add(struct nbd_cover *cover, uint32_t start_bytes, uint32_t end_bytes);
/* Has all of [0, length) come? */
bool nbd_cover_complete(const struct nbd_cover *cover, uint64_t length_bytes);

#endif
