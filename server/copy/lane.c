/* The lane's work loop. */
#include "copy/lane.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "copy/chunk.h"
#include "copy/crew.h"

static struct chunk *chunk_of(struct kc_list *node)
{
        return kc_list_entry(node, struct chunk, node);
}

/* Reports free pages, and tell the home lane what to deal next. */
static void run_report_chunks(struct lane *lane)
{
        struct kc_list *node;

        while ((node = kc_list_pop(&lane->report_chunks)))
                chunk_run_report(chunk_of(node));
}

/* Give pages to the chunks of a share, first come, first served. */
void lane_feed(struct share *share)
{
        while (!kc_list_empty(&share->pages_chunks)) {
                struct chunk *chunk = chunk_of(share->pages_chunks.next);

                chunk->buf = share_alloc(share, chunk->buf_bytes, &chunk->pages);
                if (!chunk->buf) {
                        share_check_starved(share);
                        return;
                }
                kc_list_del(&chunk->node);
                chunk_fed(chunk);
                leg_update_ready(chunk->leg);
                chunk_begin(chunk);
        }
        kc_list_del(&share->hungry_node);
}

/* Each share for itself: a client that is out of pages holds up nobody else. */
static void run_pages_chunks(struct lane *lane)
{
        kc_list_for_each_safe (pos, &lane->hungry_shares)
                lane_feed(kc_list_entry(pos, struct share, hungry_node));
}

/* What was read is written. Before new reads: a chunk on its way frees pages sooner than one that begins. */
static void run_write_chunks(struct lane *lane)
{
        struct kc_list *node;

        while ((node = kc_list_pop(&lane->write_chunks))) {
                struct chunk *chunk = chunk_of(node);

                chunk_prepare_writes(chunk);
                chunk_run_writes(chunk);
        }
}

/* The first that waits for nobody. Who has a window in common with others goes to their row. */
static struct leg *next_alone(struct lane *lane)
{
        while (!kc_list_empty(&lane->ready_legs)) {
                struct leg *leg = kc_list_first(&lane->ready_legs, struct leg, ready_node);

                if (!crew_together(leg->crew))
                        return leg;
                crew_wait(leg);
        }
        return NULL;
}

/* Whose turn it is to begin a chunk: one that waits for nobody, one of a crew, and so on; there may always be
 * one of either kind. It stays whose turn it is until the chunk begins. */
static struct leg *next_leg(struct lane *lane, bool *ret_of_crew)
{
        struct leg *alone = next_alone(lane), *of_crew = NULL;

        if (!alone || lane->crews_turn)
                of_crew = crew_next_leg(lane);
        *ret_of_crew = of_crew != NULL;
        return of_crew ? of_crew : alone;
}

/* Begin new chunks, one of each leg in turn. Returns true if there is more to begin than a turn's worth. */
static bool run_new_chunks(struct lane *lane)
{
        uint64_t started_bytes = 0;
        struct leg *leg;
        bool of_crew;

        while ((leg = next_leg(lane, &of_crew))) {
                uint64_t bytes = 0;

                if (started_bytes >= lane->turn_bytes)
                        return true;
                lane->crews_turn = !of_crew;
                if (of_crew)
                        crew_turn_taken(leg->crew);
                if (leg_start_chunk(leg, &bytes))
                        started_bytes += bytes > LANE_CHUNK_MIN_BYTES ? bytes : LANE_CHUNK_MIN_BYTES;
                kc_list_del(&leg->ready_node);
                leg_update_ready(leg);
        }
        return false;
}

/* The order matters. Reports come first: they free pages. Pages go to those who wait before anybody new may
 * ask. Writes are begun before reads, so that buffers turn over. */
static void lane_do_work(struct kc_actor *actor, struct kc_msg *msg)
{
        struct lane *lane = kc_container_of(msg, struct lane, work_msg);

        lane->work_posted = false;
        run_report_chunks(lane);
        run_pages_chunks(lane);
        run_write_chunks(lane);
        if (run_new_chunks(lane))
                lane_wake(lane);
}

void lane_wake(struct lane *lane)
{
        if (lane->work_posted)
                return;
        lane->work_posted = true;
        lane->work_msg.on_message = lane_do_work;
        kc_actor_post(lane->actor, &lane->work_msg);
}

/* ---- time */

