/* Directed scenarios of copies that end well or badly; the table of all cases. */
#include "sim/cases.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1u << 20)

static const struct check_job *ended(struct scenario *s, const struct scenario_job *job, enum job_state state)
{
        if (!s->world.failed && (job->check->state != CHECK_TERMINAL || job->check->end != state))
                world_fail(&s->world, "job %u: check state %d, ended as %d, expected %d", job->check->index,
                    (int)job->check->state, (int)job->check->end, (int)state);
        return job->check;
}

static uint64_t bytes_of(const struct device *device, enum io_op op)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < device->n_ops; i++)
                if (device->ops[i]->op == op)
                        sum += device->ops[i]->length_bytes;
        return sum;
}

/* ---- a flush is never sent before the last write's answer, across lanes */

static struct scenario *flush_after_last_ack(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 4, verbose);
        struct device_config config = case_device(17 * MIB); /* enough for other lanes to help */
        struct device *to;
        struct device_op *flush = NULL;
        unsigned n_conns = 0;
        struct scenario_job *job;
        struct wish wish;

        scenario_device(s, &config);
        config.delay_max_ns = 50 * MS_NS;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 1024);
        wish = case_copy(0, 0, 1);
        wish.expect_completed = true;
        job = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        case_expect(s, ended(s, job, JOB_COMPLETED)->durable);
        to = &s->devices[1];
        for (unsigned i = 0; i < to->n_ops; i++)
                if (to->ops[i]->op == IO_FLUSH)
                        flush = to->ops[i];
        case_expect(s, flush != NULL && flush->status == 0);
        for (unsigned i = 0; i < to->n_ops && flush; i++) {
                n_conns |= 1u << to->ops[i]->conn;
                if (to->ops[i]->op == IO_WRITE)
                        case_expect(s, to->ops[i]->settled_moment < flush->sent_moment);
        }
        case_expect(s, (n_conns & (n_conns - 1)) != 0); /* or it shows nothing about lanes */
        scenario_end(s);
        return s;
}

/* ---- a slow destination reads for itself, unless the job forbids it */

static struct scenario *fast_and_slow(uint64_t seed, bool verbose, bool strict_once)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(4 * MIB);
        const struct check_job *check;
        struct scenario_job *job;
        struct wish wish;

        scenario_device(s, &config);
        scenario_device(s, &config);
        config.bytes_per_s = MIB;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 128);
        wish = case_copy(0, 0, 1);
        wish.n_to = 2;
        wish.to[1].device = 2;
        wish.options.strict_once = strict_once;
        wish.expect_completed = true;
        job = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        check = ended(s, job, JOB_COMPLETED);
        case_expect(s, check->results[1].detached == !strict_once);
        case_expect(s, !check->results[0].detached);
        if (strict_once)
                case_expect(s, bytes_of(&s->devices[0], IO_READ) == 4 * MIB);
        else
                case_expect(s, check->destination_done_ns[0] > 0 &&
                                   check->destination_done_ns[0] + SECOND_NS < check->end_ns);
        scenario_end(s);
        return s;
}

static struct scenario *slow_destination_detaches(uint64_t seed, bool verbose)
{
        return fast_and_slow(seed, verbose, false);
}

static struct scenario *strict_once_reads_once(uint64_t seed, bool verbose)
{
        return fast_and_slow(seed, verbose, true);
}

/* ---- one page is enough */

static struct scenario *one_page_makes_progress(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 3, verbose);
        struct device_config config = case_device(MIB);
        struct scenario_job *jobs[2];
        struct wish wish;

        for (unsigned i = 0; i < 5; i++)
                scenario_device(s, &config);
        scenario_start(s);
        case_expect(s, scenario_client(s, "user", 1) == 0 && s->clients[0].pages == 1);
        for (unsigned i = 0; i < 2; i++) {
                wish = case_copy(0, i, 2 + i);
                wish.n_to = 1 + i;
                wish.to[1].device = 4;
                wish.expect_completed = true;
                jobs[i] = scenario_submit(s, &wish);
        }
        scenario_run(s, scenario_all_ended, "two copies with one page");
        if (s->world.failed)
                return s;
        ended(s, jobs[0], JOB_COMPLETED);
        ended(s, jobs[1], JOB_COMPLETED);
        case_expect(s, s->checker.most_pages[0] == 1);
        scenario_end(s);
        return s;
}

