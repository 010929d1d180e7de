/* A ledger: the fate of every byte of one destination's region, as ordered ranges beyond a settled prefix. */
#include "copy/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ledger_init(struct ledger *ledger, uint64_t length_bytes)
{
        *ledger = (struct ledger){.length_bytes = length_bytes};
}

void ledger_done(struct ledger *ledger)
{
        free(ledger->ranges);
        *ledger = (struct ledger){0};
}

int ledger_copy(struct ledger *to, const struct ledger *from)
{
        struct ledger_range *ranges = NULL;

        if (from->n_ranges > 0) {
                ranges = reallocarray(NULL, from->n_ranges, sizeof(*ranges));
                if (ranges == NULL)
                        return -ENOMEM;
                memcpy(ranges, from->ranges, from->n_ranges * sizeof(*ranges));
        }
        free(to->ranges);
        *to = *from;
        to->ranges = ranges;
        to->ranges_room = from->n_ranges;
        return 0;
}

/* The first range that ends after `at_bytes`. */
static unsigned ledger_find(const struct ledger *ledger, uint64_t at_bytes)
{
        unsigned low = 0, high = ledger->n_ranges;

        while (low < high) {
                unsigned middle = low + (high - low) / 2;

                if (ledger->ranges[middle].end_bytes <= at_bytes)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Room for `n` more ranges. */
static int ledger_reserve(struct ledger *ledger, unsigned n)
{
        unsigned room = ledger->ranges_room > 0 ? ledger->ranges_room : 8;
        struct ledger_range *ranges;

        if (ledger->ranges_room - ledger->n_ranges >= n)
                return 0;
        while (room < ledger->n_ranges + n)
                room *= 2;
        ranges = reallocarray(ledger->ranges, room, sizeof(*ranges));
        if (ranges == NULL)
                return -ENOMEM;
        ledger->ranges = ranges;
        ledger->ranges_room = room;
        return 0;
}

static void ledger_remove(struct ledger *ledger, unsigned at, unsigned n)
{
        ledger->n_ranges -= n;
        memmove(&ledger->ranges[at], &ledger->ranges[at + n],
            (ledger->n_ranges - at) * sizeof(ledger->ranges[0]));
}

/* Move the mark over the ranges that now follow it without a gap. */
static void ledger_fold(struct ledger *ledger)
{
        unsigned n = 0;

        while (n < ledger->n_ranges && ledger->ranges[n].start_bytes == ledger->mark_bytes) {
                const struct ledger_range *range = &ledger->ranges[n++];

                ledger->sums_bytes[range->fate] += range->end_bytes - range->start_bytes;
                ledger->mark_bytes = range->end_bytes;
        }
        if (n > 0)
                ledger_remove(ledger, 0, n);
}

/* Put [start, end) in at index `at`, one with its neighbours where they have the same fate. Needs room for
 * one more range only if neither neighbour takes it. */
static void ledger_insert(
    struct ledger *ledger, unsigned at, uint64_t start_bytes, uint64_t end_bytes, enum ledger_fate fate)
{
        struct ledger_range *before = at > 0 ? &ledger->ranges[at - 1] : NULL;
        struct ledger_range *after = at < ledger->n_ranges ? &ledger->ranges[at] : NULL;
        bool joins_before = before != NULL && before->end_bytes == start_bytes && before->fate == fate;
        bool joins_after = after != NULL && after->start_bytes == end_bytes && after->fate == fate;

        if (joins_before && joins_after) {
                before->end_bytes = after->end_bytes;
                ledger_remove(ledger, at, 1);
        } else if (joins_before) {
                before->end_bytes = end_bytes;
        } else if (joins_after) {
                after->start_bytes = start_bytes;
        } else {
                assert(ledger->n_ranges < ledger->ranges_room);
                memmove(&ledger->ranges[at + 1], &ledger->ranges[at],
                    (ledger->n_ranges - at) * sizeof(ledger->ranges[0]));
                ledger->ranges[at] = (struct ledger_range){start_bytes, end_bytes, fate};
                ledger->n_ranges++;
        }
}

int ledger_put(struct ledger *ledger, uint64_t start_bytes, uint64_t end_bytes, enum ledger_fate fate)
{
        unsigned at = ledger_find(ledger, start_bytes);
        int r;

        assert(start_bytes <= end_bytes && end_bytes <= ledger->length_bytes);
        if (start_bytes == end_bytes)
                return 0;
        assert(start_bytes >= ledger->mark_bytes);
        assert(at == ledger->n_ranges || ledger->ranges[at].start_bytes >= end_bytes);
        if (start_bytes == ledger->mark_bytes) {
                ledger->sums_bytes[fate] += end_bytes - start_bytes;
                ledger->mark_bytes = end_bytes;
                ledger_fold(ledger);
                return 0;
        }
        r = ledger_reserve(ledger, 1);
        if (r < 0)
                return r;
        ledger_insert(ledger, at, start_bytes, end_bytes, fate);
        return 0;
}

void ledger_settle(struct ledger *ledger, const uint64_t sums_bytes[LEDGER_N_FATES])
{
        uint64_t all_bytes = 0;

        for (unsigned fate = 0; fate < LEDGER_N_FATES; fate++) {
                ledger->sums_bytes[fate] = sums_bytes[fate];
                all_bytes += sums_bytes[fate];
        }
        assert(all_bytes == ledger->length_bytes);
        ledger->mark_bytes = ledger->length_bytes;
        ledger->n_ranges = 0;
}

bool ledger_full(const struct ledger *ledger)
{
        return ledger->mark_bytes == ledger->length_bytes;
}

/* Bytes given this fate, and no more. */
static uint64_t ledger_given(const struct ledger *ledger, enum ledger_fate fate)
{
        uint64_t sum_bytes = ledger->sums_bytes[fate];

        for (unsigned i = 0; i < ledger->n_ranges; i++) {
                const struct ledger_range *range = &ledger->ranges[i];

                if (range->fate == fate)
                        sum_bytes += range->end_bytes - range->start_bytes;
        }
        return sum_bytes;
}

uint64_t ledger_sum(const struct ledger *ledger, enum ledger_fate fate)
{
        uint64_t others_bytes = 0;

        if (fate != LEDGER_UNTOUCHED)
                return ledger_given(ledger, fate);
        for (unsigned other = 0; other < LEDGER_N_FATES; other++)
                if (other != LEDGER_UNTOUCHED)
                        others_bytes += ledger_given(ledger, other);
        return ledger->length_bytes - others_bytes;
}

uint64_t ledger_undecided(const struct ledger *ledger)
{
        return ledger_sum(ledger, LEDGER_UNTOUCHED) - ledger_given(ledger, LEDGER_UNTOUCHED);
}

bool ledger_gap(const struct ledger *ledger, uint64_t from_bytes, uint64_t *ret_start, uint64_t *ret_end)
{
        uint64_t at_bytes = from_bytes > ledger->mark_bytes ? from_bytes : ledger->mark_bytes;
        unsigned i = ledger_find(ledger, at_bytes);

        while (i < ledger->n_ranges && ledger->ranges[i].start_bytes <= at_bytes)
                at_bytes = ledger->ranges[i++].end_bytes;
        if (at_bytes >= ledger->length_bytes)
                return false;
        *ret_start = at_bytes;
        *ret_end = i < ledger->n_ranges ? ledger->ranges[i].start_bytes : ledger->length_bytes;
        return true;
}
