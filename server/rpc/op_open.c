/* Open and Close: a device kept open for this client under a handle. Answered by Opened and Done. */
#include "rpc/operation.h"
#include "rpc/request.h"

void op_open_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        struct engine_refusal refusal;

        if (!request_check_name("name", request->open->name, &refusal))
                session_refuse(session, request_id, &refusal);
        else
                call_open(session, request_id, request->open->name, request->open->write);
}

void op_close_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        if (engine_close_handle(session->client, request->close->handle) < 0) {
                session_refuse_field(session, request_id, "handle", -ENOENT, KC_CLASS_NOT_FOUND,
                    "handle %llu: is not open", (unsigned long long)request->close->handle);
                return;
        }
        call_handle_closed(session);
        session_done(session, request_id);
}
