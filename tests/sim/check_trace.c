/* The checker's part for after the run: ledgers and order, from the devices' traces. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/checker.h"

enum unit_flag {          /* of a unit of a destination's region */
        UNIT_WRITTEN = 1, /* a write that may be this job's was answered well */
        UNIT_ZEROED = 2,  /* a zero request was */
        UNIT_TRIED = 4,   /* any command of it, whatever became of it */
        UNIT_CHANGED = 8, /* changed, or perhaps, by what is this job's for certain */
        UNIT_NULLED = 16, /* what was written were zeroes */
};

struct units {
        unsigned char *flags;
        uint64_t n, unit_bytes, length_bytes;
};

static bool reached(const struct device_op *op)
{
        return op->applied_moment != 0 && !(op->op == IO_ZERO && op->status == -EOPNOTSUPP);
}

static unsigned flags_of(const struct device_op *op, uint64_t bit)
{
        unsigned flags = UNIT_TRIED;

        if (op->answered && op->status == 0)
                flags |= op->op == IO_WRITE ? UNIT_WRITTEN : UNIT_ZEROED;
        if (op->jobs_mask == bit && (op->unanswered || (op->answered && reached(op))))
                flags |= UNIT_CHANGED;
        return flags;
}

/* The op's part of the region, relative to its start. False: none. */
static bool part_of(const struct check_job *job, const struct check_region *to, const struct device_op *op,
    uint64_t *ret_start, uint64_t *ret_end)
{
        uint64_t start = op->offset_bytes, end = start + op->length_bytes;

        if (!device_is_mutation(op->op) || !(op->jobs_mask >> job->index & 1) ||
            !check_overlap(start, end, to->start_bytes, to->start_bytes + job->length_bytes))
                return false;
        *ret_start = start > to->start_bytes ? start - to->start_bytes : 0;
        *ret_end = end - to->start_bytes < job->length_bytes ? end - to->start_bytes : job->length_bytes;
        return true;
}

static bool in_sectors(const struct check_job *job, const struct check_region *to)
{
        uint64_t start, end;

        for (unsigned i = 0; i < to->device->n_ops; i++)
                if (part_of(job, to, to->device->ops[i], &start, &end) &&
                    (start % 512 || (end % 512 && end != job->length_bytes)))
                        return false;
        return true;
}

static bool wrote_zeroes(const struct device_op *op, uint64_t start_bytes, uint64_t end_bytes)
{
        const unsigned char *at = op->data + (start_bytes - op->offset_bytes);

        return at[0] == 0 && memcmp(at, at + 1, end_bytes - start_bytes - 1) == 0;
}

static void note_unit(const struct units *units, const struct check_region *to, const struct device_op *op,
    uint64_t unit, unsigned flags)
{
        uint64_t start = unit * units->unit_bytes, end = start + units->unit_bytes;

        if (end > units->length_bytes)
                end = units->length_bytes;
        if (flags & UNIT_WRITTEN && !(units->flags[unit] & UNIT_NULLED) &&
            wrote_zeroes(op, to->start_bytes + start, to->start_bytes + end))
                flags |= UNIT_NULLED;
        units->flags[unit] = (unsigned char)(units->flags[unit] | flags);
}

static struct units units_of(const struct check_job *job, const struct check_region *to)
{
        struct units units = {.unit_bytes = in_sectors(job, to) ? 512 : 1, .length_bytes = job->length_bytes};
        uint64_t start, end;

        units.n = (job->length_bytes + units.unit_bytes - 1) / units.unit_bytes;
        units.flags = calloc(1, units.n + 1);
        assert(units.flags != NULL);
        for (unsigned i = 0; i < to->device->n_ops; i++) {
                const struct device_op *op = to->device->ops[i];
                unsigned flags = flags_of(op, 1ull << job->index);

                if (!part_of(job, to, op, &start, &end))
                        continue;
                for (uint64_t u = start / units.unit_bytes; u * units.unit_bytes < end; u++)
                        note_unit(&units, to, op, u, flags);
        }
        return units;
}

static uint64_t bytes_with(const struct units *units, unsigned flags)
{
        uint64_t sum = 0;

        for (uint64_t u = 0; u < units->n; u++)
                if (units->flags[u] & flags)
                        sum += u + 1 < units->n ? units->unit_bytes
                                                : units->length_bytes - u * units->unit_bytes;
        return sum;
}

static void compare(struct checker *checker, const struct check_job *job, unsigned i, const char *what,
    uint64_t said, uint64_t most)
{
        if (said > most)
                world_fail(checker->world,
                    "ledger: job %u (id %" PRIu64 ") destination %u says %s %" PRIu64
                    ", the trace allows %" PRIu64,
                    job->index, job->id, i, what, said, most);
}

