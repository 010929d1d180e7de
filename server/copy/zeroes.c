/* Runs of zeroes: see zeroes.h. */
#include "copy/zeroes.h"

#include <assert.h>
#include <string.h>

bool zeroes_all(const void *buf, size_t bytes)
{
        static const unsigned char zeroes[16];
        const unsigned char *p = buf;

        if (bytes <= sizeof(zeroes))
                return memcmp(p, zeroes, bytes) == 0;
        /* If the first 16 are zero and each byte equals the one 16 before it, all are: and memcmp is the
         * fastest loop there is on whatever processor this is. */
        return memcmp(p, zeroes, sizeof(zeroes)) == 0 &&
               memcmp(p, p + sizeof(zeroes), bytes - sizeof(zeroes)) == 0;
}

struct buffer {
        const unsigned char *bytes;
        uint32_t length_bytes, granule_bytes, n_granules; /* the last granule may be short */
};

static uint32_t start_of(const struct buffer *buffer, uint32_t granule)
{
        return granule < buffer->n_granules ? granule * buffer->granule_bytes : buffer->length_bytes;
}

static bool granule_is_zero(const struct buffer *buffer, uint32_t granule)
{
        uint32_t start = start_of(buffer, granule);

        return zeroes_all(buffer->bytes + start, start_of(buffer, granule + 1) - start);
}

/* The first run of at least `n_run` zero granules that starts at or after `from`, which follows no zero one:
 * true, *ret_first and *ret_end.
 *
 * A run that covers [from, from + n_run) contains the last granule of that window, so that one is looked at
 * first; where it is data, no run starts before it, and nothing in between need be read at all. */
static bool find_run(
    const struct buffer *buffer, uint32_t from, uint32_t n_run, uint32_t *ret_first, uint32_t *ret_end)
{
        uint32_t first = from, zero_to = from; /* [first, zero_to) has been seen to be zero */

        while (n_run <= buffer->n_granules - first) {
                uint32_t window_end = first + n_run, granule = window_end;

                while (granule > zero_to && granule_is_zero(buffer, granule - 1))
                        granule--;
                if (granule > zero_to) {
                        first = granule; /* granule - 1 is data, and what follows it in the window is zero */
                        zero_to = window_end;
                        continue;
                }
                while (window_end < buffer->n_granules && granule_is_zero(buffer, window_end))
                        window_end++;
                *ret_first = first;
                *ret_end = window_end;
                return true;
        }
        return false;
}

unsigned zeroes_pieces(const void *buf, uint32_t bytes, uint32_t granule_bytes, uint32_t min_run_bytes,
    struct zeroes_piece *ret_pieces, unsigned max_pieces)
{
        struct buffer buffer = {buf, bytes, granule_bytes, 0};
        uint32_t n_run, covered = 0, from = 0, first, end;
        unsigned n = 0;

        assert(granule_bytes > 0 && max_pieces > 0);
        if (bytes == 0)
                return 0;
        buffer.n_granules = (bytes - 1) / granule_bytes + 1;
        n_run = min_run_bytes > 0 ? (min_run_bytes - 1) / granule_bytes + 1 : 1;

        /* After a zero piece comes data, so a further zero piece takes two. */
        while ((n == 0 || n + 2 <= max_pieces) && find_run(&buffer, from, n_run, &first, &end)) {
                uint32_t start_bytes = start_of(&buffer, first), end_bytes = start_of(&buffer, end);
                unsigned n_more = (start_bytes > covered ? 1u : 0u) + 1u + (end_bytes < bytes ? 1u : 0u);

                from = end;
                if (end_bytes - start_bytes < min_run_bytes)
                        continue; /* its last granule is the short one */
                if (n + n_more > max_pieces)
                        break;
                if (start_bytes > covered)
                        ret_pieces[n++] = (struct zeroes_piece){covered, start_bytes - covered, false};
                ret_pieces[n++] = (struct zeroes_piece){start_bytes, end_bytes - start_bytes, true};
                covered = end_bytes;
        }
        if (covered < bytes)
                ret_pieces[n++] = (struct zeroes_piece){covered, bytes - covered, false};
        return n;
}
