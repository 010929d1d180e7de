/* kcopyd: the wiring. What each part does is said in its own header. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/state.h"
#include "io/provider.h"
#include "io/workers.h"
#include "store/sqlite.h"

#define STATUS_USAGE 2
#define POOL_THREADS "32"
#define HELPERS_MS 2000 /* how long the end waits for a TLS connect that was given up */

static int start_control(struct daemon *daemon, struct kc_error *err)
{
        int r = uv_loop_init(&daemon->loop);

        if (r == 0)
                r = kc_actor_uv_init(&daemon->control, &daemon->loop, 0);
        if (r < 0)
                return kc_error_set(err, r, KC_CLASS_INTERNAL, "kcopyd: no event loop: %s", uv_strerror(r));
        return 0;
}

static void on_signal(uv_signal_t *handle, int signum)
{
        shutdown_begin(handle->data);
}

static void start_signals(struct daemon *daemon)
{
        static const int signums[] = {SIGTERM, SIGINT};

        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a file-size limit is an error of the job's, EFBIG */
        for (unsigned i = 0; i < 2; i++) {
                uv_signal_init(&daemon->loop, &daemon->signals[i]);
                daemon->signals[i].data = daemon;
                uv_signal_start(&daemon->signals[i], on_signal, signums[i]);
        }
}

static int start_lanes(struct daemon *daemon, struct kc_error *err)
{
        const struct options *options = &daemon->options;
        struct provider_config config;
        struct cpus cpus;
        int r;

        cpus_read(&cpus);
        provider_config_defaults(&config);
        config.local_io = options->local_io;
        daemon->lanes = calloc(options->n_lanes, sizeof(daemon->lanes[0]));
        if (!daemon->lanes)
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "kcopyd: out of memory");
        while (daemon->n_lanes < options->n_lanes) {
                r = lane_thread_start(&daemon->control.actor, daemon->n_lanes + 1,
                    cpus_pick(&cpus, daemon->n_lanes, options->n_lanes), &config,
                    &daemon->lanes[daemon->n_lanes], err);
                if (r < 0)
                        return r;
                daemon->n_lanes++;
        }
        return 0;
}

/* Job ids do not repeat across restarts: they go on from the milliseconds since 2026, 32 ids each, which is
 * more than can be used up on average (32,000 jobs a second for as long as the daemon runs). 12 digits and
 * exact as a double for centuries. A clock that is set back by more than the daemon was idle can repeat them.
 */
static uint64_t first_job_id(void)
{
        static const time_t epoch_s = 1767225600; /* 2026-01-01 UTC */
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec <= epoch_s)
                return 1;
        return ((uint64_t)(now.tv_sec - epoch_s) * 1000 + (uint64_t)now.tv_nsec / 1000000) * 32;
}

static int start_engine(struct daemon *daemon, struct engine_config *config, struct kc_error *err)
{
        const struct options *options = &daemon->options;
        struct kc_actor **actors = calloc(daemon->n_lanes, sizeof(*actors));
        struct io_provider **providers = calloc(daemon->n_lanes, sizeof(*providers));
        int r = -ENOMEM;

        engine_config_defaults(config);
        if (actors && providers) {
                for (unsigned i = 0; i < daemon->n_lanes; i++) {
                        actors[i] = lane_thread_actor(daemon->lanes[i]);
                        providers[i] = lane_thread_provider(daemon->lanes[i]);
                }
                config->control = &daemon->control.actor;
                config->n_lanes = daemon->n_lanes;
                config->lanes = actors;
                config->providers = providers;
                config->pages = options->pages;
                config->open_timeout_ns = options->open_timeout_ns;
                config->command_timeout_ns = options->command_timeout_ns;
                config->cancel_grace_ns = options->cancel_grace_ns;
                config->quarantine_ns = options->quarantine_ns;
                config->store = daemon->store;
                config->detached_pages = options->detached_pages;
                config->checkpoint_ns = options->checkpoint_ns;
                config->records_max = options->keep_jobs;
                config->records_age_ms = options->keep_ms;
                /* nobody can ask for a private daemon's jobs later, and a store has its own numbers */
                config->first_job_id = daemon_is_private(daemon) ? 1 : first_job_id();
                r = engine_new(config, &daemon->engine);
        }
        free(actors);
        free(providers);
        if (r < 0)
                return kc_error_set(err, r, KC_CLASS_INTERNAL, "kcopyd: no engine: %s", strerror(-r));
        for (struct config_endpoint *at = daemon->config.endpoints; at; at = at->next) {
                r = engine_name_endpoint(daemon->engine, at->name, at->device);
                if (r < 0)
                        return kc_error_set(
                            err, r, KC_CLASS_INVALID, "endpoint %s: %s", at->name, strerror(-r));
        }
        return 0;
}

static int start_rpc(struct daemon *daemon, struct kc_error *err)
{
        struct engine_config engine;
        struct rpc_config config;
        int r;

        engine_config_defaults(&engine);
        rpc_config_defaults(&config);
        config.control = &daemon->control.actor;
        config.loop = &daemon->loop;
        config.engine = daemon->engine;
        config.store = daemon->store;
        config.local_io = provider_local_io_name(lane_thread_provider(daemon->lanes[0]));
        /* a batch that is begun is finished: it may pass the limit once */
        config.jobs_max = engine.client_queued_max - KC_BATCH_JOBS_MAX;
        config.jobs_max_bytes = engine.client_queued_max_bytes;
        config.cancel_ns = daemon->options.cancel_grace_ns + 1000000000u;
        config.on_session_end = shutdown_on_session_end;
        config.arg = daemon;
        if (getrandom(config.instance_id, sizeof(config.instance_id), 0) != sizeof(config.instance_id))
                return kc_error_set(err, -EIO, KC_CLASS_INTERNAL, "kcopyd: no random numbers");
        r = rpc_new(&config, &daemon->rpc);
        return r < 0 ? kc_error_set(err, r, KC_CLASS_INTERNAL, "kcopyd: out of memory") : 0;
}

