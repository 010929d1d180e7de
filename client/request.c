/* Requests that are answered once (request.h). */
#include "request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "convert.h"

#define CONTAINER(node) ((struct request *)(void *)(node))
_Static_assert(offsetof(struct request, node) == 0, "CONTAINER");

struct request *request_find(struct kcopy_client *client, uint64_t ticket)
{
        struct table_node *node = table_find(&client->requests, ticket);

        return node ? CONTAINER(node) : NULL;
}

static void close_request(struct request *request)
{
        table_remove(&request->client->requests, &request->node);
        free(request);
}

void request_forget_all(struct kcopy_client *client)
{
        for (size_t i = 0; i < client->requests.n_buckets; i++)
                while (client->requests.buckets[i])
                        close_request(CONTAINER(client->requests.buckets[i]));
}

int request_send(struct kcopy_client *client, Kcopy__V1__ClientMessage *message,
    Kcopy__V1__ServerMessage__BodyCase expected, request_reply_fn on_reply, void *opaque,
    struct request **ret_request)
{
        struct request *request;
        int rc;

        if (client->lost)
                return client_fail(client, -ENOTCONN, "%s", client->lost_reason);
        request = calloc(1, sizeof(*request));
        if (!request)
                return client_fail(client, -ENOMEM, "no memory for a request");
        message->request_id = client->last_ticket + 1;
        rc = stream_queue(&client->stream, message);
        if (rc < 0) {
                free(request);
                return client_fail(client, rc,
                    rc == -E2BIG ? "the request is longer than a frame (%u bytes)"
                                 : "no memory for a request (frames have up to %u bytes)",
                    KC_FRAME_MAX_BYTES);
        }
        client->last_ticket++;
        *request = (struct request){.client = client,
            .expected = expected,
            .on_reply = on_reply,
            .opaque = opaque,
            .waited_for = ret_request != NULL};
        table_insert(&client->requests, &request->node, client->last_ticket);
        if (ret_request)
                *ret_request = request;
        return 0;
}

/* An answer that comes after its caller gave up: a handle that nobody knows must not stay open. */
static void answer_late(struct request *request, const Kcopy__V1__ServerMessage *reply)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Close body = KCOPY__V1__CLOSE__INIT;

        if (reply->body_case != KCOPY__V1__SERVER_MESSAGE__BODY_OPENED)
                return;
        body.handle = reply->opened->handle;
        message.body_case = KCOPY__V1__CLIENT_MESSAGE__BODY_CLOSE;
        message.close = &body;
        /* without memory for it, the handle goes with the connection */
        (void)request_send(request->client, &message, KCOPY__V1__SERVER_MESSAGE__BODY_DONE, NULL, NULL, NULL);
}

bool request_answer(struct request *request, const Kcopy__V1__ServerMessage *reply)
{
        bool refused = reply->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_REFUSED;

        if (request->answered || (!refused && reply->body_case != request->expected))
                return false;
        if (!request->waited_for) {
                if (!refused)
                        answer_late(request, reply);
                close_request(request);
                return true;
        }
        request->answered = true;
        if (refused) {
                const Kcopy__V1__Refused *why = reply->refused;

                request->status =
                    client_fail(request->client, convert_errno(why->errno_name, why->error_class), "%s",
                        why->reason[0] ? why->reason : why->field);
        } else if (request->on_reply) {
                request->status = request->on_reply(request, reply);
        }
        return true;
}

int request_wait(struct request *request)
{
        struct kcopy_client *client = request->client;
        uint64_t deadline_ns = client_now_ns() + client->timeout_ms * UINT64_C(1000000);
        int rc = 0;

        while (!request->answered && (rc == 0 || rc == -EINTR))
                rc = client_pump(client, deadline_ns);
        if (request->answered) {
                rc = request->status;
                close_request(request);
                return rc;
        }
        if (rc == -ETIMEDOUT) {
                request->waited_for = false;
                return client_fail(
                    client, rc, "the server has not answered within %u ms", client->timeout_ms);
        }
        close_request(request);
        return rc;
}

int request_run(struct kcopy_client *client, Kcopy__V1__ClientMessage *message,
    Kcopy__V1__ServerMessage__BodyCase expected, request_reply_fn on_reply, void *opaque)
{
        struct request *request = NULL;
        int rc;

        if (client->in_dispatch)
                return client_fail(client, -EBUSY, "a callback must not block");
        rc = request_send(client, message, expected, on_reply, opaque, &request);
        return rc < 0 ? rc : request_wait(request);
}
