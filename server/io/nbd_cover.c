#include "io/nbd_cover.h"

#include <errno.h>
#include <string.h>

int nbd_cover_add(struct nbd_cover *cover, uint32_t start_bytes, uint32_t end_bytes)
{
        unsigned i = cover->n;
        bool joins_before, joins_after;

        if (start_bytes >= end_bytes)
                return start_bytes == end_bytes ? 0 : -EPROTO;
        while (i > 0 && cover->runs[i - 1].start_bytes >= end_bytes)
                i--;
        /* Run i is the first that lies after the chunk; run i - 1 must end before it. */
        if (i > 0 && cover->runs[i - 1].end_bytes > start_bytes)
                return -EPROTO;
        joins_before = i > 0 && cover->runs[i - 1].end_bytes == start_bytes;
        joins_after = i < cover->n && cover->runs[i].start_bytes == end_bytes;
        if (joins_before && joins_after) {
                cover->runs[i - 1].end_bytes = cover->runs[i].end_bytes;
                cover->n--;
                memmove(&cover->runs[i], &cover->runs[i + 1], (cover->n - i) * sizeof *cover->runs);
        } else if (joins_before) {
                cover->runs[i - 1].end_bytes = end_bytes;
        } else if (joins_after) {
                cover->runs[i].start_bytes = start_bytes;
        } else {
                if (cover->n == NBD_COVER_RUNS_MAX)
                        return -EPROTO;
                memmove(&cover->runs[i + 1], &cover->runs[i], (cover->n - i) * sizeof *cover->runs);
                cover->runs[i].start_bytes = start_bytes;
                cover->runs[i].end_bytes = end_bytes;
                cover->n++;
        }
        return 0;
}

bool nbd_cover_complete(const struct nbd_cover *cover, uint64_t length_bytes)
{
        return cover->n == 1 && cover->runs[0].start_bytes == 0 && cover->runs[0].end_bytes == length_bytes;
}
