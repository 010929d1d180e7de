/* Open requests that the engine has not answered yet (call.h). */
#include "rpc/call.h"

#include <stdlib.h>

#include "rpc/session.h"

struct call {
        struct engine_open open;
        struct session *session;
        uint64_t request_id;
};

static void call_end(struct call *call)
{
        struct session *session = call->session;

        free(call);
        session->calls.n--;
        session_wake(session);
        session_release(session);
}

static void on_opened(
    struct engine_open *open, uint64_t handle, const char *name, const struct endpoint_info *info)
{
        struct call *call = kc_container_of(open, struct call, open);
        struct session *session = call->session;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Opened opened = KCOPY__V1__OPENED__INIT;

        session->calls.n_handles++;
        if (session_is_live(session)) {
                kc_budget_reset(&session->rpc->build);
                opened.handle = handle;
                opened.device = encode_device(&session->rpc->build, name, info);
                message.request_id = call->request_id;
                message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_OPENED;
                message.opened = &opened;
                if (opened.device)
                        session_send(session, &message);
                else
                        session_lost(session, "out of memory");
        }
        call_end(call);
}

static void on_refused(struct engine_open *open, const struct engine_refusal *refusal)
{
        struct call *call = kc_container_of(open, struct call, open);

        session_refuse(call->session, call->request_id, refusal);
        call_end(call);
}

void call_handle_closed(struct session *session)
{
        session->calls.n_handles--;
}

static void refuse_more(struct session *session, uint64_t request_id)
{
        struct engine_refusal refusal = {.has_limit = true, .limit = session->rpc->config.handles_max};

        kc_error_set(&refusal.error, -EMFILE, KC_CLASS_LIMIT,
            "handles: this connection has %llu devices open, which is all it may have; close one first",
            (unsigned long long)refusal.limit);
        session_refuse(session, request_id, &refusal);
}

void call_open(struct session *session, uint64_t request_id, const char *device, bool write)
{
        struct call *call;

        if (session->calls.n + session->calls.n_handles >= session->rpc->config.handles_max) {
                refuse_more(session, request_id);
                return;
        }
        call = calloc(1, sizeof(*call));
        if (!call) {
                session_lost(session, "out of memory");
                return;
        }
        call->session = session;
        call->request_id = request_id;
        call->open.on_opened = on_opened;
        call->open.on_refused = on_refused;
        if (engine_open(session->client, device, write, &call->open) < 0) {
                free(call);
                session_lost(session, "out of memory");
                return;
        }
        session->calls.n++;
        session_hold(session);
}