void lane_tick_at(struct lane *lane, uint64_t deadline_ns)
{
        if (!lane->tick.armed || deadline_ns < lane->tick.deadline_ns)
                kc_actor_timer_start(lane->actor, &lane->tick, deadline_ns);
}

static void on_tick(struct kc_timer *timer)
{
        struct lane *lane = kc_container_of(timer, struct lane, tick);
        uint64_t now_ns = kc_actor_now_ns(lane->actor), next_ns = UINT64_MAX;

        kc_list_for_each_safe (pos, &lane->io_chunks) {
                struct chunk *chunk = chunk_of(pos);
                uint64_t at_ns = chunk_check_deadline(chunk, now_ns);

                if (at_ns < next_ns)
                        next_ns = at_ns;
                if (chunk->n_writes > 1 && chunk->n_undecided > 0) {
                        leg_check_lag(chunk->leg);
                        if (now_ns + LAG_PERIOD_NS < next_ns)
                                next_ns = now_ns + LAG_PERIOD_NS;
                }
        }
        kc_list_for_each_safe (pos, &lane->adrift_chunks) {
                uint64_t at_ns = chunk_check_settled(chunk_of(pos), now_ns);

                if (at_ns < next_ns)
                        next_ns = at_ns;
        }
        kc_list_for_each_safe (pos, &lane->waiting_crews) {
                uint64_t at_ns = crew_check(kc_list_entry(pos, struct crew, waiting_node), now_ns);

                if (at_ns < next_ns)
                        next_ns = at_ns;
        }
        kc_list_for_each_safe (pos, &lane->flushing_ports) {
                uint64_t at_ns = port_check_deadline(kc_list_entry(pos, struct port, lane_node), now_ns);

                if (at_ns < next_ns)
                        next_ns = at_ns;
        }
        if (next_ns != UINT64_MAX)
                lane_tick_at(lane, next_ns);
}

int lane_new(struct kc_actor *actor, struct kc_actor *control, struct io_provider *provider, unsigned index,
    uint64_t quarantine_ns, uint64_t turn_bytes, struct lane **ret_lane)
{
        struct lane *lane = calloc(1, sizeof *lane);

        if (!lane)
                return -ENOMEM;
        lane->actor = actor;
        lane->control = control;
        lane->provider = provider;
        lane->index = index;
        lane->quarantine_ns = quarantine_ns;
        lane->turn_bytes = turn_bytes;
        kc_list_init(&lane->ready_legs);
        kc_list_init(&lane->waiting_crews);
        kc_list_init(&lane->write_chunks);
        kc_list_init(&lane->report_chunks);
        kc_list_init(&lane->io_chunks);
        kc_list_init(&lane->adrift_chunks);
        kc_list_init(&lane->flushing_ports);
        kc_list_init(&lane->hungry_shares);
        kc_timer_init(&lane->tick, on_tick);
        *ret_lane = lane;
        return 0;
}

static void on_closed_msg(struct kc_actor *actor, struct kc_msg *msg)
{
        struct lane *lane = kc_container_of(msg, struct lane, close_msg);

        lane->on_closed(lane->closed_arg);
}

static void on_close_msg(struct kc_actor *actor, struct kc_msg *msg)
{
        struct lane *lane = kc_container_of(msg, struct lane, close_msg);

        if (lane->work_posted) { /* let it run dry first */
                kc_actor_post(lane->actor, &lane->close_msg);
                return;
        }
        kc_actor_timer_stop(lane->actor, &lane->tick);
        lane->close_msg.on_message = on_closed_msg;
        kc_actor_post(lane->control, &lane->close_msg);
}

void lane_close(struct lane *lane, void (*on_closed)(void *arg), void *arg)
{
        lane->on_closed = on_closed;
        lane->closed_arg = arg;
        lane->close_msg.on_message = on_close_msg;
        kc_actor_post(lane->actor, &lane->close_msg);
}

void lane_free(struct lane *lane)
{
        if (!lane)
                return;
        assert(kc_list_empty(&lane->ready_legs) && kc_list_empty(&lane->waiting_crews));
        assert(kc_list_empty(&lane->write_chunks) && kc_list_empty(&lane->report_chunks));
        assert(kc_list_empty(&lane->io_chunks) && kc_list_empty(&lane->adrift_chunks));
        assert(kc_list_empty(&lane->hungry_shares) && kc_list_empty(&lane->flushing_ports));
        free(lane);
}
