/* How a job ended (report.h). */
#include "ctl/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/captive.h"
#include "ctl/text.h"
#include "ctl/units.h"

static const char *device_name(const struct report *report, unsigned i, char text[32])
{
        if (report->to && report->to[i])
                return captive_name(report->to[i]);
        snprintf(text, 32, "destination %u", i);
        return text;
}

static bool counts_for_durability(const struct report *report, unsigned i)
{
        return !report->to || !report->to[i] || strcmp(report->to[i], "null:") != 0;
}

static bool durable_enough(const struct report *report, const struct kcopy_result *result)
{
        if (!report->want_durable)
                return true;
        for (unsigned i = 0; i < result->n_destinations; i++)
                if (!result->destinations[i].durable && counts_for_durability(report, i))
                        return false;
        return true;
}

enum ctl_status report_status(
    const struct report *report, bool read_err, uint64_t write_err, const struct kcopy_result *result)
{
        if (result->state == KCOPY_REFUSED)
                return CTL_REFUSED;
        if (result->state == KCOPY_LOST)
                return CTL_UNKNOWN;
        if (result->state == KCOPY_VALIDATED)
                return CTL_DONE;
        if (result->state != KCOPY_COMPLETED || read_err || write_err || !durable_enough(report, result))
                return CTL_FAILED;
        return CTL_DONE;
}

static void print_error(
    const char *name, const char *device, const struct kcopy_endpoint_error *error, const char *ledger)
{
        const char *message = text_without_subject(error->message, device);
        char sector[40] = "";

        if (error->has_sector && !strstr(message, "sector"))
                snprintf(sector, sizeof(sector), " at sector %" PRIu64, error->sector);
        text_error(name, "%s%s (%s%s%s)%s", message[0] ? message : "failed", sector,
            text_class(error->error_class), error->errno_name[0] ? ", " : "", error->errno_name, ledger);
}

/* "; 12.0 MiB copied, 4.0 KiB of unknown content, 1.0 GiB untouched" */
static const char *ledger_text(const struct kcopy_destination_result *destination, char text[160])
{
        const struct {
                uint64_t bytes;
                const char *what;
        } parts[] = {
            {destination->copied_bytes, "copied"},
            {destination->zeroed_bytes, "zeroed"},
            {destination->skipped_bytes, "skipped"},
            {destination->indeterminate_bytes, "of unknown content"},
            {destination->untouched_bytes, "untouched"},
        };
        const char *separator = "; ";
        char size[UNITS_TEXT_BYTES];
        size_t n = 0;

        text[0] = '\0';
        for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                if (!parts[i].bytes)
                        continue;
                n += (size_t)snprintf(text + n, 160 - n, "%s%s %s", separator,
                    units_format(parts[i].bytes, size), parts[i].what);
                separator = ", ";
        }
        return text;
}

/* "options.priority" → "priority", as which the server speaks of it */
static const char *last_part(const char *field)
{
        const char *dot = strrchr(field, '.');

        return dot ? dot + 1 : field;
}

static void print_refused(const struct report *report, const struct kcopy_result *result)
{
        const char *field = result->refused_field;
        char limit[48] = "", text[32];
        const char *name = NULL, *device = NULL;
        unsigned index;

        if (result->has_limit)
                snprintf(limit, sizeof(limit), " (limit: %" PRIu64 "%s)", result->limit,
                    strcmp(last_part(field), "count") == 0 || strcmp(last_part(field), "sector") == 0
                        ? " sectors"
                        : "");
        if (strncmp(field, "from", 4) == 0 && report->from) {
                device = report->from;
                name = captive_name(device);
        } else if (sscanf(field, "to[%u]", &index) == 1 && index < KCOPY_DESTINATIONS_MAX) {
                device = report->to ? report->to[index] : NULL;
                name = device_name(report, index, text);
        }
        if (device && captive_is_dead(device)) /* that nothing could be reached there is no news */
                return;
        if (name)
                text_error(name, "refused: %s: %s%s", field,
                    text_without_subject(result->refusal.message, device), limit);
        else
                text_error(field[0] ? field : "refused", "%s%s",
                    text_without_subject(result->refusal.message, last_part(field)), limit);
}