static int start_listeners(struct daemon *daemon, struct kc_error *err)
{
        const struct options *options = &daemon->options;
        int r;

        if (daemon_is_private(daemon)) {
                r = rpc_accept_fd(daemon->rpc, options->connection_fd);
                return r < 0 ? kc_error_set(err, r, KC_CLASS_INVALID, "--connection-fd: %d: %s",
                                   options->connection_fd, uv_strerror(r))
                             : 0;
        }
        for (unsigned i = 0; i < options->n_listen; i++) {
                r = listener_open(&daemon->loop, daemon->rpc, options->listen[i], &daemon->listeners[i], err);
                if (r < 0)
                        return r;
                daemon->n_listeners++;
        }
        return 0;
}

static void log_ready(const struct daemon *daemon, const char *local_io)
{
        char listen[512] = "";
        size_t used = 0;

        for (unsigned i = 0; i < daemon->n_listeners && used < sizeof(listen); i++)
                used += (size_t)snprintf(listen + used, sizeof(listen) - used, "%s%s", i ? "," : "",
                    listener_address(daemon->listeners[i]));
        kc_log_info("daemon", "kcopyd ready listen=%s pages=%u lanes=%u io=%s",
            daemon_is_private(daemon) ? "connection" : listen, daemon->options.pages, daemon->n_lanes,
            local_io);
}

static int open_store(struct daemon *daemon, struct kc_error *err)
{
        char path[PATH_MAX];

        if (!daemon->options.state)
                return 0;
        snprintf(path, sizeof(path), "%s/jobs.db", daemon->options.state);
        return sqlite_store_open(&daemon->control.actor, path, &daemon->store, err);
}

static void fail(struct daemon *daemon, const struct kc_error *err)
{
        fprintf(stderr, "kcopyd: %s\n", err->message);
        daemon->failed = true;
        shutdown_begin(daemon);
}

/* Everything is there but those who want something of it. */
static void open_up(struct daemon *daemon)
{
        struct kc_error err = {0};
        int r;

        if (daemon->phase != DAEMON_STARTING) /* it was told to stop meanwhile */
                return;
        r = start_rpc(daemon, &err);
        if (r == 0)
                r = start_listeners(daemon, &err);
        if (r < 0) {
                fail(daemon, &err);
                return;
        }
        log_ready(daemon, provider_local_io_name(lane_thread_provider(daemon->lanes[0])));
        daemon->phase = DAEMON_SERVING;
}

static void on_recovered(void *arg, int status, const struct kc_error *error)
{
        if (status < 0)
                fail(arg, error);
        else
                open_up(arg);
}

static int recover(struct daemon *daemon, struct kc_error *err)
{
        int r = engine_recover(daemon->engine, on_recovered, daemon);

        return r < 0 ? kc_error_set(err, r, KC_CLASS_INTERNAL, "kcopyd: out of memory") : 0;
}

static int start(struct daemon *daemon, struct kc_error *err)
{
        struct engine_config engine;
        int r;

        r = start_lanes(daemon, err);
        /* a private daemon may never need the pool; it asks when it does */
        if (r == 0 && !daemon_is_private(daemon))
                r = workers_start(&daemon->loop, err);
        if (r == 0)
                r = open_store(daemon, err);
        if (r == 0)
                r = start_engine(daemon, &engine, err);
        if (r == 0 && daemon->store)
                return recover(daemon, err);
        if (r == 0)
                open_up(daemon);
        return r;
}

static int read_options(struct daemon *daemon, int argc, char **argv, struct kc_error *err)
{
        struct options *options = &daemon->options;
        int r = 0;

        options_init(options);
        options_parse(options, argc, argv);
        if (options->config)
                r = config_read(options->config, options, &daemon->config, err);
        if (r == 0)
                r = options_check(options, err);
        return r;
}

static int serve(struct daemon *daemon)
{
        struct kc_error err = {0};
        int r = 0;

        if (daemon->options.state)
                r = state_open(daemon->options.state, &daemon->state_fd, &err);
        if (r == 0)
                r = start_control(daemon, &err);
        if (r < 0) {
                fprintf(stderr, "kcopyd: %s\n", err.message);
                return EXIT_FAILURE;
        }
        start_signals(daemon);
        shutdown_init(daemon);
        if (start(daemon, &err) < 0)
                fail(daemon, &err);
        uv_run(&daemon->loop, UV_RUN_DEFAULT);
        r = uv_loop_close(&daemon->loop);
        assert(r == 0);
        if (!provider_helpers_ended(HELPERS_MS)) {
                kc_log_warning("daemon", "a TLS connect is stuck at shutdown: left behind");
                _exit(daemon->failed ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        return daemon->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Every job that waits keeps its devices open; the usual soft limit is there for programs that use select. */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
        static struct daemon daemon = {.state_fd = -1};
        struct kc_error err = {0};
        int status = STATUS_USAGE;

        /* A dead local device holds a thread of the pool for each of its requests. The pool is as large as
         * this says when it is first used. */
        setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 0);
        raise_descriptor_limit();
        if (read_options(&daemon, argc, argv, &err) < 0) {
                fprintf(stderr, "kcopyd: %s\n", err.message);
        } else {
                kc_log_set_level(daemon.options.log_level);
                status = serve(&daemon);
        }
        state_close(daemon.state_fd);
        free(daemon.lanes);
        config_done(&daemon.config);
        options_done(&daemon.options);
        return status;
}
