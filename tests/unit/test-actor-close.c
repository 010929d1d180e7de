/* The libuv actor's close, with a sender that is not back from its last message yet.
 * links: kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>

#include "base/list.h"
#include "unit/actor-fixture.h"

static uv_sem_t before_wakeup;
static atomic_bool waited_for, closed_under_it;

int sched_yield(void)
{
        waited_for = true;
        return 0;
}

static void hold_wakeup(void)
{
        uv_sem_post(&before_wakeup);
        while (!waited_for && !closed_under_it)
                ;
}

static void on_nothing(struct kc_actor *actor, struct kc_msg *msg)
{
}

static void on_last_word(struct kc_actor *actor, struct kc_msg *msg)
{
        kc_actor_uv_close(kc_container_of(actor, struct kc_actor_uv, actor), on_closed);
}

struct last_word {
        struct kc_msg msg;
        struct kc_actor *to;
};

static void say_last_word(void *arg)
{
        struct last_word *word = arg;

        kc_actor_post(word->to, &word->msg);
}

static void test_close_waits_for_whoever_is_about_to_wake_it(void **state)
{
        struct fixture fixture;
        struct last_word word = {{.on_message = on_last_word}, &fixture.actor.actor};
        struct kc_msg own = {.on_message = on_nothing};
        uv_thread_t thread;

        fixture_init(&fixture);
        kc_actor_post(&fixture.actor.actor, &own);
        uv_run(&fixture.loop, UV_RUN_ONCE); /* now it knows its thread, and is asleep */
        assert_int_equal(uv_sem_init(&before_wakeup, 0), 0);
        on_wakeup = hold_wakeup;
        assert_int_equal(uv_thread_create(&thread, say_last_word, &word), 0);
        uv_sem_wait(&before_wakeup);
        kc_actor_post(&fixture.actor.actor, &own); /* has the last word delivered as well */
        fixture_end(&fixture);
        closed_under_it = true;
        uv_thread_join(&thread);
        on_wakeup = NULL;
        uv_sem_destroy(&before_wakeup);
        assert_true(waited_for);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_close_waits_for_whoever_is_about_to_wake_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
