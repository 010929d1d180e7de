/* The job store and its disk: files that are no store, or damaged, or a newer kcopyd's; a disk that is full.
 * links: kc_store kc_rpc kc_copy kc_io */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include "unit/store-fixture.h"

static int open_again(struct fixture *f, struct kc_error *error)
{
        *error = (struct kc_error){.code = 0};
        return sqlite_store_open(&f->actor.actor, f->path, &f->store, error);
}

static void sql(const struct fixture *f, const char *text)
{
        sqlite3 *db;

        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_newer_store_is_refused_and_left_alone(void **state)
{
        struct fixture *f = *state;
        struct kc_error error;

        close_store(f);
        sql(f, "PRAGMA user_version = 99");
        assert_int_equal(open_again(f, &error), -EPROTONOSUPPORT);
        assert_non_null(strstr(error.message, "a newer kcopyd made it (version 99"));
        sql(f, "PRAGMA user_version = 1");
        open_store(f);
}

static void what_is_no_database_is_refused(void **state)
{
        struct fixture *f = *state;
        struct kc_error error;
        FILE *file;

        close_store(f);
        file = fopen(f->path, "w");
        assert_non_null(file);
        for (unsigned i = 0; i < 4096; i++)
                fputs("this is not a database. ", file);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(open_again(f, &error), -EUCLEAN);
        assert_non_null(strstr(error.message, "damaged"));
}

static void two_at_once_are_refused(void **state)
{
        struct fixture *f = *state;
        struct job_store *first = f->store;
        struct kc_error error;

        assert_int_equal(open_again(f, &error), -EBUSY);
        assert_non_null(strstr(error.message, "another program has it open"));
        f->store = first;
}

static void a_damaged_record_names_its_job(void **state)
{
        struct fixture *f = *state;
        struct asked asked;

        created(f, 3);
        close_store(f);
        sql(f, "UPDATE job SET spec = x'ffffff' WHERE id = 3");
        open_store(f);
        asked = get(f, 3);
        assert_int_equal(asked.req.status, -EUCLEAN);
        assert_int_equal(asked.req.n_jobs, 0);
        assert_non_null(strstr(asked.req.error.message, "job 3: its specification cannot be read"));
}

/* A file-size limit stands for a full disk: nothing of what was refused is there, and what comes when there
 * is room again is carried out. */
static void a_full_disk_refuses_and_is_used_again_when_there_is_room(void **state)
{
        struct fixture *f = *state;
        struct rlimit before, tight;
        uint64_t seq = 1;
        int r = 0;

        (void)signal(SIGXFSZ, SIG_IGN);
        created(f, 1);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        tight = before;
        tight.rlim_cur = 200000;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        while (r == 0 && seq < 2000)
                r = set_state(f, 1, 1, seq, JOB_RUNNING, "as long as there is room") == 0 ? (seq++, 0) : -1;
        assert_int_equal(r, -1);
        assert_int_equal(next_seq(f, 1), seq);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(set_state(f, 1, 1, seq, JOB_RUNNING, "again"), 0);
        assert_int_equal(next_seq(f, 1), seq + 1);
        reopen(f);
        assert_int_equal(next_seq(f, 1), seq + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
            TEST(a_newer_store_is_refused_and_left_alone),
            TEST(what_is_no_database_is_refused),
            TEST(two_at_once_are_refused),
            TEST(a_damaged_record_names_its_job),
            TEST(a_full_disk_refuses_and_is_used_again_when_there_is_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
