/* Reads, writes, zeroes, flushes and extents over NBD, against nbdkit, qemu-nbd and nbd-server.
 * links: kc_io */
#include "lib/nbd-fixture.h"

#define SIZE_BYTES (8u << 20)

static void fill(unsigned char *buf, size_t length, unsigned seed)
{
        for (size_t i = 0; i < length; i++)
                buf[i] = (unsigned char)(seed + i * 7 + (i >> 8));
}

/* Write, read back, zero, flush: what every writable export must do. */
static void exercise(struct nbd_fixture *fx, struct endpoint *endpoint)
{
        size_t length = 256 << 10;
        unsigned char *out = malloc(length), *in = malloc(length);
        struct nbd_fixture_req r;

        fill(out, length, 3);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_WRITE, 0, 1 << 20, length, out), 0);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_READ, 0, 1 << 20, length, in), 0);
        assert_int_equal(r.req.class, KC_CLASS_NONE);
        assert_memory_equal(in, out, length);
        if (endpoint->info.zero_max_bytes > 0) {
                assert_int_equal(
                    nbd_fixture_io(fx, endpoint, &r, IO_ZERO, IO_UNMAP, (1 << 20) + 65536, 65536, NULL), 0);
                memset(out + 65536, 0, 65536);
                assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_READ, 0, 1 << 20, length, in), 0);
                assert_memory_equal(in, out, length);
        }
        if (endpoint->info.can_flush)
                assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_FLUSH, 0, 0, 0, NULL), 0);
        free(out);
        free(in);
}

