/* The life of a client, and its dispatch (client.h). */
#include "client.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connect.h"
#include "job.h"
#include "receive.h"
#include "request.h"

#define SERVER_DEFAULT "unix:/run/kcopyd/kcopyd.sock"
#define READS_PER_DISPATCH 16 /* a chatty server must not keep the caller's loop */

uint64_t client_now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- errors and loss */

int client_fail(struct kcopy_client *client, int code, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(client->error, sizeof(client->error), format, args);
        va_end(args);
        return code;
}

int client_lose(struct kcopy_client *client, int code, const char *format, ...)
{
        va_list args;

        if (client->lost)
                return -ENOTCONN;
        client->lost = true;
        client->lost_error = code;
        va_start(args, format);
        vsnprintf(client->lost_reason, sizeof(client->lost_reason), format, args);
        va_end(args);
        return client_fail(client, -ENOTCONN, "%s", client->lost_reason);
}

void client_event(struct kcopy_client *client, const struct kcopy_event *event)
{
        if (client->on_event)
                client->on_event(client->on_event_opaque, event);
}

/* ---- dispatch */

static int broken(struct kcopy_client *client, int code)
{
        return client_lose(client, code, "the connection to the server was lost: %s", strerror(-code));
}

/* Handle the frames that are complete. */
static void take(struct kcopy_client *client)
{
        while (!client->lost) {
                const uint8_t *body = NULL;
                uint32_t body_bytes = 0;
                int rc = stream_take(&client->stream, &body, &body_bytes);

                if (rc == 0)
                        return;
                if (rc < 0)
                        client_lose(client, rc, "the server broke the protocol: what it sends are no frames");
                else
                        receive_body(client, body, body_bytes);
        }
}

/* True: something came. */
static bool fill(struct kcopy_client *client)
{
        int rc = stream_fill(&client->stream);

        if (rc == -ENOTCONN)
                client_lose(client, rc, "the server closed the connection");
        else if (rc < 0)
                broken(client, rc);
        return rc == 1;
}

/* True: something was received, or the connection was lost. */
static bool dispatch(struct kcopy_client *client)
{
        bool was_lost = client->lost, received = false;
        int flushed = was_lost ? 0 : stream_flush(&client->stream);

        client->in_dispatch = true;
        for (int i = 0; i < READS_PER_DISPATCH && !client->lost && fill(client); i++) {
                received = true;
                take(client);
        }
        if (flushed == 0 && received && !client->lost) /* what the callbacks submitted */
                flushed = stream_flush(&client->stream);
        /* A server that hangs up says why first: what it said is read before the loss counts. */
        if (flushed < 0 && !received)
                broken(client, flushed);
        if (client->lost)
                job_lose_all(client);
        client->in_dispatch = false;
        return received || client->lost != was_lost;
}

int client_pump(struct kcopy_client *client, uint64_t deadline_ns)
{
        if (client->in_dispatch)
                return client_fail(client, -EBUSY, "a callback must not block");
        while (!dispatch(client)) {
                struct pollfd pollfd = {.fd = client->stream.fd, .events = kcopy_poll_events(client)};
                uint64_t now_ns = client_now_ns();
                int timeout_ms = -1;

                if (client->lost)
                        break;
                if (deadline_ns && now_ns >= deadline_ns)
                        return client_fail(client, -ETIMEDOUT, "nothing came in time");
                if (deadline_ns) {
                        uint64_t left_ms = (deadline_ns - now_ns + 999999) / 1000000;

                        timeout_ms = left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
                }
                if (poll(&pollfd, 1, timeout_ms) < 0)
                        return client_fail(client, -errno, "poll: %s", strerror(errno));
        }
        return client->lost ? client_fail(client, -ENOTCONN, "%s", client->lost_reason) : 0;
}

int kcopy_dispatch(struct kcopy_client *client)
{
        if (client->in_dispatch)
                return client_fail(client, -EBUSY, "a callback must not dispatch");
        dispatch(client);
        return client->lost ? client_fail(client, -ENOTCONN, "%s", client->lost_reason) : 0;
}

