/* What the store keeps in its columns: engine structures as protobuf, and back.
 *
 * Packed bytes are malloced, the caller's. Unpacking takes what an older kcopyd wrote, and NULL for what is
 * damaged. Pure; any thread. */
#ifndef STORE_CODEC_H
#define STORE_CODEC_H

#include "copy/store.h"

struct codec_bytes {
        uint8_t *data; /* NULL: nothing */
        uint32_t bytes;
};

void codec_bytes_done(struct codec_bytes *bytes);

/* 0 or -ENOMEM. */
int codec_pack_spec(const struct copy_spec *spec, struct codec_bytes *ret_bytes);
/* … what has to be the same for a key to mean the same job: all but context and progress. */
int codec_pack_asked(const struct copy_spec *spec, struct codec_bytes *ret_bytes);
int codec_pack_mark(const struct store_mark *mark, struct codec_bytes *ret_bytes);
int codec_pack_result(uint64_t job_id, const struct copy_spec *spec, const struct job_result *result,
    struct codec_bytes *ret_bytes);
/* An event as it is sent: with its number, and when it was (ms since 1970). */
int codec_pack_event(
    const struct job_event *event, uint64_t seq, uint64_t at_ms, struct codec_bytes *ret_bytes);

struct copy_spec *codec_unpack_spec(const void *data, size_t bytes);
struct store_mark *codec_unpack_mark(const void *data, size_t bytes);
/* `spec`: of the same job. */
struct job_result *codec_unpack_result(const struct copy_spec *spec, const void *data, size_t bytes);

#endif
