/* A scenario of one engine's life: everything from the seed. Half of them are calm: nothing is wrong with the
 * devices, and a job that is right must be accepted and complete; the others have faults in one or two
 * devices. */
#include <stdio.h>

#include "sim/scenario.h"

static void draw_job(struct scenario *s, bool faults)
{
        struct world *world = &s->world;
        struct scenario_job *job;
        struct wish wish;
        uint64_t at = world_one_in(world, 2) ? 0 : world_log_between(world, 1000, 5 * SECOND_NS);

        draw_wish(s, faults, &wish);
        job = scenario_submit_later(s, &wish, at);
        if (world_one_in(world, 4))
                world_event_start(
                    world, &job->cancel_event, at + world_log_between(world, 1000, 3 * SECOND_NS));
}

static struct scenario *draw(uint64_t seed, bool verbose)
{
        struct scenario *s = draw_begin(seed, 0x5eed, verbose);
        unsigned n_devices, n_clients, n_jobs;
        bool faults;

        faults = world_one_in(&s->world, 2);
        draw_config(s, faults);
        n_devices = draw_all_devices(s, faults, 0);
        scenario_start(s);
        n_clients = (unsigned)world_between(&s->world, 1, SCENARIO_CLIENTS_MAX);
        for (unsigned i = 0; i < n_clients && !s->world.failed; i++) {
                char identity[16];

                snprintf(identity, sizeof identity, "user:%u", (unsigned)world_below(&s->world, 2));
                scenario_client(s, identity, (uint32_t)world_log_between(&s->world, 16, 1024));
                if (world_one_in(&s->world, 4))
                        world_event_start(&s->world, &s->clients[i].close_event,
                            world_log_between(&s->world, 1000, 5 * SECOND_NS));
                if (world_one_in(&s->world, 3))
                        scenario_open_handle(
                            s, i, (unsigned)world_below(&s->world, n_devices), world_one_in(&s->world, 2));
        }
        n_jobs = (unsigned)world_between(&s->world, 1, 12);
        for (unsigned i = 0; i < n_jobs; i++)
                draw_job(s, faults);
        if (world_one_in(&s->world, 6)) {
                world_event_start(
                    &s->world, &s->close_event, world_log_between(&s->world, 1000, 5 * SECOND_NS));
                if (world_one_in(&s->world, 3)) {
                        s->close_deadline_ns = world_log_between(&s->world, MS_NS, 5 * SECOND_NS);
                        s->may_be_stuck = true;
                }
        }
        return s;
}

struct scenario *sim_random(uint64_t seed, bool verbose)
{
        struct scenario *s = draw(seed, verbose);

        scenario_run(s, scenario_all_ended, "jobs");
        if (!s->world.failed)
                scenario_end(s);
        return s;
}