int kcopy_wait(struct kcopy_client *client, int timeout_ms)
{
        return client_pump(client, timeout_ms < 0 ? 0 : client_now_ns() + (uint64_t)timeout_ms * 1000000 + 1);
}

int kcopy_run(struct kcopy_client *client)
{
        int rc = client->in_dispatch ? client_fail(client, -EBUSY, "a callback must not block") : 0;

        while (rc == 0 && client->n_jobs) {
                rc = client_pump(client, 0);
                if (rc == -EINTR)
                        rc = 0;
        }
        return rc;
}

/* ---- accessors */

int kcopy_fd(const struct kcopy_client *client)
{
        return client->stream.fd;
}

short kcopy_poll_events(const struct kcopy_client *client)
{
        if (client->lost)
                return 0;
        return (short)(POLLIN | (stream_queued_bytes(&client->stream) ? POLLOUT : 0));
}

unsigned kcopy_pending(const struct kcopy_client *client)
{
        return client->n_jobs;
}

unsigned kcopy_client_pages(const struct kcopy_client *client)
{
        return client->pages;
}

const char *kcopy_error(const struct kcopy_client *client)
{
        return client->error;
}

const unsigned char *kcopy_server_instance(const struct kcopy_client *client)
{
        return client->instance;
}

void kcopy_set_timeout(struct kcopy_client *client, unsigned timeout_ms)
{
        client->timeout_ms = timeout_ms ? timeout_ms : CLIENT_TIMEOUT_DEFAULT_MS;
}

void kcopy_on_event(struct kcopy_client *client, kcopy_event_fn on_event, void *opaque)
{
        client->on_event = on_event;
        client->on_event_opaque = opaque;
}

/* ---- life */

static int on_welcome(struct request *request, const Kcopy__V1__ServerMessage *reply)
{
        const Kcopy__V1__Welcome *welcome = reply->welcome;
        struct kcopy_client *client = request->client;
        size_t instance_bytes = welcome->instance_id.len;

        if (welcome->version != KC_PROTOCOL_VERSION)
                return client_fail(client, -EPROTO, "the server speaks version %u of the protocol, not %u",
                    welcome->version, KC_PROTOCOL_VERSION);
        client->pages = welcome->pages;
        if (welcome->batch_jobs_max && welcome->batch_jobs_max < client->batch_jobs_max)
                client->batch_jobs_max = welcome->batch_jobs_max;
        if (welcome->frame_max_bytes && welcome->frame_max_bytes < client->frame_max_bytes)
                client->frame_max_bytes = welcome->frame_max_bytes;
        if (instance_bytes > sizeof(client->instance))
                instance_bytes = sizeof(client->instance);
        if (instance_bytes)
                memcpy(client->instance, welcome->instance_id.data, instance_bytes);
        return 0;
}

static int say_hello(struct kcopy_client *client, unsigned num_pages)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Hello hello = KCOPY__V1__HELLO__INIT;
        char name[64];

        snprintf(name, sizeof(name), "%.40s (%ld)", program_invocation_short_name, (long)getpid());
        hello.version_min = hello.version_max = KC_PROTOCOL_VERSION;
        hello.pages = num_pages;
        hello.client_name = name;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_HELLO;
        message.hello = &hello;
        return request_run(client, &message, KCOPY__V1__SERVER_MESSAGE__BODY_WELCOME, on_welcome, NULL);
}

static void client_free(struct kcopy_client *client)
{
        assert(client->n_jobs == 0);
        request_forget_all(client);
        table_done(&client->jobs_by_ticket);
        table_done(&client->jobs_by_id);
        table_done(&client->requests);
        kc_budget_done(&client->budget);
        stream_done(&client->stream);
        free(client);
}

/* A client of `fd`, which it owns only if there is one. NULL: no memory. */
static struct kcopy_client *client_new(int fd)
{
        struct kcopy_client *client = calloc(1, sizeof(*client));

