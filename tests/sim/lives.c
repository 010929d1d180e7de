#include "sim/lives.h"

#include <assert.h>
#include <stdlib.h>

#include "sim/engine_memory.h"

#define OPERATOR_NS (30 * SECOND_NS)
#define OPERATOR_PATIENCE 8u /* times that he resumes a job before he cancels it */

/* ---- the daemon comes */

static void on_recovered(void *arg, int status, const struct kc_error *error)
{
        struct lives *lives = arg;
        struct scenario *s = lives->s;

        if (status < 0)
                world_fail(&s->world, "life %u: recovery failed: %s", lives->n, error->message);
        lives->up = true;
        if (s->closing)
                return;
        for (unsigned i = 0; i < s->n_clients; i++)
                scenario_connect(&s->clients[i]);
        if (lives->n_deaths > 0)
                world_event_start(
                    &s->world, &lives->death_event, world_log_between(&s->world, 1000, lives->life_max_ns));
}

static void start(struct lives *lives)
{
        struct scenario *s = lives->s;

        lives->n++;
        world_say(&s->world, "life %u begins", lives->n);
        s->closing = s->closed = false;
        checker_client(&s->checker, CHECKER_DETACHED, s->config.detached_pages);
        scenario_start_engine(s);
        if (!s->world.failed && engine_recover(s->engine, on_recovered, lives) < 0)
                world_fail(&s->world, "life %u: no recovery", lives->n);
}

static void on_start_event(struct world_event *event)
{
        start(kc_container_of(event, struct lives, start_event));
}

static bool is_up(struct scenario *s)
{
        return s->lives->up;
}

void lives_begin(struct lives *lives)
{
        struct scenario *s = lives->s;

        checker_init(&s->checker, &s->world, s->devices, s->n_devices, s->config.quarantine_ns);
        s->checker.on_told = checker_told;
        s->checker.close_is_quick = s->config.cancel_grace_ns >= 100 * MS_NS;
        start(lives);
        scenario_run(s, is_up, "the first life");
}

/* ---- the daemon goes */

static bool reads_from(const struct wish *wish, const struct device *device)
{
        return wish->operation == COPY_OPERATION_COPY && wish->from.device == device->index;
}

bool lives_may_cut(const struct scenario *s, const struct device *device)
{
        for (unsigned i = 0; i < s->n_jobs; i++)
                if (reads_from(&s->jobs[i].wish, device))
                        return false;
        return true;
}

static void cut_local_devices(struct scenario *s)
{
        for (unsigned i = 0; i < s->n_devices; i++)
                if (s->devices[i].config.kind != IO_KIND_NBD && lives_may_cut(s, &s->devices[i]))
                        device_lose_power(&s->devices[i]);
}

/* Nobody is left of it. */
static void bury(struct lives *lives, bool kernel)
{
        struct scenario *s = lives->s;
        uint64_t downtime_ns = world_log_between(&s->world, 1000, lives->downtime_max_ns);

        lives->up = false;
        checker_check_marks(&s->checker);
        for (unsigned i = 0; i < s->n_devices; i++) /* what is under way lands before anybody else comes */
                if (s->devices[i].config.late_max_ns > downtime_ns)
                        s->devices[i].config.late_max_ns = downtime_ns;
        for (unsigned i = 0; i < s->n_lanes; i++)
                provider_sim_die(&s->providers[i], kernel);
        world_forget_actors(&s->world);
        store_sim_forget(&lives->store);
        engine_memory_drop();
        s->engine = NULL;
        for (unsigned i = 0; i < s->n_clients; i++) {
                s->clients[i].client = NULL;
                s->clients[i].closing = s->clients[i].close_cancels = false;
        }
        checker_died(&s->checker);
        world_event_stop(&s->world, &lives->death_event);
        world_event_start(&s->world, &lives->start_event, downtime_ns + 1);
}

void lives_die(struct lives *lives, enum death death)
{
        static const char *const names[] = {"is killed", "loses power", "is stopped"};
        struct scenario *s = lives->s;

        world_say(&s->world, "life %u: the daemon %s", lives->n, names[death]);
        if (death == DEATH_STOP) {
                lives->up = false;
                scenario_close_engine(s); /* on_closed */
                return;
        }
        bury(lives, death != DEATH_POWER);
        if (death == DEATH_POWER)
                cut_local_devices(s);
}