/* ---- a failed flush is final for all jobs' writes since the last good one */

static bool third_is_written(struct scenario *s)
{
        const struct device *to = &s->devices[2];

        return to->n_ops > 0 && to->ops[to->n_ops - 1]->op == IO_WRITE;
}

static struct scenario *flush_failure_is_final(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        const struct check_job *check;
        struct scenario_job *flushing, *other, *later;
        struct wish wish;

        scenario_device(s, &config);
        scenario_device(s, &config);
        config.flush_fails_at = 1;
        config.size_bytes = 4 * MIB;
        scenario_device(s, &config);
        scenario_start(s);
        scenario_client(s, "user", 512);
        wish = case_copy(0, 1, 2); /* long enough to see the other's flush fail */
        wish.to[0].sector = 4096;
        /* whether it asks for a flush or not: the next one succeeds, and is not to be believed */
        wish.options.durability = seed % 2 ? COPY_DURABILITY_NONE : COPY_DURABILITY_FLUSH;
        wish.options.rate_bytes_per_s = 128 << 10;
        other = scenario_submit(s, &wish);
        scenario_run(s, third_is_written, "its first write");
        if (s->world.failed)
                return s;
        wish = case_copy(0, 0, 2);
        wish.from.count_sectors = 256;
        flushing = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "the other job");
        if (s->world.failed)
                return s;
        check = ended(s, flushing, JOB_FAILED);
        case_expect(s, check->results[0].ledger.indeterminate == check->length_bytes && !check->durable);
        check = ended(s, other, JOB_FAILED);
        case_expect(s, check->results[0].ledger.indeterminate > 0 && check->results[0].ledger.copied == 0);
        case_expect(s, !check->durable);
        scenario_run_for(s, 10 * SECOND_NS); /* the connection goes */
        wish = case_copy(0, 0, 2);
        later = scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "a job after that");
        if (s->world.failed)
                return s;
        case_expect(s, ended(s, later, JOB_COMPLETED)->durable); /* and the checker cuts the power */
        scenario_end(s);
        return s;
}

/* ---- extents that lie: the one scenario in which wrong data is expected, and found */

static struct scenario *lying_extents_are_noticed(uint64_t seed, bool verbose)
{
        struct scenario *s = scenario_new(seed, 2, verbose);
        struct device_config config = case_device(MIB);
        struct wish wish;

        config.extents_lie = true;
        scenario_device(s, &config);
        config.extents_lie = false;
        scenario_device(s, &config);
        scenario_start(s);
        s->checker.expect_wrong_data = true;
        scenario_client(s, "user", 512);
        wish = case_copy(0, 0, 1);
        wish.options.no_extents = false;
        scenario_submit(s, &wish);
        scenario_run(s, scenario_all_ended, "the copy");
        if (s->world.failed)
                return s;
        case_expect(s, s->checker.n_wrong_data > 0);
        for (unsigned i = 0; i < s->devices[1].n_ops; i++) /* nobody's, as far as the trace can tell */
                s->devices[1].ops[i]->jobs_mask = 1;
        scenario_end(s);
        return s;
}

/* ---- ten thousand jobs in the queue */

#define MANY 10000u

struct many {
        struct scenario *scenario;
        struct engine_submission submissions[MANY];
        struct engine_observer observer;
        unsigned n_accepted, n_refused, n_completed, n_others;
};

static struct many *many;

static void many_accepted(struct engine_submission *submission, uint64_t job_id, uint64_t length_bytes)
{
        many->n_accepted++;
}

static void many_refused(struct engine_submission *submission, const struct engine_refusal *refusal)
{
        many->n_refused++;
}

