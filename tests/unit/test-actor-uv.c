/* The libuv actor: messages in order, in batches and never inside post; timers never early; an orderly end.
 * links: kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/list.h"
#include "unit/actor-fixture.h"

/* ---- what the actor calls, made to fail or counted */

static int eventfd_errno, getrandom_errno;
static unsigned n_timer_starts;

int eventfd(unsigned value, int flags)
{
        static int (*real)(unsigned value, int flags);

        if (real == NULL)
                real = (int (*)(unsigned, int))dlsym(RTLD_NEXT, "eventfd");
        errno = eventfd_errno;
        return errno != 0 ? -1 : real(value, flags);
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb on_timer, uint64_t timeout_ms, uint64_t repeat_ms)
{
        static int (*real)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);

        if (real == NULL)
                real = (int (*)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t))dlsym(
                    RTLD_NEXT, "uv_timer_start");
        n_timer_starts++;
        return real(timer, on_timer, timeout_ms, repeat_ms);
}

ssize_t getrandom(void *buf, size_t buf_bytes, unsigned flags)
{
        static ssize_t (*real)(void *buf, size_t buf_bytes, unsigned flags);

        if (real == NULL)
                real = (ssize_t(*)(void *, size_t, unsigned))dlsym(RTLD_NEXT, "getrandom");
        if (getrandom_errno == EINTR) {
                getrandom_errno = 0;
                errno = EINTR;
                return -1;
        }
        if (getrandom_errno != 0) {
                errno = getrandom_errno;
                return -1;
        }
        return real(buf, buf_bytes, flags);
}

/* ---- messages */

struct letter {
        struct kc_msg msg;
        unsigned index, n_again; /* n_again: how often it is posted again on delivery */
};

static unsigned delivered[64], n_delivered;

static void on_letter(struct kc_actor *actor, struct kc_msg *msg)
{
        struct letter *letter = kc_container_of(msg, struct letter, msg);

        assert_true(n_delivered < 64);
        delivered[n_delivered++] = letter->index;
        if (letter->n_again > 0) {
                unsigned before = n_delivered;

                letter->n_again--;
                kc_actor_post(actor, msg);
                assert_int_equal(n_delivered, before);
        }
}

static void letters_init(struct letter *letters, unsigned n)
{
        n_delivered = 0;
        for (unsigned i = 0; i < n; i++)
                letters[i] = (struct letter){.msg = {.on_message = on_letter}, .index = i};
}

static void test_messages_arrive_in_order_and_not_inside_post(void **state)
{
        struct fixture fixture;
        struct letter letters[10];

        fixture_init(&fixture);
        letters_init(letters, 10);
        for (unsigned i = 0; i < 10; i++)
                kc_actor_post(&fixture.actor.actor, &letters[i].msg);
        assert_int_equal(n_delivered, 0);
        uv_run(&fixture.loop, UV_RUN_ONCE);
        assert_int_equal(n_delivered, 10);
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(delivered[i], i);
        fixture_done(&fixture);
}

struct poster {
        struct kc_actor *to;
        struct kc_msg *msg;
};

static void post_elsewhere(void *arg)
{
        struct poster *poster = arg;

        kc_actor_post(poster->to, poster->msg);
}

static void test_a_batch_costs_one_wakeup(void **state)
{
        struct fixture fixture;
        struct letter letters[20];
        struct poster poster;
        uv_thread_t thread;

        fixture_init(&fixture);
        letters_init(letters, 20);
        letters[3].n_again = 2; /* posted while awake */
        n_wakeups = 0;
        for (unsigned i = 0; i < 20; i++)
                kc_actor_post(&fixture.actor.actor, &letters[i].msg);
        uv_run(&fixture.loop, UV_RUN_ONCE);
        assert_int_equal(n_delivered, 22);
        assert_int_equal(n_wakeups, 1);
        poster.to = &fixture.actor.actor;
        poster.msg = &letters[0].msg;
        assert_int_equal(uv_thread_create(&thread, post_elsewhere, &poster), 0);
        uv_thread_join(&thread);
        assert_int_equal(n_wakeups, 2); /* asleep again: this one has to wake it */
        uv_run(&fixture.loop, UV_RUN_ONCE);
        assert_int_equal(n_delivered, 23);
        fixture_done(&fixture);
}

static void on_own_timer(uv_timer_t *timer)
{
        struct poster *poster = timer->data;

        kc_actor_post(poster->to, poster->msg);
}

