/* Actors in threads: whatever the timing, messages between them are neither lost nor doubled nor reordered.
 * links: kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/list.h"
#include "unit/actor-fixture.h"

/* Parcels travel between actors until each has made its hops. */
#define N_ACTORS 3u
#define N_PARCELS 24u
#define N_HOPS 4000u

struct station {
        struct fixture fixture;
        pthread_t thread;
        uint64_t sent[N_ACTORS];     /* by receiver: numbers given out */
        uint64_t received[N_ACTORS]; /* by sender: the last number that came */
        struct kc_timer ticker;      /* timers go on meanwhile */
        unsigned n_ticks;
        struct kc_msg stop;
};

struct parcel {
        struct kc_msg msg;
        unsigned hops, from; /* plain fields: they belong to whoever has the parcel */
        uint64_t number;
};

static struct station stations[N_ACTORS];
static struct parcel parcels[N_PARCELS];
static uv_sem_t parcels_home;

static void send_parcel(struct station *from, struct parcel *parcel)
{
        uint64_t to = kc_actor_random(&from->fixture.actor.actor) % N_ACTORS;

        parcel->from = (unsigned)(from - stations);
        parcel->number = ++from->sent[to];
        kc_actor_post(&stations[to].fixture.actor.actor, &parcel->msg);
}

static void on_parcel(struct kc_actor *actor, struct kc_msg *msg)
{
        struct station *here = kc_container_of(actor, struct station, fixture.actor.actor);
        struct parcel *parcel = kc_container_of(msg, struct parcel, msg);

        /* from one sender to one receiver: in order, none lost, none twice */
        assert_true(parcel->number == here->received[parcel->from] + 1);
        here->received[parcel->from] = parcel->number;
        if (++parcel->hops < N_HOPS)
                send_parcel(here, parcel);
        else
                uv_sem_post(&parcels_home);
}

static void on_dispatch(struct kc_actor *actor, struct kc_msg *msg)
{
        struct parcel *parcel = kc_container_of(msg, struct parcel, msg);

        msg->on_message = on_parcel;
        send_parcel(kc_container_of(actor, struct station, fixture.actor.actor), parcel);
}

static void on_stop(struct kc_actor *actor, struct kc_msg *msg)
{
        struct station *here = kc_container_of(actor, struct station, fixture.actor.actor);

        kc_actor_timer_stop(actor, &here->ticker);
        kc_actor_uv_close(&here->fixture.actor, on_closed);
}

static void on_tick(struct kc_timer *timer)
{
        struct station *here = kc_container_of(timer, struct station, ticker);
        uint64_t now_ns = kc_actor_now_ns(&here->fixture.actor.actor);

        assert_true(now_ns >= timer->deadline_ns);
        here->n_ticks++;
        kc_actor_timer_start(&here->fixture.actor.actor, timer, now_ns + 1000000);
}

static void *run_station(void *arg)
{
        struct station *here = arg;

        kc_timer_init(&here->ticker, on_tick);
        kc_actor_timer_start(&here->fixture.actor.actor, &here->ticker, 0);
        uv_run(&here->fixture.loop, UV_RUN_DEFAULT);
        return NULL;
}

static void test_threads_lose_and_reorder_nothing(void **state)
{
        uint64_t n_sent = 0, n_received = 0;

        assert_int_equal(uv_sem_init(&parcels_home, 0), 0);
        for (unsigned i = 0; i < N_ACTORS; i++)
                fixture_init(&stations[i].fixture);
        for (unsigned i = 0; i < N_ACTORS; i++)
                assert_int_equal(pthread_create(&stations[i].thread, NULL, run_station, &stations[i]), 0);
        n_wakeups = 0;
        for (unsigned i = 0; i < N_PARCELS; i++) {
                parcels[i].msg.on_message = on_dispatch;
                kc_actor_post(&stations[i % N_ACTORS].fixture.actor.actor, &parcels[i].msg);
        }
        for (unsigned i = 0; i < N_PARCELS; i++)
                uv_sem_wait(&parcels_home);
        assert_true(n_wakeups < N_PARCELS * N_HOPS); /* fewer than messages, or batching does nothing */
        for (unsigned i = 0; i < N_ACTORS; i++) {
                stations[i].stop.on_message = on_stop;
                kc_actor_post(&stations[i].fixture.actor.actor, &stations[i].stop);
        }
        for (unsigned i = 0; i < N_ACTORS; i++)
                assert_int_equal(pthread_join(stations[i].thread, NULL), 0);
        for (unsigned i = 0; i < N_ACTORS; i++) {
                assert_true(stations[i].n_ticks > 0);
                fixture_end(&stations[i].fixture);
                for (unsigned j = 0; j < N_ACTORS; j++) {
                        n_sent += stations[i].sent[j];
                        n_received += stations[i].received[j];
                }
        }
        assert_true(n_sent == N_PARCELS * N_HOPS && n_received == n_sent);
        uv_sem_destroy(&parcels_home);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_threads_lose_and_reorder_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
