/* The checker's part for what the engine says: acceptances, refusals, events. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sim/checker.h"

void checker_fail_job(struct checker *checker, const struct check_job *job, const char *what, uint64_t detail)
{
        world_fail(
            checker->world, "job %u (id %" PRIu64 "): %s (%" PRIu64 ")", job->index, job->id, what, detail);
}

/* ---- regions at the moment of a completion */

/* No other live job changes what this one read or wrote, so that the contents can be looked at now. */
bool checker_undisturbed(const struct checker *checker, const struct check_job *job, unsigned to)
{
        for (unsigned j = 0; j < checker->n_jobs; j++) {
                const struct check_job *other = &checker->jobs[j];

                if (other == job || !check_works(other))
                        continue;
                for (unsigned i = 0; i < other->n_to; i++)
                        if (other->to[i].device == job->from.device ||
                            other->to[i].device == job->to[to].device)
                                return false;
        }
        return true;
}

static bool equal(const struct check_job *job, const struct check_region *to, const unsigned char *contents)
{
        const unsigned char *at = contents + to->start_bytes;

        if (job->operation == COPY_OPERATION_ZERO)
                return job->length_bytes == 0 ||
                       (at[0] == 0 && memcmp(at, at + 1, job->length_bytes - 1) == 0);
        return memcmp(job->from.device->cache + job->from.start_bytes, at, job->length_bytes) == 0;
}

static void check_contents(struct checker *checker, const struct check_job *job, unsigned i)
{
        const struct check_region *to = &job->to[i];
        const struct job_destination_result *result = &job->results[i];

        if (to->device == NULL || result->error.error.code < 0 || !checker_undisturbed(checker, job, i))
                return;
        if (!result->durable && to->device->n_power_losses > 0) /* it may be told later than it was so */
                return;
        if (!equal(job, to, to->device->cache)) {
                checker->n_wrong_data++;
                if (!checker->expect_wrong_data)
                        checker_fail_job(checker, job, "complete, but the regions differ; destination", i);
        } else if (result->durable && !equal(job, to, to->device->stable)) {
                checker_fail_job(
                    checker, job, "said to be durable, but a power cut loses it; destination", i);
        }
}

/* A descriptor cannot be closed under a command that is out: an earlier job's, ended but not drained. */
static bool answers_are_out(const struct device *device)
{
        for (unsigned i = 0; i < device->n_ops; i++)
                if (device->ops[i]->settled_moment == 0)
                        return true;
        return false;
}

/* It has ended, and perhaps its last answers have come just now. */
static bool may_drain(const struct check_job *job)
{
        return job->state == CHECK_TERMINAL && job->has_run && job->end != JOB_COMPLETED;
}

/* A local descriptor for writing is closed before the last word of a job, be it a completion, a refusal or a
 * validation: the user mounts next. */
static void check_let_go(struct checker *checker, const struct check_job *job, unsigned i)
{
        const struct device *device = job->opens[i];

        /* of a job that failed or was cancelled on the way, answers may still be out */
        if (device == NULL || (job->has_run && job->end != JOB_COMPLETED) ||
            device->config.keep_idle_ms > 0 || device->n_open_write == 0 || answers_are_out(device))
                return;
        for (unsigned j = 0; j < checker->n_jobs; j++)
                for (unsigned k = 0; k < checker->jobs[j].n_to; k++)
                        if (checker->jobs[j].opens[k] == device &&
                            (check_live(&checker->jobs[j]) || may_drain(&checker->jobs[j])))
                                return; /* it uses the device too */
        if (!checker->handles_open && checker->close_is_quick)
                checker_fail_job(
                    checker, job, "has its last word, but a device is open for writing; destination", i);
}

/* ---- what the terminal event says */

static bool wants_durable(const struct check_job *job, unsigned i)
{
        const struct device *device = job->to[i].device;

        if (device == NULL || job->length_bytes == 0)
                return false;
        switch (job->options.durability) {
        case COPY_DURABILITY_NONE:
                return false;
        case COPY_DURABILITY_FLUSH:
                return device->config.can_flush;
        default:
                return device->config.can_fua || device->config.can_flush;
        }
}

