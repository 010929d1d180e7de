/* The end of the daemon, in the order that lets nothing be used after it is gone:
 *
 *   sessions (drained, then hung up on) and listeners → engine → lanes → signals, actor, loop
 *
 * Each phase has a deadline. What is stuck then (a thread in a dead device, an export that does not answer)
 * cannot be taken apart: it is named in the log, and the process leaves as it is. */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "store/sqlite.h"

#define NS_PER_S UINT64_C(1000000000)
#define HANGUP_NS (5 * NS_PER_S) /* beyond cancel_grace: last words, and clients to be closed */
#define ENGINE_NS (10 * NS_PER_S)
#define ENGINE_PRIVATE_NS (NS_PER_S / 4) /* nobody is served after: quarantine can be left to the kernel */
#define LANES_NS (5 * NS_PER_S)

static void set_deadline(struct daemon *daemon, uint64_t in_ns)
{
        struct kc_actor *control = &daemon->control.actor;

        kc_actor_timer_start(control, &daemon->deadline, kc_actor_now_ns(control) + in_ns);
}

static void leave(const struct daemon *daemon)
{
        /* a private daemon's work is done: its session has told how the jobs ended */
        _exit(daemon_is_private(daemon) ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void on_actor_closed(struct kc_actor_uv *actor)
{
}

static void close_control(struct daemon *daemon)
{
        daemon->phase = DAEMON_CLOSING;
        if (!daemon->failed)
                kc_log_info("daemon",
                    "kcopyd stopped; jobs it waited for: completed=%u failed=%u cancelled=%u",
                    daemon->n_completed, daemon->n_failed, daemon->n_cancelled);
        kc_actor_timer_stop(&daemon->control.actor, &daemon->deadline);
        for (unsigned i = 0; i < 2; i++)
                uv_close((uv_handle_t *)&daemon->signals[i], NULL);
        kc_actor_uv_close(&daemon->control, on_actor_closed);
}

static void on_lane_stopped(void *arg)
{
        struct daemon *daemon = arg;

        if (--daemon->n_lanes == 0)
                close_control(daemon);
}

static void stop_lanes(struct daemon *daemon)
{
        unsigned n_lanes = daemon->n_lanes;

        set_deadline(daemon, LANES_NS);
        if (n_lanes == 0)
                close_control(daemon);
        for (unsigned i = 0; i < n_lanes; i++)
                lane_thread_stop(daemon->lanes[i], on_lane_stopped, daemon);
}

static void on_engine_closed(void *arg, unsigned n_stuck)
{
        struct daemon *daemon = arg;

        if (n_stuck) {
                kc_log_warning(
                    "daemon", "leaving with requests that were never answered devices=%u", n_stuck);
                leave(daemon);
        }
        engine_unobserve(daemon->engine, &daemon->observer);
        engine_free(daemon->engine);
        daemon->engine = NULL;
        sqlite_store_close(daemon->store);
        daemon->store = NULL;
        stop_lanes(daemon);
}

static void close_engine(struct daemon *daemon)
{
        uint64_t deadline_ns = daemon_is_private(daemon) ? ENGINE_PRIVATE_NS : ENGINE_NS;

        daemon->phase = DAEMON_CLOSING;
        if (!daemon->engine) {
                sqlite_store_close(daemon->store);
                daemon->store = NULL;
                stop_lanes(daemon);
                return;
        }
        /* the engine keeps its deadline; this one is for an engine that does not */
        set_deadline(daemon, deadline_ns + NS_PER_S);
        engine_close(daemon->engine, deadline_ns, on_engine_closed, daemon);
}

static void on_rpc_closed(void *arg)
{
        struct daemon *daemon = arg;

        rpc_free(daemon->rpc);
        daemon->rpc = NULL;
        close_engine(daemon);
}

static void close_listeners(struct daemon *daemon)
{
        for (unsigned i = 0; i < daemon->n_listeners; i++)
                listener_close(daemon->listeners[i]);
        daemon->n_listeners = 0;
}

static void hang_up(struct daemon *daemon)
{
        daemon->phase = DAEMON_HANGING_UP;
        close_listeners(daemon);
        if (!daemon->rpc) {
                close_engine(daemon);
                return;
        }
        set_deadline(daemon, daemon->options.cancel_grace_ns + HANGUP_NS);
        rpc_close(daemon->rpc, on_rpc_closed, daemon);
}

void shutdown_on_session_end(void *arg)
{
        struct daemon *daemon = arg;

        if (daemon->phase == DAEMON_SERVING && daemon_is_private(daemon))
                shutdown_begin(daemon);
        else if (daemon->phase == DAEMON_DRAINING && rpc_sessions(daemon->rpc) == 0)
                hang_up(daemon); /* there is nobody left */
}

static void on_deadline(struct kc_timer *timer)
{
        struct daemon *daemon = kc_container_of(timer, struct daemon, deadline);

        switch (daemon->phase) {
        case DAEMON_DRAINING:
                kc_log_warning("daemon", "drain timeout: cancelling what is left jobs=%u connections=%u",
                    rpc_jobs(daemon->rpc), rpc_sessions(daemon->rpc));
                hang_up(daemon);
                return;
        case DAEMON_HANGING_UP:
                kc_log_error("daemon", "stuck: clients that the engine does not let go connections=%u",
                    rpc_sessions(daemon->rpc));
                break;
        default:
                kc_log_error("daemon", "stuck: %s lanes=%u", daemon->engine ? "the engine" : "threads",
                    daemon->n_lanes);
                break;
        }
        leave(daemon);
}

void shutdown_begin(struct daemon *daemon)
{
        if (daemon->phase > DAEMON_DRAINING)
                return;
        if (daemon->phase == DAEMON_DRAINING) {
                kc_log_info(
                    "daemon", "told again to stop: cancelling what is left jobs=%u", rpc_jobs(daemon->rpc));
                hang_up(daemon);
                return;
        }
        if (daemon->engine)
                engine_observe(daemon->engine, &daemon->observer);
        if (!daemon->rpc || rpc_sessions(daemon->rpc) == 0) {
                hang_up(daemon);
                return;
        }
        daemon->phase = DAEMON_DRAINING;
        kc_log_info("daemon", "stopping: waiting for jobs jobs=%u connections=%u drain_s=%llu",
            rpc_jobs(daemon->rpc), rpc_sessions(daemon->rpc),
            (unsigned long long)(daemon->options.drain_timeout_ns / NS_PER_S));
        set_deadline(daemon, daemon->options.drain_timeout_ns);
        rpc_drain(daemon->rpc, daemon->options.drain_timeout_ns);
}

static void on_event(struct engine_observer *observer, const struct job_event *event)
{
        struct daemon *daemon = kc_container_of(observer, struct daemon, observer);

        if (event->type != JOB_EVENT_COMPLETION)
                return;
        daemon->n_completed += event->result->state == JOB_COMPLETED;
        daemon->n_failed += event->result->state == JOB_FAILED;
        daemon->n_cancelled += event->result->state == JOB_CANCELLED;
}

void shutdown_init(struct daemon *daemon)
{
        daemon->observer.on_event = on_event;
        kc_timer_init(&daemon->deadline, on_deadline);
}
