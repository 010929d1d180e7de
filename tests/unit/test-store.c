/* The job store in SQLite: what was answered is there after the store was opened again, what was refused has
 * changed nothing. links: kc_store kc_rpc kc_copy kc_io */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "kcopy.pb-c.h"
#include "unit/store-fixture.h"

static struct job_result *new_result(void)
{
        struct job_result *result = calloc(1, sizeof *result + sizeof result->destinations[0]);

        assert_non_null(result);
        result->state = JOB_FAILED;
        result->write_err = 1;
        result->length_bytes = LENGTH;
        result->elapsed_ns = 12000000;
        result->n_destinations = 1;
        result->destinations[0].ledger.copied = LENGTH - 4096;
        result->destinations[0].ledger.indeterminate = 4096;
        result->destinations[0].done = true;
        result->destinations[0].error.has_sector = true;
        result->destinations[0].error.sector = 77;
        kc_error_set(&result->destinations[0].error.error, -ENOSPC, KC_CLASS_NO_SPACE, "b: no space");
        return result;
}

static int end_job(struct fixture *f, uint64_t id, uint64_t epoch, uint64_t seq)
{
        struct copy_spec *spec = new_spec(NULL, "/dev/b");
        struct job_result *result = new_result();
        struct job_event event = {
            .type = JOB_EVENT_COMPLETION, .job_id = id, .spec = spec, .result = result, .reason = ""};
        struct asked asked = {.req = {.op = STORE_UPDATE, .job_id = id, .epoch = epoch}};
        int r;

        asked.req.update.has_state = true;
        asked.req.update.state = result->state;
        asked.req.update.reason = "";
        asked.req.update.result = result;
        asked.req.update.first_seq = seq;
        asked.req.update.n_events = 1;
        asked.req.update.events = &event;
        submit(f, &asked);
        free(result);
        free(spec);
        r = answer(f, &asked);
        return r;
}

/* ---- records */

static void a_job_is_there_again_as_it_was_submitted(void **state)
{
        struct fixture *f = *state;
        const struct store_job *job;
        struct asked asked;

        assert_int_equal(create(f, &asked, 41, "weekly", "/dev/b"), 0);
        assert_int_equal(asked.req.epoch, 1);
        reopen(f);
        asked = get(f, 41);
        assert_int_equal(asked.req.n_jobs, 1);
        job = &asked.req.jobs[0];
        assert_int_equal(job->id, 41);
        assert_string_equal(job->identity, IDENTITY);
        assert_string_equal(job->key, "weekly");
        assert_int_equal(job->state, JOB_WAITING);
        assert_int_equal(job->length_bytes, LENGTH);
        assert_int_equal(job->next_seq, 1);
        assert_int_equal(job->ended_ms, 0);
        assert_true(job->created_ms > UINT64_C(1700000000000));
        assert_null(job->result);
        assert_int_equal(job->spec->operation, COPY_OPERATION_COPY);
        assert_int_equal(job->spec->n_to, 1);
        assert_string_equal(job->spec->from.device, "nbd://a/x");
        assert_int_equal(job->spec->from.sector, 8);
        assert_string_equal(job->spec->to[0].device, "/dev/b");
        assert_int_equal(job->spec->options.policy, COPY_POLICY_CONTINUE);
        assert_int_equal(job->spec->options.priority, 3);
        assert_true(job->spec->options.unmap);
        assert_int_equal(job->spec->context_bytes, 3);
        assert_memory_equal(job->spec->context, "ctx", 3);
        assert_true(job->spec->lasting->detached);
        assert_string_equal(job->spec->lasting->key, "weekly");
        assert_int_equal(job->spec->lasting->retry_for_ns, 600 * UINT64_C(1000000000));
        assert_int_equal(job->spec->lasting->ends[1].size_bytes, 4096);
        assert_string_equal(job->spec->lasting->ends[1].identity, "blk:7");
        assert_null(job->spec->lasting->ends[0].identity);
        store_req_done(&asked.req);
        asked = get(f, 40);
        assert_int_equal(asked.req.status, -ENOENT);
        assert_string_equal(asked.req.error.message, "job 40: there is no such job");
}

