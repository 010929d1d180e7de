/* The production provider: which name goes where, which local I/O it takes, how it ends.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <liburing.h>

#include "io/provider.h"
#include "unit/io-fixture.h"

/* ---- an io_uring that is refused, as a container's filter does it */

static int uring_refusal, uring_submit_refusal;

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
        static int (*real)(unsigned entries, struct io_uring *ring, unsigned flags);

        if (real == NULL)
                real =
                    (int (*)(unsigned, struct io_uring *, unsigned))dlsym(RTLD_NEXT, "io_uring_queue_init");
        return uring_refusal < 0 ? uring_refusal : real(entries, ring, flags);
}

int io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
        static int (*real)(struct io_uring * ring, unsigned wait_nr);

        if (real == NULL)
                real = (int (*)(struct io_uring *, unsigned))dlsym(RTLD_NEXT, "io_uring_submit_and_wait");
        return uring_submit_refusal < 0 ? uring_submit_refusal : real(ring, wait_nr);
}

/* ---- helpers */

static struct io_provider *provider_made(struct lane *lane, enum provider_local_io local_io)
{
        struct provider_config config;
        struct io_provider *provider;
        struct kc_error error = {0};

        lane_init_loop(lane);
        provider_config_defaults(&config);
        config.local_io = local_io;
        assert_int_equal(provider_new(&lane->actor, &config, &provider, &error), 0);
        return provider;
}

static void provider_ended(struct lane *lane, struct io_provider *provider)
{
        bool closed = false;

        provider_close(provider, on_flag, &closed);
        assert_false(closed);
        lane_run_until(lane, &closed);
        lane_done_loop(lane);
}

static void open_waited(struct lane *lane, struct io_provider *provider, struct waited_open *waited)
{
        provider->ops->open(provider, &waited->open);
        assert_false(waited->done);
        lane_run_until(lane, &waited->done);
}

/* ---- tests */

static void defaults_are_those_of_the_header(void **state)
{
        struct provider_config config;

        provider_config_defaults(&config);
        assert_int_equal(config.local_io, PROVIDER_LOCAL_AUTO);
        assert_int_equal(config.disconnect_ns, SECOND_NS);
        assert_int_equal(config.idle_keep_single_ns, SECOND_NS);
        assert_int_equal(config.idle_keep_multi_ns, 5 * SECOND_NS);
}

static void local_files_use_the_io_that_was_asked_for(void **state)
{
        static const struct {
                enum provider_local_io local_io;
                const char *name, *endpoint;
        } kinds[] = {
            {PROVIDER_LOCAL_AUTO, "io_uring", "uring"},
            {PROVIDER_LOCAL_URING, "io_uring", "uring"},
            {PROVIDER_LOCAL_THREADS, "threads", "threads"},
        };

        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
                struct lane lane;
                struct io_provider *provider = provider_made(&lane, kinds[i].local_io);
                struct waited_open waited;
                char content[5000], back[5000];

                assert_string_equal(provider_local_io_name(provider), kinds[i].name);
                waited_open_start(
                    &lane, &waited, make_file(&lane, "file", sizeof(content), content), IO_ACCESS_READ);
                open_waited(&lane, provider, &waited);
                assert_int_equal(waited.open.status, 0);
                assert_string_equal(waited.open.endpoint->ops->name, kinds[i].endpoint);
                assert_int_equal(waited.open.endpoint->info.keep_idle_ms, 5000);
                assert_int_equal(lane_io(&lane, waited.open.endpoint, IO_READ, 0, 0, sizeof(back), back), 0);
                assert_memory_equal(content, back, sizeof(back));
                lane_close(&lane, waited.open.endpoint);
                provider_ended(&lane, provider);
        }
}

static void a_refused_io_uring_means_threads_or_an_error(void **state)
{
        static const int refusals[] = {-EPERM, -ENOSYS, -ENOMEM};
        struct provider_config config;

        for (int i = 0; i < 6; i++) {
                struct io_provider *provider = NULL;
                struct kc_error error = {0};
                struct lane lane;

                /* at the set-up, or only when it is used */
                uring_refusal = i < 3 ? refusals[i] : 0;
                uring_submit_refusal = i < 3 ? 0 : refusals[i - 3];
                provider = provider_made(&lane, PROVIDER_LOCAL_AUTO);
                assert_string_equal(provider_local_io_name(provider), "threads");
                provider_ended(&lane, provider);

                lane_init_loop(&lane);
                provider_config_defaults(&config);
                config.local_io = PROVIDER_LOCAL_URING;
                provider = NULL;
                assert_int_equal(provider_new(&lane.actor, &config, &provider, &error), refusals[i % 3]);
                assert_null(provider);
                assert_int_equal(error.code, refusals[i % 3]);
                assert_int_equal(error.class, KC_CLASS_UNSUPPORTED);
                lane_done_loop(&lane);
                uring_refusal = uring_submit_refusal = 0;
        }
}

