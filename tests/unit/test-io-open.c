/* Opening local devices: what is refused and why, identities, deadlines, cancelling. On both backends.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "unit/io-fixture.h"

static enum provider_local_io which_of(void **state)
{
        return *(enum provider_local_io *)*state;
}

/* ---- what may be opened */

static void refuses_what_is_no_file_or_block_device(void **state)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char missing[320];
        struct lane lane;
        int sock;

        lane_init(&lane, which_of(state));
        lane_refused(
            &lane, lane.dir, IO_ACCESS_READ, 0, -EISDIR, KC_CLASS_INVALID, "is a directory; only regular");
        lane_refused(&lane, "/dev/zero", IO_ACCESS_READ, 0, -EINVAL, KC_CLASS_INVALID,
            "/dev/zero: is a character device");
        assert_int_equal(mkfifo(lane_path(&lane, "fifo"), 0666), 0);
        lane_refused(&lane, lane_path(&lane, "fifo"), IO_ACCESS_WRITE, MAY_CREATE, -EINVAL, KC_CLASS_INVALID,
            "is a pipe or socket");
        strcpy(address.sun_path, lane_path(&lane, "socket"));
        sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
        lane_refused(
            &lane, address.sun_path, IO_ACCESS_READ, 0, -EINVAL, KC_CLASS_INVALID, "is a pipe or socket");
        close(sock);

        strcpy(missing, lane_path(&lane, "missing"));
        lane_refused(&lane, missing, IO_ACCESS_READ, 0, -ENOENT, KC_CLASS_NOT_FOUND, "No such file");
        lane_refused(&lane, missing, IO_ACCESS_READ, MAY_CREATE, -ENOENT, KC_CLASS_NOT_FOUND, "No such file");
        lane_refused(&lane, missing, IO_ACCESS_WRITE, 0, -ENOENT, KC_CLASS_NOT_FOUND, "No such file");
        lane_refused(&lane, lane_path(&lane, "no/where"), IO_ACCESS_WRITE, MAY_CREATE, -ENOENT,
            KC_CLASS_NOT_FOUND, "its directory: No such file");
        lane_refused(&lane, lane_path(&lane, "slash/"), IO_ACCESS_WRITE, MAY_CREATE, -EISDIR,
            KC_CLASS_INVALID, "names a directory");
        assert_int_equal(symlink("nowhere", lane_path(&lane, "dangling")), 0);
        lane_refused(&lane, lane_path(&lane, "dangling"), IO_ACCESS_WRITE, MAY_CREATE, -ENOENT,
            KC_CLASS_NOT_FOUND, "symbolic link to nothing");
        assert_int_equal(symlink("loop", lane_path(&lane, "loop")), 0);
        lane_refused(
            &lane, lane_path(&lane, "loop"), IO_ACCESS_READ, 0, -ELOOP, KC_CLASS_INVALID, "symbolic links");
        assert_int_equal(access(missing, F_OK), -1);
        lane_done(&lane);
}

static void refuses_what_is_not_permitted(void **state)
{
        const char *path;
        struct lane lane;

        if (geteuid() != 0)
                skip();
        lane_init(&lane, which_of(state));
        assert_int_equal(chmod(lane.dir, 0755), 0);
        path = make_file(&lane, "private", 10, NULL);
        assert_int_equal(chmod(path, 0444), 0);
        /* Root may do anything, so be somebody else: the effective user of all threads of this process. */
        assert_int_equal(seteuid(65534), 0);
        lane_refused(&lane, path, IO_ACCESS_WRITE, 0, -EACCES, KC_CLASS_PERMISSION, "Permission denied");
        lane_refused(&lane, lane_path(&lane, "new"), IO_ACCESS_WRITE, MAY_CREATE, -EACCES,
            KC_CLASS_PERMISSION, "cannot be created in its directory: Permission denied");
        assert_int_equal(seteuid(0), 0);
        lane_done(&lane);
}

static void a_long_hostile_name_is_cut_and_escaped(void **state)
{
        char path[600] = "/tmp/\x1b[31m\n\xff";
        struct kc_error error;
        struct lane lane;

        lane_init(&lane, which_of(state));
        memset(path + strlen(path), 'x', 250);
        assert_null(lane_try_open(&lane, path, IO_ACCESS_READ, 0, &error));
        assert_int_equal(error.code, -ENAMETOOLONG);
        assert_non_null(strstr(error.message, "File name too long"));
        assert_non_null(strstr(error.message, "\\x1b[31m\\x0a\\xff"));
        lane_done(&lane);
}

