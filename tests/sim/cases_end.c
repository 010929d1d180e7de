/* Directed scenarios about last words, what is left behind them, and jobs that begin again. */
#include <errno.h>
#include <string.h>

#include "sim/cases.h"

#define MIB (1u << 20)

static struct device_config local_device(uint64_t size_bytes)
{
        struct device_config config = case_device(size_bytes);

        config.kind = IO_KIND_BLOCK;
        config.keep_idle_ms = 0;
        return config;
}

/* ---- a validation, a refusal, a job that is cancelled while it waits: whoever hears of it opens the device
 * next, and finds it closed (the checker looks) */

static bool first_writes(struct scenario *s)
{
        const struct device *to = &s->devices[1];

        return to->n_ops > 0 && to->ops[to->n_ops - 1]->op == IO_WRITE;
}

static bool all_but_first_ended(struct scenario *s)
{
        for (unsigned i = 1; i < s->n_jobs; i++)
                if (check_live(s->jobs[i].check))
                        return false;
        return true;
}

static bool cancelled_waits(struct scenario *s)
{
        return s->jobs[1].check->state == CHECK_ACCEPTED;
}

struct scenario *case_closed_before_the_last_word(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1 + (unsigned)(seed % 3), verbose);
        struct device_config config = local_device(MIB);
        struct scenario_job *slow, *cancelled, *judged, *refused;
        struct wish wish;

        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_device(s, &config);
        s->devices[1].config.delay_min_ns = 5 * SECOND_NS;
        s->devices[1].config.delay_max_ns = 10 * SECOND_NS;
        scenario_start(s);
        scenario_client(s, "user", 256);
        wish = case_copy(0, 0, 1);
        slow = scenario_submit(s, &wish);
        scenario_run(s, first_writes, "the slow job's first write");
        if (s->world.failed)
                return s;

        wish = case_copy(0, 1, 2); /* reads what the first one writes */
        wish.expect_accepted = true;
        cancelled = scenario_submit(s, &wish);
        scenario_run(s, cancelled_waits, "a job that waits");
        if (s->world.failed)
                return s;
        scenario_cancel(cancelled);
        wish = case_copy(0, 0, 3);
        wish.expect_accepted = wish.options.validate_only = true;
        judged = scenario_submit(s, &wish);
        wish = case_copy(0, 0, 4);
        wish.to[0].sector = 1ull << 40;
        refused = scenario_submit(s, &wish);
        scenario_run(s, all_but_first_ended, "the last words of jobs that do not run");
        if (s->world.failed)
                return s;
        case_expect(s, slow->check->state == CHECK_ACCEPTED);
        case_expect(s, cancelled->check->end == JOB_CANCELLED && !cancelled->check->has_run);
        case_expect(s, judged->check->state == CHECK_VALIDATED);
        case_expect(s, refused->check->state == CHECK_REFUSED);
        for (unsigned i = 2; i < 5; i++) /* closed; and opened, or it shows nothing */
                case_expect(s, s->devices[i].n_conns > 0 && s->devices[i].n_open_write == 0);
        scenario_end(s);
        return s;
}

/* ---- a client that goes while its devices are being opened is gone at once: what it asked for is not kept
 * until they answer, or others like it could fill the memory */

static bool first_client_gone(struct scenario *s)
{
        return s->clients[0].client == NULL;
}

struct scenario *case_gone_client_waits_for_no_device(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        uint64_t gone_ns;
        struct wish wish;

        scenario_device(s, &config);
        config.open_hangs = true;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 256);
        for (unsigned i = 0; i < 4; i++) {
                wish = case_copy(0, i % 2, (i + 1) % 2);
                scenario_submit(s, &wish);
        }
        scenario_open_handle(s, 0, 1, seed % 2);
        scenario_run_for(s, (seed % 4) * 10 * MS_NS);
        gone_ns = s->world.now_ns;
        scenario_close_client(s, 0, true);
        scenario_run(s, first_client_gone, "the end of a client");
        case_expect(s, s->world.now_ns - gone_ns < SECOND_NS);
        scenario_end(s);
        return s;
}

/* ---- jobs that wait for a slot get it by priority, and within one in their order */

struct scenario *case_priorities_get_slots_first(uint64_t seed, bool verbose)
{
        static const unsigned priorities[] = {0, 3, 0, 7, 3, 7}, places[] = {4, 2, 5, 0, 3, 1};
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(4 * MIB);
        struct scenario_job *jobs[sizeof priorities / sizeof priorities[0]];
        uint64_t ends_ns[sizeof priorities / sizeof priorities[0]];
        const unsigned n = sizeof priorities / sizeof priorities[0];
        struct wish wish;

