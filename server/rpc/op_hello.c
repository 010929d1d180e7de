/* Hello: versions are agreed on, and the client's pages reserved. Answered by Welcome. */
#include <string.h>

#include "rpc/operation.h"

static void welcome(struct session *session, uint64_t request_id, uint32_t pages)
{
        const struct rpc_config *config = &session->rpc->config;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Welcome body = KCOPY__V1__WELCOME__INIT;

        body.version = KC_PROTOCOL_VERSION;
        body.pages = pages;
        body.instance_id.data = (uint8_t *)config->instance_id;
        body.instance_id.len = sizeof(config->instance_id);
        body.server_version = (char *)KCOPY_VERSION;
        body.frame_max_bytes = KC_FRAME_MAX_BYTES;
        body.destinations_max = KC_DESTINATIONS_MAX;
        body.batch_jobs_max = KC_BATCH_JOBS_MAX;
        body.queued_jobs_max = config->jobs_max;
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_WELCOME;
        message.welcome = &body;
        session_send(session, &message);
}

void op_hello_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        const Kcopy__V1__Hello *hello = request->hello;
        struct engine_refusal refusal = {.field = "pages"};
        struct engine_client *client;
        uint32_t pages;

        if (session->rpc->draining) {
                session_refuse_field(session, request_id, "", -ESHUTDOWN, KC_CLASS_STOPPED,
                    "kcopyd: is shutting down, jobs that still run: %u; ask again when it has been started "
                    "anew",
                    rpc_jobs(session->rpc));
                return;
        }
        if (hello->version_min > KC_PROTOCOL_VERSION || hello->version_max < KC_PROTOCOL_VERSION) {
                session_refuse_field(session, request_id, "version_min", -EPROTONOSUPPORT,
                    KC_CLASS_UNSUPPORTED,
                    "version: %u to %u asked for, this kcopyd has %u; update the older side",
                    hello->version_min, hello->version_max, KC_PROTOCOL_VERSION);
                return;
        }
        if (strlen(hello->client_name) > KC_CLIENT_NAME_MAX_BYTES) {
                session_refuse_field(session, request_id, "client_name", -E2BIG, KC_CLASS_LIMIT,
                    "client_name: more than %u bytes", KC_CLIENT_NAME_MAX_BYTES);
                return;
        }
        if (engine_client_open(session->rpc->config.engine, session->peer.identity, hello->pages, &client,
                &pages, &refusal.error) < 0) {
                session_refuse(session, request_id, &refusal);
                return;
        }
        kc_error_escape(session->client_name, sizeof(session->client_name), hello->client_name,
            strlen(hello->client_name));
        session_open(session, client);
        kc_log_debug("rpc", "client said hello session=%llu peer=%s name=%s pages=%u",
            (unsigned long long)session->sm.id, session->peer.identity, session->client_name, pages);
        welcome(session, request_id, pages);
}