static bool error_told(const struct job_error *error)
{
        return error->error.code < 0 && error->error.class != KC_CLASS_NONE &&
               error->error.message[0] != '\0';
}

static void check_destination(struct checker *checker, const struct check_job *job, unsigned i)
{
        const struct job_destination_result *result = &job->results[i];
        const struct job_ledger *ledger = &result->ledger;
        bool bit = job->write_err >> i & 1;

        if (ledger->copied + ledger->zeroed + ledger->skipped + ledger->indeterminate + ledger->untouched !=
            job->length_bytes)
                checker_fail_job(checker, job, "the five numbers do not add up; destination", i);
        if (bit != (result->error.error.code != 0))
                checker_fail_job(checker, job, "write_err bit and error disagree; destination", i);
        if (bit && !error_told(&result->error))
                checker_fail_job(checker, job, "an error without class, code or message; destination", i);
        if (!bit && ledger->indeterminate + ledger->untouched > 0)
                checker_fail_job(checker, job, "complete, but not everything was written; destination", i);
        if (result->durable && bit)
                checker_fail_job(checker, job, "durable with an error; destination", i);
        if (job->durable && !result->durable)
                checker_fail_job(checker, job, "the job is durable, a destination is not", i);
        if (!bit && !result->durable && wants_durable(job, i))
                checker_fail_job(
                    checker, job, "complete without error, but not as durable as asked; destination", i);
        if (ledger->skipped > 0 && !(job->options.zero_destinations >> i & 1))
                checker_fail_job(checker, job, "skipped what was not declared zero; destination", i);
        if (!result->done)
                checker_fail_job(checker, job, "ended with a destination that has not; destination", i);
}

static void check_end_state(
    struct checker *checker, const struct check_job *job, const struct job_result *result)
{
        bool errors = result->read_err || result->write_err != 0;

        if (result->state != JOB_COMPLETED && result->state != JOB_FAILED && result->state != JOB_CANCELLED)
                checker_fail_job(checker, job, "a terminal event with a state that is not", result->state);
        if (result->state == JOB_COMPLETED && errors)
                checker_fail_job(checker, job, "completed with errors", result->write_err);
        if (result->state != JOB_COMPLETED && !errors)
                checker_fail_job(checker, job, "not completed, but no errors", result->state);
        if (result->state == JOB_CANCELLED && !job->cancel_asked)
                checker_fail_job(checker, job, "cancelled, and nobody asked for it", 0);
        if (result->state != JOB_COMPLETED && job->expect_completed && !job->cancel_asked)
                checker_fail_job(checker, job, "not completed, and nothing was wrong; state", result->state);
        if (result->read_err != (result->source_error.error.code != 0))
                checker_fail_job(checker, job, "read_err and the source's error disagree", result->read_err);
        if (result->n_destinations != job->n_to || result->length_bytes != job->length_bytes)
                checker_fail_job(checker, job, "the terminal event is of another job", result->length_bytes);
        if (job->n_to < 64 && result->write_err >> job->n_to != 0)
                checker_fail_job(
                    checker, job, "write_err has bits beyond the destinations", result->write_err);
}

/* What was written, and not said to be durable, may be lost yet: another job's flush failed. */
static bool doubted_since(
    const struct job_destination_result *told, const struct job_destination_result *result)
{
        return !told->durable && told->error.error.code == 0 && result->error.error.code < 0 &&
               result->ledger.indeterminate + result->ledger.copied + result->ledger.zeroed ==
                   told->ledger.copied + told->ledger.zeroed &&
               result->ledger.copied <= told->ledger.copied && result->ledger.zeroed <= told->ledger.zeroed &&
               result->ledger.skipped == told->ledger.skipped;
}

/* Else the last word does not take back what was said when the destination was done. */
static void check_told(struct checker *checker, const struct check_job *job, unsigned i)
{
        const struct job_destination_result *told = &job->told[i], *result = &job->results[i];

        if (job->destination_done_ns[i] == 0 || doubted_since(told, result))
                return;
        if (told->durable != result->durable || told->error.error.code != result->error.error.code ||
            memcmp(&told->ledger, &result->ledger, sizeof told->ledger) != 0)
                checker_fail_job(
                    checker, job, "the terminal event contradicts DestinationDone; destination", i);
}

