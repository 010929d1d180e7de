/* One copy or zero job from the command line: its regions, options, and how it ends.
 *
 * Owns the regions. One thread. Closes with transfer_done. */
#ifndef CTL_TRANSFER_H
#define CTL_TRANSFER_H

#include <stdbool.h>

#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "ctl/region.h"
#include "ctl/session.h"

struct transfer {
        bool zero; /* zero the destinations: no source */
        struct region from;
        unsigned n_to;
        struct region to[KCOPY_DESTINATIONS_MAX];
        const char *to_devices[KCOPY_DESTINATIONS_MAX]; /* the names in `to` */
        struct expectation {                            /* what a device has to be */
                uint64_t size_bytes;
                const char *identity;
        } expected[1 + KCOPY_DESTINATIONS_MAX]; /* the source first */
        unsigned n_expected;                    /* the last one that is said, and one more */
        const char *from_word, *to_words[KCOPY_DESTINATIONS_MAX]; /* as typed, for messages */
        struct kcopy_options options;
        unsigned pages;      /* 0: the default */
        const char *mapfile; /* NULL: none is wanted */
        bool dry_run;
        enum progress_mode progress_mode;
};

/* Parse the words of the command line (captive servers are started) and carry the job out. */
enum ctl_status transfer_run(
    const struct ctl *ctl, struct transfer *transfer, unsigned n_words, char **words);

/* For transfer.c: what would be done, of a job that was only validated. */
void dry_run_print(const struct ctl *ctl, const struct transfer *transfer, const struct kcopy_result *result);

#endif
