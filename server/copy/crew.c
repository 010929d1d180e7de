/* One window for the legs that do the same: see crew.h. */
#include "copy/crew.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "copy/run.h"

/* ---- who belongs together */

static bool may_share(const struct leg *leg)
{
        return leg->run->facts.n_to == 1 && leg->endpoints[1].at_port && !leg->endpoints[0].remote;
}

static struct crew *find(const struct leg *leg)
{
        kc_list_for_each (pos, &leg->endpoints[1].at_port->crews) {
                struct crew *crew = kc_list_entry(pos, struct crew, node);

                if (crew->from == leg->endpoints[0].port && crew->share == leg->share &&
                    crew->priority == leg->run->facts.priority)
                        return crew;
        }
        return NULL;
}

static struct crew *crew_new(const struct leg *leg, const struct window *window)
{
        struct crew *crew = kc_zalloc(sizeof *crew);

        if (!crew)
                return NULL;
        crew->lane = leg->lane;
        crew->window = *window;
        crew->chunk_bytes = leg->run->facts.chunk_bytes;
        kc_list_init(&crew->node);
        kc_list_init(&crew->waiting_legs);
        kc_list_init(&crew->waiting_node);
        if (!may_share(leg))
                return crew;
        crew->share = leg->share;
        crew->from = leg->endpoints[0].port;
        crew->to = leg->endpoints[1].port;
        crew->priority = leg->run->facts.priority;
        kc_list_push(&crew->to->crews, &crew->node);
        return crew;
}

/* A port may close before its legs end: the job that they are of waits for another device's answers. */
static void join_ports(struct leg *leg)
{
        for (unsigned i = 0; i < 1 + leg->run->facts.n_to; i++) {
                struct leg_endpoint *le = &leg->endpoints[i];

                kc_list_init(&le->port_node);
                le->at_port = le->remote ? NULL : le->port;
                if (!le->at_port)
                        continue;
                le->at_port->n_legs++;
                kc_list_push(&le->at_port->legs, &le->port_node);
        }
}

static void leave_ports(struct leg *leg)
{
        for (unsigned i = 0; i < 1 + leg->run->facts.n_to; i++) {
                struct leg_endpoint *le = &leg->endpoints[i];

                if (!le->at_port)
                        continue;
                le->at_port->n_legs--;
                le->at_port = NULL;
                kc_list_del(&le->port_node);
        }
}

static void leave_port(struct crew *crew, struct port *port)
{
        if (crew->from == port)
                crew->from = NULL;
        if (crew->to == port)
                crew->to = NULL;
        if (!crew->to)
                kc_list_del(&crew->node);
}

void crew_port_closes(struct port *port)
{
        struct kc_list *node;

        while ((node = kc_list_pop(&port->legs))) {
                struct leg_endpoint *le = kc_list_entry(node, struct leg_endpoint, port_node);

                le->at_port = NULL;
                leave_port(le->leg->crew, port);
        }
        port->n_legs = 0;
}

int crew_join(struct leg *leg, const struct window *window)
{
        join_ports(leg);
        leg->crew = may_share(leg) ? find(leg) : NULL;
        if (!leg->crew)
                leg->crew = crew_new(leg, window);
        if (!leg->crew) {
                leave_ports(leg);
                return -ENOMEM;
        }
        leg->crew->n_legs++;
        return 0;
}

void crew_leave(struct leg *leg)
{
        struct crew *crew = leg->crew;

        leave_ports(leg);
        leg->crew = NULL;
        lane_wake(crew->lane); /* others may not have to wait for each other any more */
        if (--crew->n_legs > 0)
                return;
        assert(kc_list_empty(&crew->waiting_legs));
        kc_list_del(&crew->node);
        kc_list_del(&crew->waiting_node);
        free(crew);
}

/* ---- room */

/* Requests from other lanes are seen at the gate only. */
static bool has_company(const struct crew *crew)
{
        unsigned n_legs = crew->n_legs * (crew->from == crew->to ? 2 : 1); /* counted at either end */

        return !crew->to || crew->to->n_legs > n_legs || crew->to->gate.contended ||
               (crew->from && (crew->from->n_legs > n_legs || crew->from->gate.contended));
}

bool crew_together(const struct crew *crew)
{
        return crew->n_legs > 1 && !has_company(crew);
}

bool crew_has_room(const struct crew *crew)
{
        return crew->out_bytes <
               (uint64_t)crew->window.chunks * window_chunk_bytes(&crew->window, crew->chunk_bytes);
}

void crew_wait(struct leg *leg)
{
        struct crew *crew = leg->crew;

        kc_list_move(&crew->waiting_legs, &leg->ready_node);
        if (kc_list_empty(&crew->waiting_node))
                kc_list_push(&crew->lane->waiting_crews, &crew->waiting_node);
}

struct leg *crew_next_leg(struct lane *lane)
{
        kc_list_for_each_safe (pos, &lane->waiting_crews) {
                struct crew *crew = kc_list_entry(pos, struct crew, waiting_node);

                if (kc_list_empty(&crew->waiting_legs)) { /* they have become unable to begin */
                        kc_list_del(&crew->waiting_node);
                        continue;
                }
                if (!crew_together(crew) || crew_has_room(crew))
                        return kc_list_first(&crew->waiting_legs, struct leg, ready_node);
                lane_tick_at(lane, crew->progress_ns + CREW_PATIENCE_NS);
        }
        return NULL;
}

void crew_turn_taken(struct crew *crew)
{
        kc_list_move(&crew->lane->waiting_crews, &crew->waiting_node);
}

/* A zero request may be long, and keeps no pages. */
static uint64_t weight_bytes(const struct crew *crew, uint64_t length_bytes)
{
        return kc_min_u64(length_bytes, crew->chunk_bytes);
}

unsigned crew_chunk_begins(struct crew *crew, uint64_t length_bytes)
{
        if (crew->out_bytes == 0) {
                crew->progress_ns = kc_actor_now_ns(crew->lane->actor);
                window_begins(&crew->window, crew->progress_ns);
        }
        crew->out_bytes += weight_bytes(crew, length_bytes);
        return crew->epoch;
}

void crew_chunk_ends(struct crew *crew, uint64_t length_bytes, unsigned epoch)
{
        crew->progress_ns = kc_actor_now_ns(crew->lane->actor);
        if (epoch == crew->epoch)
                crew->out_bytes -= weight_bytes(crew, length_bytes);
        if (!kc_list_empty(&crew->waiting_legs))
                lane_wake(crew->lane);
}

uint64_t crew_check(struct crew *crew, uint64_t now_ns)
{
        if (kc_list_empty(&crew->waiting_legs))
                return UINT64_MAX;
        if (now_ns >= crew->progress_ns + CREW_PATIENCE_NS) {
                crew->out_bytes = 0;
                crew->epoch++;
                crew->progress_ns = now_ns;
                lane_wake(crew->lane);
        }
        return crew->progress_ns + CREW_PATIENCE_NS;
}
