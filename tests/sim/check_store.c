/* The checker's part for what outlives the daemon: see checker.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "copy/store.h"
#include "sim/checker.h"

static struct check_job *by_id(struct checker *checker, uint64_t id)
{
        for (unsigned j = 0; j < checker->n_jobs; j++)
                if (checker->jobs[j].stored && checker->jobs[j].id == id)
                        return &checker->jobs[j];
        world_fail(checker->world, "the store is told of job %" PRIu64 ", which it does not have", id);
        return NULL;
}

/* ---- marks */

static void add_range(struct check_mark_end *end, uint64_t start_bytes, uint64_t end_bytes)
{
        end->ranges = realloc(end->ranges, (end->n_ranges + 1) * sizeof *end->ranges);
        assert(end->ranges != NULL);
        end->ranges[end->n_ranges++] = (struct ledger_range){start_bytes, end_bytes, LEDGER_COPIED};
}

/* Where in a settled prefix something was written is not known, unless all of it was. */
struct check_mark *check_mark_new(const struct store_mark *from)
{
        struct check_mark *mark = calloc(1, sizeof *mark);

        assert(mark != NULL);
        mark->n_to = from->n_to;
        for (unsigned d = 0; d < from->n_to; d++) {
                const struct ledger *ledger = &from->ends[1 + d].ledger;
                struct check_mark_end *end = &mark->ends[d];

                end->told = from->ends[1 + d].told;
                if (ledger->mark_bytes > 0 &&
                    ledger->sums_bytes[LEDGER_COPIED] + ledger->sums_bytes[LEDGER_ZEROED] ==
                        ledger->mark_bytes)
                        add_range(end, 0, ledger->mark_bytes);
                for (unsigned i = 0; i < ledger->n_ranges; i++)
                        if (ledger->ranges[i].fate == LEDGER_COPIED ||
                            ledger->ranges[i].fate == LEDGER_ZEROED)
                                add_range(end, ledger->ranges[i].start_bytes, ledger->ranges[i].end_bytes);
        }
        return mark;
}

void check_mark_free(struct check_mark *mark)
{
        for (unsigned d = 0; mark && d < mark->n_to; d++)
                free(mark->ends[d].ranges);
        free(mark);
}

static bool is_there(
    const struct check_job *job, const struct check_region *to, const struct ledger_range *range)
{
        const unsigned char *at = to->device->stable + to->start_bytes + range->start_bytes;
        size_t n = range->end_bytes - range->start_bytes;

        if (job->operation == COPY_OPERATION_ZERO)
                return n == 0 || (at[0] == 0 && memcmp(at, at + 1, n - 1) == 0);
        return memcmp(job->from.device->cache + job->from.start_bytes + range->start_bytes, at, n) == 0;
}

static void check_mark(struct checker *checker, const struct check_job *job)
{
        if (checker->expect_wrong_data || job->mark == NULL)
                return;
        for (unsigned d = 0; d < job->n_to; d++) {
                const struct check_mark_end *end = &job->mark->ends[d];

                for (unsigned i = 0; i < end->n_ranges && job->to[d].device && !end->told; i++)
                        if (!is_there(job, &job->to[d], &end->ranges[i]))
                                world_fail(checker->world,
                                    "job %u (id %" PRIu64 "): the checkpoint calls [%" PRIu64 ", %" PRIu64
                                    ") of destination %u written, and it is not on stable storage",
                                    job->index, job->id, end->ranges[i].start_bytes, end->ranges[i].end_bytes,
                                    d);
        }
}

void checker_check_marks(struct checker *checker)
{
        for (unsigned j = 0; j < checker->n_jobs; j++)
                if (checker->jobs[j].stored && check_live(&checker->jobs[j]))
                        check_mark(checker, &checker->jobs[j]);
}

void checker_marked(struct checker *checker, uint64_t job_id, struct check_mark *mark)
{
        struct check_job *job = by_id(checker, job_id);

        if (job == NULL) {
                check_mark_free(mark);
                return;
        }
        if (job->state == CHECK_TERMINAL)
                checker_fail_job(checker, job, "a checkpoint after its end", 0);
        check_mark_free(job->mark);
        job->mark = mark;
        check_mark(checker, job);
}

/* ---- records and events */

