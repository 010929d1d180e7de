/* libkcopy's blocking calls against a scripted server in a thread: create, destroy, requests.
 * links: kcopy kc_proto */
#include <pthread.h>

#include "lib/libkcopy_fixture.h"

/* A scripted server in a thread of its own: answers the requests, one after the other, as the test's script
 * says. */
struct script {
        struct peer *peer;
        pthread_t thread;
        void (*run)(struct peer *peer);
};

static void *run_script(void *opaque)
{
        struct script *script = opaque;

        script->run(script->peer);
        return NULL;
}

static void script_start(struct script *script, void (*run)(struct peer *peer))
{
        script->peer = &fx->peer;
        script->run = run;
        assert_int_equal(pthread_create(&script->thread, NULL, run_script, script), 0);
}

static void script_end(struct script *script)
{
        assert_int_equal(pthread_join(script->thread, NULL), 0);
}

/* ---- destroy */

static void complete_then_farewell(struct peer *peer)
{
        uint64_t first = peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY);
        uint64_t second = peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY);

        peer_accept(peer, first, 1, 4096);
        peer_accept(peer, second, 2, 4096);
        peer_complete(peer, 2, 1, 0, false);
        /* the notify function of the second submits another, which is waited for as well */
        peer_refuse(peer, peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO), "to[0]", "EINVAL");
        peer_complete(peer, 1, 1, 1, false);
        /* Goodbye comes only now: after the jobs */
        peer_reply_empty(peer, peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_GOODBYE),
            KCOPY__V1__SERVER_MESSAGE__BODY_FAREWELL);
        PEER_CHECK(peer_hear(peer) == NULL);
}

static void test_destroy_waits_for_the_jobs(void **state)
{
        struct kcopy_io_region null = {.device = "null:"}, from = {.device = "/x"};
        struct script script;

        assert_int_equal(kcopy_copy(fx->client, &from, 1, &null, NULL, on_end, &fx->seen[0], NULL), 0);
        assert_int_equal(kcopy_copy(fx->client, &from, 1, &null, NULL, on_end, &fx->seen[1], NULL), 0);
        fx->resubmit = true;
        script_start(&script, complete_then_farewell);
        kcopy_client_destroy(fx->client);
        fx->client = NULL;
        script_end(&script);
        assert_int_equal(fx->seen[0].n_calls, 1);
        assert_int_equal(fx->seen[0].write_err, 1);
        assert_int_equal(fx->seen[1].n_calls, 1);
        assert_int_equal(fx->seen[1].state, KCOPY_COMPLETED);
        assert_int_equal(fx->seen[2].state, KCOPY_REFUSED);
}

static void hang_up_after_a_request(struct peer *peer)
{
        peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY);
        peer_hang_up(peer);
}

static void test_destroy_ends_when_the_server_dies(void **state)
{
        struct kcopy_io_region null = {.device = "null:"}, from = {.device = "/x"};
        struct script script;

        assert_int_equal(kcopy_copy(fx->client, &from, 1, &null, NULL, on_end, &fx->seen[0], NULL), 0);
        script_start(&script, hang_up_after_a_request);
        kcopy_client_destroy(fx->client);
        fx->client = NULL;
        script_end(&script);
        assert_int_equal(fx->seen[0].n_calls, 1);
        assert_int_equal(fx->seen[0].state, KCOPY_LOST);
}

static void test_destroy_of_nothing_is_fine(void **state)
{
        kcopy_client_destroy(NULL);
        kcopy_client_abandon(NULL);
}

/* ---- create */

static int create(struct peer *peer, char *message, unsigned message_bytes)
{
        struct kcopy_client *client = NULL;
        int rc = kcopy_client_create_fd(peer->client_fd, 0, &client, message, message_bytes);

        assert_null(client);
        assert_int_equal(recv(peer->fd, (char[1]){0}, 0, MSG_DONTWAIT), 0);
        return rc;
}

