/* A request that is answered once, other than a job: created by request_send, owned by the client, freed by
 * request_close.
 *
 * The answer is handled inside the dispatch, by `on_reply`, whose message is borrowed. */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "client.h"

struct request;
/* 0 or a negative errno, which becomes the request's status. Refused never gets here. */
typedef int (*request_reply_fn)(struct request *request, const Kcopy__V1__ServerMessage *reply);

struct request {
        struct table_node node; /* key: the ticket */
        struct kcopy_client *client;
        Kcopy__V1__ServerMessage__BodyCase expected;
        request_reply_fn on_reply; /* NULL: the answer says nothing */
        void *opaque;              /* of on_reply; the waiting call's */
        bool waited_for;           /* somebody blocks on it: else it is freed when answered */
        bool answered;
        int status;
};

/* Queue `message` (its request_id is filled in). 0 and *ret_request (may be NULL: nobody waits for the
 * answer), or a negative errno. */
int request_send(struct kcopy_client *client, Kcopy__V1__ClientMessage *message,
    Kcopy__V1__ServerMessage__BodyCase expected, request_reply_fn on_reply, void *opaque,
    struct request **ret_request);
/* Block until the answer, the client's timeout or the loss of the connection; closes the request. Returns its
 * status. */
int request_wait(struct request *request);
/* The same two in one, for a blocking call. */
int request_run(struct kcopy_client *client, Kcopy__V1__ClientMessage *message,
    Kcopy__V1__ServerMessage__BodyCase expected, request_reply_fn on_reply, void *opaque);
#define BODY(name) KCOPY__V1__CLIENT_MESSAGE__BODY_##name
#define REPLY(name) KCOPY__V1__SERVER_MESSAGE__BODY_##name
/* … of a message that has numbers only, and that Done answers: RUN_NUMBERS(client, PAUSE, pause, Pause, .job
 * = 7). */
#define RUN_NUMBERS(client_, NAME_, member_, Type_, ...)                                                     \
        ({                                                                                                   \
                Kcopy__V1__ClientMessage message_ = KCOPY__V1__CLIENT_MESSAGE__INIT;                         \
                Kcopy__V1__##Type_ body_ = {                                                                 \
                    .base = PROTOBUF_C_MESSAGE_INIT(&kcopy__v1__##member_##__descriptor), __VA_ARGS__};      \
                                                                                                             \
                message_.body_case = BODY(NAME_);                                                            \
                message_.member_ = &body_;                                                                   \
                request_run(client_, &message_, REPLY(DONE), NULL, NULL);                                    \
        })
/* For receive.c: a reply with a request's id has come. False: it is not what was asked for. */
bool request_answer(struct request *request, const Kcopy__V1__ServerMessage *reply);
struct request *request_find(struct kcopy_client *client, uint64_t ticket);
/* Forget all; for the end of the client. */
void request_forget_all(struct kcopy_client *client);

#endif
