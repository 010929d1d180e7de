/* The log: whole lines, one per event, with errno kept.
 * links: kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct capture {
        int saved_fd, read_fd;
};

static void capture_start(struct capture *capture)
{
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        capture->saved_fd = dup(STDERR_FILENO);
        assert_true(capture->saved_fd >= 0);
        assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
        close(fds[1]);
        capture->read_fd = fds[0];
}

/* What was written meanwhile (it has to fit into the pipe). */
static size_t capture_end(struct capture *capture, char *ret_text, size_t text_bytes)
{
        size_t used = 0;
        ssize_t n;

        assert_true(dup2(capture->saved_fd, STDERR_FILENO) >= 0);
        close(capture->saved_fd);
        while ((n = read(capture->read_fd, ret_text + used, text_bytes - 1 - used)) > 0)
                used += (size_t)n;
        close(capture->read_fd);
        ret_text[used] = '\0';
        return used;
}

static void test_a_line_names_level_and_area(void **state)
{
        struct capture capture;
        char text[4096];

        capture_start(&capture);
        kc_log_error("io/nbd", "connection lost peer=%s", "a");
        kc_log_warning("copy", "slow");
        kc_log_info("rpc", "client %d", 3);
        capture_end(&capture, text, sizeof(text));
        assert_string_equal(
            text, "error io/nbd connection lost peer=a\nwarning copy slow\ninfo rpc client 3\n");
}

static unsigned n_evaluated;

static int evaluated(void)
{
        return (int)++n_evaluated;
}

static void test_levels_filter(void **state)
{
        struct capture capture;
        char text[4096];

        n_evaluated = 0;
        capture_start(&capture);
        kc_log_debug("copy", "not seen %d", evaluated());
        kc_log_set_level(KC_LOG_DEBUG);
        kc_log_debug("copy", "seen %d", evaluated());
        kc_log_set_level(KC_LOG_ERROR);
        kc_log_warning("copy", "not seen");
        kc_log_error("copy", "seen");
        kc_log_set_level(KC_LOG_INFO);
        capture_end(&capture, text, sizeof(text));
        assert_string_equal(text, "debug copy seen 1\nerror copy seen\n");
}

static void test_errno_is_kept_and_seen(void **state)
{
        struct capture capture;
        char text[4096];
        int after;

        capture_start(&capture);
        errno = ENOSPC;
        kc_log_info("copy", "%m");
        after = errno;
        capture_end(&capture, text, sizeof(text));
        assert_string_equal(text, "info copy No space left on device\n");
        assert_int_equal(after, ENOSPC);
}

static void test_errno_is_kept_when_the_line_is_lost(void **state)
{
        int saved_fd = dup(STDERR_FILENO), full_fd = open("/dev/full", O_WRONLY | O_CLOEXEC), after;

        assert_true(saved_fd >= 0 && full_fd >= 0);
        assert_true(dup2(full_fd, STDERR_FILENO) >= 0);
        errno = EIO;
        kc_log_info("copy", "nobody will read this");
        after = errno;
        assert_true(dup2(saved_fd, STDERR_FILENO) >= 0);
        close(saved_fd);
        close(full_fd);
        assert_int_equal(after, EIO);
}

static void test_an_event_is_one_line_however_long(void **state)
{
        struct capture capture;
        char text[8192], message[3000];
        size_t n;

        memset(message, 'x', sizeof(message) - 1);
        message[sizeof(message) - 1] = '\0';
        message[10] = '\n';
        capture_start(&capture);
        kc_log_info("copy", "%s", message);
        n = capture_end(&capture, text, sizeof(text));
        assert_int_equal(n, 1024);
        assert_ptr_equal(strchr(text, '\n'), text + n - 1);
        assert_memory_equal(text, "info copy xxxxxxxxxx xxx", 24);

        capture_start(&capture);
        kc_log_info(message, "the area takes it all");
        n = capture_end(&capture, text, sizeof(text));
        assert_int_equal(n, 1024);
        assert_ptr_equal(strchr(text, '\n'), text + n - 1);
}

#define N_THREADS 4
#define N_LINES 100

static void *log_lines(void *arg)
{
        for (int i = 0; i < N_LINES; i++)
                kc_log_info("copy", "thread=%c thread=%c", *(char *)arg, *(char *)arg);
        return NULL;
}

static void test_lines_of_several_threads_do_not_mix(void **state)
{
        static char names[N_THREADS] = {'a', 'b', 'c', 'd'};
        static char text[65536];
        pthread_t threads[N_THREADS];
        struct capture capture;
        unsigned n_lines = 0;

        capture_start(&capture);
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, log_lines, &names[i]), 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        capture_end(&capture, text, sizeof(text));
        for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                assert_int_equal(strlen(line), strlen("info copy thread=a thread=a"));
                assert_int_equal(line[17], line[26]);
                n_lines++;
        }
        assert_int_equal(n_lines, N_THREADS * N_LINES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_line_names_level_and_area),
            cmocka_unit_test(test_levels_filter),
            cmocka_unit_test(test_errno_is_kept_and_seen),
            cmocka_unit_test(test_errno_is_kept_when_the_line_is_lost),
            cmocka_unit_test(test_an_event_is_one_line_however_long),
            cmocka_unit_test(test_lines_of_several_threads_do_not_mix),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
