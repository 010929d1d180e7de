/* Letting go of a job's devices, one after the other: a descriptor that is open for writing closes before the
 * job's last word, be it a completion, a refusal or a validation, because the user mounts the device next. */
#include "copy/job.h"

#include <assert.h>

static void let_go(struct job *job);

static void on_device_closed(struct device_waiter *waiter)
{
        struct job *job = kc_container_of(waiter, struct job, close_waiter);

        kc_actor_timer_stop(job->engine->control, &job->close_timer);
        let_go(job);
}

/* The close hangs: the last word does not wait for ever. */
static void on_close_timer(struct kc_timer *timer)
{
        struct job *job = kc_container_of(timer, struct job, close_timer);

        device_unwait(&job->close_waiter);
        let_go(job);
}

/* Whether the run, which is over but not drained, still has something out to this device. */
static bool still_needed(const struct job *job, unsigned end)
{
        return job->run && (end == 0 || job->run->held[end - 1].device);
}

/* Whether this is the last user of a descriptor for writing, which then closes. A file that is still being
 * opened is one; a connection that is still being made is not. */
static bool is_to_close(const struct device *device)
{
        if (device->users > 1 || device->n_stuck > 0 || !(device->access & IO_ACCESS_WRITE) ||
            !device_closes_at_once(device))
                return false;
        return device->state == DEVICE_OPEN || (device->state == DEVICE_OPENING && device->name[0] == '/');
}

static void let_go(struct job *job)
{
        struct kc_actor *control = job->engine->control;
        bool terminal = kc_sm_state(&job->sm) >= JOB_COMPLETED;
        void (*then)(struct job * job) = job->on_let_go;

        while (job->closing_device < job_n_ends(job)) {
                struct job_ends *end = &job->ends[job->closing_device++];
                struct device *device = end->device;

                if (!device || still_needed(job, job->closing_device - 1))
                        continue;
                end->device = NULL;
                if (end->stuck)
                        device_unstuck(device);
                end->stuck = false;
                if (terminal || !is_to_close(device)) {
                        device_put(device);
                        continue;
                }
                kc_list_init(&job->close_waiter.node);
                job->close_waiter.on_device = on_device_closed;
                kc_timer_init(&job->close_timer, on_close_timer);
                kc_actor_timer_start(control, &job->close_timer,
                    kc_actor_now_ns(control) + job->engine->config.cancel_grace_ns);
                device_put_and_wait(device, &job->close_waiter);
                return;
        }
        job->on_let_go = NULL;
        then(job);
}

void job_let_go(struct job *job, void (*on_let_go)(struct job *job))
{
        assert(!job->on_let_go);
        job->closing_device = 0;
        job->on_let_go = on_let_go;
        let_go(job);
}