static void a_key_means_one_job(void **state)
{
        struct fixture *f = *state;
        struct copy_spec *spec = new_spec("k", "/dev/b");
        struct asked asked;

        assert_int_equal(create(f, &asked, 1, "k", "/dev/b"), 0);
        reopen(f);
        assert_int_equal(create(f, &asked, 2, "k", "/dev/b"), 0);
        assert_true(asked.req.existed);
        assert_int_equal(asked.req.job_id, 1);
        assert_int_equal(get(f, 2).req.status, -ENOENT);
        assert_int_equal(create(f, &asked, 3, "k", "/dev/c"), -EEXIST);
        assert_non_null(strstr(asked.req.error.message, "job 1 has this key"));
        /* context and progress are the client's of the day */
        spec->context_bytes = 0;
        spec->options.progress_interval_ns = 500000000;
        asked = (struct asked){.req.op = STORE_FIND};
        asked.req.create.identity = IDENTITY;
        asked.req.create.key = "k";
        asked.req.create.spec = spec;
        assert_int_equal(ask(f, &asked), 0);
        assert_true(asked.req.existed);
        assert_int_equal(asked.req.job_id, 1);
        /* of another identity, it is another key */
        asked.req.create.identity = "unix:1";
        assert_int_equal(ask(f, &asked), 0);
        assert_false(asked.req.existed);
        free(spec);
}

static void a_key_is_free_when_its_job_is_forgotten(void **state)
{
        struct fixture *f = *state;
        struct asked asked;

        assert_int_equal(create(f, &asked, 1, "k", "/dev/b"), 0);
        asked = (struct asked){.req = {.op = STORE_FORGET, .job_id = 1}};
        assert_int_equal(ask(f, &asked), -EBUSY);
        assert_int_equal(end_job(f, 1, 1, 1), 0);
        assert_int_equal(create(f, &asked, 2, "k", "/dev/b"), 0);
        assert_true(asked.req.existed); /* also when it has ended */
        asked = (struct asked){.req = {.op = STORE_FORGET, .job_id = 1}};
        assert_int_equal(ask(f, &asked), 0);
        assert_int_equal(ask(f, &asked), -ENOENT);
        assert_int_equal(create(f, &asked, 2, "k", "/dev/c"), 0);
        assert_false(asked.req.existed);
}

/* ---- how far it is */

static void a_claim_brings_what_has_not_ended_with_its_mark(void **state)
{
        struct fixture *f = *state;
        struct store_mark *mark = store_mark_new(1, LENGTH);
        struct asked update = {.req = {.op = STORE_UPDATE, .job_id = 1, .epoch = 1}};
        struct asked claim = {.req.op = STORE_CLAIM};
        const struct store_mark *read;

        created(f, 1);
        created(f, 2);
        created(f, 3);
        assert_int_equal(end_job(f, 2, 1, 1), 0);
        assert_non_null(mark);
        snprintf(mark->ends[0].identity, sizeof mark->ends[0].identity, "nbd:a:x");
        mark->ends[0].size_bytes = LENGTH;
        mark->ends[1].told = mark->ends[1].durable = true;
        assert_int_equal(ledger_put(&mark->ends[1].ledger, 0, 4096, LEDGER_COPIED), 0);
        assert_int_equal(ledger_put(&mark->ends[1].ledger, 4096, 8192, LEDGER_ZEROED), 0);
        assert_int_equal(ledger_put(&mark->ends[1].ledger, 65536, 131072, LEDGER_COPIED), 0);
        update.req.update.mark = mark;
        submit(f, &update);
        store_mark_free(mark);
        assert_int_equal(answer(f, &update), 0);
        reopen(f);
        assert_int_equal(ask(f, &claim), 0);
        assert_int_equal(claim.req.n_jobs, 2);
        assert_int_equal(claim.req.jobs[0].id, 1);
        assert_int_equal(claim.req.jobs[0].epoch, 2);
        assert_int_equal(claim.req.jobs[1].id, 3);
        assert_null(claim.req.jobs[1].mark);
        read = claim.req.jobs[0].mark;
        assert_non_null(read);
        assert_int_equal(read->n_to, 1);
        assert_int_equal(read->length_bytes, LENGTH);
        assert_string_equal(read->ends[0].identity, "nbd:a:x");
        assert_int_equal(read->ends[0].size_bytes, LENGTH);
        assert_false(read->ends[0].told);
        assert_true(read->ends[1].told && read->ends[1].durable);
        assert_int_equal(read->ends[1].ledger.mark_bytes, 8192);
        assert_int_equal(read->ends[1].ledger.sums_bytes[LEDGER_ZEROED], 4096);
        assert_int_equal(read->ends[1].ledger.n_ranges, 1);
        assert_int_equal(read->ends[1].ledger.ranges[0].start_bytes, 65536);
        assert_int_equal(read->ends[1].ledger.ranges[0].end_bytes, 131072);
        store_req_done(&claim.req);
        /* who has not claimed it has no say any more, and has changed nothing */
        assert_int_equal(set_state(f, 1, 1, 1, JOB_RUNNING, ""), -ESTALE);
        assert_int_equal(set_state(f, 1, 2, 1, JOB_PAUSED, "by hand"), 0);
        claim.req = (struct store_req){.op = STORE_GET, .job_id = 1};
        assert_int_equal(ask(f, &claim), 0);
        assert_int_equal(claim.req.jobs[0].state, JOB_PAUSED);
        assert_string_equal(claim.req.jobs[0].reason, "by hand");
        assert_int_equal(claim.req.jobs[0].next_seq, 2);
        store_req_done(&claim.req);
}