static void nbdkit_memory(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_nbdkit(fx, "memory", "8M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(endpoint->info.kind, IO_KIND_NBD);
        assert_int_equal(endpoint->info.size_bytes, SIZE_BYTES);
        assert_int_equal(endpoint->info.block_min_bytes, 1);
        assert_int_equal(endpoint->info.block_max_bytes, 32 << 20);
        assert_int_equal(endpoint->info.zero_max_bytes, 1 << 30);
        assert_int_equal(endpoint->info.keep_idle_ms, 5000);
        assert_true(endpoint->info.multi_conn && endpoint->info.can_flush && endpoint->info.can_fua &&
                    endpoint->info.can_extents && endpoint->info.can_unmap && !endpoint->info.read_only);
        exercise(fx, endpoint);
        nbd_fixture_close(fx, endpoint);
}

static void nbdkit_without_structured_replies(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;

        nbd_fixture_nbdkit(fx, "--no-sr", "memory", "8M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_false(endpoint->info.can_extents);
        exercise(fx, endpoint);
        nbd_fixture_close(fx, endpoint);
}

static void oldstyle_nbdkit(void **state)
{
        struct nbd_fixture *fx = *state;
        struct nbd_fixture_req r;
        unsigned char in[512], out[512];
        struct endpoint *endpoint;

        fill(out, sizeof out, 5);
        nbd_fixture_nbdkit(fx, "-o", "memory", "8M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_WRITE, 0, 512, 512, out), 0);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_READ, 0, 512, 512, in), 0);
        assert_memory_equal(in, out, 512);
        /* This nbdkit announces zeroing there and refuses it as an invalid command. */
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_ZERO, 0, 0, 512, NULL), -EOPNOTSUPP);
        nbd_fixture_close(fx, endpoint);
}

static void nbdkit_with_blocks_of(struct nbd_fixture *fx, const char *min, const char *preferred,
    const char *max, uint32_t min_bytes, uint32_t max_bytes)
{
        char arguments[3][64];
        struct endpoint *endpoint;

        snprintf(arguments[0], 64, "blocksize-minimum=%s", min);
        snprintf(arguments[1], 64, "blocksize-preferred=%s", preferred);
        snprintf(arguments[2], 64, "blocksize-maximum=%s", max);
        nbd_fixture_nbdkit(fx, "--filter=blocksize-policy", "memory", "8M", arguments[0], arguments[1],
            arguments[2], "blocksize-error-policy=error", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(endpoint->info.block_min_bytes, min_bytes);
        assert_int_equal(endpoint->info.block_max_bytes, max_bytes);
        if (max_bytes >= 256 << 10)
                exercise(fx, endpoint);
        nbd_fixture_close(fx, endpoint);
        nbd_fixture_kill(fx, fx->n_servers - 1);
}

static void block_limits_are_told(void **state)
{
        struct nbd_fixture *fx = *state;

        nbdkit_with_blocks_of(fx, "512", "4096", "64K", 512, 64 << 10);
        nbdkit_with_blocks_of(fx, "4096", "64K", "32M", 4096, 32 << 20);
        nbdkit_with_blocks_of(fx, "64K", "64K", "4294967295", 64 << 10, 32 << 20);
}

static void size_that_is_no_multiple_of_the_minimum_block_is_kept(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;
        struct nbd_fixture_req r;

        nbd_fixture_nbdkit(fx, "--filter=blocksize-policy", "memory", "100000", "blocksize-minimum=65536",
            "blocksize-preferred=65536", "blocksize-maximum=1M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        assert_int_equal(endpoint->info.size_bytes, 100000);
        /* The tail cannot be asked about: it is data. */
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_EXTENTS, 0, 65536, 34464, NULL), 0);
        assert_int_equal(r.req.n_extents, 1);
        assert_false(r.extents[0].zero);
        assert_int_equal(r.extents[0].length_bytes, 34464);
        nbd_fixture_close(fx, endpoint);
}

static void qemu_nbd_raw(void **state)
{
        struct nbd_fixture *fx = *state;
        char image[128], socket_path[128], pid[160];
        struct endpoint *endpoint;
        int fd;

        snprintf(image, sizeof image, "%s/image", fx->dir);
        snprintf(socket_path, sizeof socket_path, "%s/sock", fx->dir);
        snprintf(pid, sizeof pid, "--pid-file=%s/pid", fx->dir);
        fd = open(image, O_CREAT | O_RDWR, 0600);
        assert_int_equal(ftruncate(fd, SIZE_BYTES), 0);
        close(fd);
        nbd_fixture_server(
            fx, "pid", "qemu-nbd", "-f", "raw", "-k", socket_path, pid, "-x", "disk", image, NULL);
        snprintf(fx->uri, sizeof fx->uri, "nbd+unix:///disk?socket=%s", socket_path);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(endpoint->info.size_bytes, SIZE_BYTES);
        assert_false(endpoint->info.multi_conn); /* -e 1 */
        assert_int_equal(endpoint->info.keep_idle_ms, 1000);
        exercise(fx, endpoint);
        nbd_fixture_close(fx, endpoint);
}

static void nbd_server_over_tcp(void **state)
{
        struct nbd_fixture *fx = *state;
        char config[160], image[128];
        unsigned port = nbd_fixture_free_port();
        struct endpoint *endpoint;
        FILE *file;

        snprintf(image, sizeof image, "%s/image", fx->dir);
        snprintf(config, sizeof config, "%s/config", fx->dir);
        file = fopen(image, "w");
        assert_int_equal(ftruncate(fileno(file), SIZE_BYTES), 0);
        fclose(file);
        file = fopen(config, "w");
        fprintf(file,
            "[generic]\nallowlist = true\nlistenaddr = 127.0.0.1\nport = %u\n"
            "[disk]\nexportname = %s\nflush = true\nfua = true\ntrim = true\n",
            port, image);
        fclose(file);
        nbd_fixture_server(fx, NULL, "nbd-server", "-d", "-C", config, NULL);
        nbd_fixture_wait_port(port);
        snprintf(fx->uri, sizeof fx->uri, "nbd://127.0.0.1:%u/disk", port);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(endpoint->info.size_bytes, SIZE_BYTES);
        exercise(fx, endpoint);
        nbd_fixture_close(fx, endpoint);
}

static void many_requests_at_once_are_queued(void **state)
{
        enum { N = 300, LENGTH = 4096 };
        struct nbd_fixture *fx = *state;
        struct nbd_fixture_req *r = calloc(N, sizeof *r);
        unsigned char *buf = malloc(N * LENGTH), *back = malloc(N * LENGTH);
        struct endpoint *endpoint;

        nbd_fixture_nbdkit(fx, "memory", "8M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        fill(buf, N * LENGTH, 1);
        for (unsigned i = 0; i < N; i++)
                assert_int_equal(
                    nbd_fixture_submit(endpoint, &r[i], IO_WRITE, 0, i * LENGTH, LENGTH, buf + i * LENGTH),
                    0);
        for (unsigned i = 0; i < N; i++) {
                nbd_fixture_run(fx, &r[i].done);
                assert_int_equal(r[i].req.status, 0);
        }
        assert_int_equal(nbd_fixture_io(fx, endpoint, r, IO_READ, 0, 0, N * LENGTH, back), 0);
        assert_memory_equal(buf, back, N * LENGTH);
        nbd_fixture_close(fx, endpoint);
        free(r);
        free(buf);
        free(back);
}

static void large_requests_stop_and_go(void **state)
{
        enum { N = 8, LENGTH = 8 << 20 }; /* more than any socket buffer: directions change under way */
        struct nbd_fixture *fx = *state;
        struct nbd_fixture_req *r = calloc(2 * N, sizeof *r);
        unsigned char *buf = malloc(LENGTH), *back = malloc((size_t)N * LENGTH);
        struct endpoint *endpoint;

        nbd_fixture_nbdkit(fx, "memory", "128M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        fill(buf, LENGTH, 9);
        assert_int_equal(nbd_fixture_io(fx, endpoint, r, IO_WRITE, 0, 0, LENGTH, buf), 0);
        for (unsigned i = 0; i < N; i++) {
                assert_int_equal(
                    nbd_fixture_submit(endpoint, &r[i], IO_READ, 0, 0, LENGTH, back + i * LENGTH), 0);
                assert_int_equal(
                    nbd_fixture_submit(endpoint, &r[N + i], IO_WRITE, 0, (i + 1) * LENGTH, LENGTH, buf), 0);
        }
        for (unsigned i = 0; i < 2 * N; i++) {
                nbd_fixture_run(fx, &r[i].done);
                assert_int_equal(r[i].req.status, 0);
        }
        for (unsigned i = 0; i < N; i++)
                assert_memory_equal(back + i * LENGTH, buf, LENGTH);
        nbd_fixture_close(fx, endpoint);
        free(r);
        free(buf);
        free(back);
}

static void extents_are_found(void **state)
{
        struct nbd_fixture *fx = *state;
        struct endpoint *endpoint;
        unsigned char *buf = malloc(65536);
        struct nbd_fixture_req r;

        memset(buf, 'x', 65536);
        nbd_fixture_nbdkit(fx, "memory", "8M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_WRITE, 0, 1 << 20, 65536, buf), 0);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_EXTENTS, 0, 0, SIZE_BYTES, NULL), 0);
        assert_int_equal(r.req.n_extents, 3);
        assert_true(r.extents[0].zero && !r.extents[1].zero && r.extents[2].zero);
        assert_int_equal(r.extents[0].length_bytes, 1 << 20);
        assert_int_equal(r.extents[1].length_bytes, 65536);
        assert_int_equal(r.extents[2].length_bytes, SIZE_BYTES - (1 << 20) - 65536);
        nbd_fixture_close(fx, endpoint);
        free(buf);
}

struct chain {
        struct io_req req;
        struct endpoint *endpoint;
        unsigned left;
        bool done;
};

static void on_chained(struct io_req *req)
{
        struct chain *chain = kc_container_of(req, struct chain, req);

        assert_int_equal(req->status, 0);
        if (--chain->left == 0) {
                chain->done = true;
                return;
        }
        assert_int_equal(endpoint_submit(chain->endpoint, req), 0);
}

static void request_may_be_submitted_again_from_its_callback(void **state)
{
        struct nbd_fixture *fx = *state;
        char buf[512];
        struct chain chain = {.left = 200,
            .req = {.op = IO_READ, .length_bytes = sizeof buf, .buf = buf, .on_done = on_chained}};

        nbd_fixture_nbdkit(fx, "memory", "8M", NULL);
        chain.endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ);
        assert_int_equal(endpoint_submit(chain.endpoint, &chain.req), 0);
        nbd_fixture_run(fx, &chain.done);
        nbd_fixture_close(fx, chain.endpoint);
}

static void errors_have_the_class_of_their_errno(void **state)
{
        static const struct {
                const char *error;
                int status;
                enum kc_class class;
        } cases[] = {
            {"write:5", -EIO, KC_CLASS_MEDIA},
            {"write:28", -ENOSPC, KC_CLASS_NO_SPACE},
            {"write:1", -EPERM, KC_CLASS_PERMISSION},
            {"write:108", -ESHUTDOWN, KC_CLASS_TRANSPORT},
            {"write:9999", -EINVAL, KC_CLASS_MEDIA},
        };
        struct nbd_fixture *fx = *state;
        char buf[512] = {0};
        struct nbd_fixture_req r;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct endpoint *endpoint;
                unsigned server = nbd_fixture_hostile(fx, "--error", cases[i].error, NULL);

                endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
                assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_WRITE, 0, 0, 512, buf), cases[i].status);
                assert_int_equal(r.req.class, cases[i].class);
                assert_false(r.req.unanswered); /* it was answered: with an error */
                assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_READ, 0, 0, 512, buf), 0);
                nbd_fixture_close(fx, endpoint);
                nbd_fixture_kill(fx, server);
        }
}

