/* How a lane's io_uring is driven: one hand-over per turn of the loop, a bounded number of calls with the
 * kernel, refusals that pass.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <liburing.h>

#include "unit/io-fixture.h"

/* ---- hand-overs, counted and refused */

static unsigned n_submits, n_submitted, n_refusals_left;
static int refusal;

static unsigned n_full_syncs, n_data_syncs; /* among what is handed over */

static void count_syncs(const struct io_uring_sq *sq)
{
        for (unsigned i = sq->sqe_head; i != sq->sqe_tail; i++) {
                const struct io_uring_sqe *sqe = &sq->sqes[i & *sq->kring_mask];

                if (sqe->opcode == IORING_OP_FSYNC && sqe->fsync_flags == 0)
                        n_full_syncs++;
                else if (sqe->opcode == IORING_OP_FSYNC)
                        n_data_syncs++;
        }
}

int io_uring_submit(struct io_uring *ring)
{
        static int (*real)(struct io_uring * ring);
        int rc;

        if (real == NULL)
                real = (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit");
        n_submits++;
        if (n_refusals_left > 0) {
                n_refusals_left--;
                return refusal;
        }
        count_syncs(&ring->sq);
        rc = real(ring);
        if (rc > 0)
                n_submitted += (unsigned)rc;
        return rc;
}

struct counted {
        struct file_op op;
        char buf[512];
};

static unsigned n_done, n_cancelled;

static void on_counted(struct file_op *op)
{
        n_done++;
        if (op->result == -ECANCELED)
                n_cancelled++;
        else
                assert_int_equal(op->result, 512);
}

static void start_reads(struct lane *lane, int fd, struct counted *reads, unsigned n)
{
        n_submits = n_submitted = n_done = n_cancelled = 0;
        for (unsigned i = 0; i < n; i++) {
                reads[i].op = (struct file_op){.call = FILE_CALL_READ,
                    .fd = fd,
                    .buf = reads[i].buf,
                    .offset_bytes = i * 512,
                    .length_bytes = 512,
                    .on_op = on_counted};
                file_io_submit(lane->io, &reads[i].op);
        }
        assert_int_equal(n_submits, 0);
        assert_int_equal(n_done, 0);
}

static void run_until_done(struct lane *lane, unsigned n)
{
        while (n_done < n)
                uv_run(&lane->loop, UV_RUN_ONCE);
}

enum { N = 1000 };
static struct counted reads[N];
static char content[N * 512];

static int begin(struct lane *lane)
{
        lane_init(lane, PROVIDER_LOCAL_URING);
        return open(make_file(lane, "file", sizeof(content), content), O_RDONLY | O_CLOEXEC);
}

static void end(struct lane *lane, int fd, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                assert_memory_equal(reads[i].buf, content + i * 512, 512);
        close(fd);
        lane_done(lane);
}

static void the_requests_of_a_turn_are_handed_over_together(void **state)
{
        struct lane lane;
        int fd = begin(&lane);

        start_reads(&lane, fd, reads, 100);
        run_until_done(&lane, 100);
        assert_int_equal(n_submits, 1);
        assert_int_equal(n_submitted, 100);
        end(&lane, fd, 100);
}

static void a_bounded_number_is_with_the_kernel(void **state)
{
        struct lane lane;
        int pipe_fds[2], fd = begin(&lane);

        /* Reads of an empty pipe stay with the kernel until somebody writes. */
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        start_reads(&lane, pipe_fds[0], reads, 300);
        for (unsigned n = 0; n < 300; n++) {
                for (int i = 0; i < 3; i++)
                        uv_run(&lane.loop, UV_RUN_NOWAIT);
                assert_int_equal(n_submitted, n + 128 < 300 ? n + 128 : 300);
                assert_int_equal(write(pipe_fds[1], content, 512), 512);
                run_until_done(&lane, n + 1);
        }
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        end(&lane, fd, 0);
}

static void a_refusal_for_now_is_tried_again(void **state)
{
        static const int refusals[] = {-EAGAIN, -EBUSY, -EINTR, -EBADR};
        struct lane lane;
        int fd = begin(&lane);

        for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
                refusal = refusals[i];
                n_refusals_left = 3;
                start_reads(&lane, fd, reads, 300);
                run_until_done(&lane, 300);
                assert_int_equal(n_refusals_left, 0);
                assert_int_equal(n_submitted, 300);
        }
        end(&lane, fd, 300);
}

static void what_was_not_handed_over_can_be_cancelled(void **state)
{
        struct lane lane;
        int fd = begin(&lane);

        start_reads(&lane, fd, reads, N);
        for (unsigned i = 0; i < N; i += 2)
                file_io_cancel(lane.io, &reads[i].op);
        assert_int_equal(n_done, 0);
        run_until_done(&lane, N);
        assert_int_equal(n_cancelled, N / 2);
        assert_int_equal(n_submitted, N / 2);
        end(&lane, fd, 0);
}

static void a_cancel_is_not_held_up_by_a_full_ring(void **state)
{
        struct lane lane;
        int pipe_fds[2], fd = begin(&lane);

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        start_reads(&lane, pipe_fds[0], reads, 140);
        for (int i = 0; i < 3; i++)
                uv_run(&lane.loop, UV_RUN_NOWAIT);
        assert_int_equal(n_submitted, 128);
        file_io_cancel(lane.io, &reads[139].op); /* behind eleven others */
        for (int i = 0; i < 3; i++)
                uv_run(&lane.loop, UV_RUN_NOWAIT);
        assert_int_equal(n_cancelled, 1);
        assert_int_equal(n_done, 1);
        for (unsigned n = 1; n < 140; n++) {
                assert_int_equal(write(pipe_fds[1], content, 512), 512);
                run_until_done(&lane, n + 1);
        }
        assert_int_equal(n_cancelled, 1);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        end(&lane, fd, 0);
}

static void on_synced(struct file_op *op)
{
        n_done++;
        assert_int_equal(op->result, 0);
}

static void a_full_sync_is_more_than_one_of_the_data(void **state)
{
        struct file_op ops[3] = {
            {.call = FILE_CALL_FSYNC}, {.call = FILE_CALL_FDATASYNC}, {.call = FILE_CALL_FSYNC}};
        struct lane lane;
        int fd = begin(&lane);

        n_done = n_full_syncs = n_data_syncs = 0;
        for (int i = 0; i < 3; i++) {
                ops[i].fd = fd;
                ops[i].on_op = on_synced;
                file_io_submit(lane.io, &ops[i]);
        }
        run_until_done(&lane, 3);
        assert_int_equal(n_full_syncs, 2);
        assert_int_equal(n_data_syncs, 1);
        end(&lane, fd, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_requests_of_a_turn_are_handed_over_together),
            cmocka_unit_test(a_bounded_number_is_with_the_kernel),
            cmocka_unit_test(a_refusal_for_now_is_tried_again),
            cmocka_unit_test(what_was_not_handed_over_can_be_cancelled),
            cmocka_unit_test(a_cancel_is_not_held_up_by_a_full_ring),
            cmocka_unit_test(a_full_sync_is_more_than_one_of_the_data),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
