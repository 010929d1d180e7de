/* Directed scenarios about what an error ends, and what it does not: the three policies, for a destination
 * that fails at one place and for a source that does; extents that are never told, flushes that fail. */
#include <errno.h>

#include "base/num.h"
#include "sim/cases.h"

#define MIB (1u << 20)
#define BAD_BYTES 4096u /* in the middle of the first of many chunks */

static uint64_t good_bytes(const struct job_destination_result *result)
{
        return result->ledger.copied + result->ledger.zeroed + result->ledger.skipped;
}

/* One bad block costs the chunk it is in, not more. */
static bool all_but_a_chunk(const struct check_job *check, unsigned i)
{
        uint64_t good = good_bytes(&check->results[i]);

        return good < check->length_bytes && good >= check->length_bytes - MIB;
}

static void expect_write_error(struct scenario *s, const struct check_job *check, enum copy_policy policy)
{
        const struct job_destination_result *bad = &check->results[1];

        case_expect(s, check->end == JOB_FAILED && !check->read_err);
        case_expect(s, bad->error.error.code == -EIO && bad->error.has_sector && bad->error.sector <= 64);
        switch (policy) {
        case COPY_POLICY_STOP:
                case_expect(s, check->write_err == 3);
                case_expect(s, check->results[0].error.error.class == KC_CLASS_STOPPED);
                case_expect(s, check->results[0].ledger.untouched > 0 && bad->ledger.untouched > 0);
                break;
        case COPY_POLICY_CONTINUE:
                case_expect(s, check->write_err == 2 && check->results[0].durable);
                case_expect(s, bad->ledger.untouched > 0 && !all_but_a_chunk(check, 1));
                break;
        case COPY_POLICY_IGNORE:
                case_expect(s, check->write_err == 2 && check->results[0].durable);
                case_expect(s, all_but_a_chunk(check, 1) && !bad->durable);
                break;
        }
}

static void expect_read_error(struct scenario *s, const struct check_job *check, enum copy_policy policy)
{
        case_expect(s, check->end == JOB_FAILED && check->read_err && check->write_err == 3);
        case_expect(s, check->source_error.code == -EIO);
        for (unsigned i = 0; i < 2; i++)
                if (policy == COPY_POLICY_IGNORE)
                        case_expect(s, all_but_a_chunk(check, i));
                else /* there is nothing to go on with */
                        case_expect(s, check->results[i].ledger.untouched > MIB);
}

struct scenario *case_error_policies(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1 + (unsigned)(seed % 3), verbose);
        enum copy_policy policy = (enum copy_policy)(seed % 3);
        bool source = seed / 3 % 2;
        struct device_config config = case_device(4 * MIB);
        struct scenario_job *job;
        struct wish wish;

        for (unsigned i = 0; i < 3; i++) {
                bool bad = i == (source ? 0 : 2);

                config.bad_start_bytes = bad ? 64 * IO_SECTOR_BYTES : 0;
                config.bad_end_bytes = bad ? config.bad_start_bytes + BAD_BYTES : 0;
                config.bad_status = -EIO;
                config.bad_ops = 1u << (source ? IO_READ : IO_WRITE);
                scenario_device(s, &config);
        }
        scenario_start(s);
        scenario_client(s, "user", 32);
        wish = case_copy(0, 0, 1);
        wish.n_to = 2;
        wish.to[1].device = 2;
        wish.options.policy = policy;
        wish.options.rate_bytes_per_s = 16 * MIB; /* so that there is something left to stop */
        job = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a copy with an error");
        if (s->world.failed)
                return s;
        if (source)
                expect_read_error(s, job->check, policy);
        else
                expect_write_error(s, job->check, policy);
        scenario_end(s);
        return s;
}

/* ---- a server that never says where its holes are, and reads well: they are hints, for as long as it takes,
 * also for a destination that reads for itself */