static void end_job(struct checker *checker, struct check_job *job, const struct job_result *result)
{
        if (job->state == CHECK_TERMINAL) {
                checker_fail_job(checker, job, "a second terminal event", 0);
                return;
        }
        job->state = CHECK_TERMINAL;
        job->end = result->state;
        job->end_ns = checker->world->now_ns;
        job->read_err = result->read_err;
        job->source_error = result->source_error.error;
        job->durable = result->durable;
        job->write_err = result->write_err;
        check_end_state(checker, job, result);
        for (unsigned i = 0; i < job->n_to && i < result->n_destinations; i++) {
                job->results[i] = result->destinations[i];
                check_destination(checker, job, i);
                check_told(checker, job, i);
                if (!job->lasting ||
                    job->destination_done_ns[i] == 0) /* else others may have had their turn since */
                        check_contents(checker, job, i);
                check_let_go(checker, job, i);
        }
        checker_check_bad(checker, job, &result->bad);
        world_say(checker->world, "job %u ended: state %d read_err %d write_err %" PRIx64 " %s", job->index,
            (int)result->state, result->read_err, result->write_err, result->source_error.error.message);
        for (unsigned i = 0; i < job->n_to && i < result->n_destinations; i++)
                world_say(checker->world,
                    "   to[%u] copied %" PRIu64 " zeroed %" PRIu64 " skipped %" PRIu64
                    " indeterminate %" PRIu64 " untouched %" PRIu64 "%s%s %s",
                    i, job->results[i].ledger.copied, job->results[i].ledger.zeroed,
                    job->results[i].ledger.skipped, job->results[i].ledger.indeterminate,
                    job->results[i].ledger.untouched, job->results[i].durable ? " durable" : "",
                    job->results[i].detached ? " detached" : "", job->results[i].error.error.message);
}

static void destination_done(struct checker *checker, struct check_job *job, const struct job_event *event)
{
        if (event->index >= job->n_to || job->destination_done_ns[event->index] > 0) {
                checker_fail_job(checker, job, "DestinationDone twice or of none", event->index);
                return;
        }
        if (event->destination->durable && event->destination->error.error.code != 0)
                checker_fail_job(checker, job, "DestinationDone says durable, with an error", event->index);
        job->destination_done_ns[event->index] = checker->world->now_ns;
        job->told[event->index] = job->results[event->index] = *event->destination;
        if (job->lasting)
                check_contents(checker, job, event->index);
        world_say(checker->world,
            "job %u destination %u done%s: copied %" PRIu64 " zeroed %" PRIu64 " indeterminate %" PRIu64
            " untouched %" PRIu64 " %s",
            job->index, event->index, event->destination->durable ? " durable" : "",
            event->destination->ledger.copied, event->destination->ledger.zeroed,
            event->destination->ledger.indeterminate, event->destination->ledger.untouched,
            event->destination->error.error.message);
}

static void check_progress(
    struct checker *checker, const struct check_job *job, const struct job_event *event)
{
        for (unsigned i = 0; i < event->n_destinations; i++)
                if (event->done_bytes[i] > job->length_bytes)
                        checker_fail_job(checker, job, "progress beyond the length", event->done_bytes[i]);
}

/* Do the two want the same bytes, and one of them to change them? */
static bool conflict(const struct check_job *a, const struct check_job *b)
{
        for (unsigned i = 0; i < a->n_to; i++) {
                const struct check_region *to = &a->to[i];
                uint64_t end_bytes = to->start_bytes + a->length_bytes;

                if (to->device == NULL)
                        continue;
                if (b->operation == COPY_OPERATION_COPY && b->from.device == to->device &&
                    check_overlap(to->start_bytes, end_bytes, b->from.start_bytes,
                        b->from.start_bytes + b->length_bytes))
                        return true;
                for (unsigned k = 0; k < b->n_to; k++)
                        if (b->to[k].device == to->device &&
                            check_overlap(to->start_bytes, end_bytes, b->to[k].start_bytes,
                                b->to[k].start_bytes + b->length_bytes))
                                return true;
        }
        return false;
}