static void check_ledger(struct checker *checker, const struct check_job *job, unsigned i)
{
        const struct job_ledger *ledger = &job->results[i].ledger;
        struct units units;

        if (job->to[i].device == NULL)
                return;
        units = units_of(job, &job->to[i]);
        compare(checker, job, i, "copied", ledger->copied, bytes_with(&units, UNIT_WRITTEN));
        compare(checker, job, i, "copied and zeroed", ledger->copied + ledger->zeroed,
            bytes_with(&units, UNIT_WRITTEN | UNIT_ZEROED));
        compare(checker, job, i, "zeroed", ledger->zeroed, bytes_with(&units, UNIT_ZEROED | UNIT_NULLED));
        /* Another lane may not know that it was never sent, and another run or life where it was. */
        if (job->to[i].device->n_turned_away == 0 && job->attempts == 1 && job->n_runs < 2)
                compare(
                    checker, job, i, "indeterminate", ledger->indeterminate, bytes_with(&units, UNIT_TRIED));
        compare(checker, job, i, "untouched and skipped", ledger->untouched + ledger->skipped,
            job->length_bytes - bytes_with(&units, UNIT_CHANGED));
        free(units.flags);
}

/* ---- order: a running job holds its regions */

struct span {
        uint64_t first_moment, last_moment; /* of its changes */
};

static struct span span_of(const struct checker *checker, const struct check_job *job)
{
        struct span span = {.first_moment = UINT64_MAX};

        for (unsigned d = 0; d < checker->n_devices; d++)
                for (unsigned k = 0; k < checker->devices[d].n_ops; k++) {
                        const struct device_op *op = checker->devices[d].ops[k];

                        if (op->jobs_mask != 1ull << job->index || !device_is_mutation(op->op))
                                continue;
                        if (op->sent_moment < job->again_moment) { /* it gave its locks back */
                                if (!op->answered || op->status == 0)
                                        world_fail(checker->world,
                                            "job %u began again after %s #%u may have changed something",
                                            job->index, op->device->name, op->index);
                                continue;
                        }
                        if (op->sent_moment < span.first_moment)
                                span.first_moment = op->sent_moment;
                        if (op->sent_moment > span.last_moment)
                                span.last_moment = op->sent_moment;
                }
        return span;
}

static bool touches(
    const struct check_job *job, const struct check_region *region, const struct device_op *op)
{
        return region->device == op->device &&
               check_overlap(op->offset_bytes, op->offset_bytes + op->length_bytes, region->start_bytes,
                   region->start_bytes + job->length_bytes);
}

static void check_alone(struct checker *checker, const struct check_job *job)
{
        struct span span = span_of(checker, job);

        for (unsigned d = 0; d < checker->n_devices; d++)
                for (unsigned k = 0; k < checker->devices[d].n_ops; k++) {
                        const struct device_op *op = checker->devices[d].ops[k];
                        bool hits = touches(job, &job->from, op);

                        if (op->jobs_mask == 0 || op->jobs_mask >> job->index & 1 ||
                            !device_is_mutation(op->op))
                                continue;
                        for (unsigned i = 0; i < job->n_to; i++)
                                hits |= touches(job, &job->to[i], op);
                        if (hits && op->sent_moment > span.first_moment && op->sent_moment < span.last_moment)
                                world_fail(checker->world,
                                    "lock: %s #%u of another job falls between the writes of job %u",
                                    op->device->name, op->index, job->index);
                }
}

static void check_refused_is_silent(struct checker *checker)
{
        uint64_t accepted = 0;

        for (unsigned j = 0; j < checker->n_jobs; j++)
                if (checker->jobs[j].state != CHECK_REFUSED)
                        accepted |= 1ull << j;
        for (unsigned d = 0; d < checker->n_devices; d++)
                for (unsigned k = 0; k < checker->devices[d].n_ops; k++) {
                        const struct device_op *op = checker->devices[d].ops[k];

                        if (op->jobs_mask != 0 && (op->jobs_mask & accepted) == 0)
                                world_fail(checker->world,
                                    "refused: %s #%u op %u is of a job that was refused", op->device->name,
                                    op->index, op->op);
                }
}

void checker_end(struct checker *checker)
{
        for (unsigned j = 0; j < checker->n_jobs; j++) {
                const struct check_job *job = &checker->jobs[j];

                if (check_live(job))
                        world_fail(checker->world, "job %u (id %" PRIu64 ") never ended", j, job->id);
                if (job->state != CHECK_TERMINAL)
                        continue;
                for (unsigned i = 0; i < job->n_to; i++)
                        check_ledger(checker, job, i);
                if (!job->lasting)
                        check_alone(checker, job);
        }
        check_refused_is_silent(checker);
}