static void test_create_fails_when_hello_is_refused(void **state)
{
        struct peer peer;
        char message[100];

        peer_init(&peer);
        peer_refuse(&peer, HELLO_ID, "pages", "EACCES");
        assert_int_equal(create(&peer, message, sizeof(message)), -EACCES);
        assert_string_equal(message, "too much");
        peer_hang_up(&peer);
}

static void test_create_fails_when_the_server_hangs_up(void **state)
{
        struct peer peer;

        peer_init(&peer);
        peer_hang_up(&peer);
        assert_int_equal(kcopy_client_create_fd(peer.client_fd, 0, &fx->client, NULL, 0), -ENOTCONN);
}

static void test_create_fails_where_there_is_no_server(void **state)
{
        static const char *const WRONG[] = {"", "tcp:", "tcp:[::1", "tcp:a:b:c", "http://x", "unix:"};
        struct kcopy_client *client = NULL;
        char message[300];

        assert_int_equal(
            kcopy_client_create("unix:/nowhere/sock", 0, &client, message, sizeof(message)), -ENOENT);
        assert_string_equal(message, "unix:/nowhere/sock: No such file or directory");
        /* port 1 of the loopback is nobody's */
        assert_int_equal(
            kcopy_client_create("tcp:127.0.0.1:1", 0, &client, message, sizeof(message)), -ECONNREFUSED);
        for (unsigned i = 1; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
                assert_int_equal(
                    kcopy_client_create(WRONG[i], 0, &client, message, sizeof(message)), -EINVAL);
        assert_null(client);
}

/* ---- requests */

static void answer_open(struct peer *peer)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Opened opened = KCOPY__V1__OPENED__INIT;
        Kcopy__V1__DeviceInfo device = KCOPY__V1__DEVICE_INFO__INIT;

        device.size_bytes = 1 << 20;
        device.block_min_bytes = 512;
        device.can_flush = true;
        opened.handle = 31;
        opened.device = &device;
        message.request_id = peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_OPEN);
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_OPENED;
        message.opened = &opened;
        peer_say(peer, &message);
}

static void answer_open_and_close(struct peer *peer)
{
        answer_open(peer);
        peer_reply_empty(peer, peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_CLOSE),
            KCOPY__V1__SERVER_MESSAGE__BODY_DONE);
}

static void test_open_tells_the_device(void **state)
{
        struct kcopy_device device;
        struct script script;

        script_start(&script, answer_open_and_close);
        assert_int_equal(kcopy_open(fx->client, "/dev/x", true, &device), 0);
        assert_int_equal(device.handle, 31);
        assert_int_equal(device.size_bytes, 1 << 20);
        assert_true(device.can_flush && !device.can_zero);
        assert_int_equal(kcopy_close(fx->client, 31), 0);
        script_end(&script);
}

static void test_a_server_that_never_answers_times_out_and_its_late_handle_is_closed(void **state)
{
        Kcopy__V1__ClientMessage *message;
        struct kcopy_device device;

        kcopy_set_timeout(fx->client, 30);
        assert_int_equal(kcopy_open(fx->client, "/dev/x", true, &device), -ETIMEDOUT);
        answer_open(&fx->peer);
        assert_int_equal(kcopy_dispatch(fx->client), 0);
        message = peer_hear(&fx->peer);
        assert_int_equal(message->body_case, KCOPY__V1__CLIENT_MESSAGE__BODY_CLOSE);
        assert_int_equal(message->close->handle, 31);
        kcopy__v1__client_message__free_unpacked(message, NULL);
}

static void refuse_get(struct peer *peer)
{
        peer_refuse(peer, peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_GET), "job", "ENOENT");
}

static void on_job(void *opaque, const struct kcopy_job_info *job)
{
        unsigned *n = opaque;

        (*n)++;
        assert_int_equal(job->job, *n);
        assert_int_equal(kcopy_list_jobs(fx->client, false, on_job, opaque), -EBUSY);
}