/* A job whose connection was lost while it waited gives its regions up again, before it has touched them. */
static bool has_begun(const struct check_job *job)
{
        for (unsigned i = 0; i < job->n_to; i++)
                for (unsigned k = 0; job->to[i].device && k < job->to[i].device->n_ops; k++)
                        if (job->to[i].device->ops[k]->jobs_mask == 1ull << job->index)
                                return true;
        return false;
}

/* A job that begins has its regions for itself: whoever held them has had its terminal event. */
static void state_changed(struct checker *checker, struct check_job *job, enum job_state state)
{
        if (job->running && state == JOB_WAITING)
                job->again_moment = world_moment(checker->world);
        job->n_runs += (state == JOB_RUNNING && !job->running) || state == JOB_PAUSED;
        job->running = state == JOB_RUNNING || state == JOB_DRAINING;
        job->has_run |= job->running;
        if (job->detached) /* stored later than it was so */
                return;
        for (unsigned j = 0; state == JOB_RUNNING && j < checker->n_jobs; j++) {
                const struct check_job *other = &checker->jobs[j];

                if (other != job && check_live(other) && other->running && !other->detached &&
                    (conflict(job, other) || conflict(other, job)) && has_begun(other))
                        checker_fail_job(
                            checker, job, "runs before the end of the job that holds its regions", other->id);
        }
}

void check_event(struct checker *checker, struct check_job *job, const struct job_event *event)
{
        if (job->state == CHECK_TERMINAL && event->type != JOB_EVENT_COMPLETION) {
                checker_fail_job(checker, job, "an event after the terminal one", event->type);
                return;
        }
        switch (event->type) {
        case JOB_EVENT_STATE:
                state_changed(checker, job, event->state);
                world_say(checker->world, "job %u state %d %s", job->index, (int)event->state, event->reason);
                break;
        case JOB_EVENT_PROGRESS:
                check_progress(checker, job, event);
                break;
        case JOB_EVENT_DESTINATION_DONE:
                destination_done(checker, job, event);
                break;
        case JOB_EVENT_COMPLETION:
                end_job(checker, job, event->result);
                break;
        }
}

void checker_event(struct checker *checker, const struct job_event *event)
{
        struct check_job *job = NULL;

        world_mix(checker->world, event->type + event->job_id * 16);
        for (unsigned j = 0; j < checker->n_jobs; j++)
                if (checker->jobs[j].id == event->job_id && checker->jobs[j].id != 0)
                        job = &checker->jobs[j];
        if (job == NULL)
                world_fail(checker->world, "an event (type %d) of job %" PRIu64 " before it was accepted",
                    (int)event->type, event->job_id);
        else if (job->stored)
                checker->on_told(checker, job, event);
        else
                check_event(checker, job, event);
}

/* ---- submission */

struct check_job *checker_submitted(struct checker *checker, unsigned client, const struct copy_spec *spec)
{
        struct check_job *job = &checker->jobs[checker->n_jobs];

        *job = (struct check_job){.state = CHECK_SUBMITTED,
            .index = checker->n_jobs++,
            .client = client,
            .operation = spec->operation,
            .options = spec->options,
            .detached = copy_spec_detached(spec) && !spec->options.validate_only,
            .lasting = spec->lasting != NULL,
            .attempts = 1,
            .n_to = spec->n_to};
        return job;
}

/* It was submitted once more, and is another one's by its key. */
static bool is_same_job(
    struct checker *checker, const struct check_job *job, uint64_t id, uint64_t length_bytes)
{
        for (unsigned j = 0; j < checker->n_jobs && job->key; j++) {
                const struct check_job *other = &checker->jobs[j];

                if (!other->stored || !other->key || other->id != id || strcmp(other->key, job->key) != 0)
                        continue;
                if (other->length_bytes != length_bytes)
                        checker_fail_job(checker, job, "accepted with another length", length_bytes);
                world_say(checker->world, "job %u is job %u", job->index, other->index);
                return true;
        }
        return false;
}

