#include "sim/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- chance */

static uint64_t splitmix(uint64_t *state)
{
        uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
}

uint64_t world_random(struct world *world)
{
        return splitmix(&world->random_state);
}

uint64_t world_below(struct world *world, uint64_t n)
{
        assert(n > 0);
        return world_random(world) % n;
}

uint64_t world_between(struct world *world, uint64_t low, uint64_t high)
{
        assert(low <= high);
        return low + world_below(world, high - low + 1);
}

uint64_t world_log_between(struct world *world, uint64_t low, uint64_t high)
{
        unsigned octaves = 0;
        uint64_t floor;

        assert(low > 0 && low <= high);
        while (low << (octaves + 1) <= high)
                octaves++;
        floor = low << world_below(world, octaves + 1);
        return world_between(world, floor, floor * 2 - 1 < high ? floor * 2 - 1 : high);
}

bool world_one_in(struct world *world, uint64_t n)
{
        return n > 0 && world_below(world, n) == 0;
}

/* ---- the story and its hash */

void world_mix(struct world *world, uint64_t value)
{
        uint64_t state = world->hash ^ value;

        world->hash = splitmix(&state);
}

uint64_t world_hash_bytes(const void *bytes, size_t n)
{
        const unsigned char *at = bytes;
        uint64_t hash = 0xcbf29ce484222325ull ^ n, word;

        for (; n >= sizeof word; at += sizeof word, n -= sizeof word) {
                memcpy(&word, at, sizeof word);
                hash = (hash ^ word) * 0x9fb21c651e98df25ull;
                hash ^= hash >> 29;
        }
        for (; n > 0; at++, n--)
                hash = (hash ^ *at) * 0x100000001b3ull;
        return hash;
}

void world_fail(struct world *world, const char *fmt, ...)
{
        char message[WORLD_MESSAGE_MAX_BYTES];
        va_list args;

        va_start(args, fmt);
        vsnprintf(message, sizeof message, fmt, args);
        va_end(args);
        world->n_failures++;
        if (world->verbose)
                printf("%12.6f ms  BROKEN: %s\n", (double)world->now_ns / 1e6, message);
        if (world->failed)
                return;
        world->failed = true;
        snprintf(world->failure, sizeof world->failure, "at %.6f ms, step %" PRIu64 ": %.400s",
            (double)world->now_ns / 1e6, world->step, message);
}

void world_say(struct world *world, const char *fmt, ...)
{
        va_list args;

        if (!world->verbose)
                return;
        printf("%12.6f ms  ", (double)world->now_ns / 1e6);
        va_start(args, fmt);
        vprintf(fmt, args);
        va_end(args);
        putchar('\n');
}

/* ---- actors */

static struct world_actor *actor_of(struct kc_actor *actor)
{
        return kc_container_of(actor, struct world_actor, actor);
}

static void check_current(struct world_actor *actor, const char *what)
{
        if (actor->world->current != actor->actor.index)
                world_fail(actor->world, "actor %u: %s from actor %u", actor->actor.index, what,
                    actor->world->current);
}

static uint64_t actor_now_ns(struct kc_actor *actor)
{
        check_current(actor_of(actor), "clock read");
        return actor_of(actor)->world->now_ns;
}

static uint64_t actor_random(struct kc_actor *actor)
{
        check_current(actor_of(actor), "chance drawn");
        return splitmix(&actor_of(actor)->random_state);
}

static void deliver(struct world *world, struct world_mailbox *box)
{
        struct kc_msg *msg = box->head;

        box->head = msg->next;
        if (box->head == NULL)
                box->tail = &box->head;
        msg->next = NULL;
        box->n_delivered++;
        msg->on_message(world_actor(world, world->current), msg);
}

/* All that `from` has sent to `to`, while `from` is still inside its post. Nobody runs twice at a time. */
static void deliver_at_once(struct world *world, unsigned from, unsigned to)
{
        struct world_mailbox *box = &world->boxes[from][to];
        struct kc_msg *last = kc_container_of(box->tail, struct kc_msg, next);
        bool done = false;

        world->current = to;
        world->running |= 1u << to;
        while (!done) {
                done = box->head == last; /* by then it may be freed, and posted anew */
                deliver(world, box);
        }
        world->running &= ~(1u << to);
        world->current = from;
}

static void actor_post(struct kc_actor *to, struct kc_msg *msg)
{
        struct world *world = actor_of(to)->world;
        struct world_mailbox *box = &world->boxes[world->current][to->index];

        assert(msg->on_message != NULL);
        msg->next = NULL;
        *box->tail = msg;
        box->tail = &msg->next;
        if (world->hasty > 0 && world->running != 0 && !(world->running >> to->index & 1) &&
            world_one_in(world, world->hasty))
                deliver_at_once(world, world->current, to->index);
}

