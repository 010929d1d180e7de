/* The production actor: see actor_uv.h.
 *
 * A wake-up costs a system call on either side, so there is one per batch, not per message: a
 * sender wakes the loop only if it is not awake already, and the loop, once awake, goes on to the next batch
 * until the mailbox is empty or its turn is over. What an actor posts to itself costs none at all: an idle
 * handle has it delivered before the loop sleeps (of the 18,700 system calls for a dense copy of 512 MiB
 * those were 2,300), and no lock is taken for it.
 *
 * It is an eventfd of our own, not a uv_async_t: the loop that such a one has woken spins until its sender is
 * back from the system call, which on a busy machine is when that one runs again (with 4 KiB jobs 7 % of the
 * control thread's time). */
#include "base/actor_uv.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/list.h"

#define NS_PER_MS 1000000u

/* Batches in one turn of the loop, so that actors that keep each other busy do not starve sockets and timers.
 * What arrives later waits for the next turn. */
#define BATCHES_PER_TURN 4u

static struct kc_actor_uv *actor_uv(struct kc_actor *actor)
{
        return kc_container_of(actor, struct kc_actor_uv, actor);
}

static uint64_t now_ns(struct kc_actor *actor)
{
        return uv_hrtime();
}

static uint64_t rotate_left(uint64_t x, unsigned n)
{
        return x << n | x >> (64 - n);
}

/* xoroshiro128++ (Blackman and Vigna): for jitter and ids that need not be secret. */
static uint64_t next_random(struct kc_actor *actor)
{
        uint64_t *state = actor_uv(actor)->random_state;
        uint64_t s0 = state[0], s1 = state[1];
        uint64_t result = rotate_left(s0 + s1, 17) + s0;

        s1 ^= s0;
        state[0] = rotate_left(s0, 49) ^ s1 ^ (s1 << 21);
        state[1] = rotate_left(s1, 28);
        return result;
}

static void on_idle(uv_idle_t *idle);

static void wake(struct kc_actor_uv *actor)
{
        int r;

        do {
                r = eventfd_write(actor->wake_fd, 1);
        } while (r < 0 && errno == EINTR);
        assert(r == 0); /* it counts a few at most: there is room */
        (void)r;
        atomic_fetch_sub_explicit(&actor->n_waking, 1, memory_order_release); /* it may be gone after that */
}

static void post(struct kc_actor *to, struct kc_msg *msg)
{
        struct kc_actor_uv *actor = actor_uv(to);
        bool awake;

        assert(msg->on_message != NULL);
        msg->next = NULL;
        if (atomic_load_explicit(&actor->thread, memory_order_relaxed) == pthread_self()) {
                *actor->own_tail = msg;
                actor->own_tail = &msg->next;
                if (!actor->delivering && actor->on_closed == NULL)
                        uv_idle_start(&actor->idle, on_idle);
                return;
        }
        pthread_mutex_lock(&actor->lock);
        *actor->mail_tail = msg;
        actor->mail_tail = &msg->next;
        awake = actor->awake;
        actor->awake = true;
        if (!awake) /* before the message can be taken, and the actor be closed for it */
                atomic_fetch_add_explicit(&actor->n_waking, 1, memory_order_relaxed);
        pthread_mutex_unlock(&actor->lock);
        if (!awake)
                wake(actor);
}

/* The whole mailbox, what it has posted to itself last; or NULL. With `may_sleep` an empty one means that the
 * next sender has to wake us. */
static struct kc_msg *take_mail(struct kc_actor_uv *actor, bool may_sleep)
{
        struct kc_msg *mail;

        pthread_mutex_lock(&actor->lock);
        *actor->mail_tail = actor->own_head;
        mail = actor->mail_head;
        actor->mail_head = NULL;
        actor->mail_tail = &actor->mail_head;
        if (may_sleep)
                actor->awake = mail != NULL;
        pthread_mutex_unlock(&actor->lock);
        actor->own_head = NULL;
        actor->own_tail = &actor->own_head;
        return mail;
}

static void deliver(struct kc_actor_uv *actor, struct kc_msg *mail)
{
        while (mail != NULL) {
                struct kc_msg *msg = mail;

                mail = msg->next;
                msg->on_message(&actor->actor, msg);
        }
}

/* Returns whether there may be more. */
static bool deliver_batches(struct kc_actor_uv *actor)
{
        bool more = true;

        atomic_store_explicit(&actor->thread, pthread_self(), memory_order_relaxed);
        actor->delivering = true;
        for (unsigned i = 0; i < BATCHES_PER_TURN && more; i++) {
                struct kc_msg *mail = take_mail(actor, true);

                deliver(actor, mail);
                /* closed in this batch: the rest is delivered before on_closed */
                more = mail != NULL && actor->on_closed == NULL;
        }
        actor->delivering = false;
        return more;
}

static void on_woken(uv_poll_t *poll, int status, int events)
{
        struct kc_actor_uv *actor = kc_container_of(poll, struct kc_actor_uv, poll);
        eventfd_t ignored;

        /* Before the mailbox is looked at: the next wake-up is sent when that was found empty. */
        (void)eventfd_read(actor->wake_fd, &ignored);
        if (deliver_batches(actor))
                uv_idle_start(&actor->idle, on_idle);
}

/* Runs before the loop would sleep, and keeps it from sleeping while it is started. */
static void on_idle(uv_idle_t *idle)
{
        struct kc_actor_uv *actor = kc_container_of(idle, struct kc_actor_uv, idle);

        if (!deliver_batches(actor) && actor->on_closed == NULL)
                uv_idle_stop(idle);
}

static void on_uv_timer(uv_timer_t *timer);

