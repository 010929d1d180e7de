/* Tests of the checker: it raises each of its alarms when a copier does the wrong thing on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sim/copier.h"

static void never_done(struct io_req *req)
{
}

static void a_right_copy_raises_no_alarm(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        assert_int_equal(copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL), 0);
        copier_tell_end(&b);
        copier_tear_down(&b, NULL);
}

static void data_that_was_not_read_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        memset(b.buf, 0x11, COPIER_CHUNK);
        copier_run(&b, b.to, IO_WRITE, 0, COPIER_CHUNK, b.buf);
        copier_tear_down(&b, "unread data");
}

static void data_of_another_place_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        copier_run(&b, b.from, IO_READ, 0, COPIER_CHUNK, b.buf);
        copier_run(&b, b.to, IO_WRITE, COPIER_CHUNK, COPIER_CHUNK, b.buf);
        copier_tear_down(&b, "unread data");
}

static void a_zero_where_the_source_has_data_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        copier_run(&b, b.to, IO_ZERO, 0, COPIER_CHUNK, NULL);
        copier_tear_down(&b, "unread data");
}

static void a_write_after_the_terminal_event_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL);
        copier_tell_end(&b);
        copier_copy_chunks(&b, 0, COPIER_CHUNK);
        copier_tear_down(&b, "unread data");
}

static void a_missing_chunk_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH - COPIER_CHUNK);
        copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL);
        copier_tell_end(&b);
        copier_tear_down(&b, "the regions differ");
}

static void a_ledger_that_says_too_much_is_found(void **state)
{
        struct device_config config = copier_device;
        struct copier b;

        config.bad_status = -EIO;
        config.bad_ops = 1u << IO_WRITE;
        config.bad_start_bytes = COPIER_CHUNK;
        config.bad_end_bytes = COPIER_CHUNK + 1;
        copier_set_up(&b, &config);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        b.result->state = JOB_FAILED;
        b.result->durable = false;
        b.result->write_err = 1;
        b.result->destinations[0].durable = false;
        kc_error_set(&b.result->destinations[0].error.error, -EIO, KC_CLASS_MEDIA, "disk: bad");
        copier_tell_end(&b);
        copier_tear_down(&b, "says copied");
}

static void a_ledger_that_says_untouched_of_what_was_written_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        b.job->cancel_asked = true;
        b.result->state = JOB_CANCELLED;
        b.result->durable = false;
        b.result->write_err = 1;
        b.result->destinations[0].durable = false;
        b.result->destinations[0].ledger = (struct job_ledger){.untouched = COPIER_LENGTH};
        kc_error_set(
            &b.result->destinations[0].error.error, -ECANCELED, KC_CLASS_CANCELLED, "job: cancelled");
        copier_tell_end(&b);
        copier_tear_down(&b, "says untouched");
}

static void a_power_cut_finds_a_missing_flush(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        copier_tell_end(&b);
        copier_tear_down(&b, "a power cut loses it");
}

static void a_power_cut_finds_a_flush_before_the_last_answer(void **state)
{
        struct copier b;
        struct command write, flush;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH - COPIER_CHUNK);
        copier_run(&b, b.from, IO_READ, COPIER_LENGTH - COPIER_CHUNK, COPIER_CHUNK, b.buf);
        copier_start(&b, b.to, &write, IO_WRITE, COPIER_LENGTH - COPIER_CHUNK, COPIER_CHUNK, b.buf);
        copier_start(&b, b.to, &flush, IO_FLUSH, 0, 0, NULL);
        copier_await(&b, &write);
        copier_await(&b, &flush);
        copier_tell_end(&b);
        copier_tear_down(&b, "a power cut loses it");
}

static void a_power_cut_finds_a_failed_flush_that_was_tried_again(void **state)
{
        struct device_config config = copier_device;
        struct copier b;

        config.flush_fails_at = 1;
        copier_set_up(&b, &config);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        assert_int_equal(copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL), -EIO);
        assert_int_equal(copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL), 0);
        copier_tell_end(&b);
        copier_tear_down(&b, "a power cut loses it");
}

static void a_second_terminal_event_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL);
        copier_tell_end(&b);
        copier_tell_end(&b);
        copier_tear_down(&b, "a second terminal event");
}

static void an_event_before_accepted_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        copier_tell_end(&b);
        copier_tear_down(&b, "before it was accepted");
}

static void an_event_after_the_terminal_one_is_found(void **state)
{
        struct copier b;
        struct job_event event = {.type = JOB_EVENT_STATE, .job_id = 7, .reason = ""};

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL);
        copier_tell_end(&b);
        checker_event(&b.checker, &event);
        copier_tear_down(&b, "an event after the terminal one");
}

/* Tells a terminal event that is right but for what `spoil` does to it. */
static void spoiled_end(void (*spoil)(struct job_result *), const char *alarm)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL);
        spoil(b.result);
        copier_tell_end(&b);
        copier_tear_down(&b, alarm);
}