static void on_many_event(struct engine_observer *observer, const struct job_event *event)
{
        if (event->type != JOB_EVENT_COMPLETION)
                return;
        many->n_completed += event->result->state == JOB_COMPLETED;
        many->n_others += event->result->state != JOB_COMPLETED;
}

static bool many_done(struct scenario *s)
{
        return many->n_completed + many->n_others + many->n_refused == MANY;
}

static void many_submit(struct scenario *s, unsigned client, unsigned i)
{
        struct copy_spec *spec = copy_spec_new(1, 2 * DEVICE_NAME_MAX_BYTES);

        assert(spec != NULL);
        spec->options.durability = COPY_DURABILITY_NONE;
        spec->options.no_extents = true;
        spec->from = (struct copy_region){.sector = i * 7 % 500 * 8, .count_sectors = 8};
        spec->from.device = copy_spec_name(spec, s->devices[0].name, strlen(s->devices[0].name));
        spec->to[0] = (struct copy_region){.sector = i % 500 * 8, .count_sectors = 8};
        spec->to[0].device = copy_spec_name(spec, s->devices[1].name, strlen(s->devices[1].name));
        many->submissions[i] =
            (struct engine_submission){.on_accepted = many_accepted, .on_refused = many_refused};
        if (engine_submit(s->clients[client].client, spec, &many->submissions[i]) < 0)
                world_fail(&s->world, "job %u could not be submitted", i);
}

static struct scenario *many_new(uint64_t seed, unsigned silent_from_op)
{
        struct scenario *s = scenario_new(seed, 2, false);
        struct device_config config = case_device(2 * MIB);

        many = calloc(1, sizeof *many);
        assert(many != NULL);
        s->observer.on_event = on_many_event; /* more than the checker keeps */
        scenario_device(s, &config);
        config.silent_from_op = silent_from_op;
        scenario_device(s, &config);
        return s;
}

static void many_start(struct scenario *s)
{
        scenario_start(s);
        s->devices[0].watch = s->devices[1].watch = NULL;
        scenario_client(s, "user", 64);
}

static struct scenario *ten_thousand_jobs(uint64_t seed, bool verbose)
{
        struct scenario *s = many_new(seed, 0);
        uint64_t step;

        many_start(s);
        for (unsigned i = 0; i < MANY; i++)
                many_submit(s, 0, i);
        step = s->world.step;
        scenario_run(s, many_done, "ten thousand jobs");
        case_expect(s, many->n_accepted == MANY && many->n_completed == MANY);
        case_expect(s, s->world.step - step < MANY * 100ull);
        if (!s->world.failed)
                scenario_end(s);
        free(many);
        return s;
}

/* The first job hangs and keeps its client's only slot; its device is opened anew by somebody else, before
 * all those who wait for the slot look for it again, at once: that takes turns, and no stack. */
static bool first_has_failed(struct scenario *s)
{
        return many->n_others == 1;
}

static struct scenario *crowd_resolves_again_in_turn(uint64_t seed, bool verbose)
{
        struct scenario *s = many_new(seed, 1);

        s->config.client_running_max = 1;
        s->may_be_stuck = true;
        many_start(s);
        scenario_client(s, "other", 64);
        for (unsigned i = 0; i < MANY - 1; i++)
                many_submit(s, 0, i);
        scenario_run(s, first_has_failed, "the end of the job that hangs");
        s->devices[1].config.silent_from_op = 0;
        scenario_run_for(s, s->config.quarantine_ns - 2 * SECOND_NS);
        case_expect(s, many->n_completed == 0); /* it has the slot yet */
        scenario_open_handle(s, 1, 1, true);
        many_submit(s, 1, MANY - 1);
        scenario_run(s, many_done, "all the others");
        case_expect(s, many->n_accepted == MANY && many->n_completed == MANY - 1);
        if (!s->world.failed)
                scenario_end(s);
        free(many);
        return s;
}

