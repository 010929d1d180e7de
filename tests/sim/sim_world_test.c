/* Tests of the simulated world: order of messages, chance from the seed, time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/world.h"

struct letter {
        struct kc_msg msg;
        unsigned from, number;
};

static unsigned arrived[64], n_arrived;

static void on_letter(struct kc_actor *actor, struct kc_msg *msg)
{
        struct letter *letter = kc_container_of(msg, struct letter, msg);

        arrived[n_arrived++] = letter->from * 100 + letter->number;
}

static uint64_t send_letters(uint64_t seed)
{
        struct letter letters[2][8];
        struct world world;
        uint64_t hash;

        n_arrived = 0;
        world_init(&world, seed, 2);
        for (unsigned i = 0; i < 8; i++)
                for (unsigned from = 0; from < 2; from++) {
                        letters[from][i] =
                            (struct letter){.msg.on_message = on_letter, .from = from, .number = i};
                        world.current = from + 1;
                        kc_actor_post(world_actor(&world, 0), &letters[from][i].msg);
                }
        while (world_step(&world))
                ;
        assert_true(world_idle(&world));
        hash = world.hash;
        world_done(&world);
        return hash;
}

static void messages_of_one_sender_keep_their_order_and_overtake_others(void **state)
{
        unsigned n_overtaken = 0;

        for (uint64_t seed = 0; seed < 50; seed++) {
                unsigned next[2] = {0, 0};

                send_letters(seed);
                assert_int_equal(n_arrived, 16);
                for (unsigned i = 0; i < 16; i++) {
                        unsigned from = arrived[i] / 100;

                        assert_int_equal(arrived[i] % 100, next[from]++);
                        n_overtaken += next[from] > next[!from] + 1;
                }
        }
        assert_true(n_overtaken > 50);
}

static void one_seed_gives_one_run(void **state)
{
        assert_int_equal(send_letters(3), send_letters(3));
        assert_int_not_equal(send_letters(3), send_letters(4));
}

static unsigned n_events;
static uint64_t last_due_ns;

static void on_event(struct world_event *event)
{
        assert_true(event->due_ns >= last_due_ns);
        last_due_ns = event->due_ns;
        n_events++;
}

static void events_come_in_time_and_stopped_ones_do_not(void **state)
{
        struct world_event events[100];
        struct world world;

        n_events = 0;
        last_due_ns = 0;
        world_init(&world, 9, 1);
        for (unsigned i = 0; i < 100; i++) {
                world_event_init(&events[i], 1, on_event);
                world_event_start(&world, &events[i], (i * 7919 % 100) * SECOND_NS);
        }
        for (unsigned i = 0; i < 100; i += 3)
                world_event_stop(&world, &events[i]);
        while (world_step(&world))
                ;
        assert_int_equal(n_events, 66);
        world_done(&world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(messages_of_one_sender_keep_their_order_and_overtake_others),
            cmocka_unit_test(one_seed_gives_one_run),
            cmocka_unit_test(events_come_in_time_and_stopped_ones_do_not),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
