/* A ledger: what became of every byte of one destination's region (DESIGN 3).
 *
 * Derived from the state of ranges, never from counters: each range is put in once, with its fate; the sums
 * come from folding ranges. To stay small, the prefix that is settled is folded into sums as it grows; only
 * ranges beyond that mark are kept one by one, adjacent equal ones merged. The runner bounds how far beyond
 * the mark it deals.
 *
 * Offsets are bytes from the job's start. Owns its ranges. Thread: the job's home lane. */
#ifndef COPY_LEDGER_H
#define COPY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

enum ledger_fate {
        LEDGER_COPIED,
        LEDGER_ZEROED,
        LEDGER_SKIPPED,
        LEDGER_INDETERMINATE,
        LEDGER_UNTOUCHED, /* decided: will not be written */
        LEDGER_N_FATES,
};

struct ledger_range {
        uint64_t start_bytes, end_bytes;
        enum ledger_fate fate;
};

struct ledger {
        uint64_t length_bytes;
        uint64_t mark_bytes;                 /* everything before it has a fate and is in `sums` */
        uint64_t sums_bytes[LEDGER_N_FATES]; /* of [0, mark) */
        struct ledger_range *ranges;         /* beyond the mark, ordered, disjoint */
        unsigned n_ranges, ranges_room;
};

void ledger_init(struct ledger *ledger, uint64_t length_bytes);
void ledger_done(struct ledger *ledger); /* frees the contents */
/* Make `to`, which is initialised or has its own contents, the same as `from`. 0 or -ENOMEM (nothing
 * changed).
 */
int ledger_copy(struct ledger *to, const struct ledger *from);
/* Give [start, end) its fate. No byte of it may have one already (asserted). 0 or -ENOMEM (nothing changed).
 */
int ledger_put(struct ledger *ledger, uint64_t start_bytes, uint64_t end_bytes, enum ledger_fate fate);
/* Every byte has a fate, by these sums, which add up to the length: where is not known any more. */
void ledger_settle(struct ledger *ledger, const uint64_t sums_bytes[LEDGER_N_FATES]);
/* Whether every byte has a fate. */
bool ledger_full(const struct ledger *ledger);
/* Bytes with this fate; LEDGER_UNTOUCHED includes what has no fate yet, so that the five always add up. */
uint64_t ledger_sum(const struct ledger *ledger, enum ledger_fate fate);
/* Bytes without a fate. */
uint64_t ledger_undecided(const struct ledger *ledger);
/* The first gap (bytes without a fate) at or after `from`: true and its bounds, or false. */
bool ledger_gap(const struct ledger *ledger, uint64_t from_bytes, uint64_t *ret_start, uint64_t *ret_end);

#endif
