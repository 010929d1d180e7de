/* One copy or zero job (transfer.h). */
#include "ctl/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/captive.h"
#include "ctl/interrupt.h"
#include "ctl/json.h"
#include "ctl/mapfile.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/text.h"

#define JSON_PROGRESS_INTERVAL_MS 1000u
/* After the first Ctrl-C: how long a job that is still being opened may take to be accepted, to be cancelled.
 */
#define CANCEL_PATIENCE_MS 2000

/* The one job while it runs. */
struct run {
        const struct ctl *ctl;
        const struct transfer *transfer;
        struct session session;
        struct progress progress;
        struct report report;
        uint64_t ticket;
        bool accepted, began, ended;
        bool cancelling, impatient;
        int64_t accepted_ms;
        enum ctl_status status;
};

/* ---- what the library calls */

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_event(void *opaque, const struct kcopy_event *event)
{
        struct run *run = opaque;

        if (event->type == KCOPY_EVENT_ACCEPTED)
                run->accepted = true, run->accepted_ms = now_ms();
        if (event->type == KCOPY_EVENT_STATE && event->state == KCOPY_RUNNING && !run->began)
                run->began = true, run->report.waited_ms = (uint64_t)(now_ms() - run->accepted_ms);
        if (event->type == KCOPY_EVENT_STOPPING)
                session_report_stopping(&run->session, event->drain_ms, "this job");
        if (event->type == KCOPY_EVENT_DESTINATION && event->index >= run->transfer->n_to)
                return;
        if (run->ctl->json)
                json_line(json_event(event, run->transfer->to_devices));
        progress_update(&run->progress, event);
}

static bool write_map(const struct transfer *transfer, const struct kcopy_result *result)
{
        const struct mapfile map = {.path = transfer->mapfile,
            .source = transfer->from_word,
            .source_sector = transfer->from.sector,
            .goes_through = transfer->options.flags & KCOPY_IGNORE_ERROR};

        return !transfer->mapfile || mapfile_write(&map, result);
}

static void on_end(int read_err, uint64_t write_err, void *context, const struct kcopy_result *result)
{
        struct run *run = context;

        progress_end(&run->progress);
        run->ended = true;
        run->status = report_status(&run->report, read_err, write_err, result);
        if (result->state == KCOPY_VALIDATED) {
                dry_run_print(run->ctl, run->transfer, result);
                return;
        }
        if (result->state == KCOPY_ACCEPTED) {
                if (run->ctl->json)
                        json_line(
                            json_pack("{s:s, s:o}", "event", "accepted", "job", json_number(result->job)));
                else
                        printf("job %" PRIu64 "\n", result->job);
                return;
        }
        if (result->state == KCOPY_LOST) {
                if (run->impatient)
                        text_error("cancelled", "the job had not begun; it is given up");
                else if (run->transfer->dry_run)
                        text_error(
                            run->session.server, "%s; nothing has been written", result->refusal.message);
                else
                        session_report_lost(&run->session, result->refusal.message);
        }
        /* a server in brackets that has ended is why its device failed, or could not even be reached */
        if (run->status == CTL_FAILED || run->status == CTL_REFUSED)
                captive_report_dead();
        report_print(&run->report, read_err, write_err, result);
        if (result->n_destinations > 0 && !write_map(run->transfer, result) && run->status == CTL_DONE)
                run->status = CTL_FAILED;
        if (run->ctl->json)
                json_line(json_completion(run->transfer->zero ? NULL : run->transfer->from.device,
                    run->transfer->to_devices, read_err, write_err, result));
}

/* ---- the run */

static void expect(struct kcopy_io_region *region, const struct expectation *expected)
{
        region->expect_size_bytes = expected->size_bytes;
        region->expect_identity = expected->identity;
}

static int submit(struct run *run)
{
        const struct transfer *transfer = run->transfer;
        struct kcopy_options options = transfer->options;
        struct kcopy_io_region from, to[KCOPY_DESTINATIONS_MAX];

        if (transfer->dry_run)
                options.flags |= KCOPY_VALIDATE_ONLY;
        options.progress_interval_ms = progress_interval_ms(&run->progress);
        if (run->ctl->json && !options.progress_interval_ms)
                options.progress_interval_ms = JSON_PROGRESS_INTERVAL_MS;
        for (unsigned i = 0; i < transfer->n_to; i++) {
                to[i] = region_io(&transfer->to[i]);
                expect(&to[i], &transfer->expected[1 + i]);
        }
        if (transfer->zero)
                return kcopy_zero(
                    run->session.client, transfer->n_to, to, &options, on_end, run, &run->ticket);
        from = region_io(&transfer->from);
        expect(&from, &transfer->expected[0]);
        return kcopy_copy(
            run->session.client, &from, transfer->n_to, to, &options, on_end, run, &run->ticket);
}

/* Until the job has ended; a held signal cancels it. */
static void wait_for_end(struct run *run)
{
        int64_t give_up_ms = 0;

        while (!run->ended) {
                struct pollfd fds[] = {
                    {.fd = kcopy_fd(run->session.client), .events = kcopy_poll_events(run->session.client)},
                    {.fd = run->cancelling ? -1 : interrupt_fd(), .events = POLLIN},
                };
                int timeout_ms = -1;

                if (run->cancelling && !run->accepted) {
                        timeout_ms = (int)(give_up_ms - now_ms());
                        if (timeout_ms <= 0) {
                                /* hanging up cancels whatever comes of it */
                                run->impatient = true;
                                return;
                        }
                }
                if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
                        return;
                kcopy_dispatch(run->session.client); /* a loss has ended the job as well */
                if (interrupt_pending() && !run->cancelling && !run->ended) {
                        run->cancelling = true;
                        give_up_ms = now_ms() + CANCEL_PATIENCE_MS;
                        kcopy_cancel(run->session.client, run->ticket);
                        if (run->progress.mode != PROGRESS_NONE)
                                text_error("interrupted",
                                    "the job is being cancelled; a second Ctrl-C leaves at once");
                }
        }
}