static void full_device_and_read_errors(void **state)
{
        struct nbd_fixture *fx = *state;
        char buf[512] = {0};
        struct nbd_fixture_req r;
        struct endpoint *endpoint;

        nbd_fixture_nbdkit(fx, "full", "8M", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_WRITE, 0, 0, 512, buf), -ENOSPC);
        nbd_fixture_close(fx, endpoint);
        nbd_fixture_kill(fx, 0);
        nbd_fixture_nbdkit(
            fx, "--filter=error", "memory", "8M", "error-pread=EIO", "error-pread-rate=100%", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_READ, 0, 0, 512, buf), -EIO);
        assert_int_equal(r.req.class, KC_CLASS_MEDIA);
        nbd_fixture_close(fx, endpoint);
}

static void zero_that_is_not_supported_says_so(void **state)
{
        struct nbd_fixture *fx = *state;
        struct nbd_fixture_req r;
        struct endpoint *endpoint;

        nbd_fixture_hostile(fx, "--error", "zero:95", NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_ZERO, 0, 0, 4096, NULL), -EOPNOTSUPP);
        assert_int_equal(r.req.class, KC_CLASS_UNSUPPORTED);
        nbd_fixture_close(fx, endpoint);
        nbd_fixture_kill(fx, 0);
        nbd_fixture_hostile(fx, "--flags", "0x5", NULL); /* flush only */
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(endpoint->info.zero_max_bytes, 0);
        assert_false(endpoint->info.can_unmap || endpoint->info.can_fua || endpoint->info.multi_conn);
        nbd_fixture_close(fx, endpoint);
}

