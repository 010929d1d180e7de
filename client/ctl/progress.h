/* The progress of one copy on standard error: a live bar on a terminal, lines elsewhere.
 *
 * Owns nothing but its state. One thread. Closes with progress_end, which clears the bar. */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "kcopy.h"

enum progress_mode { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_NONE };

/* Destinations whose part is over before the job's, by bit: they are neither the progress nor behind. */
struct progress_over {
        uint64_t ended; /* done or failed */
        uint64_t failed;
};

/* A reason has up to 256 bytes; escaped it may be four times as long. */
#define PROGRESS_NOTE_BYTES 1088

struct progress {
        enum progress_mode mode;        /* never AUTO */
        bool drawn;                     /* a bar is on the line */
        uint64_t last_draw_ms;          /* bar: the clock's; plain: the job's elapsed time */
        char note[PROGRESS_NOTE_BYTES]; /* why nothing moves, or "" */
        struct progress_over over;
};

/* AUTO becomes BAR on a terminal, else PLAIN; with `json` NONE, unless only the bar is on the terminal. */
void progress_init(struct progress *progress, enum progress_mode mode, bool json);
/* How often the server should tell; 0: not at all. */
unsigned progress_interval_ms(const struct progress *progress);
void progress_update(struct progress *progress, const struct kcopy_event *event);
void progress_end(struct progress *progress);
/* From a signal's handler, before the program dies: what is on the terminal stays on a line of its own. */
void progress_break_line(void);
/* Take note of a KCOPY_EVENT_DESTINATION. */
void progress_destination_over(
    struct progress_over *over, unsigned index, const struct kcopy_destination_result *result);

/* The line for a terminal of `columns` (0: a plain line without a bar), without control characters; for
 * progress.c and its test. */
#define PROGRESS_LINE_BYTES (512 + PROGRESS_NOTE_BYTES)
void progress_line(const struct kcopy_event *event, const struct progress_over *over, const char *note,
    unsigned columns, char line[PROGRESS_LINE_BYTES]);

#endif