static void actor_timers_changed(struct kc_actor *actor)
{
        check_current(actor_of(actor), "timer changed"); /* the heap is looked at anew at each step */
}

static void actor_pin(struct kc_actor *actor, bool pinned)
{
        struct world_actor *of = actor_of(actor);

        check_current(of, "pinned");
        if (!pinned && of->n_pins == 0)
                world_fail(of->world, "actor %u: unpinned once too often", actor->index);
        of->n_pins += pinned ? 1 : -1u;
}

void world_forget_actors(struct world *world)
{
        for (unsigned i = 0; i < world->n_actors; i++) {
                world->actors[i].actor.timers = (struct kc_timer_heap){0};
                world->actors[i].n_pins = 0;
                for (unsigned to = 0; to < world->n_actors; to++) {
                        world->boxes[i][to].head = NULL;
                        world->boxes[i][to].tail = &world->boxes[i][to].head;
                }
        }
}

void world_check_lanes_idle(struct world *world)
{
        for (unsigned i = 1; i < WORLD_ACTORS_MAX; i++) {
                struct world_actor *lane = &world->actors[i];

                if (kc_timer_next_ns(&lane->actor.timers) != UINT64_MAX)
                        world_fail(world, "lane %u: a timer is armed after the engine has closed", i);
                if (lane->n_pins > 0)
                        world_fail(world, "lane %u: still pinned after the engine has closed", i);
        }
}

static const struct kc_actor_ops actor_ops = {
    .now_ns = actor_now_ns,
    .random = actor_random,
    .post = actor_post,
    .timers_changed = actor_timers_changed,
    .pin = actor_pin,
};

/* ---- events */