/* ---- identity */

static void aliases_have_one_identity(void **state)
{
        char long_name[256] = "", other_name[256] = "";
        struct endpoint *a, *b, *c;
        const char *path;
        struct lane lane;

        lane_init(&lane, which_of(state));
        path = make_file(&lane, "one", 10, NULL);
        assert_int_equal(link(path, lane_path(&lane, "hard")), 0);
        assert_int_equal(symlink("one", lane_path(&lane, "soft")), 0);
        a = lane_open(&lane, path, IO_ACCESS_READ, 0);
        b = lane_open(&lane, lane_path(&lane, "hard"), IO_ACCESS_READ_WRITE, 0);
        c = lane_open(&lane, lane_path(&lane, "soft"), IO_ACCESS_READ, 0);
        assert_string_equal(a->info.identity.key, b->info.identity.key);
        assert_string_equal(a->info.identity.key, c->info.identity.key);
        assert_int_equal(strncmp(a->info.identity.key, "file:", 5), 0);
        assert_int_equal(a->info.keep_idle_ms, 5000);
        assert_int_equal(b->info.keep_idle_ms, 0);
        assert_true(a->info.read_only && !b->info.read_only);
        assert_true(!a->info.resizable && b->info.resizable);
        lane_close(&lane, a);
        lane_close(&lane, b);
        lane_close(&lane, c);

        /* Absent ones are named by their directory; long names differ by their digest. */
        memset(long_name, 'n', 250);
        memset(other_name, 'n', 249);
        other_name[249] = 'm';
        a = lane_open(&lane, lane_path(&lane, long_name), IO_ACCESS_WRITE, MAY_CREATE);
        b = lane_open(&lane, lane_path(&lane, other_name), IO_ACCESS_WRITE, MAY_CREATE);
        assert_int_equal(strncmp(a->info.identity.key, "new:", 4), 0);
        assert_string_not_equal(a->info.identity.key, b->info.identity.key);
        lane_close(&lane, b);
        assert_int_equal(symlink(".", lane_path(&lane, "here")), 0);
        long_name[190] = '\0';
        snprintf(other_name, sizeof(other_name), "here/%.190s", long_name);
        b = lane_open(&lane, lane_path(&lane, other_name), IO_ACCESS_WRITE, MAY_CREATE);
        c = lane_open(&lane, lane_path(&lane, long_name), IO_ACCESS_WRITE, MAY_CREATE);
        assert_string_equal(b->info.identity.key, c->info.identity.key);
        lane_close(&lane, a);
        lane_close(&lane, b);
        lane_close(&lane, c);
        lane_done(&lane);
}

/* ---- opens that hang */

static uv_sem_t stuck_entered, stuck_leave;

static int stuck_probe(const struct file_wanted *wanted, struct file_found *ret_found, struct kc_error *err)
{
        uv_sem_post(&stuck_entered);
        uv_sem_wait(&stuck_leave);
        return file_probe(wanted, ret_found, err);
}

static void a_stuck_open_times_out_and_its_late_result_is_closed(void **state)
{
        struct waited_open waited;
        struct endpoint *endpoint;
        const char *path;
        struct lane lane;
        bool closed = false;
        uint64_t began;
        unsigned fds;

        uv_sem_init(&stuck_entered, 0);
        uv_sem_init(&stuck_leave, 0);
        lane_init(&lane, which_of(state));
        path = make_file(&lane, "stuck", 10, NULL);
        /* the pool's threads and their descriptors come with the first use */
        lane_close(&lane, lane_open(&lane, path, IO_ACCESS_READ, 0));
        fds = count_fds();
        lane.opener.probe = stuck_probe;
        waited_open_start(&lane, &waited, path, IO_ACCESS_READ_WRITE);
        waited.open.timeout_ns = SECOND_NS / 20;
        began = uv_hrtime();
        assert_int_equal(file_opener_open(&lane.opener, &waited.open), 0);
        lane_run_until(&lane, &waited.done);
        assert_in_range(uv_hrtime() - began, SECOND_NS / 20, 5 * SECOND_NS);
        assert_int_equal(waited.open.status, -ETIMEDOUT);
        assert_int_equal(waited.open.error.class, KC_CLASS_TIMEOUT);
        assert_null(waited.open.endpoint);

        /* Others go on meanwhile. */
        lane.opener.probe = file_probe;
        endpoint = lane_open(&lane, path, IO_ACCESS_READ, 0);
        lane_close(&lane, endpoint);

        uv_sem_wait(&stuck_entered);
        file_opener_close(&lane.opener, on_flag, &closed);
        assert_false(closed);
        uv_sem_post(&stuck_leave);
        lane_run_until(&lane, &closed);
        assert_int_equal(count_fds(), fds);
        lane_done(&lane);
        uv_sem_destroy(&stuck_entered);
        uv_sem_destroy(&stuck_leave);
}

