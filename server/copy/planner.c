/* The planner: see planner.h.
 *
 * Each answer is folded at once into the zero ranges that will be told, already rounded and without the short
 * ones, and into how far that is certain; planner_at only looks them up. */
#include "copy/planner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define REQUEST_MAX_BYTES (2ull << 30)
/* The first request is a short one: the job waits for it. With data all over, the third is as long as any. */
#define REQUEST_START_BYTES (64ull << 20)
#define REQUEST_GROWTH 8u

static uint64_t round_down(const struct planner *planner, uint64_t at_bytes)
{
        return at_bytes - at_bytes % planner->granule_bytes;
}

static uint64_t round_up(const struct planner *planner, uint64_t at_bytes)
{
        uint64_t down_bytes = round_down(planner, at_bytes);

        if (down_bytes == at_bytes)
                return at_bytes;
        return planner->length_bytes - down_bytes > planner->granule_bytes
                   ? down_bytes + planner->granule_bytes
                   : planner->length_bytes;
}

static uint64_t whole_granules(uint64_t bytes, uint32_t granule_bytes)
{
        return bytes > granule_bytes ? bytes - bytes % granule_bytes : granule_bytes;
}

int planner_init(struct planner *planner, uint64_t length_bytes, enum planner_kind everything, bool extents,
    uint32_t granule_bytes)
{
        assert(granule_bytes > 0);
        *planner = (struct planner){
            .everything = everything,
            .extents = extents,
            .length_bytes = length_bytes,
            .granule_bytes = granule_bytes,
            .ask_bytes = whole_granules(REQUEST_START_BYTES, granule_bytes),
        };
        if (!extents)
                return 0;
        planner->zeroes = calloc(IO_EXTENTS_PER_REQ, sizeof(*planner->zeroes));
        planner->extents_buf = calloc(IO_EXTENTS_PER_REQ, sizeof(*planner->extents_buf));
        if (planner->zeroes != NULL && planner->extents_buf != NULL)
                return 0;
        planner_done(planner);
        return -ENOMEM;
}

void planner_done(struct planner *planner)
{
        free(planner->zeroes);
        free(planner->extents_buf);
        planner->zeroes = NULL;
        planner->extents_buf = NULL;
}

bool planner_at(struct planner *planner, uint64_t at_bytes, uint64_t max_bytes, enum planner_kind *ret_kind,
    uint64_t *ret_length_bytes)
{
        enum planner_kind kind = planner->everything;
        uint64_t end_bytes = planner->length_bytes;

        assert(at_bytes < planner->length_bytes && max_bytes > 0);
        if (at_bytes >= planner->known_start_bytes && at_bytes < planner->known_end_bytes) {
                const struct planner_zero *zero;

                if (planner->next > 0 && planner->zeroes[planner->next - 1].end_bytes > at_bytes)
                        planner->next = 0; /* asked for an earlier place */
                while (
                    planner->next < planner->n_zeroes && planner->zeroes[planner->next].end_bytes <= at_bytes)
                        planner->next++;
                zero = planner->next < planner->n_zeroes ? &planner->zeroes[planner->next] : NULL;
                kind = zero != NULL && zero->start_bytes <= at_bytes ? PLANNER_ZERO : PLANNER_DATA;
                end_bytes = zero == NULL           ? planner->known_end_bytes
                            : kind == PLANNER_ZERO ? zero->end_bytes
                                                   : zero->start_bytes;
        } else if (planner->extents) {
                return false;
        }
        *ret_kind = kind;
        *ret_length_bytes = end_bytes - at_bytes < max_bytes ? end_bytes - at_bytes : max_bytes;
        return true;
}

/* Servers look through all that they are asked about and tell all that they find, of which a request keeps
 * IO_EXTENTS_PER_REQ: so not much more is asked for than one answer took last time. Where few extents are
 * told, more and more at once. (2 GiB with islands of 64 KiB, by asking for as much as possible every time:
 * nbdkit looked through 1 GiB 25 times, and the copy took 232 ms instead of 168.) */