/* The engine is not to be freed inside its own call. */
static void on_closed(struct lives *lives)
{
        if (!lives->over)
                world_event_start(&lives->s->world, &lives->death_event, 0);
}

static void free_closed(struct lives *lives)
{
        struct scenario *s = lives->s;

        for (unsigned i = 0; i < s->n_lanes; i++)
                provider_sim_done(&s->providers[i]);
        world_check_lanes_idle(&s->world);
        engine_unobserve(s->engine, &s->observer);
        engine_free(s->engine);
        if (!store_sim_idle(&lives->store))
                world_fail(&s->world, "life %u: closed, and the store is asked for something yet", lives->n);
        if (engine_memory_held() > 0)
                world_fail(&s->world, "life %u: closed, and %zu allocations are left", lives->n,
                    engine_memory_held());
}

static void on_death_event(struct world_event *event)
{
        struct lives *lives = kc_container_of(event, struct lives, death_event);
        struct scenario *s = lives->s;

        if (s->closed) {
                if (s->n_stuck == 0)
                        free_closed(lives);
                bury(lives, true);
                return;
        }
        lives->n_deaths--;
        lives_die(lives, (enum death)world_below(&s->world, 3));
}

/* ---- who looks after it */

static void on_operator_event(struct world_event *event)
{
        struct lives *lives = kc_container_of(event, struct lives, operator_event);
        struct scenario *s = lives->s;
        struct engine_job_view view;

        world_event_start(&s->world, event, OPERATOR_NS);
        for (unsigned i = 0; i < s->n_jobs && lives->up; i++) {
                struct check_job *check = s->jobs[i].check;

                if (!check || !check->stored || !check_live(check) ||
                    engine_job_get(s->engine, check->id, &view) < 0 || view.state != JOB_PAUSED)
                        continue;
                if (lives->n_resumed[check->index]++ >= OPERATOR_PATIENCE)
                        scenario_cancel(&s->jobs[i]);
                else
                        engine_job_resume(s->engine, check->id);
        }
}

static void adjust(struct scenario *s, uint64_t job_id)
{
        struct engine_adjustment adjustment = {.set_rate = world_one_in(&s->world, 2),
            .rate_bytes_per_s =
                world_one_in(&s->world, 2) ? 0 : world_log_between(&s->world, 1 << 16, 1 << 26),
            .set_priority = world_one_in(&s->world, 2),
            .priority = (unsigned)world_below(&s->world, COPY_PRIORITY_MAX + 1)};

        world_say(&s->world, "job %llu: adjust", (unsigned long long)job_id);
        engine_job_adjust(s->engine, job_id, &adjustment);
}

/* Somebody pauses, resumes, adjusts or cancels a job, whatever it is doing. */
static void poke(struct lives *lives)
{
        struct scenario *s = lives->s;
        struct scenario_job *job;

        if (s->n_jobs == 0)
                return;
        job = &s->jobs[world_below(&s->world, s->n_jobs)];
        if (!job->check || !job->check->stored || !check_live(job->check))
                return;
        switch (world_below(&s->world, 9)) {
        case 0:
                scenario_cancel(job);
                return;
        case 4:
                adjust(s, job->check->id);
                return;
        case 1:
        case 2:
        case 3:
                world_say(&s->world, "job %u: resume", job->check->index);
                engine_job_resume(s->engine, job->check->id);
                return;
        default:
                world_say(&s->world, "job %u: pause", job->check->index);
                engine_job_pause(s->engine, job->check->id);
                return;
        }
}

static void on_poke_event(struct world_event *event)
{
        struct lives *lives = kc_container_of(event, struct lives, poke_event);

        if (lives->n_pokes == 0)
                return;
        lives->n_pokes--;
        if (lives->up && lives->s->engine)
                poke(lives);
        world_event_start(
            &lives->s->world, event, world_log_between(&lives->s->world, 1000, lives->poke_max_ns));
}

