/* What a file does with the answers of the kernel: short ones, interrupted ones, failed syncs, missing
 * operations, each at an exact step. The local I/O is a script that the test answers by hand.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/falloc.h>
#include <stdalign.h>
#include <sys/uio.h>

#include "io/file.h"
#include "unit/io-fixture.h"

/* ---- the scripted local I/O: calls wait in `calls` until the test answers them */

struct script {
        struct file_io io;
        struct lane lane;
        struct kc_list calls;
        unsigned n_cancelled;
        struct endpoint *endpoint;
};

static void script_submit(struct file_io *io, struct file_op *op)
{
        kc_list_init(&op->node);
        kc_list_push(&((struct script *)io)->calls, &op->node);
}

static void script_cancel(struct file_io *io, struct file_op *op)
{
        ((struct script *)io)->n_cancelled++;
}

static const struct file_io_ops script_ops = {
    .name = "script", .submit = script_submit, .cancel = script_cancel};

static void script_init(struct script *script, const struct file_found *found)
{
        struct file_found copy = *found;

        memset(script, 0, sizeof(*script));
        lane_init_loop(&script->lane);
        script->io.ops = &script_ops;
        script->io.actor = &script->lane.actor;
        kc_list_init(&script->calls);
        assert_int_equal(file_new(&script->io, &copy, &script->endpoint), 0);
        assert_int_equal(copy.fd, -1);
}

static struct file_found found_kind(enum io_kind kind)
{
        return (struct file_found){
            .fd = open("/dev/null", O_RDWR | O_CLOEXEC),
            .dir_fd = -1,
            .info = {.kind = kind,
                .size_bytes = MIB,
                .block_min_bytes = 1,
                .block_max_bytes = MIB,
                .zero_max_bytes = MIB,
                .can_unmap = true,
                .resizable = true},
        };
}

static void script_done(struct script *script)
{
        assert_true(kc_list_empty(&script->calls));
        lane_close(&script->lane, script->endpoint);
        assert_int_equal(script->io.n_in_flight, 0);
        lane_done_loop(&script->lane);
}

/* The oldest call; it must be there, and of this kind. */
static struct file_op *script_call(struct script *script, enum file_call call)
{
        struct file_op *op;

        assert_false(kc_list_empty(&script->calls));
        op = kc_list_first(&script->calls, struct file_op, node);
        assert_int_equal(op->call, call);
        return op;
}

static void answer(struct script *script, struct file_op *op, int64_t result)
{
        kc_list_del(&op->node);
        file_io_answer(&script->io, op, result);
}

/* ---- transfers */

static void short_transfers_go_on_where_they_stopped(void **state)
{
        static const enum io_op ops[] = {IO_READ, IO_WRITE};
        struct file_found found = found_kind(IO_KIND_FILE);
        struct waited_req waited;
        struct script script;
        struct file_op *op;
        char buf[1000];

        script_init(&script, &found);
        for (int i = 0; i < 2; i++) {
                enum file_call call = i == 0 ? FILE_CALL_READ : FILE_CALL_WRITE;

                req_start(script.endpoint, &waited, ops[i], i == 0 ? 0 : IO_FUA, 5000, 1000, buf);
                op = script_call(&script, call);
                assert_int_equal(op->flags, i == 0 ? 0 : RWF_DSYNC);
                assert_true(op->buf == buf && op->offset_bytes == 5000 && op->length_bytes == 1000);
                answer(&script, op, 1);
                op = script_call(&script, call);
                assert_int_equal(op->flags, i == 0 ? 0 : RWF_DSYNC);
                assert_true(op->buf == buf + 1 && op->offset_bytes == 5001 && op->length_bytes == 999);
                answer(&script, op, -EINTR);
                op = script_call(&script, call);
                assert_true(op->buf == buf + 1 && op->offset_bytes == 5001 && op->length_bytes == 999);
                assert_false(waited.done);
                answer(&script, op, 999);
                assert_true(waited.done);
                assert_int_equal(waited.req.status, 0);
        }
        script_done(&script);
}