static void test_a_refused_request_gives_its_errno_and_reason(void **state)
{
        struct script script;
        unsigned n = 0;

        script_start(&script, refuse_get);
        assert_int_equal(kcopy_get_job(fx->client, 5, on_job, &n), -ENOENT);
        assert_string_equal(kcopy_error(fx->client), "too much");
        assert_int_equal(n, 0);
        script_end(&script);
}

static void say_jobs(struct peer *peer, uint64_t first, unsigned n, bool more)
{
        Kcopy__V1__ClientMessage *request = peer_hear(peer);
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__JobList list = KCOPY__V1__JOB_LIST__INIT;
        Kcopy__V1__JobInfo jobs[8], *pointers[8];

        PEER_CHECK(request->body_case == KCOPY__V1__CLIENT_MESSAGE__BODY_LIST);
        PEER_CHECK(request->list->after_job == first - 1);
        for (unsigned i = 0; i < n; i++) {
                kcopy__v1__job_info__init(&jobs[i]);
                jobs[i].job = first + i;
                jobs[i].state = KCOPY__V1__JOB_STATE__JOB_STATE_RUNNING;
                pointers[i] = &jobs[i];
        }
        list.n_jobs = n;
        list.jobs = pointers;
        list.more = more;
        message.request_id = request->request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_JOB_LIST;
        message.job_list = &list;
        peer_say(peer, &message);
        kcopy__v1__client_message__free_unpacked(request, NULL);
}

static void list_in_pages(struct peer *peer)
{
        say_jobs(peer, 1, 3, true);
        say_jobs(peer, 4, 2, false);
}

static void list_without_end(struct peer *peer)
{
        say_jobs(peer, 1, 0, true);
}

static void test_lists_are_paged(void **state)
{
        struct script script;
        unsigned n = 0;

        script_start(&script, list_in_pages);
        assert_int_equal(kcopy_list_jobs(fx->client, true, on_job, &n), 0);
        assert_int_equal(n, 5);
        script_end(&script);
}

static void test_a_list_that_never_ends_is_not_believed(void **state)
{
        struct script script;
        unsigned n = 0;

        script_start(&script, list_without_end);
        assert_int_equal(kcopy_list_jobs(fx->client, true, on_job, &n), -EPROTO);
        script_end(&script);
}

static void jobs_end_during_a_request(struct peer *peer)
{
        uint64_t id = peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_COPY);

        peer_accept(peer, id, 1, 4096);
        id = peer_expect(peer, KCOPY__V1__CLIENT_MESSAGE__BODY_CANCEL);
        peer_complete(peer, 1, 1, 0, false);
        peer_reply_empty(peer, id, KCOPY__V1__SERVER_MESSAGE__BODY_DONE);
}

static void test_jobs_are_notified_inside_blocking_requests(void **state)
{
        struct kcopy_io_region null = {.device = "null:"}, from = {.device = "/x"};
        struct script script;

        assert_int_equal(kcopy_copy(fx->client, &from, 1, &null, NULL, on_end, &fx->seen[0], NULL), 0);
        script_start(&script, jobs_end_during_a_request);
        assert_int_equal(kcopy_cancel_job(fx->client, 1), 0);
        assert_int_equal(fx->seen[0].n_calls, 1);
        script_end(&script);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
            TEST(test_destroy_waits_for_the_jobs),
            TEST(test_destroy_ends_when_the_server_dies),
            TEST(test_destroy_of_nothing_is_fine),
            TEST(test_create_fails_when_hello_is_refused),
            TEST(test_create_fails_when_the_server_hangs_up),
            TEST(test_create_fails_where_there_is_no_server),
            TEST(test_open_tells_the_device),
            TEST(test_a_server_that_never_answers_times_out_and_its_late_handle_is_closed),
            TEST(test_a_refused_request_gives_its_errno_and_reason),
            TEST(test_lists_are_paged),
            TEST(test_a_list_that_never_ends_is_not_believed),
            TEST(test_jobs_are_notified_inside_blocking_requests),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
