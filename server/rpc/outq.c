/* What is still to be written to a peer (outq.h). */
#include "rpc/outq.h"

#include <assert.h>
#include <stdlib.h>

/* Small enough that an idle peer's last reply costs little, large enough for a turn's small replies. */
#define CHUNK_MIN_BYTES 4000u

struct chunk {
        struct kc_list node;
        size_t capacity_bytes, used_bytes;
        unsigned n_terminal;
        uint8_t data[];
};

static void free_all(struct kc_list *list)
{
        struct kc_list *node;

        while ((node = kc_list_pop(list)))
                free(kc_list_entry(node, struct chunk, node));
}

void outq_init(struct outq *out)
{
        kc_list_init(&out->waiting);
        kc_list_init(&out->sending);
        out->bytes = 0;
}

void outq_done(struct outq *out)
{
        assert(!outq_sending(out));
        free_all(&out->waiting);
        out->bytes = 0;
}

static struct chunk *last_chunk(struct outq *out)
{
        return kc_list_empty(&out->waiting) ? NULL : kc_list_entry(out->waiting.prev, struct chunk, node);
}

uint8_t *outq_reserve(struct outq *out, size_t bytes)
{
        struct chunk *chunk = last_chunk(out);
        size_t capacity_bytes = bytes > CHUNK_MIN_BYTES ? bytes : CHUNK_MIN_BYTES;

        if (!chunk || chunk->capacity_bytes - chunk->used_bytes < bytes) {
                chunk = malloc(sizeof(*chunk) + capacity_bytes);
                if (!chunk)
                        return NULL;
                chunk->capacity_bytes = capacity_bytes;
                chunk->used_bytes = 0;
                chunk->n_terminal = 0;
                kc_list_init(&chunk->node);
                kc_list_push(&out->waiting, &chunk->node);
        }
        return chunk->data + chunk->used_bytes;
}

void outq_commit(struct outq *out, size_t bytes, unsigned n_terminal)
{
        struct chunk *chunk = last_chunk(out);

        assert(chunk && bytes <= chunk->capacity_bytes - chunk->used_bytes);
        chunk->used_bytes += bytes;
        chunk->n_terminal += n_terminal;
        out->bytes += bytes;
}

unsigned outq_send_begin(struct outq *out, uv_buf_t *bufs)
{
        unsigned n = 0;

        assert(!outq_sending(out));
        while (n < OUTQ_GATHER_MAX && !kc_list_empty(&out->waiting)) {
                struct chunk *chunk = kc_list_first(&out->waiting, struct chunk, node);

                if (chunk->used_bytes == 0) /* reserved, never committed */
                        break;
                kc_list_move(&out->sending, &chunk->node);
                bufs[n++] = uv_buf_init((char *)chunk->data, (unsigned)chunk->used_bytes);
        }
        return n;
}

unsigned outq_send_end(struct outq *out)
{
        unsigned n_terminal = 0;

        kc_list_for_each (node, &out->sending) {
                struct chunk *chunk = kc_list_entry(node, struct chunk, node);

                n_terminal += chunk->n_terminal;
                out->bytes -= chunk->used_bytes;
        }
        free_all(&out->sending);
        return n_terminal;
}
