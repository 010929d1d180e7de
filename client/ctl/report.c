/* How a job ended (report.h). */
#include "ctl/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/captive.h"
#include "ctl/text.h"
#include "ctl/units.h"

#define WAITED_MIN_MS 100 /* less is no waiting that anybody noticed */

static const char *device_name(const struct report *report, unsigned i, char text[32])
{
        if (report->to_words)
                return report->to_words[i];
        if (report->to && report->to[i])
                return captive_name(report->to[i]);
        snprintf(text, 32, "destination %u", i);
        return text;
}

static const char *source_name(const struct report *report)
{
        return report->from_word ? report->from_word : report->from ? captive_name(report->from) : "source";
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
        if (result->state == KCOPY_VALIDATED || result->state == KCOPY_ACCEPTED)
                return CTL_DONE;
        if (result->state != KCOPY_COMPLETED || read_err || write_err || !durable_enough(report, result))
                return CTL_FAILED;
        return CTL_DONE;
}

/* How to have it wait for longer. */
static const char *timeout_remedy(const struct report *report, const struct kcopy_endpoint_error *error)
{
        return report->own && error->error_class == KCOPY_CLASS_TIMEOUT &&
                       strstr(error->message, "the job's timeout")
                   ? "; --timeout SECONDS sets it"
                   : "";
}

static void print_error(const struct report *report, const char *name, const char *device,
    const struct kcopy_endpoint_error *error, const char *ledger)
{
        const char *message = text_without_subject(error->message, device);
        char sector[40] = "";

        if (error->has_sector && !strstr(message, "sector"))
                snprintf(sector, sizeof(sector), " at sector %" PRIu64, error->sector);
        text_error(name, "%s%s (%s%s%s)%s%s", message[0] ? message : "failed", sector,
            text_class(error->error_class), error->errno_name[0] ? ", " : "", error->errno_name,
            timeout_remedy(report, error), ledger);
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
        if (destination->copied_bytes || destination->zeroed_bytes || destination->skipped_bytes ||
            destination->indeterminate_bytes)
                snprintf(text + n, 160 - n, "; it stays incomplete");
        return text;
}

/* The command line's word for a field of the job that is no device's, or NULL. */
static const char *option_of(const char *field)
{
        static const struct {
                const char *field, *option;
        } OPTIONS[] = {
            {"options.on_error", "--on-error"},
            {"options.durability", "--durability"},
            {"options.priority", "--priority"},
            {"options.rate_bytes_per_s", "--rate"},
            {"options.timeout_ms", "--timeout"},
            {"options.zero_destinations", "--destination-is-zero"},
            {"options.validate_only", "--dry-run"},
            {"options.detached", "--detach"},
            {"options.key", "--key"},
            {"options.retry_for_ms", "--retry-for"},
            {"pages", "--pages"},
            {"to", "destinations"},
        };

        for (unsigned i = 0; i < sizeof(OPTIONS) / sizeof(OPTIONS[0]); i++)
                if (strcmp(OPTIONS[i].field, field) == 0)
                        return OPTIONS[i].option;
        return NULL;
}

/* "options.priority" → "priority", as which the server speaks of it */
static const char *last_part(const char *field)
{
        const char *dot = strrchr(field, '.');

        return dot ? dot + 1 : field;
}

/* An overlap names the other device by its field, too. */
static const char *without_fields(const char *message, char text[512])
{
        static const char OVERLAPS[] = "overlaps with ";
        const char *field = message + strlen(OVERLAPS);
        unsigned index;
        int used = 0;

        if (strncmp(message, OVERLAPS, strlen(OVERLAPS)) != 0)
                return message;
        if (strncmp(field, "from ", 5) == 0)
                snprintf(text, 512, "%sthe source%s", OVERLAPS, field + 4);
        else if (sscanf(field, "to[%u]%n", &index, &used) == 1 && used)
                snprintf(text, 512, "%sdestination %u%s", OVERLAPS, index, field + used);
        else
                return message;
        return text;
}

/* In the words of the command line: which of its words the refused field was, and how to write it otherwise.
 */