static void spoil_sum(struct job_result *result)
{
        result->destinations[0].ledger.copied--;
}

static void spoil_bit(struct job_result *result)
{
        result->write_err = 1;
        result->state = JOB_FAILED;
}

static void spoil_cancelled(struct job_result *result)
{
        spoil_bit(result);
        result->state = JOB_CANCELLED;
}

static void spoil_not_durable(struct job_result *result)
{
        result->durable = result->destinations[0].durable = false;
}

static void spoil_skipped(struct job_result *result)
{
        result->destinations[0].ledger.copied = 0;
        result->destinations[0].ledger.skipped = COPIER_LENGTH;
}

static void spoil_state(struct job_result *result)
{
        result->state = JOB_RUNNING;
}

static void what_does_not_fit_in_a_terminal_event_is_found(void **state)
{
        spoiled_end(spoil_sum, "do not add up");
        spoiled_end(spoil_bit, "bit and error disagree");
        spoiled_end(spoil_cancelled, "nobody asked");
        spoiled_end(spoil_not_durable, "not as durable as asked");
        spoiled_end(spoil_skipped, "skipped what was not declared");
        spoiled_end(spoil_state, "a state that is not");
}

static void a_terminal_event_that_takes_a_word_back_is_found(void **state)
{
        struct copier b;
        struct job_event event = {.type = JOB_EVENT_DESTINATION_DONE, .job_id = 7};
        struct job_destination_result told;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        copier_run(&b, b.to, IO_FLUSH, 0, 0, NULL);
        told = b.result->destinations[0];
        told.ledger.untouched = told.ledger.copied;
        told.ledger.copied = 0;
        event.destination = &told;
        checker_event(&b.checker, &event);
        copier_tell_end(&b);
        copier_tear_down(&b, "contradicts DestinationDone");
}

static void a_job_that_never_ends_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_copy_chunks(&b, 0, COPIER_LENGTH);
        copier_tear_down(&b, "never ended");
}

static void a_refused_job_that_writes_is_found(void **state)
{
        struct engine_refusal refusal = {.field = "from"};
        struct copier b;

        copier_set_up(&b, &copier_device);
        copier_copy_chunks(&b, 0, COPIER_CHUNK);
        kc_error_set(&refusal.error, -EINVAL, KC_CLASS_INVALID, "from: wrong");
        checker_refused(&b.checker, b.job, &refusal);
        copier_tear_down(&b, "of a job that was refused");
}

static void a_write_over_an_unanswered_write_is_found(void **state)
{
        struct copier b;
        struct command first, second;

        copier_set_up(&b, &copier_device);
        copier_run(&b, b.from, IO_READ, 0, COPIER_CHUNK, b.buf);
        copier_start(&b, b.to, &first, IO_WRITE, 0, COPIER_CHUNK, b.buf);
        copier_start(&b, b.to, &second, IO_WRITE, 4096, 4096, b.buf + 4096);
        copier_await(&b, &first);
        copier_await(&b, &second);
        copier_tear_down(&b, "lock: ");
}

/* A connection that falls silent, is closed with a write in flight, and is followed by another: `wait_ns`
 * later the range is used again, with the same pages or others. */
static void use_again(uint64_t wait_ns, bool other_range, unsigned page, const char *alarm)
{
        struct device_config config = copier_device;
        struct copier b;
        struct command write;
        uint64_t from_ns;

        config.silent_from_op = 1;
        copier_set_up(&b, &config);
        copier_run(&b, b.from, IO_READ, 0, COPIER_CHUNK, b.buf);
        do { /* until chance has it that the write is one which may still land */
                copier_start(&b, b.to, &write, IO_WRITE, 0, COPIER_CHUNK, b.buf);
                copier_close(&b, b.to);
                b.to = copier_open(&b, 1, IO_ACCESS_READ_WRITE);
        } while (!write.req.unanswered);
        b.devices[1].config.silent_from_op = 0;
        from_ns = b.world.now_ns;
        while (b.world.now_ns < from_ns + wait_ns)
                copier_run(&b, b.from, IO_FLUSH, 0, 0, NULL);
        copier_run(&b, b.from, IO_READ, other_range ? COPIER_CHUNK : 0, COPIER_CHUNK, b.buf + page * 4096);
        if (!other_range)
                copier_run(&b, b.to, IO_WRITE, 0, COPIER_CHUNK, b.buf + page * 4096);
        b.job->state = CHECK_TERMINAL; /* what became of the job is not the point here */
        copier_tear_down(&b, alarm);
}

static void a_write_in_quarantine_keeps_its_range_and_pages(void **state)
{
        use_again(0, false, 8, "in quarantine");
        use_again(0, true, 0, "a page of an unanswered write");
        use_again(0, true, 8, NULL);
        use_again(COPIER_QUARANTINE_NS, false, 0, NULL);
}