static void test_what_it_posts_to_itself_costs_no_wakeup(void **state)
{
        struct fixture fixture;
        struct letter letters[2];
        struct poster poster;
        uv_timer_t timer;

        fixture_init(&fixture);
        letters_init(letters, 2);
        kc_actor_post(&fixture.actor.actor, &letters[0].msg);
        uv_run(&fixture.loop, UV_RUN_ONCE); /* now it knows its thread */
        assert_int_equal(n_delivered, 1);
        n_wakeups = 0;
        poster = (struct poster){&fixture.actor.actor, &letters[1].msg};
        uv_timer_init(&fixture.loop, &timer);
        timer.data = &poster;
        uv_timer_start(&timer, on_own_timer, 1, 0);
        while (n_delivered < 2)
                uv_run(&fixture.loop, UV_RUN_ONCE);
        assert_int_equal(n_wakeups, 0);
        assert_false(uv_is_active((uv_handle_t *)&fixture.actor.idle));
        uv_close((uv_handle_t *)&timer, NULL);
        fixture_done(&fixture);
}

static void test_what_is_posted_during_delivery_comes_after_the_batch(void **state)
{
        struct fixture fixture;
        struct letter letters[3];

        fixture_init(&fixture);
        letters_init(letters, 3);
        letters[0].n_again = 1;
        for (unsigned i = 0; i < 3; i++)
                kc_actor_post(&fixture.actor.actor, &letters[i].msg);
        while (n_delivered < 4)
                uv_run(&fixture.loop, UV_RUN_ONCE);
        assert_memory_equal(delivered, ((unsigned[]){0, 1, 2, 0}), sizeof(unsigned) * 4);
        fixture_done(&fixture);
}

static void on_free(struct kc_actor *actor, struct kc_msg *msg)
{
        n_delivered++;
        free(msg);
}

static void test_a_message_may_be_freed_on_delivery(void **state)
{
        struct fixture fixture;

        fixture_init(&fixture);
        n_delivered = 0;
        for (unsigned i = 0; i < 3; i++) {
                struct kc_msg *msg = malloc(sizeof(*msg));

                assert_non_null(msg);
                msg->on_message = on_free;
                kc_actor_post(&fixture.actor.actor, msg);
        }
        uv_run(&fixture.loop, UV_RUN_ONCE);
        assert_int_equal(n_delivered, 3);
        fixture_done(&fixture);
}

static bool rally_over;

static void on_rally(struct kc_actor *actor, struct kc_msg *msg)
{
        if (!rally_over)
                kc_actor_post(actor, msg);
}

static void on_end_rally(struct kc_timer *timer)
{
        rally_over = true;
}

static void test_busy_actors_do_not_starve_the_loop(void **state)
{
        struct fixture fixture;
        struct kc_msg msg = {.on_message = on_rally};
        struct kc_timer timer;

        fixture_init(&fixture);
        rally_over = false;
        kc_timer_init(&timer, on_end_rally);
        kc_actor_timer_start(&fixture.actor.actor, &timer, kc_actor_now_ns(&fixture.actor.actor) + 2000000);
        kc_actor_post(&fixture.actor.actor, &msg);
        while (!rally_over) /* without a limit this would never come back */
                uv_run(&fixture.loop, UV_RUN_ONCE);
        fixture_done(&fixture);
}

/* ---- timers */

struct alarm {
        struct kc_timer timer;
        struct fixture *fixture;
        unsigned n_left, n_fired;
        uint64_t period_ns;
};

static void on_alarm(struct kc_timer *timer)
{
        struct alarm *alarm = kc_container_of(timer, struct alarm, timer);
        uint64_t now_ns = kc_actor_now_ns(&alarm->fixture->actor.actor);

        assert_true(now_ns >= timer->deadline_ns);
        alarm->n_fired++;
        uv_stop(&alarm->fixture->loop); /* not UV_RUN_ONCE: that may run a due timer and then wait on */
        if (alarm->n_left > 0) {
                alarm->n_left--;
                kc_actor_timer_start(&alarm->fixture->actor.actor, timer, now_ns + alarm->period_ns);
        }
}

static void alarm_init(struct alarm *alarm, struct fixture *fixture)
{
        *alarm = (struct alarm){.fixture = fixture};
        kc_timer_init(&alarm->timer, on_alarm);
}

