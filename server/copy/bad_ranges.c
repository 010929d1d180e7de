/* What could not be read: see bad_ranges.h. */
#include "copy/bad_ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

void bad_ranges_done(struct bad_ranges *bad)
{
        free(bad->ranges);
        *bad = (struct bad_ranges){0};
}

static int make_room(struct bad_ranges *bad, unsigned room)
{
        struct bad_range *ranges;

        if (room <= bad->room)
                return 0;
        ranges = reallocarray(bad->ranges, room, sizeof *ranges);
        if (!ranges)
                return -ENOMEM;
        bad->ranges = ranges;
        bad->room = room;
        return 0;
}

/* One range instead of this one and the next, and what lies between them. */
static void join(struct bad_ranges *bad, unsigned at)
{
        struct bad_range *range = &bad->ranges[at];

        range[0].end_bytes = kc_max_u64(range[0].end_bytes, range[1].end_bytes);
        memmove(&range[1], &range[2], (bad->n - at - 2) * sizeof *range);
        bad->n--;
}

static void join_closest(struct bad_ranges *bad)
{
        uint64_t best_bytes = UINT64_MAX;
        unsigned best = 0;

        for (unsigned i = 0; i + 1 < bad->n; i++) {
                uint64_t gap_bytes = bad->ranges[i + 1].start_bytes - bad->ranges[i].end_bytes;

                if (gap_bytes < best_bytes) {
                        best_bytes = gap_bytes;
                        best = i;
                }
        }
        join(bad, best);
}

int bad_ranges_add(struct bad_ranges *bad, uint64_t start_bytes, uint64_t end_bytes)
{
        unsigned at = bad->n;

        if (bad->n == bad->room && make_room(bad, bad->room ? 2 * bad->room : 8) < 0)
                return -ENOMEM;
        while (at > 0 && bad->ranges[at - 1].start_bytes > start_bytes)
                at--;
        memmove(&bad->ranges[at + 1], &bad->ranges[at], (bad->n - at) * sizeof bad->ranges[0]);
        bad->ranges[at] = (struct bad_range){start_bytes, end_bytes};
        bad->n++;
        if (at > 0 && bad->ranges[at - 1].end_bytes >= start_bytes)
                join(bad, --at);
        while (at + 1 < bad->n && bad->ranges[at + 1].start_bytes <= bad->ranges[at].end_bytes)
                join(bad, at);
        if (bad->n > BAD_RANGES_MAX)
                join_closest(bad);
        return 0;
}

int bad_ranges_copy(struct bad_ranges *to, const struct bad_ranges *from)
{
        if (make_room(to, from->n) < 0)
                return -ENOMEM;
        if (from->n > 0)
                memcpy(to->ranges, from->ranges, from->n * sizeof from->ranges[0]);
        to->n = from->n;
        return 0;
}