static void flags_reach_the_server(void **state)
{
        static const char expected[] = "zero 0 4096 2\n"    /* no hole */
                                       "zero 4096 4096 0\n" /* may unmap */
                                       "zero 8192 4096 3\n" /* no hole, FUA */
                                       "write 0 512 1\n"    /* FUA */
                                       "write 0 512 0\n"
                                       "flush 0 0 0\n"
                                       "disconnect 0 0 0\n";
        struct nbd_fixture *fx = *state;
        char trace[160], buf[512] = {0}, text[512] = {0};
        struct nbd_fixture_req r;
        struct endpoint *endpoint;
        FILE *file;

        snprintf(trace, sizeof trace, "%s/trace", fx->dir);
        nbd_fixture_hostile(fx, "--trace", trace, NULL);
        endpoint = nbd_fixture_must_open(fx, fx->uri, IO_ACCESS_READ_WRITE);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_ZERO, 0, 0, 4096, NULL), 0);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_ZERO, IO_UNMAP, 4096, 4096, NULL), 0);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_ZERO, IO_FUA, 8192, 4096, NULL), 0);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_WRITE, IO_FUA, 0, 512, buf), 0);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_WRITE, 0, 0, 512, buf), 0);
        assert_int_equal(nbd_fixture_io(fx, endpoint, &r, IO_FLUSH, 0, 0, 0, NULL), 0);
        nbd_fixture_close(fx, endpoint);
        file = fopen(trace, "r");
        assert_non_null(file);
        fread(text, 1, sizeof text - 1, file);
        fclose(file);
        assert_string_equal(text, expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nbd_fixture_setup, nbd_fixture_teardown)

int main(void)
{
        static const struct CMUnitTest tests[] = {
            TEST(nbdkit_memory),
            TEST(nbdkit_without_structured_replies),
            TEST(oldstyle_nbdkit),
            TEST(block_limits_are_told),
            TEST(size_that_is_no_multiple_of_the_minimum_block_is_kept),
            TEST(qemu_nbd_raw),
            TEST(nbd_server_over_tcp),
            TEST(many_requests_at_once_are_queued),
            TEST(large_requests_stop_and_go),
            TEST(extents_are_found),
            TEST(request_may_be_submitted_again_from_its_callback),
            TEST(errors_have_the_class_of_their_errno),
            TEST(full_device_and_read_errors),
            TEST(zero_that_is_not_supported_says_so),
            TEST(flags_reach_the_server),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