static void test_timers_are_never_early(void **state)
{
        static const uint64_t periods_ns[] = {1, 999999, 1000000, 1000001, 1300000, 2999999};
        struct fixture fixture;
        struct alarm alarms[6];

        fixture_init(&fixture);
        for (unsigned i = 0; i < 6; i++) {
                alarm_init(&alarms[i], &fixture);
                alarms[i].period_ns = periods_ns[i];
                alarms[i].n_left = 10;
                kc_actor_timer_start(&fixture.actor.actor, &alarms[i].timer,
                    kc_actor_now_ns(&fixture.actor.actor) + periods_ns[i]);
        }
        for (unsigned i = 0; i < 6; i++) {
                while (alarms[i].n_fired < 11)
                        uv_run(&fixture.loop, UV_RUN_DEFAULT); /* on_alarm checks the time */
        }
        fixture_done(&fixture);
}

static void test_a_timer_wakes_the_loop_once_also_when_its_clock_is_stale(void **state)
{
        struct fixture fixture;
        struct alarm alarm;
        uint64_t start_ns;

        fixture_init(&fixture);
        alarm_init(&alarm, &fixture);
        for (unsigned i = 0; i < 10; i++) {
                uv_update_time(&fixture.loop);
                start_ns = kc_actor_now_ns(&fixture.actor.actor);
                while (kc_actor_now_ns(&fixture.actor.actor) < start_ns + 2000000)
                        ; /* the loop's cached time falls 2 ms behind */
                alarm.n_fired = 0;
                n_timer_starts = 0;
                kc_actor_timer_start(&fixture.actor.actor, &alarm.timer, start_ns + 4300000 + i * 77777);
                while (alarm.n_fired == 0)
                        uv_run(&fixture.loop, UV_RUN_DEFAULT);
                assert_int_equal(n_timer_starts, 1); /* once set, and not too early to be any use */
        }
        fixture_done(&fixture);
}

static void test_a_past_deadline_fires_soon_but_not_inside_start(void **state)
{
        struct fixture fixture;
        struct alarm alarm;

        fixture_init(&fixture);
        alarm_init(&alarm, &fixture);
        kc_actor_timer_start(&fixture.actor.actor, &alarm.timer, 0);
        assert_int_equal(alarm.n_fired, 0);
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
        assert_int_equal(alarm.n_fired, 1);
        fixture_done(&fixture);
}

static void test_a_stopped_timer_neither_fires_nor_keeps_the_loop_waiting(void **state)
{
        struct fixture fixture;
        struct alarm stopped, restarted;
        uint64_t now_ns;

        fixture_init(&fixture);
        alarm_init(&stopped, &fixture);
        alarm_init(&restarted, &fixture);
        now_ns = kc_actor_now_ns(&fixture.actor.actor);
        kc_actor_timer_start(&fixture.actor.actor, &stopped.timer, now_ns + 1000000);
        kc_actor_timer_start(&fixture.actor.actor, &restarted.timer, now_ns + 3600000000000);
        kc_actor_timer_start(&fixture.actor.actor, &restarted.timer, now_ns + 2000000);
        kc_actor_timer_stop(&fixture.actor.actor, &stopped.timer);
        while (restarted.n_fired == 0)
                uv_run(&fixture.loop, UV_RUN_DEFAULT);
        assert_int_equal(stopped.n_fired, 0);
        assert_false(uv_is_active((uv_handle_t *)&fixture.actor.timer));
        fixture_done(&fixture);
}

static void test_a_deadline_that_never_comes_is_armed_without_overflow(void **state)
{
        struct fixture fixture;
        struct alarm alarm;

        fixture_init(&fixture);
        alarm_init(&alarm, &fixture);
        kc_actor_timer_start(&fixture.actor.actor, &alarm.timer, UINT64_MAX - 1);
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
        assert_int_equal(alarm.n_fired, 0);
        kc_actor_timer_stop(&fixture.actor.actor, &alarm.timer);
        fixture_done(&fixture);
}

/* ---- chance */

static void test_random_numbers_differ_between_actors_and_calls(void **state)
{
        struct fixture one, two;
        uint64_t ones = 0, zeroes = 0;

        fixture_init(&one);
        fixture_init(&two);
        for (unsigned i = 0; i < 64; i++) {
                uint64_t x = kc_actor_random(&one.actor.actor), y = kc_actor_random(&two.actor.actor);

                assert_true(x != y);
                ones |= x;
                zeroes |= ~x;
        }
        assert_true(ones == UINT64_MAX && zeroes == UINT64_MAX); /* no bit stands still */
        fixture_done(&one);
        fixture_done(&two);
}

