/* Info: the server as a whole. Answered by ServerInfo. */
#include "rpc/operation.h"

#define NS_PER_MS 1000000u

void op_info_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        const struct rpc *rpc = session->rpc;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__ServerInfo info = KCOPY__V1__SERVER_INFO__INIT;
        struct engine_stats stats;

        engine_stats(rpc->config.engine, &stats);
        info.server_version = (char *)KCOPY_VERSION;
        info.instance_id.data = (uint8_t *)rpc->config.instance_id;
        info.instance_id.len = sizeof(rpc->config.instance_id);
        info.pages = stats.pages;
        info.pages_granted = stats.pages_granted;
        info.lanes = stats.n_lanes;
        info.local_io = (char *)rpc->config.local_io;
        info.clients = stats.clients;
        info.jobs_running = stats.jobs_running;
        info.jobs_waiting = stats.jobs_waiting;
        info.uptime_ms = (kc_actor_now_ns(rpc->config.control) - rpc->started_ns) / NS_PER_MS;
        message.request_id = request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_SERVER_INFO;
        message.server_info = &info;
        session_send(session, &message);
}
