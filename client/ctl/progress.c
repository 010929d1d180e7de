/* The progress of a copy (progress.h). */
#include "ctl/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ctl/captive.h"
#include "ctl/text.h"
#include "ctl/units.h"

#define BAR_INTERVAL_MS 100
#define PLAIN_FIRST_MS 1000
#define PLAIN_INTERVAL_MS 3000
#define COLUMNS_DEFAULT 80
#define BAR_MAX 40
#define BAR_MIN 10
/* What stands beside the bar at its widest, so that the bar's width is the same in every frame:
 * "100% []", " 1023 MiB / 1023 MiB", "  1023 MiB/s", "  99:59:59 left", and the column that stays free; of
 * several destinations also "  #63 is 1023 MiB behind". */
#define BESIDE_COLUMNS (7 + 20 + 12 + 15 + 1)
#define BEHIND_COLUMNS 24

static struct progress *on_screen; /* whose bar must go before a message */

static uint64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void clear(void)
{
        if (!on_screen || !on_screen->drawn)
                return;
        fputs("\r\033[K", stderr);
        on_screen->drawn = false;
        on_screen->last_draw_ms = 0;
}

void progress_init(struct progress *progress, enum progress_mode mode, bool json)
{
        if (mode == PROGRESS_AUTO)
                mode = json && (isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO)) ? PROGRESS_NONE
                       : isatty(STDERR_FILENO)                                   ? PROGRESS_BAR
                                                                                 : PROGRESS_PLAIN;
        *progress = (struct progress){.mode = mode};
        on_screen = progress;
        text_before_error(clear);
}

unsigned progress_interval_ms(const struct progress *progress)
{
        switch (progress->mode) {
        case PROGRESS_BAR:
                return BAR_INTERVAL_MS;
        case PROGRESS_PLAIN:
                return PLAIN_FIRST_MS;
        case PROGRESS_AUTO:
        case PROGRESS_NONE:
                break;
        }
        return 0;
}

void progress_destination_over(
    struct progress_over *over, unsigned index, const struct kcopy_destination_result *result)
{
        if (index >= KCOPY_DESTINATIONS_MAX)
                return;
        over->ended |= UINT64_C(1) << index;
        if (result->error.error_class != KCOPY_CLASS_NONE)
                over->failed |= UINT64_C(1) << index;
}

/* What every destination that still goes on has, and what the one that has most has. Where none goes on,
 * those that did not fail count, and where all have failed, all. */
static uint64_t done_least(
    const struct kcopy_event *event, const struct progress_over *over, uint64_t *ret_most, unsigned *ret_last)
{
        uint64_t least = UINT64_MAX, most = 0, out = over->ended;
        uint64_t all = event->n_destinations < 64 ? (UINT64_C(1) << event->n_destinations) - 1 : UINT64_MAX;

        if ((out & all) == all)
                out = over->failed;
        if ((out & all) == all)
                out = 0;
        *ret_last = 0;
        for (unsigned i = 0; i < event->n_destinations; i++) {
                if (out >> i & 1)
                        continue;
                if (event->done_bytes[i] < least) {
                        least = event->done_bytes[i];
                        *ret_last = i;
                }
                if (event->done_bytes[i] > most)
                        most = event->done_bytes[i];
        }
        *ret_most = most;
        return event->n_destinations ? least : 0;
}

static unsigned percent_of(uint64_t part, uint64_t whole)
{
        if (part >= whole)
                return 100;
        /* in this order it cannot overflow, and 100 is for the whole only */
        return (unsigned)((double)part / (double)whole * 100);
}

static void bar_text(unsigned width, unsigned percent, char *text)
{
        unsigned full = width * percent / 100;

        text[0] = '[';
        memset(text + 1, '=', full);
        if (full < width)
                memset(text + 1 + full, ' ', width - full);
        if (full && full < width)
                text[full] = '>';
        strcpy(text + 1 + width, "]");
}

/* 0: there is no room for one. */
static unsigned bar_width(const struct kcopy_event *event, unsigned columns)
{
        unsigned beside = BESIDE_COLUMNS;

        if (event->n_destinations > 1 && columns >= BESIDE_COLUMNS + BEHIND_COLUMNS + BAR_MIN)
                beside += BEHIND_COLUMNS;
        if (columns < beside + BAR_MIN)
                return 0;
        return columns - beside < BAR_MAX ? columns - beside : BAR_MAX;
}