static void a_result_is_there_again(void **state)
{
        struct fixture *f = *state;
        const struct job_result *result;
        struct asked asked;

        created(f, 5);
        assert_int_equal(end_job(f, 5, 1, 1), 0);
        reopen(f);
        asked = get(f, 5);
        assert_int_equal(asked.req.jobs[0].state, JOB_FAILED);
        assert_true(asked.req.jobs[0].ended_ms >= asked.req.jobs[0].created_ms);
        result = asked.req.jobs[0].result;
        assert_non_null(result);
        assert_int_equal(result->state, JOB_FAILED);
        assert_int_equal(result->write_err, 1);
        assert_int_equal(result->elapsed_ns, 12000000);
        assert_int_equal(result->destinations[0].ledger.copied, LENGTH - 4096);
        assert_int_equal(result->destinations[0].ledger.indeterminate, 4096);
        assert_int_equal(result->destinations[0].error.error.code, -ENOSPC);
        assert_int_equal(result->destinations[0].error.error.class, KC_CLASS_NO_SPACE);
        assert_int_equal(result->destinations[0].error.sector, 77);
        assert_string_equal(result->destinations[0].error.error.message, "b: no space");
        store_req_done(&asked.req);
}

/* ---- events */

static struct asked events(struct fixture *f, uint64_t id, uint64_t after, unsigned limit)
{
        struct asked asked = {.req = {.op = STORE_EVENTS, .job_id = id, .after = after, .limit = limit}};

        assert_int_equal(ask(f, &asked), 0);
        return asked;
}

static void events_come_again_from_any_number(void **state)
{
        struct fixture *f = *state;
        Kcopy__V1__ServerMessage *message;
        struct asked asked;

        created(f, 9);
        for (uint64_t seq = 1; seq <= 5; seq++)
                assert_int_equal(set_state(f, 9, 1, seq, seq % 2 ? JOB_RUNNING : JOB_WAITING, "why"), 0);
        assert_int_equal(end_job(f, 9, 1, 6), 0);
        reopen(f);
        asked = events(f, 9, 0, 4);
        assert_int_equal(asked.req.n_events, 4);
        assert_true(asked.req.more);
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(asked.req.events[i].seq, 1 + i);
        store_req_done(&asked.req);
        asked = events(f, 9, 4, 10);
        assert_int_equal(asked.req.n_events, 2);
        assert_false(asked.req.more);
        message =
            kcopy__v1__server_message__unpack(NULL, asked.req.events[0].body_bytes, asked.req.events[0].body);
        assert_non_null(message);
        assert_int_equal(message->body_case, KCOPY__V1__SERVER_MESSAGE__BODY_STATE_CHANGE);
        assert_int_equal(message->request_id, 0);
        assert_int_equal(message->seq, 5);
        assert_int_equal(message->at_ms, asked.req.events[0].at_ms);
        assert_int_equal(message->state_change->job, 9);
        assert_int_equal(message->state_change->state, JOB_RUNNING);
        assert_string_equal(message->state_change->reason, "why");
        kcopy__v1__server_message__free_unpacked(message, NULL);
        message =
            kcopy__v1__server_message__unpack(NULL, asked.req.events[1].body_bytes, asked.req.events[1].body);
        assert_non_null(message);
        assert_int_equal(message->body_case, KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION);
        assert_int_equal(message->completion->write_err, 1);
        assert_int_equal(message->completion->context.len, 3);
        kcopy__v1__server_message__free_unpacked(message, NULL);
        store_req_done(&asked.req);
        asked = events(f, 9, 6, 10);
        assert_int_equal(asked.req.n_events, 0);
        store_req_done(&asked.req);
}