/* Set libuv's timer for the earliest deadline. Its clock is the milliseconds of ours, rounded down: a
 * deadline rounded up to milliseconds and counted from the loop's own (cached) time is never early. */
static void arm(struct kc_actor_uv *actor)
{
        uint64_t next_ns = kc_timer_next_ns(&actor->actor.timers), next_ms, loop_ms = uv_now(actor->loop);

        if (next_ns == UINT64_MAX) {
                uv_timer_stop(&actor->timer);
                return;
        }
        next_ms = next_ns / NS_PER_MS + (next_ns % NS_PER_MS != 0);
        uv_timer_start(&actor->timer, on_uv_timer, next_ms > loop_ms ? next_ms - loop_ms : 0, 0);
}

static void timers_changed(struct kc_actor *base)
{
        struct kc_actor_uv *actor = actor_uv(base);

        if (!actor->running_timers)
                arm(actor);
}

static void on_uv_timer(uv_timer_t *timer)
{
        struct kc_actor_uv *actor = kc_container_of(timer, struct kc_actor_uv, timer);

        actor->running_timers = true;
        kc_timer_run(&actor->actor.timers, uv_hrtime());
        actor->running_timers = false;
        if (actor->on_closed == NULL)
                arm(actor);
}

/* ---- a processor of its own. Where the set of processors has changed meanwhile it may not be had: then the
 * thread roams. */

void kc_actor_uv_own_cpu(struct kc_actor_uv *actor, int cpu)
{
        actor->cpu = cpu;
}

static void stay(struct kc_actor_uv *actor)
{
        cpu_set_t own;

        CPU_ZERO(&own);
        CPU_SET((size_t)actor->cpu, &own);
        actor->pinned = pthread_getaffinity_np(pthread_self(), sizeof actor->roams, &actor->roams) == 0 &&
                        pthread_setaffinity_np(pthread_self(), sizeof own, &own) == 0;
}

static void roam(struct kc_actor_uv *actor)
{
        (void)pthread_setaffinity_np(pthread_self(), sizeof actor->roams, &actor->roams);
        actor->pinned = false;
}

static void pin(struct kc_actor *base, bool pinned)
{
        struct kc_actor_uv *actor = actor_uv(base);

        if (pinned && actor->n_pins++ == 0 && actor->cpu >= 0)
                stay(actor);
        if (!pinned && --actor->n_pins == 0 && actor->pinned)
                roam(actor);
}

static const struct kc_actor_ops ops = {
    .now_ns = now_ns,
    .random = next_random,
    .post = post,
    .timers_changed = timers_changed,
    .pin = pin,
};

static int seed(struct kc_actor_uv *actor)
{
        ssize_t n;

        do {
                n = getrandom(actor->random_state, sizeof(actor->random_state), 0);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        assert(n == sizeof(actor->random_state)); /* so few bytes come whole */
        actor->random_state[0] |= 1;              /* all zeroes is the one state it never leaves */
        return 0;
}

int kc_actor_uv_init(struct kc_actor_uv *actor, uv_loop_t *loop, unsigned index)
{
        int r;

        memset(actor, 0, sizeof(*actor));
        actor->actor.ops = &ops;
        actor->actor.index = index;
        actor->loop = loop;
        actor->cpu = -1;
        actor->mail_tail = &actor->mail_head;
        actor->own_tail = &actor->own_head;
        r = seed(actor);
        if (r < 0)
                return r;
        r = -pthread_mutex_init(&actor->lock, NULL);
        if (r < 0)
                return r;
        actor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (actor->wake_fd < 0) {
                r = -errno;
                goto err_after_lock;
        }
        r = uv_poll_init(loop, &actor->poll, actor->wake_fd);
        if (r < 0)
                goto err_after_wake_fd;
        r = uv_poll_start(&actor->poll, UV_READABLE, on_woken);
        assert(r == 0); /* it cannot fail on a handle that is not closing */
        r = uv_timer_init(loop, &actor->timer);
        assert(r == 0); /* takes nothing that could be refused */
        r = uv_idle_init(loop, &actor->idle);
        assert(r == 0);
        actor->handles_open = 3;
        return 0;

err_after_wake_fd:
        close(actor->wake_fd);
err_after_lock:
        pthread_mutex_destroy(&actor->lock);
        return r;
}

static void on_handle_closed(uv_handle_t *handle)
{
        struct kc_actor_uv *actor = handle->data;
        struct kc_msg *mail;

        if (--actor->handles_open > 0)
                return;
        while ((mail = take_mail(actor, false)) != NULL)
                deliver(actor, mail);
        assert(kc_timer_next_ns(&actor->actor.timers) == UINT64_MAX);
        /* Whoever sent the last word may not have come to its wake-up yet, which need not have been the one
         * that had it delivered. */
        while (atomic_load_explicit(&actor->n_waking, memory_order_acquire) > 0)
                sched_yield();
        close(actor->wake_fd);
        pthread_mutex_destroy(&actor->lock);
        actor->on_closed(actor);
}

void kc_actor_uv_close(struct kc_actor_uv *actor, void (*on_closed)(struct kc_actor_uv *actor))
{
        assert(on_closed != NULL && actor->on_closed == NULL);
        assert(kc_timer_next_ns(&actor->actor.timers) == UINT64_MAX);
        actor->on_closed = on_closed;
        pthread_mutex_lock(&actor->lock);
        actor->awake = true; /* nobody wakes a handle that is closing */
        pthread_mutex_unlock(&actor->lock);
        actor->poll.data = actor->timer.data = actor->idle.data = actor;
        uv_close((uv_handle_t *)&actor->poll, on_handle_closed);
        uv_close((uv_handle_t *)&actor->timer, on_handle_closed);
        uv_close((uv_handle_t *)&actor->idle, on_handle_closed);
}