static void print_refused(const struct report *report, const struct kcopy_result *result)
{
        const struct kcopy_endpoint_error *refusal = &result->refusal;
        const char *field = result->refused_field, *part = last_part(field);
        const char *name = NULL, *device = NULL, *hint = "";
        bool source = strncmp(field, "from", 4) == 0;
        unsigned index;
        char text[32], words[512];

        if (source && report->from) {
                device = report->from;
                name = source_name(report);
        } else if (sscanf(field, "to[%u]", &index) == 1 && index < KCOPY_DESTINATIONS_MAX) {
                device = report->to ? report->to[index] : NULL;
                name = device_name(report, index, text);
        }
        if (device && captive_is_dead(device)) /* that nothing could be reached there is no news */
                return;
        if (!name) {
                name = option_of(field);
                text_error(name       ? name
                           : field[0] ? field
                                      : "refused",
                    "%s", text_without_subject(refusal->message, part));
                return;
        }
        if (report->own && report->whole && (strcmp(part, "sector") == 0 || strcmp(part, "count") == 0))
                hint = "; a part of a device is written DEVICE#START+COUNT";
        else if (report->own && strcmp(part, "count") == 0)
                hint = " (in #START+COUNT)";
        else if (report->own && device && captive_name(device) == device)
                hint = names_hint(report->place, name, source, strcmp(refusal->errno_name, "ENOENT") == 0);
        text_error(name, "refused: %s%s",
            without_fields(text_without_subject(refusal->message, device), words), hint);
}

/* The part of a copy that was no data: ", 1.0 MiB of it zeroes, 1.0 GiB of it skipped, …" */
static void print_parts(const struct report *report, uint64_t zeroed_bytes, uint64_t skipped_bytes)
{
        char size[UNITS_TEXT_BYTES];

        if (zeroed_bytes && !report->zero)
                printf(", %s of it zeroes", units_format(zeroed_bytes, size));
        if (skipped_bytes)
                printf(", %s of it skipped, declared zero already", units_format(skipped_bytes, size));
}

static uint64_t most(uint64_t one, uint64_t other)
{
        return one > other ? one : other;
}

/* For the destinations that are not in `write_err`, of which there is one. */
static void print_summary(const struct report *report, uint64_t write_err, const struct kcopy_result *result)
{
        uint64_t waited_ms = report->waited_ms < result->elapsed_ms ? report->waited_ms : result->elapsed_ms;
        double seconds = (double)(result->elapsed_ms - waited_ms) / 1000;
        uint64_t copied_bytes = 0, zeroed_bytes = 0, skipped_bytes = 0;
        unsigned n_good = 0;
        bool durable = true;
        char length[UNITS_TEXT_BYTES], rate[UNITS_TEXT_BYTES];

        for (unsigned i = 0; i < result->n_destinations; i++) {
                const struct kcopy_destination_result *destination = &result->destinations[i];

                if (write_err >> i & 1)
                        continue;
                n_good++;
                copied_bytes = most(copied_bytes, destination->copied_bytes);
                zeroed_bytes = most(zeroed_bytes, destination->zeroed_bytes);
                skipped_bytes = most(skipped_bytes, destination->skipped_bytes);
                durable = durable && destination->durable;
        }
        printf("%s %s", report->zero ? "zeroed" : "copied", units_format(result->length_bytes, length));
        if (report->own)
                printf(" in %.2f s", seconds);
        if (report->own && waited_ms >= WAITED_MIN_MS)
                printf(" after waiting %.2f s", (double)waited_ms / 1000);
        /* of data: holes have none */
        if (report->own && copied_bytes && seconds > 0)
                printf(" (%s/s)", units_format((uint64_t)((double)copied_bytes / seconds), rate));
        if (n_good < result->n_destinations)
                printf(" to %u of %u destinations", n_good, result->n_destinations);
        else if (n_good > 1)
                printf(" to %u destinations", n_good);
        print_parts(report, zeroed_bytes, skipped_bytes);
        fputs(durable ? "; durable" : "; not flushed", stdout);
        if (!report->own) /* how long somebody else's job waited is not known */
                printf("; ended %.2f s after it was accepted", seconds);
        putchar('\n');
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
                print_error(report, source_name(report), report->from, &result->source_error, "");
        for (unsigned i = 0; i < result->n_destinations; i++) {
                const struct kcopy_destination_result *destination = &result->destinations[i];

                if (write_err & UINT64_C(1) << i)
                        print_error(report, device_name(report, i, text), report->to ? report->to[i] : NULL,
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