/* The driver has put the job's index there. */
struct check_job *checker_job_of(struct checker *checker, const struct copy_spec *spec)
{
        unsigned index;

        assert(spec->context_bytes == sizeof index);
        memcpy(&index, spec->context, sizeof index);
        return &checker->jobs[index];
}

void checker_created(struct checker *checker, struct check_job *job, uint64_t id)
{
        if (job->state != CHECK_SUBMITTED || job->stored)
                checker_fail_job(checker, job, "stored in state", job->state);
        for (unsigned j = 0; j < checker->n_jobs; j++)
                if (checker->jobs[j].id == id)
                        checker_fail_job(checker, job, "stored under an id that was used before", id);
        for (unsigned j = 0; j < checker->n_jobs && job->key; j++)
                if (&checker->jobs[j] != job && checker->jobs[j].stored && checker->jobs[j].key &&
                    strcmp(checker->jobs[j].key, job->key) == 0)
                        checker_fail_job(
                            checker, job, "stored, and a job with its key is there", checker->jobs[j].id);
        job->stored = true;
        job->id = id;
        world_say(checker->world, "job %u stored as %" PRIu64, job->index, id);
}

static uint64_t mix(uint64_t digest, uint64_t value)
{
        return (digest ^ value) * 0x9fb21c651e98df25ull + (digest >> 29);
}

static uint64_t mix_destination(uint64_t digest, const struct job_destination_result *result)
{
        digest = mix(digest, result->ledger.copied);
        digest = mix(digest, result->ledger.zeroed);
        digest = mix(digest, result->ledger.skipped);
        digest = mix(digest, result->ledger.indeterminate);
        digest = mix(digest, result->durable);
        return mix(digest, (uint64_t)-result->error.error.code);
}

static uint64_t digest_of(const struct job_event *event)
{
        uint64_t digest = mix(event->type, event->state);

        if (event->type == JOB_EVENT_STATE)
                digest = mix(digest, world_hash_bytes(event->reason, strlen(event->reason)));
        if (event->type == JOB_EVENT_DESTINATION_DONE)
                digest = mix_destination(mix(digest, event->index), event->destination);
        if (event->type != JOB_EVENT_COMPLETION)
                return digest;
        digest = mix(digest, event->result->write_err);
        digest = mix(digest, event->result->read_err);
        digest = mix(digest, event->result->durable);
        for (unsigned i = 0; i < event->result->n_destinations; i++)
                digest = mix_destination(digest, &event->result->destinations[i]);
        return digest;
}

void checker_stored(struct checker *checker, const struct job_event *event)
{
        struct check_job *job = by_id(checker, event->job_id);

        if (job == NULL)
                return;
        if (event->seq != job->n_stored + 1 || job->n_stored == CHECKER_STORED_MAX) {
                checker_fail_job(checker, job, "an event is stored with the wrong number", event->seq);
                return;
        }
        job->digests[job->n_stored++] = digest_of(event);
        check_event(checker, job, event);
}

void checker_told(struct checker *checker, struct check_job *job, const struct job_event *event)
{
        if (event->type == JOB_EVENT_PROGRESS) {
                check_event(checker, job, event);
                return;
        }
        if (event->seq == 0 || event->seq > job->n_stored)
                checker_fail_job(checker, job, "an event is told that is not stored", event->seq);
        else if (event->seq <= job->told_seq)
                checker_fail_job(checker, job, "an event is told out of order", event->seq);
        else if (job->digests[event->seq - 1] != digest_of(event))
                checker_fail_job(
                    checker, job, "an event is told in other words than it is stored", event->seq);
        job->told_seq = event->seq;
}

/* ---- the end of a life */

void checker_died(struct checker *checker)
{
        for (unsigned j = 0; j < checker->n_jobs; j++) {
                struct check_job *job = &checker->jobs[j];

                job->told_seq = 0;
                if (!check_live(job))
                        continue;
                job->running = false;
                job->attempts++;
                job->state = job->stored ? CHECK_ACCEPTED : CHECK_GONE;
        }
        for (unsigned i = 0; i < CHECKER_CLIENTS_MAX; i++)
                checker->used_pages[i] = checker->granted_pages[i] = 0;
        memset(checker->pages, 0, CHECKER_PAGES_MAX * sizeof *checker->pages);
        checker->total_used_pages = 0;
        checker->n_open = 0;
}