        scenario_device(s, &config);
        config.delay_min_ns = 10 * MS_NS;
        config.delay_max_ns = 20 * MS_NS;
        scenario_device(s, &config);
        s->config.client_running_max = 1;
        scenario_start(s);
        scenario_client(s, "user", 256);
        wish = case_copy(0, 0, 1);
        wish.from.count_sectors = 2048;
        scenario_submit(s, &wish); /* has the slot */
        scenario_run(s, first_writes, "the first job's first write");
        for (unsigned i = 0; i < n && !s->world.failed; i++) {
                wish.from.count_sectors = 8;
                wish.to[0].sector = 2048 + i * 8;
                wish.options.priority = priorities[i];
                wish.expect_completed = true;
                jobs[i] = scenario_submit(s, &wish);
        }
        scenario_run(s, scenario_all_ended, "all jobs");
        if (s->world.failed)
                return s;
        for (unsigned i = 0; i < n; i++)
                ends_ns[places[i]] = jobs[i]->ended_ns;
        for (unsigned i = 1; i < n; i++)
                case_expect(s, ends_ns[i - 1] < ends_ns[i]);
        scenario_end(s);
        return s;
}

/* ---- a job that waits for a slot of its client keeps nobody else from its regions, whether it still waits
 * for the regions as well or not; one that waits for its regions keeps nobody from a slot */

struct scenario *case_slotless_jobs_hold_nothing(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(4 * MIB);
        struct scenario_job *slow, *slotless, *other, *locked_out, *free_of_it;
        struct wish wish;

        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_device(s, &config);
        s->devices[1].config.delay_min_ns = SECOND_NS;
        s->devices[1].config.delay_max_ns = 2 * SECOND_NS;
        s->config.client_running_max = 1 + (unsigned)(s->world.seed % 2);
        scenario_start(s);
        scenario_client(s, "user", 256);
        scenario_client(s, "other", 256);
        wish = case_copy(0, 0, 1);
        wish.from.count_sectors = 2048;
        wish.expect_completed = true;
        slow = scenario_submit(s, &wish);
        scenario_run(s, first_writes, "the slow job's first write");
        locked_out = NULL;
        if (s->config.client_running_max > 1)
                locked_out = scenario_submit(s, &wish); /* the same region */
        wish = case_copy(0, 0, 2);
        wish.from.count_sectors = 2048;
        wish.expect_completed = true;
        free_of_it = scenario_submit(s, &wish);
        slotless = scenario_submit(s, &wish);
        scenario_run_for(s, 10 * MS_NS);
        wish.client = 1;
        other = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "all jobs");
        if (s->world.failed)
                return s;
        case_expect(s, other->ended_ns < slow->ended_ns);
        if (locked_out) {
                case_expect(s, free_of_it->ended_ns < slow->ended_ns);
                case_expect(s, locked_out->ended_ns > slow->ended_ns);
        } else {
                case_expect(s, slotless->ended_ns > slow->ended_ns);
        }
        scenario_end(s);
        return s;
}

/* ---- a job whose connection is lost before anything was done begins again, with other lanes' help */

static bool second_begins_again(struct scenario *s)
{
        return s->jobs[1].check->has_run && !s->jobs[1].check->running;
}

struct scenario *case_restarted_job_gets_helpers(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 4, verbose);
        struct device_config config = case_device(17 * MIB);
        struct scenario_job *job;
        unsigned n_ops, conns = 0;
        struct wish wish;

        config.keep_idle_ms = 60000;
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 1024);
        wish = case_copy(0, 0, 1);
        wish.expect_completed = true;
        scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a job for which all lanes open the devices");
        if (s->world.failed)
                return s;

        n_ops = s->devices[0].n_ops;
        s->devices[0].config.bytes_per_s = 4 * MIB;
        s->devices[0].config.lose_at_op = n_ops + 1; /* long before the first answer */
        wish.expect_accepted = true;
        job = scenario_submit(s, &wish);
        scenario_run(s, second_begins_again, "the loss of a connection");
        n_ops = s->devices[0].n_ops;
        scenario_run(s, scenario_all_ended, "the job that begins again");
        if (s->world.failed)
                return s;
        case_expect(s, job->check->end == JOB_COMPLETED);
        for (unsigned i = n_ops; i < s->devices[0].n_ops; i++)
                if (s->devices[0].ops[i]->answered && s->devices[0].ops[i]->status == 0)
                        conns |= 1u << s->devices[0].ops[i]->conn;
        case_expect(s, (conns & (conns - 1)) != 0);
        scenario_end(s);
        return s;
}

/* ---- … and when its devices are no longer what they were, it says which, and what has changed */

static bool second_waits(struct scenario *s)
{
        return s->jobs[1].check->state == CHECK_ACCEPTED;
}

