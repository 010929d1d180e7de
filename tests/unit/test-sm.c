/* State machines: allowed moves happen and are logged once; a forbidden one ends the process and says which.
 * links: kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sm.h"

enum { WAITING, RUNNING, ENDED, N_STATES };

static const struct kc_sm_state states[N_STATES] = {
    [WAITING] = {.name = "waiting", .allowed = KC_SM_TO(RUNNING) | KC_SM_TO(ENDED), .initial = true},
    [RUNNING] = {.name = "running", .allowed = KC_SM_TO(ENDED)},
    [ENDED] = {.name = "ended", .final = true},
};

/* Run `act` in a child; returns its wait status and what it wrote to standard error. */
static int in_child(void (*act)(void), char *ret_text, size_t text_bytes)
{
        size_t used = 0;
        int fds[2], status;
        ssize_t n;
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                const struct rlimit no_core = {0, 0};

                setrlimit(RLIMIT_CORE, &no_core);
                signal(SIGABRT, SIG_DFL); /* a sanitizer's or cmocka's */
                dup2(fds[1], STDERR_FILENO);
                close(fds[0]);
                close(fds[1]);
                act();
                _exit(0);
        }
        close(fds[1]);
        while ((n = read(fds[0], ret_text + used, text_bytes - 1 - used)) > 0)
                used += (size_t)n;
        ret_text[used] = '\0';
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void expect_abort(void (*act)(void), const char *expected)
{
        char text[1024];
        int status = in_child(act, text, sizeof(text));

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
        assert_string_equal(text, expected);
}

static void test_moves_along_the_table(void **state)
{
        struct kc_sm sm;

        kc_sm_init(&sm, states, N_STATES, WAITING, "job", 7);
        assert_int_equal(kc_sm_state(&sm), WAITING);
        assert_string_equal(kc_sm_name(&sm), "waiting");
        kc_sm_move(&sm, RUNNING);
        assert_string_equal(kc_sm_name(&sm), "running");
        kc_sm_move(&sm, ENDED);
        assert_int_equal(kc_sm_state(&sm), ENDED);
        kc_sm_done(&sm);
}

static void move_twice(void)
{
        struct kc_sm sm;

        kc_log_set_level(KC_LOG_DEBUG);
        kc_sm_init(&sm, states, N_STATES, WAITING, "job", 7);
        kc_sm_move(&sm, RUNNING);
        kc_sm_move(&sm, ENDED);
        kc_sm_done(&sm);
}

static void test_each_move_is_logged_once(void **state)
{
        char text[1024];

        assert_int_equal(in_child(move_twice, text, sizeof(text)), 0);
        assert_string_equal(
            text, "debug base/sm job 7 waiting -> running\ndebug base/sm job 7 running -> ended\n");
}

static void move_back(void)
{
        struct kc_sm sm;

        kc_sm_init(&sm, states, N_STATES, WAITING, "job", 7);
        kc_sm_move(&sm, RUNNING);
        kc_sm_move(&sm, WAITING);
}

static void move_to_itself(void)
{
        struct kc_sm sm;

        kc_sm_init(&sm, states, N_STATES, WAITING, "job", 7);
        kc_sm_move(&sm, WAITING);
}

static void move_off_the_table(void)
{
        struct kc_sm sm;

        kc_sm_init(&sm, states, N_STATES, WAITING, "job", 7);
        kc_sm_move(&sm, N_STATES);
}

static void begin_in_the_middle(void)
{
        struct kc_sm sm;

        kc_sm_init(&sm, states, N_STATES, RUNNING, "job", 7);
}

static void end_in_the_middle(void)
{
        struct kc_sm sm;

        kc_sm_init(&sm, states, N_STATES, WAITING, "job", 7);
        kc_sm_done(&sm);
}

static void test_forbidden_moves_end_the_process(void **state)
{
        expect_abort(move_back, "error base/sm job 7 may not go from running to waiting\n");
        expect_abort(move_to_itself, "error base/sm job 7 may not go from waiting to waiting\n");
        expect_abort(move_off_the_table, "error base/sm job 7 may not go from waiting to no such state\n");
        expect_abort(begin_in_the_middle, "error base/sm job 7 may not go from nothing to running\n");
        expect_abort(end_in_the_middle, "error base/sm job 7 may not go from waiting to its end\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_moves_along_the_table),
            cmocka_unit_test(test_each_move_is_logged_once),
            cmocka_unit_test(test_forbidden_moves_end_the_process),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
