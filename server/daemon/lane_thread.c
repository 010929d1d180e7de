/* A data lane (lane_thread.h). */
#include "daemon/lane_thread.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct lane_thread {
        pthread_t thread;
        unsigned index;
        int cpu;
        struct provider_config config;
        uv_loop_t loop;
        struct kc_actor_uv actor;
        struct io_provider *provider;
        struct kc_actor *control;
        struct kc_msg stop, stopped; /* to the lane and back */
        void (*on_stopped)(void *arg);
        void *arg;
        /* until the thread has reported */
        uv_sem_t started;
        int status;
        struct kc_error *err;
};

/* Nothing is left then, and the loop ends by itself. */
static void on_actor_closed(struct kc_actor_uv *actor)
{
}

static void on_provider_closed(void *arg)
{
        struct lane_thread *lane = arg;

        kc_actor_uv_close(&lane->actor, on_actor_closed);
}

static void on_stop(struct kc_actor *actor, struct kc_msg *msg)
{
        struct lane_thread *lane = kc_container_of(msg, struct lane_thread, stop);

        provider_close(lane->provider, on_provider_closed, lane);
}

static void run(uv_loop_t *loop)
{
        int r;

        uv_run(loop, UV_RUN_DEFAULT);
        r = uv_loop_close(loop);
        assert(r == 0);
        (void)r;
}

static void *lane_thread_main(void *arg)
{
        struct lane_thread *lane = arg;
        char name[16];
        int r;

        snprintf(name, sizeof(name), "lane-%u", lane->index % 1000);
        pthread_setname_np(pthread_self(), name);
        r = uv_loop_init(&lane->loop);
        if (r < 0) {
                kc_error_set(lane->err, r, KC_CLASS_INTERNAL, "lane: no event loop: %s", uv_strerror(r));
                goto report;
        }
        r = kc_actor_uv_init(&lane->actor, &lane->loop, lane->index);
        if (r < 0) {
                kc_error_set(lane->err, r, KC_CLASS_INTERNAL, "lane: no actor: %s", uv_strerror(r));
                goto err_after_loop;
        }
        kc_actor_uv_own_cpu(&lane->actor, lane->cpu);
        r = provider_new(&lane->actor, &lane->config, &lane->provider, lane->err);
        if (r < 0)
                goto err_after_actor;
        lane->status = 0;
        uv_sem_post(&lane->started);
        run(&lane->loop);
        kc_actor_post(lane->control, &lane->stopped);
        return NULL;

err_after_actor:
        kc_actor_uv_close(&lane->actor, on_actor_closed);
err_after_loop:
        run(&lane->loop);
report:
        lane->status = r;
        uv_sem_post(&lane->started);
        return NULL;
}

static void on_thread_end(struct kc_actor *control, struct kc_msg *msg)
{
        struct lane_thread *lane = kc_container_of(msg, struct lane_thread, stopped);
        void (*on_stopped)(void *arg) = lane->on_stopped;
        void *arg = lane->arg;

        pthread_join(lane->thread, NULL);
        uv_sem_destroy(&lane->started);
        free(lane);
        on_stopped(arg);
}

int lane_thread_start(struct kc_actor *control, unsigned index, int cpu, const struct provider_config *config,
    struct lane_thread **ret_lane, struct kc_error *err)
{
        struct lane_thread *lane = calloc(1, sizeof(*lane));
        sigset_t all, old;
        int r;

        if (!lane)
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "lane: out of memory");
        lane->index = index;
        lane->cpu = cpu;
        lane->config = *config;
        lane->control = control;
        lane->stop.on_message = on_stop;
        lane->stopped.on_message = on_thread_end;
        lane->err = err;
        r = uv_sem_init(&lane->started, 0);
        if (r < 0)
                goto err_after_alloc;
        /* signals are the control loop's */
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &old);
        r = -pthread_create(&lane->thread, NULL, lane_thread_main, lane);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r < 0)
                goto err_after_sem;
        uv_sem_wait(&lane->started);
        lane->err = NULL;
        r = lane->status;
        if (r < 0) {
                pthread_join(lane->thread, NULL);
                goto err_after_sem;
        }
        *ret_lane = lane;
        return 0;

err_after_sem:
        uv_sem_destroy(&lane->started);
err_after_alloc:
        free(lane);
        return kc_error_set(err, r, KC_CLASS_INTERNAL,
            "lane: no thread: %s; use fewer --lanes, or raise the limit of processes (ulimit -u)",
            uv_strerror(r));
}

struct kc_actor *lane_thread_actor(struct lane_thread *lane)
{
        return &lane->actor.actor;
}

struct io_provider *lane_thread_provider(struct lane_thread *lane)
{
        return lane->provider;
}

void lane_thread_stop(struct lane_thread *lane, void (*on_stopped)(void *arg), void *arg)
{
        lane->on_stopped = on_stopped;
        lane->arg = arg;
        kc_actor_post(&lane->actor.actor, &lane->stop);
}