/* For the destinations that are not in `write_err`, of which there is one. */
static void print_summary(const struct report *report, uint64_t write_err, const struct kcopy_result *result)
{
        double seconds = (double)result->elapsed_ms / 1000;
        uint64_t zeroes = 0;
        unsigned n_good = 0;
        bool durable = true;
        char length[UNITS_TEXT_BYTES], rate[UNITS_TEXT_BYTES], zero[UNITS_TEXT_BYTES];

        for (unsigned i = 0; i < result->n_destinations; i++) {
                const struct kcopy_destination_result *destination = &result->destinations[i];
                uint64_t sum = destination->zeroed_bytes + destination->skipped_bytes;

                if (write_err >> i & 1)
                        continue;
                n_good++;
                if (sum > zeroes)
                        zeroes = sum;
                durable = durable && destination->durable;
        }
        printf("%s %s in %.2f s", report->zero ? "zeroed" : "copied",
            units_format(result->length_bytes, length), seconds);
        if (result->elapsed_ms)
                printf(" (%s/s)", units_format((uint64_t)((double)result->length_bytes / seconds), rate));
        if (n_good < result->n_destinations)
                printf(" to %u of %u destinations", n_good, result->n_destinations);
        else if (n_good > 1)
                printf(" to %u destinations", n_good);
        if (zeroes && !report->zero)
                printf(", %s of it zeroes", units_format(zeroes, zero));
        puts(durable ? "; durable" : "; not flushed");
        fflush(stdout);
}

/* With --on-error continue some are complete though the job has failed. */
static bool any_complete(bool read_err, uint64_t write_err, const struct kcopy_result *result)
{
        if (result->state == KCOPY_COMPLETED && !read_err && !write_err)
                return true;
        if (read_err || (result->state != KCOPY_COMPLETED && result->state != KCOPY_FAILED))
                return false;
        for (unsigned i = 0; i < result->n_destinations; i++)
                if (!(write_err >> i & 1))
                        return true;
        return false;
}

/* A cancelled job was cancelled by the server's end. (Where nothing could be read, that is what stopped the
 * destinations.) */
static bool server_stopped(bool read_err, uint64_t write_err, const struct kcopy_result *result)
{
        if (read_err)
                return false;
        for (unsigned i = 0; i < result->n_destinations; i++)
                if (write_err >> i & 1 && result->destinations[i].error.error_class == KCOPY_CLASS_STOPPED)
                        return true;
        return false;
}

void report_print(
    const struct report *report, bool read_err, uint64_t write_err, const struct kcopy_result *result)
{
        char text[32], ledger[160];

        if (result->state == KCOPY_REFUSED) {
                print_refused(report, result);
                return;
        }
        if (result->state == KCOPY_LOST) /* there is no more to say than that, and the session says it */
                return;
        if (read_err)
                print_error(report->from ? captive_name(report->from) : "source", report->from,
                    &result->source_error, "");
        for (unsigned i = 0; i < result->n_destinations; i++) {
                const struct kcopy_destination_result *destination = &result->destinations[i];

                if (write_err & UINT64_C(1) << i)
                        print_error(device_name(report, i, text), report->to ? report->to[i] : NULL,
                            &destination->error, ledger_text(destination, ledger));
                else if (report->want_durable && !destination->durable && counts_for_durability(report, i))
                        text_error(device_name(report, i, text),
                            "copied, but not durable: it cannot flush; --durability none accepts that");
        }
        if (any_complete(read_err, write_err, result) && !report->json)
                print_summary(report, write_err, result);
        else if (result->state == KCOPY_CANCELLED)
                text_error(report->zero ? "zero" : "copy", server_stopped(read_err, write_err, result)
                                                               ? "cancelled: the server was stopped"
                                                               : "cancelled");
}
