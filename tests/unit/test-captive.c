/* Captive servers and child processes: how they start, what they are handed, how they end.
 * links: kcopyctl_parts */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/captive.h"
#include "ctl/child.h"

static struct brackets brackets;

/* Start `sh -c script` as a captive; returns its URI. */
static char *start(char *script)
{
        char *argv[] = {"[", "sh", "-c", script, "]"};
        const char *reason;
        char *uri = NULL;

        assert_true(brackets_init(&brackets, 5, argv, &reason));
        assert_int_equal(captive_start(&brackets.items[0], &uri), 0);
        return uri;
}

static const char *socket_of(const char *uri)
{
        assert_int_equal(strncmp(uri, "nbd+unix:///?socket=", 20), 0);
        return uri + 20;
}

static int teardown(void **state)
{
        captive_stop_all();
        brackets_done(&brackets);
        return 0;
}

/* Standard error into a pipe while `run` runs. */
static bool with_stderr(bool (*run)(void), char *text, size_t text_bytes)
{
        int saved = dup(STDERR_FILENO), ends[2];
        ssize_t n;
        bool result;

        assert_int_equal(pipe(ends), 0);
        dup2(ends[1], STDERR_FILENO);
        close(ends[1]);
        result = run();
        fflush(stderr);
        dup2(saved, STDERR_FILENO);
        close(saved);
        n = read(ends[0], text, text_bytes - 1);
        text[n > 0 ? n : 0] = '\0';
        close(ends[0]);
        return result;
}

static void test_a_captive_listens_and_leaves_nothing_behind(void **state)
{
        char *uri = start("sleep 100"), path[100], *slash;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(path, sizeof(path), "%s", socket_of(uri));
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        /* several connections, even before the command accepts any */
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        close(fd);
        assert_string_equal(captive_name(uri), "[ sh -c sleep 100 ]");
        assert_string_equal(captive_name("nbd://x"), "nbd://x");
        captive_stop_all();
        assert_int_equal(access(path, F_OK), -1);
        slash = strrchr(path, '/');
        *slash = '\0';
        assert_int_equal(access(path, F_OK), -1);
        free(uri);
}

static void test_a_captive_is_activated_as_systemd_does(void **state)
{
        char text[300];
        /* status 42 only if all is as it should be, in a process group of its own, its input empty */
        char *uri =
            start("test \"$LISTEN_FDS\" = 1 && test \"$LISTEN_PID\" = $$ && test -S /proc/self/fd/3 && "
                  "test \"$(ps -o pgid= -p $$ | tr -d ' ')\" = $$ && ! read x && exit 42");

        for (int i = 0; i < 20 && !with_stderr(captive_report_dead, text, sizeof(text)); i++)
                ;
        assert_non_null(strstr(text, "the command exited with status 42"));
        assert_true(captive_is_dead(uri));
        /* told once only */
        with_stderr(captive_report_dead, text, sizeof(text));
        assert_string_equal(text, "");
        free(uri);
}

static bool start_nothing(void)
{
        char *argv[] = {"[", "/nonexistent/server", "]"};
        const char *reason;
        char *uri = NULL;

        assert_true(brackets_init(&brackets, 3, argv, &reason));
        assert_int_equal(captive_start(&brackets.items[0], &uri), -ENOENT);
        assert_null(uri);
        return true;
}

static void test_a_command_that_is_not_there_is_told_at_once(void **state)
{
        char text[300];

        with_stderr(start_nothing, text, sizeof(text));
        assert_string_equal(
            text, "kcopyctl: [ /nonexistent/server ]: /nonexistent/server: No such file or directory\n");
        /* nothing was left to be waited for */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

static void test_a_living_captive_is_not_reported(void **state)
{
        char *uri = start("sleep 100");

        assert_false(captive_report_dead());
        assert_false(captive_is_dead(uri));
        free(uri);
}

static void test_a_child_is_ended_with_its_group(void **state)
{
        char *argv[] = {"sh", "-c", "sleep 100 & echo $! >&3; wait", NULL};
        struct child child;
        char text[32] = "";
        int ends[2];
        pid_t grandchild;

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(child_start("sh", argv, ends[1], CHILD_FD_PLAIN, true, &child), 0);
        close(ends[1]);
        assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
        grandchild = (pid_t)atol(text);
        assert_true(grandchild > 0);
        assert_false(child_wait(&child, 0));
        child_stop(&child, 0);
        /* the pipe's other end is held by the grandchild alone: it closes when that one is gone */
        assert_int_equal(read(ends[0], text, sizeof(text)), 0);
        close(ends[0]);
        assert_int_equal(child.pid, 0);
}

static void test_how_a_child_ended_is_told(void **state)
{
        char *exits[] = {"sh", "-c", "exit 7", NULL}, *dies[] = {"sh", "-c", "kill -9 $$", NULL};
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        struct child child;

        assert_int_equal(child_start("sh", exits, null, CHILD_FD_PLAIN, false, &child), 0);
        assert_true(child_wait(&child, 10000));
        assert_string_equal(child_describe(&child), "exited with status 7");
        child_stop(&child, 0);
        assert_int_equal(child_start("sh", dies, null, CHILD_FD_PLAIN, false, &child), 0);
        assert_true(child_wait(&child, 10000));
        assert_string_equal(child_describe(&child), "was killed by signal 9 (Killed)");
        child_stop(&child, 0);
        close(null);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(test_a_captive_listens_and_leaves_nothing_behind, teardown),
            cmocka_unit_test_teardown(test_a_captive_is_activated_as_systemd_does, teardown),
            cmocka_unit_test_teardown(test_a_command_that_is_not_there_is_told_at_once, teardown),
            cmocka_unit_test_teardown(test_a_living_captive_is_not_reported, teardown),
            cmocka_unit_test(test_a_child_is_ended_with_its_group),
            cmocka_unit_test(test_how_a_child_ended_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