static void a_transfer_that_stops_is_an_error(void **state)
{
        static const struct {
                int64_t result;
                int status;
                enum kc_class class;
        } ends[] = {
            {0, -EIO, KC_CLASS_MEDIA},
            {-EIO, -EIO, KC_CLASS_MEDIA},
            {-ENOSPC, -ENOSPC, KC_CLASS_NO_SPACE},
            {-EDQUOT, -EDQUOT, KC_CLASS_NO_SPACE},
            {-EFBIG, -EFBIG, KC_CLASS_NO_SPACE},
            {-EPERM, -EPERM, KC_CLASS_PERMISSION},
        };
        struct file_found found = found_kind(IO_KIND_FILE);
        struct waited_req waited;
        struct script script;
        char buf[1000];

        script_init(&script, &found);
        for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
                req_start(script.endpoint, &waited, IO_WRITE, 0, 0, 1000, buf);
                answer(&script, script_call(&script, FILE_CALL_WRITE), 400);
                answer(&script, script_call(&script, FILE_CALL_WRITE), ends[i].result);
                assert_true(waited.done);
                assert_int_equal(waited.req.status, ends[i].status);
                assert_int_equal(waited.req.class, ends[i].class);
        }
        script_done(&script);
}

/* ---- zero */

static void zero_takes_its_ladder_down_and_remembers(void **state)
{
        struct file_found found = found_kind(IO_KIND_FILE);
        struct waited_req waited;
        struct script script;
        struct file_op *op;

        script_init(&script, &found);
        req_start(script.endpoint, &waited, IO_ZERO, IO_UNMAP | IO_FUA, 4096, 8192, NULL);
        op = script_call(&script, FILE_CALL_FALLOCATE);
        assert_int_equal(op->flags, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
        assert_true(op->offset_bytes == 4096 && op->length_bytes == 8192);
        answer(&script, op, -EOPNOTSUPP);
        op = script_call(&script, FILE_CALL_FALLOCATE);
        assert_int_equal(op->flags, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
        assert_true(op->offset_bytes == 4096 && op->length_bytes == 8192);
        answer(&script, op, 0);
        assert_false(waited.done);
        answer(&script, script_call(&script, FILE_CALL_FDATASYNC), 0);
        assert_true(waited.done);
        assert_int_equal(waited.req.status, 0);

        /* The first rung is known to be missing; the second one fails now, too. */
        req_start(script.endpoint, &waited, IO_ZERO, IO_UNMAP, 0, 1, NULL);
        op = script_call(&script, FILE_CALL_FALLOCATE);
        assert_int_equal(op->flags, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
        answer(&script, op, -ENOSYS);
        assert_true(waited.done);
        assert_int_equal(waited.req.status, -EOPNOTSUPP);
        assert_int_equal(waited.req.class, KC_CLASS_UNSUPPORTED);

        /* Known at once, and told later. */
        req_start(script.endpoint, &waited, IO_ZERO, IO_UNMAP, 0, 1, NULL);
        assert_true(kc_list_empty(&script.calls));
        lane_run_until(&script.lane, &waited.done);
        assert_int_equal(waited.req.status, -EOPNOTSUPP);

        /* None of this is a failed flush. */
        req_start(script.endpoint, &waited, IO_FLUSH, 0, 0, 0, NULL);
        answer(&script, script_call(&script, FILE_CALL_FDATASYNC), 0);
        assert_int_equal(waited.req.status, 0);
        script_done(&script);
}

static void zero_of_a_cached_range_writes_it_back_first(void **state)
{
        static const int again[] = {0, -EBUSY};
        struct file_found found = found_kind(IO_KIND_BLOCK);
        struct waited_req waited;
        struct script script;

        script_init(&script, &found);
        for (int i = 0; i < 2; i++) {
                req_start(script.endpoint, &waited, IO_ZERO, IO_UNMAP, 0, 4096, NULL);
                answer(&script, script_call(&script, FILE_CALL_FALLOCATE), -EBUSY);
                answer(&script, script_call(&script, FILE_CALL_FDATASYNC), 0);
                assert_false(waited.done);
                answer(&script, script_call(&script, FILE_CALL_FALLOCATE), again[i]);
                assert_true(waited.done);
                assert_int_equal(waited.req.status, i == 0 ? 0 : -EOPNOTSUPP);
        }
        req_start(script.endpoint, &waited, IO_ZERO, 0, 0, 4096, NULL);
        answer(&script, script_call(&script, FILE_CALL_FALLOCATE), -EBUSY);
        answer(&script, script_call(&script, FILE_CALL_FDATASYNC), -EIO);
        assert_true(waited.done);
        assert_int_equal(waited.req.status, -EIO);
        script_done(&script);
}

/* ---- alignment */

static void a_direct_write_that_does_not_suit_goes_through_the_cache(void **state)
{
        static alignas(FILE_WAY_ALIGN_BYTES) char buf[8192];
        struct file_found found = found_kind(IO_KIND_FILE);
        struct waited_req reqs[2], last;
        struct script script;

        found.way = FILE_WAY_DIRECT;
        script_init(&script, &found);
        for (int i = 0; i < 2; i++)
                req_start(script.endpoint, &reqs[i], IO_WRITE, 0, 4096, 8192, buf);
        /* Each that was meant to be direct is written once more. */
        for (int i = 0; i < 2; i++)
                answer(&script, script_call(&script, FILE_CALL_WRITE), -EINVAL);
        assert_false(reqs[0].done || reqs[1].done);
        for (int i = 0; i < 2; i++) {
                struct file_op *op = script_call(&script, FILE_CALL_WRITE);

                assert_true(op->buf == buf && op->offset_bytes == 4096 && op->length_bytes == 8192);
                answer(&script, op, 8192);
                assert_int_equal(reqs[i].req.status, 0);
        }
        req_start(script.endpoint, &last, IO_WRITE, 0, 4096, 8192, buf);
        answer(&script, script_call(&script, FILE_CALL_WRITE), -EINVAL);
        assert_true(last.done);
        assert_int_equal(last.req.status, -EINVAL);
        script_done(&script);
}

/* It was handed over before a large one went direct, and served after that; then another one is first to say
 * that the device takes none. */
static void a_read_that_waited_while_others_went_direct_is_read_again(void **state)
{
        static alignas(FILE_WAY_ALIGN_BYTES) char small_buf[4096], large_buf[FILE_WAY_LARGE_BYTES];
        struct file_found found = found_kind(IO_KIND_BLOCK);
        struct file_op *small_op, *large_op;
        struct waited_req small, large;
        struct script script;

        close(found.fd);
        found.fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fcntl(found.fd, F_SETFL, O_DIRECT) < 0 || fcntl(found.fd, F_SETFL, 0) < 0)
                skip();
        found.way = FILE_WAY_UNDECIDED;
        script_init(&script, &found);
        req_start(script.endpoint, &small, IO_READ, 0, 0, sizeof(small_buf), small_buf);
        req_start(script.endpoint, &large, IO_READ, 0, 4096, sizeof(large_buf), large_buf);
        small_op = script_call(&script, FILE_CALL_READ);
        large_op = kc_list_entry(small_op->node.next, struct file_op, node);
        answer(&script, large_op, -EINVAL);
        answer(&script, small_op, -EINVAL);
        assert_false(small.done || large.done);
        answer(&script, large_op, sizeof(large_buf));
        answer(&script, small_op, sizeof(small_buf));
        assert_true(small.done && large.done);
        assert_int_equal(small.req.status, 0);
        assert_int_equal(large.req.status, 0);
        script_done(&script);
}

/* ---- flush */

static void a_failed_flush_is_never_believed_again(void **state)
{
        struct file_found found = found_kind(IO_KIND_FILE);
        struct waited_req waited;
        struct script script;
        char buf[10];

        script_init(&script, &found);
        req_start(script.endpoint, &waited, IO_FLUSH, 0, 0, 0, NULL);
        answer(&script, script_call(&script, FILE_CALL_FDATASYNC), -EIO);
        assert_int_equal(waited.req.status, -EIO);
        for (int i = 0; i < 2; i++) {
                req_start(script.endpoint, &waited, IO_FLUSH, 0, 0, 0, NULL);
                assert_true(kc_list_empty(&script.calls));
                lane_run_until(&script.lane, &waited.done);
                assert_int_equal(waited.req.status, -EIO);
                assert_int_equal(waited.req.class, KC_CLASS_MEDIA);
        }
        /* A write that brings its own sync speaks for itself. */
        req_start(script.endpoint, &waited, IO_WRITE, IO_FUA, 0, 10, buf);
        answer(&script, script_call(&script, FILE_CALL_WRITE), 10);
        assert_int_equal(waited.req.status, 0);
        script_done(&script);
}

static void a_failed_fua_write_fails_later_flushes(void **state)
{
        struct file_found found = found_kind(IO_KIND_FILE);
        struct waited_req waited;
        struct script script;
        char buf[10];

        script_init(&script, &found);
        req_start(script.endpoint, &waited, IO_WRITE, IO_FUA, 0, 10, buf);
        answer(&script, script_call(&script, FILE_CALL_WRITE), -EIO);
        req_start(script.endpoint, &waited, IO_FLUSH, 0, 0, 0, NULL);
        lane_run_until(&script.lane, &waited.done);
        assert_int_equal(waited.req.status, -EIO);
        script_done(&script);
}

static void a_flush_waits_for_syncs_that_may_have_taken_its_error(void **state)
{
        static const int64_t fua_results[] = {10, -EIO};
        struct waited_req fua, plain, flush;
        struct script script;
        char buf[10];

        for (int i = 0; i < 2; i++) {
                struct file_found found = found_kind(IO_KIND_FILE);
                struct file_op *fua_op, *plain_op;

                script_init(&script, &found);
                req_start(script.endpoint, &fua, IO_WRITE, IO_FUA, 0, 10, buf);
                req_start(script.endpoint, &plain, IO_WRITE, 0, 100, 10, buf);
                req_start(script.endpoint, &flush, IO_FLUSH, 0, 0, 0, NULL);
                fua_op = script_call(&script, FILE_CALL_WRITE);
                plain_op = kc_list_entry(fua_op->node.next, struct file_op, node);
                answer(&script, plain_op, 10);
                assert_true(plain.done);
                answer(&script, kc_list_entry(fua_op->node.next, struct file_op, node), 0);
                assert_false(flush.done);
                answer(&script, fua_op, fua_results[i]);
                assert_true(fua.done && flush.done);
                assert_int_equal(fua.req.status, i == 0 ? 0 : -EIO);
                assert_int_equal(flush.req.status, i == 0 ? 0 : -EIO);
                script_done(&script);
        }
}

static void syncs_that_ran_together_fail_together(void **state)
{
        struct waited_req reqs[2];
        struct script script;
        char buf[10];

        for (int first = 0; first < 2; first++) {
                struct file_found found = found_kind(IO_KIND_FILE);
                struct file_op *ops[2];

                script_init(&script, &found);
                for (int i = 0; i < 2; i++)
                        req_start(script.endpoint, &reqs[i], IO_WRITE, IO_FUA, 0, 10, buf);
                ops[0] = script_call(&script, FILE_CALL_WRITE);
                ops[1] = kc_list_entry(ops[0]->node.next, struct file_op, node);
                answer(&script, ops[first], -EIO);
                assert_false(reqs[0].done || reqs[1].done);
                answer(&script, ops[!first], 10);
                assert_int_equal(reqs[0].req.status, -EIO);
                assert_int_equal(reqs[1].req.status, -EIO);
                script_done(&script);
        }
}

static void a_flush_of_a_created_file_syncs_its_directory_once(void **state)
{
        struct file_found found = found_kind(IO_KIND_FILE);
        struct waited_req waited;
        struct script script;
        char dir[] = "/var/tmp/kcopy-test-XXXXXX";

        close(found.fd);
        found.fd = -1;
        found.dir_fd = open(mkdtemp(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        found.name = strdup("new");
        found.info.absent = true;
        found.info.size_bytes = 0;
        script_init(&script, &found);
        assert_int_equal(lane_io(&script.lane, script.endpoint, IO_RESIZE, 0, 0, 10, NULL), 0);

        /* While the directory's fsync fails, nothing is durable. */
        req_start(script.endpoint, &waited, IO_FLUSH, 0, 0, 0, NULL);
        assert_int_not_equal(script_call(&script, FILE_CALL_FSYNC)->fd, found.dir_fd);
        answer(&script, script_call(&script, FILE_CALL_FSYNC), 0);
        assert_int_equal(script_call(&script, FILE_CALL_FSYNC)->fd, found.dir_fd);
        assert_false(waited.done);
        answer(&script, script_call(&script, FILE_CALL_FSYNC), 0);
        assert_true(waited.done);
        assert_int_equal(waited.req.status, 0);
        req_start(script.endpoint, &waited, IO_FLUSH, 0, 0, 0, NULL);
        answer(&script, script_call(&script, FILE_CALL_FDATASYNC), 0);
        assert_int_equal(waited.req.status, 0);
        script_done(&script);
        assert_int_equal(nftw(dir, on_entry, 2, FTW_DEPTH | FTW_PHYS), 0);
}

static void a_flush_fails_with_either_fsync_of_a_created_file(void **state)
{
        for (int failing = 0; failing < 2; failing++) {
                struct file_found found = found_kind(IO_KIND_FILE);
                struct waited_req waited;
                struct script script;

                script_init(&script, &found);
                ((struct file *)script.endpoint)->unrecorded = true;
                req_start(script.endpoint, &waited, IO_FLUSH, 0, 0, 0, NULL);
                answer(&script, script_call(&script, FILE_CALL_FSYNC), failing == 0 ? -EIO : 0);
                if (failing == 1)
                        answer(&script, script_call(&script, FILE_CALL_FSYNC), -EIO);
                assert_true(waited.done);
                assert_int_equal(waited.req.status, -EIO);
                assert_true(((struct file *)script.endpoint)->unrecorded);
                script_done(&script);
        }
}

/* ---- close */

static void close_waits_for_the_kernel_and_goes_no_further(void **state)
{
        struct file_found found = found_kind(IO_KIND_FILE);
        struct waited_req write, zero, flush, held;
        bool closed = false;
        struct script script;
        struct file_op *op;
        char buf[100];

        script_init(&script, &found);
        req_start(script.endpoint, &write, IO_WRITE, 0, 0, 100, buf);
        req_start(script.endpoint, &zero, IO_ZERO, IO_UNMAP, 0, 100, NULL);
        req_start(script.endpoint, &flush, IO_FLUSH, 0, 0, 0, NULL);
        req_start(script.endpoint, &held, IO_FLUSH, 0, 0, 0, NULL);
        op = kc_list_entry(script.calls.prev, struct file_op, node);
        answer(&script, op, 0);
        assert_false(held.done); /* the other flush may have taken its error */

        endpoint_close(script.endpoint, on_flag, &closed);
        assert_int_equal(script.n_cancelled, 3);
        assert_false(write.done || zero.done || flush.done || held.done || closed);
        answer(&script, script_call(&script, FILE_CALL_WRITE), 50);
        assert_true(write.done);
        assert_int_equal(write.req.status, -ECANCELED);
        assert_int_equal(write.req.class, KC_CLASS_CANCELLED);
        answer(&script, script_call(&script, FILE_CALL_FALLOCATE), -EOPNOTSUPP);
        assert_true(zero.done);
        assert_int_equal(zero.req.status, -ECANCELED);
        answer(&script, script_call(&script, FILE_CALL_FDATASYNC), -ECANCELED);
        assert_int_equal(flush.req.status, -ECANCELED);
        assert_true(held.done);
        assert_int_equal(held.req.status, 0);
        assert_false(closed);
        lane_run_until(&script.lane, &closed);
        assert_int_equal(script.io.n_in_flight, 0);
        lane_done_loop(&script.lane);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(short_transfers_go_on_where_they_stopped),
            cmocka_unit_test(a_transfer_that_stops_is_an_error),
            cmocka_unit_test(zero_takes_its_ladder_down_and_remembers),
            cmocka_unit_test(zero_of_a_cached_range_writes_it_back_first),
            cmocka_unit_test(a_direct_write_that_does_not_suit_goes_through_the_cache),
            cmocka_unit_test(a_read_that_waited_while_others_went_direct_is_read_again),
            cmocka_unit_test(a_failed_flush_is_never_believed_again),
            cmocka_unit_test(a_failed_fua_write_fails_later_flushes),
            cmocka_unit_test(a_flush_waits_for_syncs_that_may_have_taken_its_error),
            cmocka_unit_test(syncs_that_ran_together_fail_together),
            cmocka_unit_test(a_flush_of_a_created_file_syncs_its_directory_once),
            cmocka_unit_test(a_flush_fails_with_either_fsync_of_a_created_file),
            cmocka_unit_test(close_waits_for_the_kernel_and_goes_no_further),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