/* A server dies and comes again, or its connections do. */
static void on_cut_event(struct world_event *event)
{
        struct lives *lives = kc_container_of(event, struct lives, cut_event);
        struct scenario *s = lives->s;
        struct device *device = &s->devices[world_below(&s->world, s->n_devices)];
        bool dark = world_one_in(&s->world, 4);

        if (lives->n_cuts == 0)
                return;
        lives->n_cuts--;
        world_event_start(&s->world, event, world_log_between(&s->world, 1000, 10 * SECOND_NS));
        if (device->config.kind != IO_KIND_NBD)
                return;
        world_say(&s->world, "  the connections to %s are cut%s", device->name, dark ? ", darkly" : "");
        for (unsigned i = 0; i < s->n_lanes && s->engine; i++)
                provider_sim_cut(&s->providers[i], device, dark);
        if (lives_may_cut(s, device) && world_one_in(&s->world, 2))
                device_lose_power(device);
}

static void on_trouble_event(struct world_event *event)
{
        struct lives *lives = kc_container_of(event, struct lives, trouble_event);
        struct world *world = &lives->s->world;
        bool begins = lives->store.fails_one_in == 0 && lives->n_troubles > 0;

        lives->store.fails_one_in = begins ? (unsigned)world_between(world, 1, 3) : 0;
        if (begins)
                lives->n_troubles--;
        if (begins || lives->n_troubles > 0)
                world_event_start(world, event, world_log_between(world, MS_NS, 20 * SECOND_NS));
}

void lives_schedule(struct lives *lives)
{
        struct world *world = &lives->s->world;

        world_event_start(world, &lives->operator_event, OPERATOR_NS);
        if (lives->n_pokes > 0)
                world_event_start(
                    world, &lives->poke_event, world_log_between(world, 1000, lives->poke_max_ns));
        if (lives->n_cuts > 0)
                world_event_start(world, &lives->cut_event, world_log_between(world, 1000, 10 * SECOND_NS));
        if (lives->n_troubles > 0)
                world_event_start(
                    world, &lives->trouble_event, world_log_between(world, MS_NS, 20 * SECOND_NS));
}

/* ---- the whole */

static void lives_free(struct lives *lives)
{
        for (unsigned j = 0; j < lives->s->checker.n_jobs; j++)
                check_mark_free(lives->s->checker.jobs[j].mark);
        store_sim_done(&lives->store);
        free(lives);
}

struct lives *lives_new(struct scenario *s)
{
        struct lives *lives = calloc(1, sizeof *lives);

        assert(lives != NULL);
        lives->s = s;
        lives->downtime_max_ns = 10 * SECOND_NS;
        lives->life_max_ns = lives->poke_max_ns = 10 * SECOND_NS;
        store_sim_init(&lives->store, &s->world, &s->checker);
        world_event_init(&lives->death_event, 0, on_death_event);
        world_event_init(&lives->start_event, 0, on_start_event);
        world_event_init(&lives->operator_event, 0, on_operator_event);
        world_event_init(&lives->poke_event, 0, on_poke_event);
        world_event_init(&lives->cut_event, 0, on_cut_event);
        world_event_init(&lives->trouble_event, 0, on_trouble_event);
        s->config.store = &lives->store.store;
        s->lives = lives;
        s->free_lives = lives_free;
        s->on_closed = on_closed;
        return lives;
}

bool lives_all_ended(struct scenario *s)
{
        return s->lives->up && !s->closing && scenario_all_ended(s) && store_sim_idle(&s->lives->store);
}

static void end_well(struct scenario *s)
{
        struct lives *lives = s->lives;

        lives->over = true;
        world_event_stop(&s->world, &lives->death_event);
        world_event_stop(&s->world, &lives->operator_event);
        world_event_stop(&s->world, &lives->poke_event);
        world_event_stop(&s->world, &lives->cut_event);
        world_event_stop(&s->world, &lives->trouble_event);
        lives->store.fails_one_in = 0;
        if (store_sim_unended(&lives->store) > 0)
                world_fail(&s->world, "the store has jobs that have not ended");
        scenario_end(s);
}

void lives_end(struct scenario *s)
{
        if (!s->world.failed)
                end_well(s);
        if (!s->world.failed && s->n_stuck == 0)
                return;
        for (unsigned i = 0; i < s->n_lanes && s->engine; i++)
                provider_sim_die(&s->providers[i], true);
        engine_memory_drop();
        s->engine = NULL;
}