struct scenario *case_silent_extents_end_no_connection(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1 + (unsigned)(seed % 2), verbose);
        struct device_config config = case_device(MIB);
        bool several = seed / 2 % 2;
        const struct check_job *check;
        struct engine_job_view view;
        struct wish wish;
        uint64_t start_ns;

        s->config.command_timeout_ns = 20 * SECOND_NS;
        s->config.helpers_min_bytes = MIB; /* each lane leaves a gap of its own */
        config.silent_ops = 1u << IO_EXTENTS;
        config.block_max_bytes = 16 << 10;
        scenario_device(s, &config);
        config.silent_ops = 0;
        scenario_device(s, &config);
        config.bytes_per_s = 16 << 10; /* one that falls behind, and is left with gaps here and there */
        config.stall_one_in = 4;
        config.stall_ns = SECOND_NS;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 16);
        wish = case_copy(0, 0, 1);
        wish.options.no_extents = false;
        wish.n_to = several ? 2 : 1;
        wish.to[1].device = 2;
        wish.options.rate_bytes_per_s = several ? 0 : 16 << 10;
        wish.expect_completed = true;
        start_ns = s->world.now_ns;
        check = scenario_submit(s, &wish)->check;
        scenario_run_for(s, s->config.command_timeout_ns + SECOND_NS);
        /* it waits for its rate, and for no device */
        for (unsigned i = 0; i < 10 && !several && !s->world.failed; i++) {
                scenario_run_for(s, SECOND_NS / 2);
                case_expect(s, engine_job_get(s->engine, check->id, &view) == 0 && view.reason[0] == '\0');
        }
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        case_expect(s, check->end == JOB_COMPLETED && check->results[wish.n_to - 1].detached == several);
        case_expect(s, check->end_ns - start_ns > s->config.command_timeout_ns + s->config.quarantine_ns);
        scenario_end(s);
        return s;
}

/* ---- what is as good as read already is not asked about; unless only the answer tells what is zero */

struct scenario *case_short_jobs_ask_for_no_extents(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1, verbose);
        struct device_config config = case_device(MIB);
        unsigned n_asked = 0;
        struct wish wish;

        config.can_extents = true;
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 64);
        wish = case_copy(0, 0, 1);
        wish.options.no_extents = false;
        wish.options.no_detect_zeroes = seed % 2;
        wish.from.count_sectors = seed % 4 < 2 ? 128 : 256;
        wish.expect_completed = true;
        scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        for (unsigned i = 0; i < s->devices[0].n_ops; i++)
                n_asked += s->devices[0].ops[i]->op == IO_EXTENTS;
        case_expect(s, (n_asked > 0) == (seed % 4 != 0));
        scenario_end(s);
        return s;
}

/* ---- a failed flush takes nothing back that an earlier one has made durable, be it by the same instant's
 * clock: two destinations on one device, flushed one after the other */

struct scenario *case_durable_stays_durable(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1, verbose);
        struct device_config config = case_device(MIB);
        const struct check_job *check;
        struct wish wish;

        scenario_device(s, &config);
        config.size_bytes = 2 * MIB;
        config.flush_fails_at = 2;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 512);
        wish = case_copy(0, 0, 1);
        wish.n_to = 2;
        wish.to[1].device = 1;
        wish.to[1].sector = MIB / 512;
        check = scenario_submit(s, &wish)->check;
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        case_expect(s, check->end == JOB_FAILED);
        case_expect(s, check->told[0].durable != check->told[1].durable); /* whichever was flushed first */
        for (unsigned i = 0; i < 2; i++) {
                const struct job_destination_result *result = &check->results[i];

                case_expect(s, result->durable == check->told[i].durable);
                case_expect(
                    s, (result->durable ? result->ledger.copied : result->ledger.indeterminate) == MIB);
        }
        scenario_end(s);
        return s;
}

/* A file that one job creates is opened anew by another, whose flush fails. What the first one is told by its
 * own connection afterwards is not believed: neither in the end, nor when that destination ends before the
 * job. */
struct scenario *case_failed_flush_is_remembered(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1, verbose);
        struct device_config slow = case_device(MIB), file = case_device(MIB), fast = case_device(MIB);
        const struct check_job *first;
        struct wish wish;

        slow.delay_min_ns = slow.delay_max_ns = 100 * KC_NS_PER_MS;
        file.kind = IO_KIND_FILE;
        file.resizable = file.absent = true;
        file.block_min_bytes = 1;
        file.keep_idle_ms = 0;
        file.flush_fails_at = 1;
        scenario_device(s, &slow);
        scenario_device(s, &file);
        scenario_device(s, &slow);
        scenario_device(s, &fast);
        scenario_start(s);
        scenario_client(s, "user", 512);
        wish = case_copy(0, 0, 1);
        wish.n_to = 2;
        wish.to[1] = wish.to[0];
        wish.to[1].device = 2;
        wish.from.count_sectors = 128;
        wish.to[0].sector = 1024; /* in front of it the other one writes */
        first = scenario_submit(s, &wish)->check;
        wish = case_copy(0, 3, 1);
        wish.from.count_sectors = wish.to[0].count_sectors = 128;
        scenario_submit_later(s, &wish, 20 * KC_NS_PER_MS);
        scenario_run(s, scenario_all_ended, "both copies");
        if (s->world.failed)
                return s;
        case_expect(
            s, s->devices[1].n_flushes >= 2); /* the second one went well, over the first connection */
        case_expect(s, !first->told[0].durable && !first->results[0].durable);
        case_expect(s, first->results[0].ledger.indeterminate == 128 * 512);
        scenario_end(s);
        return s;
}
