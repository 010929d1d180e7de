/* Every connection, and what they share (rpc.h). */
#include "rpc/rpc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/session.h"

#define MS_NS 1000000u
#define BUILD_BYTES (1u << 20)

void rpc_config_defaults(struct rpc_config *config)
{
        memset(config, 0, sizeof(*config));
        config->jobs_max = 16384 - KC_BATCH_JOBS_MAX;
        config->jobs_max_bytes = 32u << 20;
        config->calls_max = 64;
        config->handles_max = 256;
        config->high_water_bytes = 256u << 10;
        config->ceiling_bytes = 8u << 20;
        config->hello_timeout_ns = UINT64_C(10000) * MS_NS;
        config->cancel_ns = UINT64_C(3000) * MS_NS;
        config->linger_ns = UINT64_C(2000) * MS_NS;
        config->linger_bytes = 4u << 20;
}

/* ---- events of the engine */

static void on_event(struct engine_observer *observer, const struct job_event *event)
{
        struct rpc *rpc = kc_container_of(observer, struct rpc, observer);
        struct kc_idmap_node *node = kc_idmap_get(&rpc->jobs, event->job_id);
        struct slot *slot = node ? kc_container_of(node, struct slot, by_id) : NULL;
        struct session *owner = slot ? slot->session : NULL;

        if (slot) {
                slot_on_event(slot, event, watch_covers(owner, event->job_id));
                /* the record says how it ended */
                if (event->type == JOB_EVENT_COMPLETION && session_is_live(owner))
                        watch_remove(owner, event->job_id);
        }
        kc_list_for_each_safe (at, &rpc->watchers) {
                struct session *session = kc_list_entry(at, struct session, watch.node);

                if (event->seq > 0)
                        replay_on_event(session, event->job_id);
                if (session != owner && session_is_live(session))
                        watch_on_event(session, event);
        }
}

/* ---- the turn of the loop */

static void on_prepare(uv_prepare_t *prepare)
{
        struct rpc *rpc = prepare->data;
        struct kc_list *node;

        while ((node = kc_list_pop(&rpc->dirty)))
                session_flush(kc_list_entry(node, struct session, dirty));
}

/* ---- connections */

static int refuse_connection(struct session *session, int r)
{
        kc_log_warning("rpc", "connection not served: %s", uv_strerror(r));
        session_lost(session, "not served");
        return r;
}

int rpc_accept(struct rpc *rpc, uv_stream_t *listener)
{
        struct session *session;
        int r;

        r = session_new(rpc, listener->type, &session);
        if (r < 0) {
                kc_log_warning("rpc", "connection not accepted: %s", uv_strerror(r));
                return r;
        }
        r = uv_accept(listener, &session->uv.stream);
        if (r < 0)
                return refuse_connection(session, r);
        if (listener->type == UV_TCP) {
                uv_tcp_nodelay(&session->uv.tcp, 1);
                uv_tcp_keepalive(&session->uv.tcp, 1, 60);
                r = peer_of_tcp(&session->uv.tcp, &session->peer);
        } else {
                r = peer_of_pipe(&session->uv.pipe, &session->peer);
        }
        if (r < 0)
                return refuse_connection(session, r);
        session_start(session);
        return 0;
}

int rpc_accept_fd(struct rpc *rpc, int fd)
{
        struct session *session;
        int r;

        r = session_new(rpc, UV_NAMED_PIPE, &session);
        if (r < 0) {
                close(fd);
                return r;
        }
        r = uv_pipe_open(&session->uv.pipe, fd);
        if (r < 0) {
                close(fd);
                return refuse_connection(session, r);
        }
        peer_self(&session->peer);
        session_start(session);
        return 0;
}

unsigned rpc_sessions(const struct rpc *rpc)
{
        return rpc->n_sessions;
}

unsigned rpc_jobs(const struct rpc *rpc)
{
        return (unsigned)rpc->jobs.n;
}

/* ---- the end */

static void on_prepare_closed(uv_handle_t *handle)
{
        struct rpc *rpc = handle->data;

        rpc->on_closed(rpc->closed_arg);
}

static void close_if_idle(struct rpc *rpc)
{
        if (rpc->n_sessions || !rpc->on_closed || uv_is_closing((uv_handle_t *)&rpc->prepare))
                return;
        engine_unobserve(rpc->config.engine, &rpc->observer);
        uv_close((uv_handle_t *)&rpc->prepare, on_prepare_closed);
}

void rpc_session_end(struct rpc *rpc)
{
        assert(rpc->n_sessions > 0);
        rpc->n_sessions--;
        if (rpc->config.on_session_end)
                rpc->config.on_session_end(rpc->config.arg);
        close_if_idle(rpc);
}

void rpc_jobs_end(struct rpc *rpc)
{
        /* those that stay only to see the others' jobs end */
        if (rpc->draining)
                kc_list_for_each (node, &rpc->sessions)
                        session_wake(kc_list_entry(node, struct session, node));
}

void rpc_drain(struct rpc *rpc, uint64_t drain_ns)
{
        rpc->draining = true;
        kc_list_for_each_safe (node, &rpc->sessions)
                session_drain(kc_list_entry(node, struct session, node), drain_ns);
}

void rpc_hangup(struct rpc *rpc)
{
        rpc->draining = rpc->stopped = true;
        kc_list_for_each_safe (node, &rpc->sessions)
                session_cancel(kc_list_entry(node, struct session, node));
}

void rpc_close(struct rpc *rpc, void (*on_closed)(void *arg), void *arg)
{
        rpc->on_closed = on_closed;
        rpc->closed_arg = arg;
        rpc_hangup(rpc);
        close_if_idle(rpc);
}

void rpc_free(struct rpc *rpc)
{
        if (!rpc)
                return;
        assert(rpc->n_sessions == 0 && kc_list_empty(&rpc->watchers) && rpc->jobs.n == 0);
        kc_idmap_done(&rpc->jobs);
        kc_budget_done(&rpc->unpack);
        kc_budget_done(&rpc->build);
        free(rpc);
}

/* ---- the beginning */

int rpc_new(const struct rpc_config *config, struct rpc **ret_rpc)
{
        struct rpc *rpc = calloc(1, sizeof(*rpc));
        int r = -ENOMEM;

        if (!rpc)
                return r;
        rpc->config = *config;
        kc_list_init(&rpc->sessions);
        kc_list_init(&rpc->dirty);
        kc_list_init(&rpc->watchers);
        r = kc_idmap_init(&rpc->jobs);
        if (r < 0)
                goto err_after_alloc;
        r = kc_budget_init(&rpc->unpack, KC_UNPACK_BUDGET_BYTES);
        if (r < 0)
                goto err_after_map;
        r = kc_budget_init(&rpc->build, BUILD_BYTES);
        if (r < 0)
                goto err_after_unpack;
        uv_prepare_init(config->loop, &rpc->prepare); /* cannot fail, nor can the start */
        rpc->prepare.data = rpc;
        uv_prepare_start(&rpc->prepare, on_prepare);
        rpc->observer.on_event = on_event;
        engine_observe(config->engine, &rpc->observer);
        rpc->started_ns = kc_actor_now_ns(config->control);
        *ret_rpc = rpc;
        return 0;

err_after_unpack:
        kc_budget_done(&rpc->unpack);
err_after_map:
        kc_idmap_done(&rpc->jobs);
err_after_alloc:
        free(rpc);
        return r;
}