static void null_is_opened_for_writing_only(void **state)
{
        struct lane lane;
        struct io_provider *provider = provider_made(&lane, PROVIDER_LOCAL_AUTO);
        struct waited_open waited;

        waited_open_start(&lane, &waited, "null:", IO_ACCESS_READ_WRITE);
        open_waited(&lane, provider, &waited);
        assert_int_equal(waited.open.status, 0);
        assert_int_equal(waited.open.endpoint->info.kind, IO_KIND_NULL);
        lane_close(&lane, waited.open.endpoint);
        waited_open_start(&lane, &waited, "null:", IO_ACCESS_READ);
        open_waited(&lane, provider, &waited);
        assert_int_equal(waited.open.status, -EACCES);
        assert_null(waited.open.endpoint);
        assert_int_equal(waited.open.error.class, KC_CLASS_INVALID);
        provider_ended(&lane, provider);
}

static void names_that_are_no_devices_are_refused(void **state)
{
        static const char *const names[] = {"", "relative/path", "null", "null:x", "http://host/", "\x1b"};
        struct lane lane;
        struct io_provider *provider = provider_made(&lane, PROVIDER_LOCAL_AUTO);
        struct waited_open waited;

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                waited_open_start(&lane, &waited, names[i], IO_ACCESS_WRITE);
                waited.open.may_create = true;
                open_waited(&lane, provider, &waited);
                assert_int_equal(waited.open.status, -EINVAL);
                assert_int_equal(waited.open.error.class, KC_CLASS_INVALID);
                assert_non_null(strstr(waited.open.error.message, "absolute path, an NBD URI, or null:"));
                assert_null(strchr(waited.open.error.message, '\x1b'));
        }
        provider_ended(&lane, provider);
}

static void nbd_uris_go_to_nbd(void **state)
{
        struct lane lane;
        struct io_provider *provider = provider_made(&lane, PROVIDER_LOCAL_AUTO);
        struct waited_open waited;
        char uri[400];

        snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", lane_path(&lane, "nobody-listens"));
        waited_open_start(&lane, &waited, uri, IO_ACCESS_READ);
        open_waited(&lane, provider, &waited);
        assert_true(waited.open.status < 0);
        assert_int_equal(waited.open.error.class, KC_CLASS_TRANSPORT);
        provider_ended(&lane, provider);
}

static void every_open_can_be_cancelled(void **state)
{
        struct lane lane;
        struct io_provider *provider = provider_made(&lane, PROVIDER_LOCAL_AUTO);
        struct waited_open waited[4];
        char uri[400];

        snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", lane_path(&lane, "nobody-listens"));
        waited_open_start(&lane, &waited[0], "null:", IO_ACCESS_WRITE);
        waited_open_start(&lane, &waited[1], make_file(&lane, "file", 10, NULL), IO_ACCESS_READ);
        waited_open_start(&lane, &waited[2], uri, IO_ACCESS_READ);
        waited_open_start(&lane, &waited[3], "nonsense", IO_ACCESS_READ);
        for (int i = 0; i < 4; i++)
                provider->ops->open(provider, &waited[i].open);
        for (int i = 0; i < 4; i++) {
                provider->ops->cancel(provider, &waited[i].open);
                assert_false(waited[i].done);
        }
        for (int i = 0; i < 4; i++)
                lane_run_until(&lane, &waited[i].done);
        /* What had been decided stays so. */
        assert_int_equal(waited[0].open.status, 0);
        lane_close(&lane, waited[0].open.endpoint);
        assert_int_equal(waited[1].open.status, -ECANCELED);
        assert_true(waited[2].open.status < 0);
        assert_int_equal(waited[3].open.status, -EINVAL);
        provider_ended(&lane, provider);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(defaults_are_those_of_the_header),
            cmocka_unit_test(local_files_use_the_io_that_was_asked_for),
            cmocka_unit_test(a_refused_io_uring_means_threads_or_an_error),
            cmocka_unit_test(null_is_opened_for_writing_only),
            cmocka_unit_test(names_that_are_no_devices_are_refused),
            cmocka_unit_test(nbd_uris_go_to_nbd),
            cmocka_unit_test(every_open_can_be_cancelled),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
