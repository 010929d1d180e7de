/* That a job's devices are what they were, and what its client expects: see lasting.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "copy/job.h"

static bool refuse_changed(struct job *job, unsigned end, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse_changed(struct job *job, unsigned end, const char *fmt, ...)
{
        struct engine_refusal refusal = {.error = {.code = -ESTALE, .class = KC_CLASS_STOPPED}};
        va_list ap;

        if (end == 0)
                snprintf(refusal.field, sizeof refusal.field, "from");
        else
                snprintf(refusal.field, sizeof refusal.field, "to[%u]", end - 1);
        va_start(ap, fmt);
        vsnprintf(refusal.error.message, sizeof refusal.error.message, fmt, ap);
        va_end(ap);
        job_refuse(job, &refusal);
        return false;
}

/* Against what the client has stated. */
static bool check_expected(struct job *job, unsigned i)
{
        const struct copy_expected *expected = &job->spec->lasting->ends[i];
        const struct device *device = job->ends[i].device;

        if (expected->size_bytes > 0 && expected->size_bytes != device->info.size_bytes)
                return refuse_changed(job, i, "%s: has %llu bytes, and was expected to have %llu",
                    device->name, (unsigned long long)device->info.size_bytes,
                    (unsigned long long)expected->size_bytes);
        if (expected->identity && strcmp(expected->identity, device_key(device)) != 0)
                return refuse_changed(job, i, "%s: is %s, and was expected to be %s", device->name,
                    device_key(device), expected->identity);
        return true;
}

static void note_device(struct store_mark_end *end, const struct device *device)
{
        const struct io_identity *identity = &device->info.identity;

        if (!device->info.absent || device->born_key[0] != '\0') {
                snprintf(end->identity, sizeof end->identity, "%s", device_key(device));
                snprintf(end->instance, sizeof end->instance, "%s", identity->instance);
                end->base_bytes = identity->base_bytes;
        }
        end->size_bytes = device->info.size_bytes;
}

/* Against what it was when it was opened first. A file's size is what the job makes it. */
static bool check_same(struct job *job, unsigned i)
{
        struct store_mark_end *end = &job->lasting->mark->ends[i];
        const struct device *device = job->ends[i].device;

        if (end->identity[0] == '\0') {
                note_device(end, device);
                return true;
        }
        if (strcmp(end->identity, device_key(device)) != 0)
                return refuse_changed(job, i,
                    "%s: is another device now (%s, it was %s); resume the job when it is the right one, or "
                    "cancel it",
                    device->name, device_key(device), end->identity);
        if (end->base_bytes != device->info.identity.base_bytes ||
            io_instances_differ(end->instance, device->info.identity.instance))
                return refuse_changed(job, i,
                    "%s: is another device of the same name now (%s at %llu, it was %s at %llu); resume the "
                    "job when "
                    "it is the right one, or cancel it",
                    device->name, device->info.identity.instance,
                    (unsigned long long)device->info.identity.base_bytes, end->instance,
                    (unsigned long long)end->base_bytes);
        if (end->size_bytes != device->info.size_bytes && !(i > 0 && device->info.resizable))
                return refuse_changed(job, i,
                    "%s: has %llu bytes now, it had %llu; resume the job when it has them again, or cancel "
                    "it",
                    device->name, (unsigned long long)device->info.size_bytes,
                    (unsigned long long)end->size_bytes);
        return true;
}

/* A fate must not end within a chunk. */
static bool check_bounds(struct job *job, unsigned i)
{
        const struct ledger *ledger = &job->lasting->mark->ends[i].ledger;
        bool fits = ledger->mark_bytes % job->align_bytes == 0 || ledger_full(ledger);

        for (unsigned j = 0; j < ledger->n_ranges; j++)
                fits &= ledger->ranges[j].start_bytes % job->align_bytes == 0 &&
                        (ledger->ranges[j].end_bytes % job->align_bytes == 0 ||
                            ledger->ranges[j].end_bytes == ledger->length_bytes);
        return fits || refuse_changed(job, i,
                           "%s: has larger blocks than before, which do not fit what was copied; submit the "
                           "job anew",
                           job->ends[i].device->name);
}

bool lasting_check(struct job *job)
{
        struct lasting *lasting = job->lasting;

        if (!lasting->mark) {
                lasting->mark = store_mark_new(job->spec->n_to, job->length_bytes);
                if (!lasting->mark) {
                        job_refuse_with(job, "", -ENOMEM, KC_CLASS_INTERNAL, "the server is out of memory");
                        return false;
                }
        }
        for (unsigned i = 0; i < job_n_ends(job); i++) {
                if (!job->ends[i].device || (i > 0 && lasting->mark->ends[i].told))
                        continue;
                if (!check_expected(job, i) || !check_same(job, i) ||
                    (i > 0 && lasting->resumed && !check_bounds(job, i)))
                        return false;
        }
        return true;
}