static void an_open_can_be_cancelled_at_any_moment(void **state)
{
        struct waited_open waited[8];
        const char *path;
        struct lane lane;
        unsigned fds;

        uv_sem_init(&stuck_entered, 0);
        uv_sem_init(&stuck_leave, 0);
        lane_init(&lane, which_of(state));
        path = make_file(&lane, "cancelled", 10, NULL);
        lane_close(&lane, lane_open(&lane, path, IO_ACCESS_READ, 0));
        fds = count_fds();
        lane.opener.probe = stuck_probe;
        /* Four occupy the pool; the rest wait for a thread. */
        for (unsigned i = 0; i < 8; i++) {
                waited_open_start(&lane, &waited[i], path, IO_ACCESS_READ);
                assert_int_equal(file_opener_open(&lane.opener, &waited[i].open), 0);
        }
        for (unsigned i = 0; i < 4; i++)
                uv_sem_wait(&stuck_entered);
        for (unsigned i = 0; i < 8; i++) {
                file_opener_cancel(&lane.opener, &waited[i].open);
                assert_false(waited[i].done);
        }
        for (unsigned i = 0; i < 8; i++) {
                lane_run_until(&lane, &waited[i].done);
                assert_int_equal(waited[i].open.status, -ECANCELED);
                assert_int_equal(waited[i].open.error.class, KC_CLASS_CANCELLED);
        }
        for (unsigned i = 0; i < 8; i++)
                uv_sem_post(&stuck_leave);
        while (lane.opener.n_openings > 0)
                uv_run(&lane.loop, UV_RUN_ONCE);
        assert_int_equal(uv_sem_trywait(&stuck_entered), UV_EAGAIN); /* what had not begun never does */
        assert_int_equal(count_fds(), fds);
        lane_done(&lane);
        uv_sem_destroy(&stuck_entered);
        uv_sem_destroy(&stuck_leave);
}

/* A name and a number may be used again. */
static void what_is_another_one_of_the_same_name(void **state)
{
        assert_false(io_instances_differ("", "born:1.000000002"));
        assert_false(io_instances_differ("born:1.000000002", ""));
        assert_false(io_instances_differ("born:1.000000002", "born:1.000000002"));
        assert_true(io_instances_differ("born:1.000000002", "born:1.000000003"));
        assert_true(io_instances_differ("wwid:a", "wwid:b"));
        assert_false(io_instances_differ("seq:boot-1:7", "seq:boot-1:7"));
        assert_true(io_instances_differ("seq:boot-1:7", "seq:boot-1:8"));
        assert_true(io_instances_differ("seq:boot-1:7", "seq:boot-1:77"));
        assert_false(io_instances_differ("seq:boot-1:7", "seq:boot-2:8")); /* nobody can tell */
        assert_true(io_instances_differ("seq:boot-1:7", "wwid:a"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH(refuses_what_is_no_file_or_block_device),
            BOTH(refuses_what_is_not_permitted),
            BOTH(a_long_hostile_name_is_cut_and_escaped),
            BOTH(aliases_have_one_identity),
            BOTH(what_is_another_one_of_the_same_name),
            BOTH(a_stuck_open_times_out_and_its_late_result_is_closed),
            BOTH(an_open_can_be_cancelled_at_any_moment),
        };

        setenv("UV_THREADPOOL_SIZE", "4", 1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