/* ---- beginning and end */

static void test_a_failed_init_leaves_nothing_behind(void **state)
{
        struct kc_actor_uv actor;
        uv_loop_t loop;

        assert_int_equal(uv_loop_init(&loop), 0);
        eventfd_errno = EMFILE;
        assert_int_equal(kc_actor_uv_init(&actor, &loop, 0), -EMFILE);
        eventfd_errno = 0;
        getrandom_errno = ENOSYS;
        assert_int_equal(kc_actor_uv_init(&actor, &loop, 0), -ENOSYS);
        getrandom_errno = 0;
        assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_an_interrupted_seed_is_asked_for_again(void **state)
{
        struct fixture fixture;

        getrandom_errno = EINTR;
        fixture_init(&fixture);
        assert_int_equal(getrandom_errno, 0);
        fixture_done(&fixture);
}

static void test_close_delivers_what_was_posted_before(void **state)
{
        struct fixture fixture;
        struct letter letters[2];

        fixture_init(&fixture);
        letters_init(letters, 2);
        letters[1].n_again = 10; /* more than a turn's worth of batches */
        kc_actor_post(&fixture.actor.actor, &letters[0].msg);
        kc_actor_post(&fixture.actor.actor, &letters[1].msg);
        kc_actor_uv_close(&fixture.actor, on_closed);
        assert_int_equal(n_delivered, 0);
        fixture_end(&fixture);
        assert_int_equal(n_delivered, 12);
}

static void on_close(struct kc_actor *actor, struct kc_msg *msg)
{
        struct letter *letter = kc_container_of(msg, struct letter, msg);

        kc_actor_uv_close(kc_container_of(actor, struct kc_actor_uv, actor), on_closed);
        letter->msg.on_message = on_letter;
        kc_actor_post(actor, msg); /* to oneself, before on_closed */
}

static void test_close_from_a_message_delivers_the_rest(void **state)
{
        struct fixture fixture;
        struct letter letters[3];

        fixture_init(&fixture);
        letters_init(letters, 3);
        letters[0].msg.on_message = on_close;
        for (unsigned i = 0; i < 3; i++)
                kc_actor_post(&fixture.actor.actor, &letters[i].msg);
        fixture_end(&fixture);
        assert_int_equal(n_delivered, 3);
        assert_memory_equal(delivered, ((unsigned[]){1, 2, 0}), sizeof(unsigned) * 3);
}

static void on_closing_alarm(struct kc_timer *timer)
{
        struct alarm *alarm = kc_container_of(timer, struct alarm, timer);

        kc_actor_uv_close(&alarm->fixture->actor, on_closed);
}

static void test_close_from_a_timer(void **state)
{
        struct fixture fixture;
        struct alarm alarm;

        fixture_init(&fixture);
        alarm_init(&alarm, &fixture);
        alarm.timer.on_timer = on_closing_alarm;
        kc_actor_timer_start(&fixture.actor.actor, &alarm.timer, 0);
        fixture_end(&fixture);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_messages_arrive_in_order_and_not_inside_post),
            cmocka_unit_test(test_a_batch_costs_one_wakeup),
            cmocka_unit_test(test_what_it_posts_to_itself_costs_no_wakeup),
            cmocka_unit_test(test_what_is_posted_during_delivery_comes_after_the_batch),
            cmocka_unit_test(test_a_message_may_be_freed_on_delivery),
            cmocka_unit_test(test_busy_actors_do_not_starve_the_loop),
            cmocka_unit_test(test_timers_are_never_early),
            cmocka_unit_test(test_a_timer_wakes_the_loop_once_also_when_its_clock_is_stale),
            cmocka_unit_test(test_a_past_deadline_fires_soon_but_not_inside_start),
            cmocka_unit_test(test_a_stopped_timer_neither_fires_nor_keeps_the_loop_waiting),
            cmocka_unit_test(test_a_deadline_that_never_comes_is_armed_without_overflow),
            cmocka_unit_test(test_random_numbers_differ_between_actors_and_calls),
            cmocka_unit_test(test_a_failed_init_leaves_nothing_behind),
            cmocka_unit_test(test_an_interrupted_seed_is_asked_for_again),
            cmocka_unit_test(test_close_delivers_what_was_posted_before),
            cmocka_unit_test(test_close_from_a_message_delivers_the_rest),
            cmocka_unit_test(test_close_from_a_timer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