static void two_jobs_interleaved_are_found(void **state)
{
        struct copier b;
        struct check_job *other;
        struct endpoint *second;

        copier_set_up(&b, &copier_device);
        other = copier_submit(&b, 2);
        second = copier_open(&b, 2, IO_ACCESS_READ);
        copier_copy_chunks(&b, 0, COPIER_CHUNK);
        copier_run(&b, second, IO_READ, COPIER_CHUNK, COPIER_CHUNK, b.buf);
        copier_run(&b, b.to, IO_WRITE, COPIER_CHUNK, COPIER_CHUNK, b.buf);
        copier_copy_chunks(&b, COPIER_CHUNK, COPIER_LENGTH);
        copier_close(&b, second);
        b.job->cancel_asked = other->cancel_asked = true;
        b.result->durable = b.result->destinations[0].durable = false;
        b.job->options.durability = COPY_DURABILITY_NONE;
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_tell_end(&b);
        other->state = CHECK_ACCEPTED;
        other->id = 8;
        copier_tear_down(&b, "falls between");
}

static void pages_beyond_the_reservation_are_found(void **state)
{
        struct copier b;
        struct command reads[5];

        copier_set_up(&b, &copier_device);
        for (unsigned i = 0; i < 5; i++)
                copier_start(&b, b.from, &reads[i], IO_READ, 0, COPIER_CHUNK, b.buf + i * COPIER_CHUNK);
        for (unsigned i = 0; i < 5; i++)
                copier_await(&b, &reads[i]);
        copier_tear_down(&b, "memory: ");
}

static void a_buffer_that_changes_while_it_is_lent_is_found(void **state)
{
        struct copier b;
        struct command write;

        copier_set_up(&b, &copier_device);
        copier_run(&b, b.from, IO_READ, 0, COPIER_CHUNK, b.buf);
        copier_start(&b, b.to, &write, IO_WRITE, 0, COPIER_CHUNK, b.buf);
        b.buf[100] ^= 1;
        copier_await(&b, &write);
        copier_tear_down(&b, "changed while it was lent");
}

static void a_wrong_request_is_found(void **state)
{
        static const struct {
                uint64_t at, n;
                unsigned shift;
                const char *alarm;
        } wrong[] = {{100, 512, 0, "not aligned"}, {0, 65536 + 512, 0, "is not in 1"},
            {8 * COPIER_CHUNK, 512, 0, "outside the device"}, {0, 512, 100, "buffer of op"}};

        for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
                struct copier b;

                copier_set_up(&b, &copier_device);
                copier_run(&b, b.from, IO_READ, wrong[i].at, wrong[i].n, b.buf + wrong[i].shift);
                b.checker.n_jobs = 0;
                copier_tear_down(&b, wrong[i].alarm);
        }
}

static void a_write_through_a_reader_and_a_wrong_lane_are_found(void **state)
{
        struct copier b;
        struct io_req req = {.op = IO_FLUSH, .on_done = never_done};

        copier_set_up(&b, &copier_device);
        copier_run(&b, b.from, IO_ZERO, 0, COPIER_CHUNK, NULL);
        copier_tear_down(&b, "for reading");

        copier_set_up(&b, &copier_device);
        endpoint_submit(b.to, &req);
        copier_tear_down(&b, "from actor 0");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_right_copy_raises_no_alarm),
            cmocka_unit_test(data_that_was_not_read_is_found),
            cmocka_unit_test(data_of_another_place_is_found),
            cmocka_unit_test(a_zero_where_the_source_has_data_is_found),
            cmocka_unit_test(a_write_after_the_terminal_event_is_found),
            cmocka_unit_test(a_missing_chunk_is_found),
            cmocka_unit_test(a_ledger_that_says_too_much_is_found),
            cmocka_unit_test(a_ledger_that_says_untouched_of_what_was_written_is_found),
            cmocka_unit_test(a_power_cut_finds_a_missing_flush),
            cmocka_unit_test(a_power_cut_finds_a_flush_before_the_last_answer),
            cmocka_unit_test(a_power_cut_finds_a_failed_flush_that_was_tried_again),
            cmocka_unit_test(a_second_terminal_event_is_found),
            cmocka_unit_test(an_event_before_accepted_is_found),
            cmocka_unit_test(an_event_after_the_terminal_one_is_found),
            cmocka_unit_test(what_does_not_fit_in_a_terminal_event_is_found),
            cmocka_unit_test(a_terminal_event_that_takes_a_word_back_is_found),
            cmocka_unit_test(a_job_that_never_ends_is_found),
            cmocka_unit_test(a_refused_job_that_writes_is_found),
            cmocka_unit_test(a_write_over_an_unanswered_write_is_found),
            cmocka_unit_test(a_write_in_quarantine_keeps_its_range_and_pages),
            cmocka_unit_test(two_jobs_interleaved_are_found),
            cmocka_unit_test(pages_beyond_the_reservation_are_found),
            cmocka_unit_test(a_buffer_that_changes_while_it_is_lent_is_found),
            cmocka_unit_test(a_wrong_request_is_found),
            cmocka_unit_test(a_write_through_a_reader_and_a_wrong_lane_are_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
