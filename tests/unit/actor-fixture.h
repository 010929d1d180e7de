/* For tests of the libuv actor: an actor with a loop of its own, and a count of the wake-ups it sends.
 * Included by one file of a program, after cmocka.h. */
#ifndef UNIT_ACTOR_FIXTURE_H
#define UNIT_ACTOR_FIXTURE_H

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "base/actor_uv.h"
#include "base/list.h"

static atomic_uint n_wakeups;
static void (*_Atomic on_wakeup)(void); /* inside post, before the wake-up is sent; or NULL */

int eventfd_write(int fd, eventfd_t value)
{
        static int (*_Atomic real)(int, eventfd_t);

        if (real == NULL)
                real = (int (*)(int, eventfd_t))dlsym(RTLD_NEXT, "eventfd_write");
        n_wakeups++;
        if (on_wakeup != NULL)
                on_wakeup();
        return real(fd, value);
}

struct fixture {
        uv_loop_t loop;
        struct kc_actor_uv actor;
        bool closed;
};

static void on_closed(struct kc_actor_uv *actor)
{
        struct fixture *fixture = kc_container_of(actor, struct fixture, actor);

        assert_false(fixture->closed);
        fixture->closed = true;
}

static inline void fixture_init(struct fixture *fixture)
{
        fixture->closed = false;
        assert_int_equal(uv_loop_init(&fixture->loop), 0);
        assert_int_equal(kc_actor_uv_init(&fixture->actor, &fixture->loop, 3), 0);
        assert_int_equal(fixture->actor.actor.index, 3);
}

/* Run what is left, once closed, and prove that nothing stays behind. */
static inline void fixture_end(struct fixture *fixture)
{
        uv_run(&fixture->loop, UV_RUN_DEFAULT);
        assert_true(fixture->closed);
        assert_int_equal(uv_loop_close(&fixture->loop), 0);
}

static inline void fixture_done(struct fixture *fixture)
{
        kc_actor_uv_close(&fixture->actor, on_closed);
        assert_false(fixture->closed);
        fixture_end(fixture);
}

#endif
