/* From the body of a frame to the operation that it asks for (operation.h).
 *
 * What is wrong with a body as such (malformed, too much of everything) ends the connection: there is no
 * telling what else its sender got wrong. What is wrong with a request is refused, and the connection goes
 * on. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/operation.h"
#include "scan.h"

#define HANDSHAKE KC_SM_TO(SESSION_HANDSHAKE)
#define OPEN KC_SM_TO(SESSION_OPEN)
#define GOODBYE KC_SM_TO(SESSION_GOODBYE)

static const struct operation {
        operation_run *run;
        uint32_t states; /* in which it is allowed */
        bool makes_work; /* not while the daemon drains */
} operations[] = {
    [KCOPY__V1__CLIENT_MESSAGE__BODY_HELLO] = {op_hello_run, HANDSHAKE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_OPEN] = {op_open_run, OPEN, true},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_CLOSE] = {op_close_run, OPEN, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_COPY] = {op_copy_run, OPEN, true},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_COPY_MANY] = {op_copy_many_run, OPEN, true},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_ZERO] = {op_zero_run, OPEN, true},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_CANCEL] = {op_cancel_run, OPEN | GOODBYE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_LIST] = {op_list_run, OPEN | GOODBYE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_GET] = {op_get_run, OPEN | GOODBYE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_WATCH] = {op_watch_run, OPEN | GOODBYE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_ENDPOINTS] = {op_endpoints_run, OPEN | GOODBYE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_PING] = {op_ping_run, OPEN | GOODBYE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_GOODBYE] = {op_goodbye_run, OPEN, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_INFO] = {op_info_run, OPEN | GOODBYE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_PAUSE] = {op_pause_run, OPEN | GOODBYE, false},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_RESUME] = {op_resume_run, OPEN | GOODBYE, true},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_ADJUST] = {op_adjust_run, OPEN | GOODBYE, true},
    [KCOPY__V1__CLIENT_MESSAGE__BODY_FORGET] = {op_forget_run, OPEN | GOODBYE, false},
};

/* ---- answers that many operations give */

void session_explain(const struct session *session, struct engine_refusal *refusal)
{
        if (!session->rpc->stopped || refusal->error.class != KC_CLASS_CANCELLED)
                return;
        refusal->error = (struct kc_error){0};
        kc_error_set(&refusal->error, -ESHUTDOWN, KC_CLASS_STOPPED,
            "kcopyd: was stopped before the job began; submit it again when the server runs");
}

void session_refuse(struct session *session, uint64_t request_id, const struct engine_refusal *refusal)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        struct engine_refusal explained = *refusal;
        Kcopy__V1__Refused refused;

        if (!session_is_live(session))
                return;
        session_explain(session, &explained);
        kc_budget_reset(&session->rpc->build);
        if (!encode_refused(&session->rpc->build, &explained, KC_MESSAGE_MAX_BYTES, &refused)) {
                session_lost(session, "out of memory");
                return;
        }
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_REFUSED;
        message.refused = &refused;
        session_send(session, &message);
}

void session_refuse_field(struct session *session, uint64_t request_id, const char *field, int code,
    enum kc_class class, const char *fmt, ...)
{
        struct engine_refusal refusal = {.error = {.code = code, .class = class}};
        va_list ap;

        snprintf(refusal.field, sizeof(refusal.field), "%s", field);
        va_start(ap, fmt);
        vsnprintf(refusal.error.message, sizeof(refusal.error.message), fmt, ap);
        va_end(ap);
        session_refuse(session, request_id, &refusal);
}

void session_done(struct session *session, uint64_t request_id)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Done done = KCOPY__V1__DONE__INIT;

        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_DONE;
        message.done = &done;
        session_send(session, &message);
}

/* ---- requests */

static void refuse_finding(struct session *session, uint64_t request_id, const struct kc_scan *scan)
{
        const char *message = scan->message->short_name;
        char field[64];

        if (scan->finding == KC_SCAN_UNKNOWN_FIELD) {
                snprintf(field, sizeof(field), "%s.%u", message, scan->field_number);
                session_refuse_field(session, request_id, field, -EOPNOTSUPP, KC_CLASS_UNSUPPORTED,
                    "%s: has no field %u in this version; leave it out, or use a newer kcopyd", message,
                    scan->field_number);
        } else {
                snprintf(field, sizeof(field), "%s.%s", message, scan->field->name);
                session_refuse_field(session, request_id, field, -EILSEQ, KC_CLASS_INVALID,
                    "%s: is no UTF-8, or has a NUL in it", scan->field->name);
        }
}

static void run(struct session *session, const Kcopy__V1__ClientMessage *request, const struct kc_scan *scan)
{
        const struct operation *operation = NULL;
        unsigned state = kc_sm_state(&session->sm);
        uint64_t request_id = request->request_id;

        if ((size_t)request->body_case < sizeof(operations) / sizeof(operations[0]))
                operation = &operations[request->body_case];
        if (state == SESSION_HANDSHAKE && request->body_case != KCOPY__V1__CLIENT_MESSAGE__BODY_HELLO)
                session_hangup(session, KC_CLASS_PROTOCOL, "hello: must be the first request");
        else if (request_id == 0)
                session_refuse_field(session, 0, "request_id", -EINVAL, KC_CLASS_INVALID,
                    "request_id: is 0, which marks events");
        else if (scan->finding != KC_SCAN_FINE)
                refuse_finding(session, request_id, scan);
        else if (!operation || !operation->run)
                session_refuse_field(
                    session, request_id, "body", -EINVAL, KC_CLASS_INVALID, "body: the request has none");
        else if (operation->makes_work && session->rpc->draining)
                session_refuse_field(session, request_id, "", -ESHUTDOWN, KC_CLASS_STOPPED,
                    "kcopyd: is shutting down and takes no new jobs; submit it again when the server runs");
        else if (!(operation->states & KC_SM_TO(state)))
                session_refuse_field(session, request_id, "body", -EINVAL, KC_CLASS_CONFLICT,
                    state == SESSION_OPEN ? "hello: has been said already"
                                          : "goodbye: has been said, there can be no more of these");
        else
                operation->run(session, request_id, request);
}

void dispatch(struct session *session, const uint8_t *body, uint32_t body_bytes)
{
        struct kc_budget *unpack = &session->rpc->unpack;
        Kcopy__V1__ClientMessage *request;
        struct kc_scan scan;
        int r;

        r = kc_scan_body(body, body_bytes, &kcopy__v1__client_message__descriptor, KC_FIELDS_MAX, &scan);
        if (r == -E2BIG) {
                session_hangup(session, KC_CLASS_LIMIT, "request: has more than %u fields, or nests too deep",
                    KC_FIELDS_MAX);
                return;
        }
        if (r < 0) {
                session_hangup(session, KC_CLASS_PROTOCOL, "request: is no protobuf message of the schema");
                return;
        }
        kc_budget_reset(unpack);
        request = kcopy__v1__client_message__unpack(&unpack->allocator, body_bytes, body);
        if (request)
                run(session, request, &scan);
        else if (unpack->exceeded)
                session_hangup(session, KC_CLASS_LIMIT, "request: needs more than %u bytes when unpacked",
                    KC_UNPACK_BUDGET_BYTES);
        else
                session_hangup(session, KC_CLASS_PROTOCOL, "request: is no protobuf message of the schema");
}
