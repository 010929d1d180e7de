/* Directed scenarios about answers that do not come, or come late. */
#include <errno.h>
#include <string.h>

#include "sim/cases.h"

#define MIB (1u << 20)

/* ---- cancel with a server that never answers; the late write lands, and damages nobody */

static bool write_is_stuck(struct scenario *s)
{
        struct device *to = &s->devices[1];

        return to->n_ops >= 2 && to->ops[to->n_ops - 1]->op == IO_WRITE &&
               to->ops[to->n_ops - 1]->settled_moment == 0 &&
               s->world.now_ns > to->ops[to->n_ops - 1]->sent_ns + 100 * MS_NS;
}

static bool cancelled_has_ended(struct scenario *s)
{
        return s->jobs[0].check->state == CHECK_TERMINAL;
}

/* Whether a write of the first job landed after it was given up, and before the second job wrote. */
static bool landed_late(const struct device *to)
{
        uint64_t last_late = 0, first_second = UINT64_MAX;

        for (unsigned i = 0; i < to->n_ops; i++) {
                const struct device_op *op = to->ops[i];

                if (op->op != IO_WRITE)
                        continue;
                if (op->unanswered && op->applied_moment > op->settled_moment)
                        last_late = op->applied_moment > last_late ? op->applied_moment : last_late;
                else if (op->jobs_mask == 2 && op->sent_moment < first_second)
                        first_second = op->sent_moment;
        }
        return last_late > 0 && last_late < first_second;
}

struct scenario *case_late_write_after_cancel(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *cancelled, *second;
        struct engine_job_view view;
        struct wish wish;
        uint64_t cancel_ns;

        scenario_device(s, &config);
        config.silent_from_op = 2;
        config.lands_late = true;
        config.multi_conn = false;
        s->config.command_timeout_ns = 1000 * SECOND_NS;
        scenario_device(s, &config);
        config = case_device(MIB);
        scenario_device(s, &config); /* the second job's source: other data */
        scenario_device(s, &config); /* and another destination */
        scenario_start(s);
        scenario_client(s, "user", 16);
        wish = case_copy(0, 0, 1);
        cancelled = scenario_submit(s, &wish);
        scenario_run(s, write_is_stuck, "a write that is not answered");
        if (s->world.failed)
                return s;

        cancel_ns = s->world.now_ns;
        scenario_cancel(cancelled);
        scenario_run(s, cancelled_has_ended, "the completion of a cancelled job");
        if (s->world.failed)
                return s;
        case_expect(s, cancelled->check->end == JOB_CANCELLED);
        case_expect(s, cancelled->check->results[0].ledger.indeterminate > 0);
        case_expect(s, s->world.now_ns < cancel_ns + s->config.cancel_grace_ns + SECOND_NS);
        case_expect(s, engine_job_get(s->engine, cancelled->check->id, &view) == 0 && view.draining);

        s->devices[1].config.silent_from_op = 0;
        wish = case_copy(0, 2, 1); /* on the locked range */
        wish.expect_completed = true;
        second = scenario_submit(s, &wish);
        wish = case_copy(0, 2, 3); /* elsewhere, but with the same reservation: the checker counts pages */
        wish.expect_completed = true;
        scenario_submit(s, &wish);
        scenario_run_for(s, SECOND_NS);
        if (s->world.failed)
                return s;
        case_expect(s, second->check->state == CHECK_ACCEPTED);
        case_expect(s, engine_job_get(s->engine, second->check->id, &view) == 0 &&
                           view.state == JOB_WAITING && view.reason[0] != '\0');
        scenario_run(s, scenario_all_ended, "the second job");
        if (s->world.failed)
                return s;
        case_expect(s, second->check->end == JOB_COMPLETED);
        case_expect(s, landed_late(&s->devices[1]));
        case_expect(s, memcmp(s->devices[1].cache, s->devices[2].cache, MIB) == 0);
        scenario_end(s);
        return s;
}

/* ---- every phase of a device falls silent; the other job on the lanes does not notice */

static const enum io_op phases[] = {IO_READ, IO_WRITE, IO_ZERO, IO_FLUSH, IO_EXTENTS, IO_RESIZE};

struct scenario *case_silent_device_times_out(uint64_t seed, bool verbose)
{
        enum io_op phase = phases[seed % (sizeof phases / sizeof phases[0])];
        bool source = phase == IO_READ || phase == IO_EXTENTS;
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *stalled, *other;
        const struct check_job *check;
        struct wish wish;
        uint64_t start_ns;

