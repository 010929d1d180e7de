/* The checker's part for what could not be read: it is listed, it is bad, and the rest is copied. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sim/checker.h"

/* The range that is bad, in the job, in whole blocks; or nothing. */
static struct bad_range worst(const struct check_job *job)
{
        const struct device_config *bad = &job->from.device->config;
        uint64_t align = IO_SECTOR_BYTES, start, end;

        align = bad->block_min_bytes > align ? bad->block_min_bytes : align;
        for (unsigned k = 0; k < job->n_to; k++)
                if (job->to[k].device && job->to[k].device->config.block_min_bytes > align)
                        align = job->to[k].device->config.block_min_bytes;
        start =
            bad->bad_start_bytes > job->from.start_bytes ? bad->bad_start_bytes - job->from.start_bytes : 0;
        end = bad->bad_end_bytes > job->from.start_bytes ? bad->bad_end_bytes - job->from.start_bytes : 0;
        start -= start % align;
        end += align - 1;
        end -= end % align;
        end = end > job->length_bytes ? job->length_bytes : end;
        return start < end ? (struct bad_range){start, end} : (struct bad_range){0, 0};
}

static void check_list(struct checker *checker, const struct check_job *job, const struct bad_ranges *bad)
{
        const struct bad_range all = worst(job);
        uint64_t at_bytes = 0;

        for (unsigned i = 0; i < bad->n; i++) {
                const struct bad_range *range = &bad->ranges[i];

                if ((i > 0 && range->start_bytes <= at_bytes) || range->end_bytes <= range->start_bytes ||
                    range->end_bytes > job->length_bytes)
                        checker_fail_job(checker, job, "its bad ranges are no list; at", range->start_bytes);
                if (range->start_bytes >= all.end_bytes || range->end_bytes <= all.start_bytes)
                        checker_fail_job(checker, job, "calls bad what is not; at", range->start_bytes);
                at_bytes = range->end_bytes;
        }
}

static bool equal_outside(const struct check_job *job, unsigned i, const struct bad_ranges *bad)
{
        const unsigned char *from = job->from.device->cache + job->from.start_bytes,
                            *to = job->to[i].device->cache + job->to[i].start_bytes;
        uint64_t at_bytes = 0;

        for (unsigned k = 0; k < bad->n; k++) {
                if (memcmp(from + at_bytes, to + at_bytes, bad->ranges[k].start_bytes - at_bytes) != 0)
                        return false;
                at_bytes = bad->ranges[k].end_bytes;
        }
        return memcmp(from + at_bytes, to + at_bytes, job->length_bytes - at_bytes) == 0;
}

/* As whoever writes a mapfile concludes: what this destination lacks is what could not be read. */
static bool lacks_bad_only(const struct check_job *job, unsigned i, uint64_t bad_bytes)
{
        const struct job_destination_result *result = &job->results[i];

        return result->ledger.untouched + result->ledger.indeterminate <= bad_bytes &&
               (result->error.error.code == 0 || result->error.error.class == KC_CLASS_STOPPED);
}

/* A destination that lacks something through no fault of its own has somebody whose fault it is. */
static void check_explained(struct checker *checker, const struct check_job *job)
{
        bool blamed = job->read_err || job->end != JOB_FAILED;

        for (unsigned i = 0; i < job->n_to; i++)
                blamed |= job->results[i].error.error.code != 0 &&
                          job->results[i].error.error.class != KC_CLASS_STOPPED;
        if (!blamed)
                checker_fail_job(checker, job, "failed, and nothing says why", 0);
}

void checker_check_bad(struct checker *checker, const struct check_job *job, const struct bad_ranges *bad)
{
        bool ignores = job->options.policy == COPY_POLICY_IGNORE && job->end != JOB_CANCELLED,
             known = ignores;
        uint64_t bad_bytes = 0;

        if (bad->n > 0 && !job->read_err)
                checker_fail_job(checker, job, "has bad ranges, and no error of the source", bad->n);
        if (job->options.policy == COPY_POLICY_IGNORE)
                check_explained(checker, job);
        if (!job->from.device || checker->world->failed)
                return;
        check_list(checker, job, bad);
        for (unsigned i = 0; i < bad->n; i++)
                bad_bytes += bad->ranges[i].end_bytes - bad->ranges[i].start_bytes;
        if (ignores && !job->lasting && bad_bytes > worst(job).end_bytes - worst(job).start_bytes)
                checker_fail_job(checker, job, "leaves out more than what is bad", bad_bytes);
        for (unsigned i = 0; i < job->n_to; i++) {
                known = known && lacks_bad_only(job, i, bad_bytes);
                if (ignores && !job->lasting && job->source_error.class == KC_CLASS_MEDIA &&
                    job->results[i].error.error.class == KC_CLASS_STOPPED &&
                    job->results[i].ledger.untouched > bad_bytes)
                        checker_fail_job(checker, job, "leaves out more than it lists; destination", i);
        }
        for (unsigned i = 0; known && i < job->n_to && !checker->expect_wrong_data; i++)
                if (job->to[i].device && job->to[i].device->n_power_losses == 0 &&
                    (!job->lasting || job->destination_done_ns[i] == 0) &&
                    checker_undisturbed(checker, job, i) && !equal_outside(job, i, bad))
                        checker_fail_job(checker, job, "differs where nothing was bad; destination", i);
        if (known && job->read_err && job->source_error.class == KC_CLASS_MEDIA && bad->n == 0)
                checker_fail_job(checker, job, "could not read something, and does not list it", 0);
}