/* Its answer was lost: it comes again, and is stored once. */
static void an_update_that_comes_again_is_stored_once(void **state)
{
        struct fixture *f = *state;
        struct asked asked;

        created(f, 9);
        assert_int_equal(set_state(f, 9, 1, 1, JOB_RUNNING, ""), 0);
        assert_int_equal(set_state(f, 9, 1, 1, JOB_RUNNING, ""), 0);
        asked = events(f, 9, 0, 10);
        assert_int_equal(asked.req.n_events, 1);
        store_req_done(&asked.req);
}

/* ---- lists, pruning, ids */

static void lists_come_in_pages(void **state)
{
        struct fixture *f = *state;
        struct asked asked = {.req = {.op = STORE_LIST, .after = 2, .limit = 3}};

        for (uint64_t id = 1; id <= 7; id++)
                created(f, id);
        assert_int_equal(ask(f, &asked), 0);
        assert_int_equal(asked.req.n_jobs, 3);
        assert_true(asked.req.more);
        assert_int_equal(asked.req.jobs[0].id, 3);
        store_req_done(&asked.req);
        asked.req.after = 5;
        assert_int_equal(ask(f, &asked), 0);
        assert_int_equal(asked.req.n_jobs, 2);
        assert_false(asked.req.more);
        store_req_done(&asked.req);
}

static unsigned count_jobs(struct fixture *f)
{
        struct asked asked = {.req.op = STORE_LIST};
        unsigned n;

        assert_int_equal(ask(f, &asked), 0);
        n = asked.req.n_jobs;
        store_req_done(&asked.req);
        return n;
}

static void pruning_takes_the_oldest_that_have_ended(void **state)
{
        struct fixture *f = *state;
        struct asked asked = {.req.op = STORE_PRUNE}, ended = {.req = {.op = STORE_EVENTS, .job_id = 4}};

        for (uint64_t id = 1; id <= 6; id++) {
                created(f, id);
                if (id != 2)
                        assert_int_equal(end_job(f, id, 1, 1), 0);
        }
        asked.req.prune.age_max_ms = UINT64_MAX;
        asked.req.prune.jobs_max = 2;
        assert_int_equal(ask(f, &asked), 0);
        assert_int_equal(count_jobs(f), 3);
        assert_int_equal(get(f, 4).req.status, -ENOENT);
        assert_int_equal(ask(f, &ended), -ENOENT); /* they go with it, and who replays them is told */
        asked.req.prune.age_max_ms = 0;
        asked.req.prune.jobs_max = 100;
        assert_int_equal(ask(f, &asked), 0);
        assert_int_equal(count_jobs(f), 1); /* the one that has not ended */
}

static void ids_are_given_once(void **state)
{
        struct fixture *f = *state;
        struct asked asked = {.req = {.op = STORE_RESERVE, .limit = 1000}};

        assert_int_equal(ask(f, &asked), 0);
        assert_int_equal(asked.req.job_id, 1);
        reopen(f);
        assert_int_equal(ask(f, &asked), 0);
        assert_int_equal(asked.req.job_id, 1001);
}

/* ---- many at once */

static void requests_are_carried_out_in_their_order(void **state)
{
        enum { N = 600 };
        struct fixture *f = *state;
        struct asked *asked = calloc(N, sizeof *asked);
        struct job_event event = state_event(1, JOB_RUNNING, "");

        assert_non_null(asked);
        created(f, 1);
        f->n_answers = 0;
        for (unsigned i = 0; i < N; i++) {
                asked[i].req = (struct store_req){.op = STORE_UPDATE, .job_id = 1, .epoch = 1};
                asked[i].req.update.first_seq = 1 + i;
                asked[i].req.update.n_events = 1;
                asked[i].req.update.events = &event;
                submit(f, &asked[i]);
        }
        for (unsigned i = 0; i < N; i++) {
                assert_int_equal(answer(f, &asked[i]), 0);
                assert_int_equal(asked[i].answered, 1 + i);
        }
        free(asked);
        assert_int_equal(next_seq(f, 1), 1 + N);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
            TEST(a_job_is_there_again_as_it_was_submitted),
            TEST(a_key_means_one_job),
            TEST(a_key_is_free_when_its_job_is_forgotten),
            TEST(a_claim_brings_what_has_not_ended_with_its_mark),
            TEST(a_result_is_there_again),
            TEST(events_come_again_from_any_number),
            TEST(an_update_that_comes_again_is_stored_once),
            TEST(lists_come_in_pages),
            TEST(pruning_takes_the_oldest_that_have_ended),
            TEST(ids_are_given_once),
            TEST(requests_are_carried_out_in_their_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