static bool event_before(const struct world_event *a, const struct world_event *b)
{
        return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void place(struct world *world, struct world_event *event, unsigned position)
{
        world->heap[position - 1] = event;
        event->position = position;
}

static void sift_up(struct world *world, struct world_event *event, unsigned position)
{
        while (position > 1 && event_before(event, world->heap[position / 2 - 1])) {
                place(world, world->heap[position / 2 - 1], position);
                position /= 2;
        }
        place(world, event, position);
}

static void sift_down(struct world *world, struct world_event *event, unsigned position)
{
        unsigned child;

        while ((child = position * 2) <= world->n_heap) {
                if (child < world->n_heap && event_before(world->heap[child], world->heap[child - 1]))
                        child++;
                if (!event_before(world->heap[child - 1], event))
                        break;
                place(world, world->heap[child - 1], position);
                position = child;
        }
        place(world, event, position);
}

static void make_room(struct world_event ***list, unsigned n, unsigned *room)
{
        if (n < *room)
                return;
        *room = *room ? *room * 2 : 64;
        *list = realloc(*list, *room * sizeof **list);
        assert(*list != NULL);
}

void world_event_init(struct world_event *event, unsigned actor_index, void (*on_event)(struct world_event *))
{
        *event = (struct world_event){.on_event = on_event, .actor_index = actor_index};
}

void world_event_start(struct world *world, struct world_event *event, uint64_t delay_ns)
{
        world_event_stop(world, event);
        event->due_ns = world->now_ns + delay_ns;
        event->order = world->next_order++;
        event->ready = false;
        make_room(&world->heap, world->n_heap, &world->heap_room);
        world->n_heap++;
        sift_up(world, event, world->n_heap);
}

void world_event_stop(struct world *world, struct world_event *event)
{
        unsigned position = event->position;
        struct world_event *last;

        if (position == 0)
                return;
        event->position = 0;
        if (event->ready) {
                last = world->ready[--world->n_ready];
                if (last != event) {
                        world->ready[position - 1] = last;
                        last->position = position;
                }
                return;
        }
        last = world->heap[--world->n_heap];
        if (last == event)
                return;
        if (position > 1 && event_before(last, world->heap[position / 2 - 1]))
                sift_up(world, last, position);
        else
                sift_down(world, last, position);
}

static void collect_ready(struct world *world)
{
        while (world->n_heap > 0 && world->heap[0]->due_ns <= world->now_ns) {
                struct world_event *event = world->heap[0];

                world_event_stop(world, event);
                make_room(&world->ready, world->n_ready, &world->ready_room);
                world->ready[world->n_ready++] = event;
                event->position = world->n_ready;
                event->ready = true;
        }
}

/* ---- steps */

struct choice {
        struct world_mailbox *box;
        unsigned from, actor_index; /* of a mailbox, or an actor whose timers are due */
        unsigned laziness;
};

static unsigned list_choices(struct world *world, struct choice *choices)
{
        unsigned n = 0;

        for (unsigned from = 0; from < world->n_actors; from++)
                for (unsigned to = 0; to < world->n_actors; to++)
                        if (world->boxes[from][to].head != NULL)
                                choices[n++] = (struct choice){.box = &world->boxes[from][to],
                                    .from = from,
                                    .actor_index = to,
                                    .laziness = world->boxes[from][to].laziness};
        for (unsigned i = 0; i < world->n_actors; i++)
                if (kc_timer_next_ns(&world->actors[i].actor.timers) <= world->now_ns)
                        choices[n++] =
                            (struct choice){.actor_index = i, .laziness = world->actors[i].timer_laziness};
        return n;
}

static bool advance(struct world *world)
{
        uint64_t next_ns = world->n_heap > 0 ? world->heap[0]->due_ns : UINT64_MAX;

        for (unsigned i = 0; i < world->n_actors; i++) {
                uint64_t timer_ns = kc_timer_next_ns(&world->actors[i].actor.timers);

                next_ns = timer_ns < next_ns ? timer_ns : next_ns;
        }
        if (next_ns == UINT64_MAX)
                return false;
        world->now_ns = next_ns > world->now_ns ? next_ns : world->now_ns;
        return true;
}

static void run_choice(struct world *world, const struct choice *choice)
{
        world->current = choice->actor_index;
        world->running = 1u << choice->actor_index;
        world_mix(world, (choice->box ? 1u : 2u) + choice->from * 16 + choice->actor_index * 256);
        if (choice->box)
                deliver(world, choice->box);
        else
                kc_timer_run(&world->actors[choice->actor_index].actor.timers, world->now_ns);
}

static void run_event(struct world *world, struct world_event *event)
{
        world->current = event->actor_index;
        world->running = 1u << event->actor_index;
        world_mix(world, 3 + event->actor_index * 256 + event->order * 4096);
        world_event_stop(world, event);
        event->on_event(event);
}

bool world_step(struct world *world)
{
        struct choice choices[WORLD_ACTORS_MAX * WORLD_ACTORS_MAX + WORLD_ACTORS_MAX];
        unsigned n_choices;

        if (world_one_in(world, 16))
                world->now_ns += world_below(world, 20000);
        for (;;) {
                collect_ready(world);
                n_choices = list_choices(world, choices);
                if (n_choices + world->n_ready > 0)
                        break;
                if (!advance(world))
                        return false;
        }
        world->step++;
        world_mix(world, world->now_ns);
        for (;;) {
                unsigned pick = (unsigned)world_below(world, n_choices + world->n_ready);

                if (pick >= n_choices) {
                        run_event(world, world->ready[pick - n_choices]);
                        break;
                }
                if (world_one_in(world, choices[pick].laziness)) {
                        run_choice(world, &choices[pick]);
                        break;
                }
        }
        world->running = 0;
        world->current = 0; /* whoever drives the world from outside does so as the control loop */
        return true;
}

static unsigned n_mailboxes_used(const struct world *world)
{
        unsigned n = 0;

        for (unsigned from = 0; from < world->n_actors; from++)
                for (unsigned to = 0; to < world->n_actors; to++)
                        n += world->boxes[from][to].head != NULL;
        return n;
}

static unsigned n_timers_armed(const struct world *world)
{
        unsigned n = 0;

        for (unsigned i = 0; i < world->n_actors; i++)
                n += kc_timer_next_ns(&world->actors[i].actor.timers) != UINT64_MAX;
        return n;
}

bool world_idle(const struct world *world)
{
        return n_mailboxes_used(world) + n_timers_armed(world) + world->n_heap + world->n_ready == 0;
}

void world_describe(const struct world *world, char *dst, size_t dst_bytes)
{
        snprintf(dst, dst_bytes, "%u mailboxes with messages, %u actors with timers, %u events",
            n_mailboxes_used(world), n_timers_armed(world), world->n_heap + world->n_ready);
}

void world_init(struct world *world, uint64_t seed, unsigned n_lanes)
{
        uint64_t chance = ~seed; /* of its own: cases use the seed's low bits for their variants */

        *world = (struct world){.seed = seed, .random_state = seed, .n_actors = 1 + n_lanes};
        world->hasty = splitmix(&chance) % 4 == 0 ? 4 : 0;
        assert(n_lanes >= 1 && n_lanes <= WORLD_LANES_MAX);
        /* real clocks do not start at zero either */
        world->now_ns = world_between(world, 1, 1000) * SECOND_NS;
        for (unsigned i = 0; i < world->n_actors; i++) {
                struct world_actor *actor = &world->actors[i];

                actor->actor.ops = &actor_ops;
                actor->actor.index = i;
                actor->world = world;
                actor->random_state = world_random(world);
                actor->timer_laziness = world_one_in(world, 4) ? 8 : 1;
                for (unsigned to = 0; to < world->n_actors; to++) {
                        world->boxes[i][to].tail = &world->boxes[i][to].head;
                        world->boxes[i][to].laziness = world_one_in(world, 4) ? 16 : 1;
                }
        }
}

void world_done(struct world *world)
{
        free(world->heap);
        free(world->ready);
}