static void adapt(struct planner *planner, const struct io_req *req, uint64_t told_bytes)
{
        uint64_t ask_bytes = planner->ask_bytes;

        if (req->n_extents >= IO_EXTENTS_PER_REQ - 1) /* a file's come in pairs */
                ask_bytes = 2 * told_bytes;
        else if (told_bytes >= req->length_bytes)
                ask_bytes *= REQUEST_GROWTH;
        if (ask_bytes > REQUEST_MAX_BYTES)
                ask_bytes = REQUEST_MAX_BYTES;
        planner->ask_bytes = whole_granules(ask_bytes, planner->granule_bytes);
}

void planner_prepare(struct planner *planner, uint64_t at_bytes, struct io_req *req)
{
        assert(planner->extents && at_bytes < planner->length_bytes);
        req->op = IO_EXTENTS;
        req->flags = 0;
        req->offset_bytes = at_bytes;
        req->length_bytes = planner->length_bytes - at_bytes;
        if (req->length_bytes > planner->ask_bytes)
                req->length_bytes = planner->ask_bytes;
        req->buf = NULL;
        req->extents = planner->extents_buf;
}

/* A maximal run of zeroes [start, end) among what was told from known_start on; `last` if nothing was told
 * beyond it. Returns up to where its fate is certain now. */
static uint64_t put_zero(struct planner *planner, uint64_t start_bytes, uint64_t end_bytes, bool last)
{
        bool open = last && end_bytes < planner->length_bytes; /* it may go on */
        uint64_t from_bytes = round_up(planner, start_bytes);
        uint64_t to_bytes = end_bytes < planner->length_bytes ? round_down(planner, end_bytes) : end_bytes;

        if (to_bytes >= from_bytes + PLANNER_ZERO_MIN_BYTES) {
                planner->zeroes[planner->n_zeroes++] = (struct planner_zero){from_bytes, to_bytes};
                return open ? to_bytes : end_bytes;
        }
        /* Too short as far as it is known. The next answer, which starts with it, may show more; when this
         * one does already, it is data, or a server that tells little at a time would be asked for ever. */
        if (open && from_bytes > planner->known_start_bytes)
                return from_bytes;
        return round_up(planner, end_bytes);
}

void planner_fetched(struct planner *planner, uint64_t at_bytes, const struct io_req *req)
{
        uint64_t pos_bytes = at_bytes, limit_bytes = at_bytes + req->length_bytes;
        uint64_t known_bytes = at_bytes, run_bytes = at_bytes; /* run: where the present run began */
        bool run_zero = false;

        for (unsigned i = 0; req->status == 0 && i < req->n_extents && pos_bytes < limit_bytes; i++) {
                const struct io_extent *extent = &req->extents[i];
                uint64_t length_bytes = limit_bytes - pos_bytes;

                if (extent->length_bytes < length_bytes)
                        length_bytes = extent->length_bytes;
                if (pos_bytes == at_bytes) { /* something is told: forget what was known */
                        planner->known_start_bytes = at_bytes;
                        planner->n_zeroes = planner->next = 0;
                }
                if (run_zero && !extent->zero && length_bytes > 0)
                        put_zero(planner, run_bytes, pos_bytes, false);
                if (run_zero != extent->zero && length_bytes > 0) {
                        run_zero = extent->zero;
                        run_bytes = pos_bytes;
                }
                pos_bytes += length_bytes;
        }
        if (pos_bytes == at_bytes) { /* failed, or told nothing */
                planner->extents = false;
                planner->everything = PLANNER_DATA;
                return;
        }
        adapt(planner, req, pos_bytes - at_bytes);
        known_bytes = run_zero ? put_zero(planner, run_bytes, pos_bytes, true) : round_up(planner, pos_bytes);
        planner->known_end_bytes = known_bytes;
}

bool planner_ahead(const struct planner *planner, uint64_t *ret_at_bytes)
{
        if (!planner->extents || planner->known_end_bytes == 0 ||
            planner->known_end_bytes >= planner->length_bytes)
                return false;
        *ret_at_bytes = planner->known_end_bytes;
        return true;
}
