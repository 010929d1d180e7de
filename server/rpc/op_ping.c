/* Ping: answered by Pong with the same payload. */
#include "rpc/operation.h"

#define PAYLOAD_MAX_BYTES 64u

void op_ping_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Pong pong = KCOPY__V1__PONG__INIT;

        if (request->ping->payload.len > PAYLOAD_MAX_BYTES) {
                session_refuse_field(session, request_id, "payload", -E2BIG, KC_CLASS_LIMIT,
                    "payload: more than %u bytes", PAYLOAD_MAX_BYTES);
                return;
        }
        pong.payload = request->ping->payload;
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_PONG;
        message.pong = &pong;
        session_send(session, &message);
}
