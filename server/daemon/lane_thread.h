/* A data lane: a thread with a loop, an actor and the provider of its endpoints.
 *
 * Owns all of them. Borrows: the control loop's actor. Thread: these functions belong to the control loop;
 * between start and stop the lane's loop, actor and provider are the lane's own. Close: lane_thread_stop,
 * once the engine has let go of its endpoints. A lane whose thread is stuck in a dead device never says
 * on_stopped. */
#ifndef DAEMON_LANE_THREAD_H
#define DAEMON_LANE_THREAD_H

#include "io/provider.h"

struct lane_thread;

/* Starts the thread and waits until its provider stands. `cpu`: its own while it works together with other
 * lanes, or -1. Returns 0 and *ret_lane, or negative errno with `err` filled. */
int lane_thread_start(struct kc_actor *control, unsigned index, int cpu, const struct provider_config *config,
    struct lane_thread **ret_lane, struct kc_error *err);
struct kc_actor *lane_thread_actor(struct lane_thread *lane);
struct io_provider *lane_thread_provider(struct lane_thread *lane);
/* Asynchronous; on_stopped runs on the control loop, when the thread has been joined and the lane is gone. */
void lane_thread_stop(struct lane_thread *lane, void (*on_stopped)(void *arg), void *arg);

#endif