        s->config.command_timeout_ns = 5 * SECOND_NS;
        for (unsigned i = 0; i < 4; i++) {
                struct device_config this = config;

                if (phase == IO_RESIZE && i == 1) {
                        this.kind = IO_KIND_FILE;
                        this.resizable = this.absent = true;
                        this.block_min_bytes = 1;
                        this.keep_idle_ms = 0;
                }
                scenario_device(s, &this);
        }
        s->devices[source ? 0 : 1].config.silent_ops = 1u << phase;
        s->may_be_stuck = phase == IO_RESIZE; /* a local file has no connection that could be ended */
        scenario_start(s);
        scenario_client(s, "user", 256);
        wish = case_copy(0, 0, 1);
        wish.operation = phase == IO_ZERO ? COPY_OPERATION_ZERO : COPY_OPERATION_COPY;
        wish.options.no_extents = phase != IO_EXTENTS;
        wish.to[0].count_sectors = phase == IO_RESIZE ? 0 : MIB / IO_SECTOR_BYTES;
        stalled = scenario_submit(s, &wish);
        wish = case_copy(0, 2, 3);
        wish.expect_completed = true;
        other = scenario_submit(s, &wish);
        start_ns = s->world.now_ns;
        scenario_run(s, scenario_all_ended, "both jobs");
        if (s->world.failed)
                return s;

        check = stalled->check;
        case_expect(s, other->ended_ns < start_ns + SECOND_NS);
        case_expect(s, check->end_ns < start_ns + s->config.command_timeout_ns + s->config.cancel_grace_ns +
                                           2 * SECOND_NS);
        case_expect(s, check->end_ns >= start_ns + s->config.command_timeout_ns);
        if (phase == IO_EXTENTS) /* a hint: the job goes on without */
                case_expect(s, check->end == JOB_COMPLETED || check->source_error.class == KC_CLASS_TIMEOUT);
        else if (source)
                case_expect(s, check->end == JOB_FAILED && check->source_error.class == KC_CLASS_TIMEOUT);
        else
                case_expect(s, check->end == JOB_FAILED &&
                                   check->results[0].error.error.class == KC_CLASS_TIMEOUT &&
                                   (check->results[0].ledger.indeterminate > 0) == (phase != IO_RESIZE));
        scenario_end(s);
        return s;
}

/* ---- a destination that falls silent in mid copy is left behind by the other */

struct scenario *case_silent_destination_is_left(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(8 * MIB);
        const struct check_job *check;
        struct scenario_job *job;
        struct wish wish;
        uint64_t start_ns;

        s->config.command_timeout_ns = 10 * SECOND_NS;
        config.block_max_bytes = 64 << 10;
        scenario_device(s, &config);
        scenario_device(s, &config);
        config.silent_from_op = 20;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 1024);
        wish = case_copy(0, 0, 1);
        wish.n_to = 2;
        wish.to[1].device = 2;
        wish.options.policy = COPY_POLICY_CONTINUE;
        job = scenario_submit(s, &wish);
        start_ns = s->world.now_ns;
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        check = job->check;
        case_expect(s, check->write_err == 2);
        case_expect(s, check->results[1].error.error.class == KC_CLASS_TIMEOUT);
        case_expect(s, check->destination_done_ns[0] > 0);
        case_expect(s, check->destination_done_ns[0] < start_ns + SECOND_NS);
        for (unsigned i = 0; i < s->devices[1].n_ops; i++)
                if (s->devices[1].ops[i]->op == IO_WRITE)
                        case_expect(s, s->devices[1].ops[i]->sent_ns < start_ns + SECOND_NS);
        scenario_end(s);
        return s;
}

/* ---- … and does not hold up one that had been left behind before, and reads for itself */

struct scenario *case_silent_destination_holds_no_slow_one(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(8 * MIB);
        const struct check_job *check;
        struct scenario_job *job;
        struct wish wish;
        uint64_t start_ns;

        s->config.command_timeout_ns = 20 * SECOND_NS;
        config.delay_max_ns = config.delay_min_ns = 20000;
        config.block_max_bytes = 64 << 10;
        scenario_device(s, &config);
        config.bytes_per_s = 16 * MIB;
        scenario_device(s, &config); /* 8 MiB: half a second */
        config.bytes_per_s = 2 * MIB;
        scenario_device(s, &config); /* the slow one */
        config.bytes_per_s = 16 * MIB;
        config.silent_from_op = 40;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 1024);
        wish = case_copy(0, 0, 1);
        wish.n_to = 3;
        wish.to[1].device = 2;
        wish.to[2].device = 3;
        wish.options.policy = COPY_POLICY_CONTINUE;
        job = scenario_submit(s, &wish);
        start_ns = s->world.now_ns;
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        check = job->check;
        case_expect(s, check->write_err == 4);
        case_expect(s, check->results[1].detached && check->results[2].detached);
        case_expect(s, check->destination_done_ns[0] > 0 && check->destination_done_ns[1] > 0);
        case_expect(s, check->destination_done_ns[1] < start_ns + s->config.command_timeout_ns / 2);
        scenario_end(s);
        return s;
}

