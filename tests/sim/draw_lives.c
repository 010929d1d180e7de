/* A scenario of a daemon's several lives: everything from the seed. In the calm half nothing is wrong with
 * the devices, and a detached job that is right must complete, whatever dies in between. */
#include <stdio.h>

#include "sim/engine_memory.h"
#include "sim/lives.h"

static void draw_lasting(struct scenario *s, struct wish *wish, bool cuts, unsigned number)
{
        struct world *world = &s->world;

        wish->by_handle = false;
        wish->detached = !world_one_in(world, 4);
        if (world_one_in(world, 2))
                wish->retry_for_ns = world_log_between(world, SECOND_NS, 600 * SECOND_NS);
        if (wish->detached && world_one_in(world, 3))
                snprintf(wish->key, sizeof wish->key, "key%u", number);
        if (cuts)
                wish->expect_completed = false;
        if (!wish->detached && s->lives->n_deaths > 0)
                wish->expect_accepted = wish->expect_completed = false;
}

static void draw_job(struct scenario *s, bool faults, bool cuts, unsigned number)
{
        struct world *world = &s->world;
        uint64_t at = world_one_in(world, 2) ? 0 : world_log_between(world, 1000, 20 * SECOND_NS);
        struct scenario_job *job;
        struct wish wish;

        draw_wish(s, faults, &wish);
        draw_lasting(s, &wish, cuts, number);
        if (s->lives->store.fails_one_in > 0 || s->lives->n_troubles > 0 || s->lives->n_deaths > 0)
                wish.expect_accepted = false;
        job = scenario_submit_later(s, &wish, at);
        if (world_one_in(world, 6))
                world_event_start(
                    world, &job->cancel_event, at + world_log_between(world, 1000, 3 * SECOND_NS));
        for (unsigned i = 0; wish.key[0] != '\0' && i < 2; i++) /* its client has not heard of it */
                if (world_one_in(world, 2))
                        scenario_submit_later(s, &wish, at + world_log_between(world, 1, 60 * SECOND_NS));
}

static void draw_lives_config(struct scenario *s)
{
        struct world *world = &s->world;
        struct lives *lives = s->lives;

        if (s->config.command_timeout_ns > 60 * SECOND_NS) /* a cut that is dark lasts as long */
                s->config.command_timeout_ns = 60 * SECOND_NS;
        s->config.detached_pages = (uint32_t)world_log_between(world, 16, 1024);
        s->config.checkpoint_ns = world_log_between(world, MS_NS, 10 * SECOND_NS);
        s->config.checkpoint_bytes = world_log_between(world, 4096, 16 << 20);
        s->close_deadline_ns = world_log_between(world, 10 * MS_NS, 600 * SECOND_NS);
        s->may_be_stuck = true;
        lives->n_deaths = (unsigned)world_below(world, 5);
        lives->n_pokes = world_one_in(world, 2) ? 0 : (unsigned)world_log_between(world, 1, 40);
        lives->n_cuts = world_one_in(world, 2) ? 0 : (unsigned)world_between(world, 1, 6);
        lives->n_troubles = world_one_in(world, 3) ? (unsigned)world_between(world, 1, 3) : 0;
        lives->downtime_max_ns = world_log_between(world, 10000, 100 * SECOND_NS);
        lives->life_max_ns = world_log_between(world, MS_NS, 30 * SECOND_NS);
        lives->poke_max_ns = world_log_between(world, MS_NS, 10 * SECOND_NS);
        lives->store.delay_max_ns = world_log_between(world, 1000, SECOND_NS);
}

static void draw_clients(struct scenario *s)
{
        s->n_clients = (unsigned)world_between(&s->world, 1, SCENARIO_CLIENTS_MAX);
        for (unsigned i = 0; i < s->n_clients; i++) {
                struct scenario_client *client = &s->clients[i];

                client->scenario = s;
                client->wanted_pages = (uint32_t)world_log_between(&s->world, 16, 1024);
                snprintf(client->identity, sizeof client->identity, "user"); /* one, for the keys' sake */
                world_event_init(&client->close_event, 0, NULL);
        }
}

static struct scenario *draw(uint64_t seed, bool verbose)
{
        struct scenario *s = draw_begin(seed, 0x11fe5, verbose);
        struct lives *lives = lives_new(s);
        unsigned n_jobs;
        bool faults, cuts;

        faults = world_one_in(&s->world, 2);
        draw_config(s, faults);
        draw_lives_config(s);
        cuts = lives->n_cuts > 0;
        draw_all_devices(s, faults, s->config.quarantine_ns - 1);
        draw_clients(s);
        lives_begin(lives);
        n_jobs = (unsigned)world_between(&s->world, 1, 10);
        for (unsigned i = 0; i < n_jobs && !s->world.failed; i++)
                draw_job(s, faults, cuts, i);
        lives_schedule(lives);
        return s;
}

struct scenario *sim_random(uint64_t seed, bool verbose)
{
        struct scenario *s;

        engine_memory_begin(1, 0);
        s = draw(seed, verbose);
        scenario_run(s, lives_all_ended, "jobs");
        lives_end(s);
        return s;
}
