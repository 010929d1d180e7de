/* Directed scenarios about what an error ends, and what it does not: the three policies, for a destination
 * that fails at one place and for a source that does. */
#include <errno.h>

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