struct scenario *case_restarted_job_tells_what_changed(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 1, verbose);
        struct device_config config = case_device(2 * MIB);
        struct scenario_job *job;
        const struct check_job *check;
        const struct kc_error *error;
        struct wish wish;
        enum { SOURCE, DESTINATION, ZEROED } what = (unsigned)(seed % 3);

        config.multi_conn = false;
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 256);
        wish = case_copy(0, 0, 1);
        wish.from.count_sectors = wish.to[0].count_sectors =
            MIB / IO_SECTOR_BYTES; /* what will be left of it */
        s->devices[1].config.lose_at_op = 3;
        s->devices[1].config.delay_min_ns = s->devices[1].config.delay_max_ns = SECOND_NS;
        scenario_submit(s, &wish); /* loses the connection that the other one is to use */
        scenario_run(s, first_writes, "the first job's first write");
        if (s->world.failed)
                return s;
        wish = case_copy(0, what == SOURCE ? 1 : 2, 3); /* which waits for the first one, for device 1 */
        if (what == DESTINATION) {
                wish.n_to = 2;
                wish.to[1].device = 1;
                wish.from.count_sectors = wish.to[0].count_sectors = wish.to[1].count_sectors = 4096;
        } else if (what == ZEROED) {
                wish.operation = COPY_OPERATION_ZERO;
                wish.to[0].device = 1;
        }
        wish.expect_accepted = true;
        job = scenario_submit(s, &wish);
        scenario_run(s, second_waits, "the second job's acceptance");
        if (s->world.failed)
                return s;
        s->devices[1].size_bytes = MIB;
        scenario_run(s, scenario_all_ended, "both jobs");
        if (s->world.failed)
                return s;

        check = job->check;
        case_expect(s, check->end == JOB_FAILED);
        case_expect(s, check->read_err == (what == SOURCE));
        for (unsigned i = 0; i < check->n_to; i++)
                case_expect(s, check->results[i].ledger.untouched == check->length_bytes);
        error = what == SOURCE ? &check->source_error : &check->results[check->n_to - 1].error.error;
        case_expect(s, strstr(error->message, "lost connection") != NULL);
        if (what == DESTINATION)
                case_expect(s, error->code == -EINVAL && strstr(error->message, "1048576") != NULL);
        else
                case_expect(s, error->code == -ESTALE && strstr(error->message, "has 1048576 now") != NULL);
        if (what != ZEROED)
                case_expect(s, check->results[0].error.error.code == -ECANCELED);
        scenario_end(s);
        return s;
}

/* ---- the history takes no more memory than it may, long names included */

#define HISTORY_BYTES (256u << 10)
#define SPEC_BYTES 16000u

struct scenario *case_history_stays_within_its_bytes(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        struct engine_job_view view;
        unsigned n_kept = 0;
        struct wish wish;

        scenario_device(s, &config);
        scenario_device(s, &config);
        s->config.history_max_bytes = HISTORY_BYTES;
        scenario_start(s);
        scenario_client(s, "user", 256);
        wish = case_copy(0, 0, 1);
        wish.names_bytes = SPEC_BYTES;
        wish.expect_completed = true;
        for (unsigned i = 0; i < 40; i++)
                scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "the jobs");
        if (s->world.failed)
                return s;
        for (unsigned i = 0; i < s->n_jobs; i++)
                n_kept += engine_job_get(s->engine, s->jobs[i].check->id, &view) == 0;
        case_expect(s, n_kept * SPEC_BYTES <= HISTORY_BYTES);
        case_expect(s, n_kept >= HISTORY_BYTES / SPEC_BYTES / 2);
        scenario_end(s);
        return s;
}

/* ---- what is old when it has drained is forgotten then, and not when the next job happens to end */

static bool unanswered_has_ended(struct scenario *s)
{
        return s->jobs[0].check->state == CHECK_TERMINAL;
}

struct scenario *case_history_forgets_what_has_drained(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *job;
        struct engine_job_view view;
        struct wish wish;

        scenario_device(s, &config);
        config.silent_ops = 1u << IO_WRITE;
        scenario_device(s, &config);
        s->config.command_timeout_ns = SECOND_NS;
        s->config.history_ns = SECOND_NS;
        scenario_start(s);
        scenario_client(s, "user", 256);
        wish = case_copy(0, 0, 1);
        job = scenario_submit(s, &wish);
        scenario_run(s, unanswered_has_ended, "the end of a job without an answer");
        if (s->world.failed)
                return s;
        scenario_run_for(s, s->config.quarantine_ns / 2);
        case_expect(s, engine_job_get(s->engine, job->check->id, &view) == 0 && view.draining);
        scenario_run_for(s, 2 * s->config.quarantine_ns);
        case_expect(s, engine_job_get(s->engine, job->check->id, &view) == -ENOENT);
        scenario_end(s);
        return s;
}