const struct sim_case sim_cases[] = {
    {"late-write-after-cancel", case_late_write_after_cancel, 50},
    {"silent-device-times-out", case_silent_device_times_out, 50},
    {"silent-extents-end-no-connection", case_silent_extents_end_no_connection, 20},
    {"silent-destination-is-left", case_silent_destination_is_left, 20},
    {"silent-destination-holds-no-slow-one", case_silent_destination_holds_no_slow_one, 20},
    {"tenth-of-the-speed", case_tenth_of_the_speed, 20},
    {"far-devices-fill-the-window", case_far_devices_fill_the_window, 6},
    {"local-devices-start-deep", case_local_devices_start_deep, 6},
    {"large-chunks-go-one-by-one", case_large_chunks_go_one_by_one, 6},
    {"handles-share-a-lane", case_handles_share_a_lane, 8},
    {"pages-go-where-they-are-wanted", case_pages_go_where_they_are_wanted, 6},
    {"small-job-gets-its-turn", case_small_job_gets_its_turn, 10},
    {"many-jobs-share-a-window", case_many_jobs_share_a_window, 6},
    {"lost-answers-hold-up-their-own", case_lost_answers_hold_up_their_own, 6},
    {"crews-get-their-turn", case_crews_get_their_turn, 10},
    {"jobs-go-where-there-is-less-to-do", case_jobs_go_where_there_is_less_to_do, 10},
    {"extents-are-asked-for-ahead", case_extents_are_asked_for_ahead, 20},
    {"cancel-waits-for-no-extents", case_cancel_waits_for_no_extents, 20},
    {"helper-ends-its-connection-last", case_helper_ends_its_connection_last, 100},
    {"dead-connection", case_dead_connection, 50},
    {"flush-after-last-ack", flush_after_last_ack, 5},
    {"slow-destination-detaches", slow_destination_detaches, 20},
    {"strict-once-reads-once", strict_once_reads_once, 20},
    {"one-page-makes-progress", one_page_makes_progress, 20},
    {"flush-failure-is-final", flush_failure_is_final, 20},
    {"failed-flush-spares-who-waits", case_failed_flush_spares_who_waits, 100},
    {"error-policies", case_error_policies, 24},
    {"short-jobs-ask-for-no-extents", case_short_jobs_ask_for_no_extents, 20},
    {"durable-stays-durable", case_durable_stays_durable, 20},
    {"failed-flush-is-remembered", case_failed_flush_is_remembered, 20},
    {"lying-extents-are-noticed", lying_extents_are_noticed, 5},
    {"validate-only-touches-nothing", case_validate_only_touches_nothing, 50},
    {"identities-share-source", case_identities_share_source, 20},
    {"identities-share-destination", case_identities_share_destination, 20},
    {"held-requests-are-cancelled", case_held_requests_are_cancelled, 20},
    {"priorities-share", case_priorities_share, 20},
    {"waiting-behind-silence-times-out", case_waiting_behind_silence_times_out, 24},
    {"busy-device-times-nobody-out", case_busy_device_times_nobody_out, 12},
    {"lost-answers-among-others-time-out", case_lost_answers_among_others_time_out, 24},
    {"closed-before-the-last-word", case_closed_before_the_last_word, 30},
    {"priorities-get-slots-first", case_priorities_get_slots_first, 20},
    {"gone-client-waits-for-no-device", case_gone_client_waits_for_no_device, 20},
    {"slotless-jobs-hold-nothing", case_slotless_jobs_hold_nothing, 20},
    {"restarted-job-gets-helpers", case_restarted_job_gets_helpers, 20},
    {"queued-jobs-say-for-what", case_queued_jobs_say_for_what, 10},
    {"cancel-is-not-lost-in-a-restart", case_cancel_is_not_lost_in_a_restart, 20},
    {"restarted-job-tells-what-changed", case_restarted_job_tells_what_changed, 30},
    {"history-stays-within-its-bytes", case_history_stays_within_its_bytes, 5},
    {"history-forgets-what-has-drained", case_history_forgets_what_has_drained, 10},
    {"ten-thousand-jobs", ten_thousand_jobs, 1},
    {"crowd-resolves-again-in-turn", crowd_resolves_again_in_turn, 1},
};
const unsigned n_sim_cases = sizeof sim_cases / sizeof sim_cases[0];