/* ---- a destination at a tenth of the other's speed reads for itself soon */

struct scenario *case_tenth_of_the_speed(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(16 * MIB);
        struct scenario_job *job;
        struct wish wish;
        uint64_t start_ns;

        config.delay_max_ns = config.delay_min_ns = 20000;
        config.block_max_bytes = 64 << 10;
        scenario_device(s, &config);
        config.bytes_per_s = 160 * MIB;
        scenario_device(s, &config);
        config.bytes_per_s = 16 * MIB;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 1024);
        wish = case_copy(0, 0, 1);
        wish.n_to = 2;
        wish.to[1].device = 2;
        wish.expect_completed = true;
        job = scenario_submit(s, &wish);
        start_ns = s->world.now_ns;
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        case_expect(s, job->check->results[1].detached && !job->check->results[0].detached);
        /* alone it takes 100 ms; a lag is noticed after half a period */
        case_expect(s, job->check->destination_done_ns[0] > 0);
        case_expect(s, job->check->destination_done_ns[0] < start_ns + 140 * MS_NS);
        scenario_end(s);
        return s;
}

/* ---- a cancelled job does not wait for extents: it needs them no more */

struct scenario *case_cancel_waits_for_no_extents(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *job;
        uint64_t start_ns;
        struct wish wish;

        scenario_device(s, &config);
        config.can_extents = true;
        config.delay_min_ns = config.delay_max_ns = SECOND_NS;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 64);
        wish = case_copy(0, 1, 0);
        wish.options.no_extents = false;
        start_ns = s->world.now_ns;
        job = scenario_submit(s, &wish);
        world_event_start(&s->world, &job->cancel_event, 100 * MS_NS);
        scenario_run(s, scenario_all_ended, "the cancelled job");
        if (s->world.failed)
                return s;
        case_expect(s, job->check->end == JOB_CANCELLED);
        case_expect(s, s->devices[1].n_ops == 1 && s->devices[1].ops[0]->op == IO_EXTENTS);
        case_expect(s, job->check->end_ns < start_ns + SECOND_NS / 2);
        scenario_end(s);
        return s;
}

/* ---- a connection of a helper lane is ended, which is the last that the run waits for */

struct scenario *case_helper_ends_its_connection_last(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 4, verbose);
        struct device_config config = case_device(4 * MIB);
        const struct check_job *check;
        struct wish wish;

        s->world.hasty = 1 + seed % 2;
        s->config.helpers_min_bytes = MIB;
        s->config.command_timeout_ns = SECOND_NS;
        config.block_max_bytes = 64 << 10;
        config.silent_from_op = 16 + seed % 8;
        scenario_device(s, &config);
        config.silent_from_op = 0;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 1024);
        wish = case_copy(0, 0, 1);
        check = scenario_submit(s, &wish)->check;
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        case_expect(s, check->end == JOB_FAILED && check->source_error.class == KC_CLASS_TIMEOUT);
        case_expect(s, s->devices[0].n_conns > 1); /* or nobody has helped */
        scenario_end(s);
        return s;
}

/* ---- a device with one connection, used from every lane, loses it */

struct scenario *case_dead_connection(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 4, verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *jobs[4], *later;
        struct wish wish;
        unsigned n_failed = 0;

        for (unsigned i = 0; i < 4; i++)
                scenario_device(s, &config);
        config.size_bytes = 4 * MIB;
        config.multi_conn = false;
        config.admits_one = true;
        config.lose_at_op = 10;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 256);
        for (unsigned i = 0; i < 4; i++) {
                wish = case_copy(0, i, 4);
                wish.to[0].sector = i * (MIB / IO_SECTOR_BYTES);
                jobs[i] = scenario_submit(s, &wish);
        }
        scenario_run(s, scenario_all_ended, "the jobs of a connection that is lost");
        if (s->world.failed)
                return s;
        for (unsigned i = 0; i < 4; i++)
                if (jobs[i]->check->end == JOB_FAILED) {
                        n_failed++;
                        case_expect(s, jobs[i]->check->results[0].error.error.class == KC_CLASS_TRANSPORT);
                }
        case_expect(s, n_failed > 0);
        wish = case_copy(0, 0, 4);
        wish.expect_accepted = wish.expect_completed = true;
        later = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a job after that");
        if (s->world.failed)
                return s;
        case_expect(s, later->check->end == JOB_COMPLETED);
        scenario_end(s);
        return s;
}