        if (!client)
                return NULL;
        TAILQ_INIT(&client->jobs);
        client->timeout_ms = CLIENT_TIMEOUT_DEFAULT_MS;
        client->batch_jobs_max = KC_BATCH_JOBS_MAX;
        client->frame_max_bytes = KC_FRAME_MAX_BYTES;
        if (table_init(&client->jobs_by_ticket) < 0)
                goto err;
        if (table_init(&client->jobs_by_id) < 0)
                goto err_after_tickets;
        if (table_init(&client->requests) < 0)
                goto err_after_ids;
        if (kc_budget_init(&client->budget, KC_UNPACK_BUDGET_BYTES) < 0)
                goto err_after_requests;
        if (stream_init(&client->stream, fd) < 0)
                goto err_after_budget;
        return client;

err_after_budget:
        kc_budget_done(&client->budget);
err_after_requests:
        table_done(&client->requests);
err_after_ids:
        table_done(&client->jobs_by_id);
err_after_tickets:
        table_done(&client->jobs_by_ticket);
err:
        free(client);
        return NULL;
}

static int create(int fd, unsigned num_pages, uint64_t deadline_ns, struct kcopy_client **ret_client,
    char *message, unsigned message_bytes)
{
        struct kcopy_client *client = client_new(fd);
        uint64_t now_ns = client_now_ns();
        int rc;

        if (!client) {
                close(fd);
                snprintf(message, message_bytes, "no memory for a client");
                return -ENOMEM;
        }
        client->timeout_ms = now_ns < deadline_ns ? (unsigned)((deadline_ns - now_ns) / 1000000) + 1 : 1;
        rc = say_hello(client, num_pages);
        if (rc < 0) {
                snprintf(message, message_bytes, "%s", client->error);
                client_free(client);
                return rc;
        }
        client->timeout_ms = CLIENT_TIMEOUT_DEFAULT_MS;
        *ret_client = client;
        return 0;
}

int kcopy_client_create(const char *server, unsigned num_pages, struct kcopy_client **ret_client,
    char *message, unsigned message_bytes)
{
        uint64_t deadline_ns = client_now_ns() + CLIENT_CREATE_TIMEOUT_MS * UINT64_C(1000000);
        char none[1];
        int fd, rc;

        if (!message || !message_bytes) {
                message = none;
                message_bytes = sizeof(none);
        }
        if (!server)
                server = secure_getenv("KCOPYD_SERVER");
        if (!server || !server[0])
                server = SERVER_DEFAULT;
        rc = connect_server(server, deadline_ns, &fd, message, message_bytes);
        return rc < 0 ? rc : create(fd, num_pages, deadline_ns, ret_client, message, message_bytes);
}

int kcopy_client_create_fd(
    int fd, unsigned num_pages, struct kcopy_client **ret_client, char *message, unsigned message_bytes)
{
        uint64_t deadline_ns = client_now_ns() + CLIENT_CREATE_TIMEOUT_MS * UINT64_C(1000000);
        char none[1];

        return create(fd, num_pages, deadline_ns, ret_client, message && message_bytes ? message : none,
            message && message_bytes ? message_bytes : sizeof(none));
}

void kcopy_client_abandon(struct kcopy_client *client)
{
        if (!client)
                return;
        assert(!client->in_dispatch);
        client_lose(client, -ECANCELED, "the client was abandoned");
        dispatch(client); /* notifies; nothing is sent or read any more */
        client_free(client);
}

void kcopy_client_destroy(struct kcopy_client *client)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Goodbye goodbye = KCOPY__V1__GOODBYE__INIT;

        if (!client)
                return;
        assert(!client->in_dispatch);
        /* Goodbye comes after the jobs, not before: their notify functions may submit more. */
        if (kcopy_run(client) == 0) {
                message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_GOODBYE;
                message.goodbye = &goodbye;
                (void)request_run(client, &message, KCOPY__V1__SERVER_MESSAGE__BODY_FAREWELL, NULL, NULL);
        }
        /* callbacks of late events may have submitted jobs that nobody will do any more */
        kcopy_client_abandon(client);
}