void progress_line(const struct kcopy_event *event, const struct progress_over *over, const char *note,
    unsigned columns, char line[PROGRESS_LINE_BYTES])
{
        char done_text[UNITS_TEXT_BYTES], length_text[UNITS_TEXT_BYTES], rate_text[UNITS_TEXT_BYTES],
            left_text[UNITS_TEXT_BYTES], lag_text[UNITS_TEXT_BYTES];
        char parts[5][PROGRESS_NOTE_BYTES + 8] = {"", "", "", "", ""}, bar[BAR_MAX + 3] = "";
        uint64_t most, done;
        unsigned last, used, percent, n_parts = 5, width = bar_width(event, columns);
        int spare;

        done = done_least(event, over, &most, &last);
        percent = percent_of(done, event->length_bytes);
        snprintf(parts[0], sizeof(parts[0]), " %s / %s", units_format(done, done_text),
            units_format(event->length_bytes, length_text));
        if (event->rate_bytes_per_s)
                snprintf(
                    parts[1], sizeof(parts[1]), "  %s/s", units_format(event->rate_bytes_per_s, rate_text));
        if (note[0])
                snprintf(parts[2], sizeof(parts[2]), "  %s", note);
        else if (event->rate_bytes_per_s && done < event->length_bytes)
                snprintf(parts[2], sizeof(parts[2]), "  %s left",
                    units_format_duration(
                        (event->length_bytes - done) / event->rate_bytes_per_s + 1, left_text));
        /* under a hundredth it is in flight rather than behind */
        if (event->n_destinations > 1 && most - done > event->length_bytes / 100)
                snprintf(parts[3], sizeof(parts[3]), "  #%u is %s behind", last,
                    units_format(most - done, lag_text));
        if (over->failed)
                snprintf(parts[4], sizeof(parts[4]), "  %d failed", __builtin_popcountll(over->failed));

        if (width)
                bar_text(width, percent, bar);
        /* a reason is cut to what is left beside the rest; then what does not fit goes, the last first; one
           column stays free, so that no terminal wraps */
        spare = (int)columns - (int)(6 + strlen(bar) + strlen(parts[0]) + strlen(parts[1]));
        if (columns && note[0] && spare >= 0 && strlen(parts[2]) > (size_t)spare)
                parts[2][spare] = '\0';
        for (;;) {
                used = 5 + (unsigned)strlen(bar);
                for (unsigned i = 0; i < n_parts; i++)
                        used += (unsigned)strlen(parts[i]);
                if (!columns || used < columns || n_parts == 0)
                        break;
                n_parts--;
        }
        snprintf(line, PROGRESS_LINE_BYTES, columns ? "%3u%% %s" : "%u%%%s", percent, bar);
        for (unsigned i = 0; i < n_parts; i++)
                strcat(line, parts[i]);
        if (columns && strlen(line) >= columns)
                line[columns - 1] = '\0';
}

static unsigned terminal_columns(void)
{
        struct winsize size;

        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
                return COLUMNS_DEFAULT;
        return size.ws_col < PROGRESS_LINE_BYTES ? size.ws_col : PROGRESS_LINE_BYTES - 1;
}

static void draw(struct progress *progress, const struct kcopy_event *event)
{
        char line[PROGRESS_LINE_BYTES];
        uint64_t now = now_ms();

        if (progress->drawn && now - progress->last_draw_ms < BAR_INTERVAL_MS)
                return;
        progress_line(event, &progress->over, progress->note, terminal_columns(), line);
        fprintf(stderr, "\r%s\033[K", line);
        fflush(stderr);
        progress->drawn = true;
        progress->last_draw_ms = now;
}

static void print(struct progress *progress, const struct kcopy_event *event)
{
        char line[PROGRESS_LINE_BYTES];

        if (event->elapsed_ms < PLAIN_FIRST_MS ||
            (progress->last_draw_ms && event->elapsed_ms - progress->last_draw_ms < PLAIN_INTERVAL_MS))
                return;
        progress->last_draw_ms = event->elapsed_ms;
        progress_line(event, &progress->over, progress->note, 0, line);
        fprintf(stderr, "%s\n", line);
}

static void tell_state(struct progress *progress, const struct kcopy_event *event)
{
        char reason[TEXT_ESCAPED_BYTES], *words = captive_in_words(event->reason);

        if (event->state == KCOPY_RUNNING && !event->reason[0])
                progress->note[0] = '\0';
        else
                snprintf(progress->note, sizeof(progress->note), "%s",
                    text_escape(words              ? words
                                : event->reason[0] ? event->reason
                                                   : text_state(event->state),
                        reason));
        free(words);
        if (!progress->note[0])
                return;
        if (progress->mode == PROGRESS_PLAIN) {
                fprintf(stderr, "%s\n", progress->note);
        } else if (!progress->drawn) {
                fprintf(stderr, "\r%.*s\033[K", (int)terminal_columns() - 1, progress->note);
                progress->drawn = true;
        }
}

void progress_update(struct progress *progress, const struct kcopy_event *event)
{
        if (progress->mode == PROGRESS_NONE)
                return;
        if (event->type == KCOPY_EVENT_DESTINATION)
                progress_destination_over(&progress->over, event->index, event->destination);
        if (event->type == KCOPY_EVENT_STATE && event->state < KCOPY_COMPLETED)
                tell_state(progress, event);
        if (event->type == KCOPY_EVENT_PROGRESS && progress->mode == PROGRESS_BAR)
                draw(progress, event);
        if (event->type == KCOPY_EVENT_PROGRESS && progress->mode == PROGRESS_PLAIN)
                print(progress, event);
}

void progress_end(struct progress *progress)
{
        clear();
        text_before_error(NULL);
        on_screen = NULL;
}

void progress_break_line(void)
{
        ssize_t written;

        if (!on_screen || !on_screen->drawn)
                return;
        written = write(STDERR_FILENO, "\n", 1);
        (void)written;
}