/* Nobody has named a part of anything. */
static bool whole(const struct transfer *transfer)
{
        bool whole = !transfer->from.sector && !transfer->from.count_sectors;

        for (unsigned i = 0; i < transfer->n_to; i++)
                whole = whole && !transfer->to[i].sector && !transfer->to[i].count_sectors;
        return whole;
}

static enum ctl_status carry_out(const struct ctl *ctl, const struct transfer *transfer)
{
        struct run run = {.ctl = ctl,
            .transfer = transfer,
            .report = {.zero = transfer->zero,
                .json = ctl->json,
                .want_durable = !(transfer->options.flags & KCOPY_NO_FLUSH),
                .own = true,
                .place = names_place(ctl->server),
                .from = transfer->from.device,
                .to = transfer->to_devices,
                .from_word = transfer->from_word,
                .to_words = transfer->to_words,
                .whole = whole(transfer)}};
        bool detached = transfer->options.flags & KCOPY_DETACHED;
        enum ctl_status status;
        int rc;

        if (transfer->mapfile && !mapfile_check(transfer->mapfile))
                return CTL_USAGE;
        status = detached ? session_open(&run.session, ctl, 1)
                          : session_open_private(&run.session, ctl, transfer->pages);
        if (status != CTL_DONE)
                return status;
        progress_init(&run.progress, transfer->progress_mode, ctl->json);
        kcopy_on_event(run.session.client, on_event, &run);
        interrupt_hold();
        rc = submit(&run);
        if (rc < 0) {
                progress_end(&run.progress);
                status = session_failed(&run.session, 0, "refused");
                if (ctl->json)
                        json_line(json_refused("", rc, kcopy_error(run.session.client)));
                session_close(&run.session, true);
                return status;
        }
        wait_for_end(&run);
        session_close(&run.session, run.ended && run.status != CTL_UNKNOWN);
        return run.status;
}

/* ---- regions */

static bool parse_name(const struct ctl *ctl, const char *word, bool source, struct region *ret_region)
{
        enum region_names names = ctl->server ? REGION_BARE_IS_ENDPOINT : REGION_BARE_IS_FILE;
        char reason[REGION_REASON_BYTES], why[NAMES_REASON_BYTES];

        if (!region_parse(word, names, NULL, ret_region, reason)) {
                text_error(word, "%s", reason);
                return false;
        }
        if (names_check(names_place(ctl->server), word, source, why))
                return true;
        region_done(ret_region);
        text_error(word, "%s", why);
        return false;
}

static bool parse_word(const struct ctl *ctl, const char *word, bool source, bool detached,
    struct region *ret_region, enum ctl_status *ret_status)
{
        const struct bracket *bracket = brackets_find(ctl->brackets, word);
        char reason[REGION_REASON_BYTES];

        *ret_status = CTL_USAGE;
        if (!bracket)
                return parse_name(ctl, word, source, ret_region);
        if (detached) {
                text_error(bracket->text, "ends with this command, and a detached job does not; start it by "
                                          "itself, and name it by its NBD URI");
                return false;
        }
        if (names_place(ctl->server) == NAMES_FAR) {
                text_error(bracket->text,
                    "a server in brackets runs on this machine, where %s cannot reach it; start it there, "
                    "and "
                    "name it by its NBD URI",
                    ctl->server);
                return false;
        }
        if (!region_parse_tail(bracket->tail, &ret_region->sector, &ret_region->count_sectors, reason)) {
                text_error(bracket->text, "%s", reason);
                return false;
        }
        *ret_status = CTL_NO_SERVER;
        return captive_start(bracket, &ret_region->device) == 0;
}

static enum ctl_status parse_words(
    const struct ctl *ctl, struct transfer *transfer, unsigned n_words, char **words)
{
        bool detached = transfer->options.flags & KCOPY_DETACHED;
        enum ctl_status status;

        if (!transfer->zero) {
                if (!parse_word(ctl, *words, true, detached, &transfer->from, &status))
                        return status;
                transfer->from_word = *words;
                words++;
                n_words--;
        }
        for (unsigned i = 0; i < n_words; i++) {
                if (!parse_word(ctl, words[i], false, detached, &transfer->to[i], &status))
                        return status;
                transfer->to_words[i] = words[i];
                transfer->n_to = i + 1;
                transfer->to_devices[i] = transfer->to[i].device;
        }
        return CTL_DONE;
}

enum ctl_status transfer_run(const struct ctl *ctl, struct transfer *transfer, unsigned n_words, char **words)
{
        enum ctl_status status = parse_words(ctl, transfer, n_words, words);

        if (status == CTL_DONE)
                status = carry_out(ctl, transfer);
        captive_stop_all();
        region_done(&transfer->from);
        for (unsigned i = 0; i < transfer->n_to; i++)
                region_done(&transfer->to[i]);
        interrupt_finish();
        return status;
}