void checker_accepted(struct checker *checker, struct check_job *job, uint64_t id, uint64_t length_bytes)
{
        if (job->state != CHECK_SUBMITTED)
                checker_fail_job(checker, job, "accepted in state", job->state);
        if (job->options.validate_only)
                checker_fail_job(checker, job, "accepted, and was only to be validated", id);
        if (job->detached && !job->stored && is_same_job(checker, job, id, length_bytes)) {
                job->state = CHECK_GONE;
                return;
        }
        if (job->detached && !job->stored)
                checker_fail_job(checker, job, "accepted, and not stored", id);
        for (unsigned j = 0; j < checker->n_jobs; j++)
                if (checker->jobs[j].id == id && &checker->jobs[j] != job)
                        checker_fail_job(checker, job, "its id was used before", id);
        if (job->stored && job->id != id)
                checker_fail_job(checker, job, "accepted with another id than it is stored with", id);
        job->state = CHECK_ACCEPTED;
        job->id = id;
        if (length_bytes != job->length_bytes)
                checker_fail_job(checker, job, "accepted with another length", length_bytes);
        world_say(checker->world, "job %u accepted as %" PRIu64 ", %" PRIu64 " bytes", job->index, id,
            length_bytes);
}

void checker_refused(struct checker *checker, struct check_job *job, const struct engine_refusal *refusal)
{
        if (job->state != CHECK_SUBMITTED)
                checker_fail_job(checker, job, "refused in state", job->state);
        job->state = CHECK_REFUSED;
        if (refusal->error.code >= 0 || refusal->error.class == KC_CLASS_NONE ||
            refusal->error.message[0] == '\0')
                checker_fail_job(checker, job, "refused without code, class or message", 0);
        if (job->expect_accepted && !job->cancel_asked)
                world_fail(checker->world, "job %u: refused, but nothing is wrong with it: %s: %s",
                    job->index, refusal->field, refusal->error.message);
        for (unsigned i = 0; i < job->n_to; i++)
                check_let_go(checker, job, i);
        world_say(
            checker->world, "job %u refused: %s: %s", job->index, refusal->field, refusal->error.message);
}

static void check_planned(struct checker *checker, const struct check_job *job,
    const struct check_region *region, const struct engine_planned *planned)
{
        const struct device *device = region->device;

        if (device == NULL)
                return;
        if (!device->config.resizable && (planned->created || planned->size_bytes != device->size_bytes ||
                                             planned->size_after_bytes != device->size_bytes))
                checker_fail_job(checker, job, "a plan with a wrong size of a device", device->index);
        if (device->config.resizable && planned->size_after_bytes < region->start_bytes + job->length_bytes)
                checker_fail_job(checker, job, "a plan with a file too small for its region", device->index);
}

void checker_validated(struct checker *checker, struct check_job *job, const struct engine_plan *plan)
{
        if (job->state != CHECK_SUBMITTED)
                checker_fail_job(checker, job, "validated in state", job->state);
        if (!job->options.validate_only)
                checker_fail_job(checker, job, "validated, and was to be done", 0);
        job->state = CHECK_VALIDATED;
        if (plan->length_bytes != job->length_bytes || plan->n_to != job->n_to ||
            plan->has_from != (job->operation == COPY_OPERATION_COPY))
                checker_fail_job(checker, job, "validated with the plan of another job", plan->length_bytes);
        for (unsigned i = 0; i < job->n_to && i < plan->n_to; i++)
                check_planned(checker, job, &job->to[i], &plan->to[i]);
        for (unsigned i = 0; i < job->n_to; i++)
                check_let_go(checker, job, i);
        world_say(checker->world, "job %u validated, %" PRIu64 " bytes", job->index, plan->length_bytes);
}

unsigned checker_n_live(const struct checker *checker)
{
        unsigned n = 0;

        for (unsigned j = 0; j < checker->n_jobs; j++)
                n += check_live(&checker->jobs[j]);
        return n;
}
