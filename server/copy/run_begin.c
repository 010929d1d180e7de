/* How a run comes to be: made by the control loop, begun on its home lane, joined by helper lanes; and freed.
 */
#include "copy/run.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "copy/job.h"
#include "copy/store.h"

#define TICK_NS 500000000ull

static const struct kc_sm_state states[] = {
    [RUN_PREPARING] = {"preparing", KC_SM_TO(RUN_COPYING) | KC_SM_TO(RUN_STOPPING) | KC_SM_TO(RUN_ENDING),
        true, false},
    [RUN_COPYING] = {"copying", KC_SM_TO(RUN_STOPPING) | KC_SM_TO(RUN_ENDING), false, false},
    [RUN_STOPPING] = {"stopping", KC_SM_TO(RUN_ENDING), false, false},
    [RUN_ENDING] = {"ending", KC_SM_TO(RUN_DRAINED), false, false},
    [RUN_DRAINED] = {"drained", 0, false, true},
};

static const struct kc_sm_state dest_states[] = {
    [DEST_COPYING] = {"copying", KC_SM_TO(DEST_FLUSHING) | KC_SM_TO(DEST_DONE), true, false},
    [DEST_FLUSHING] = {"flushing", KC_SM_TO(DEST_DONE), false, false},
    [DEST_DONE] = {"done", 0, true, true}, /* at once: what an earlier attempt has told */
};

/* ---- made and freed on the control loop */

/* The next part of an allocation. All of them consist of what is aligned to 8. */
static void *part(char **at, size_t n, size_t size_bytes)
{
        void *found = *at;

        *at += n * size_bytes;
        return found;
}

/* One allocation for it all but the result, which the job keeps: a job of 4 KiB is mostly what surrounds it,
 * and nine allocations were a tenth of that. */
struct run *run_new(unsigned n_to, unsigned n_legs, const struct copy_spec *spec)
{
        size_t leg_bytes = sizeof(struct leg) + (1 + n_to) * sizeof(struct leg_endpoint);
        size_t to_bytes = sizeof(uint64_t) + sizeof(struct job_region) + sizeof(struct run_dest) +
                          sizeof(struct run_held) + 2 * sizeof(struct job_destination_result);
        struct run *run = calloc(1, sizeof *run + n_legs * leg_bytes + n_to * to_bytes);
        struct job_result *result = job_result_new(n_to);
        char *at = (char *)(run + 1);

        _Static_assert(sizeof(struct run) % 8 == 0 && sizeof(struct job_region) % 8 == 0 &&
                           sizeof(struct run_dest) % 8 == 0 && sizeof(struct run_held) % 8 == 0 &&
                           sizeof(struct job_destination_result) % 8 == 0 && sizeof(struct leg) % 8 == 0 &&
                           sizeof(struct leg_endpoint) % 8 == 0,
            "each part begins, aligned, where the one before it ends");
        if (!run || !result) {
                job_result_free(result);
                free(run);
                return NULL;
        }
        run->spec = spec;
        run->result = result;
        run->facts.n_to = n_to;
        run->facts.to_start_bytes = part(&at, n_to, sizeof *run->facts.to_start_bytes);
        run->to_regions = part(&at, n_to, sizeof *run->to_regions);
        run->dests = part(&at, n_to, sizeof *run->dests);
        run->held = part(&at, n_to, sizeof *run->held);
        run->snapshot.destinations = part(&at, n_to, sizeof *run->snapshot.destinations);
        run->view = part(&at, n_to, sizeof *run->view);
        run->n_legs = n_legs;
        run->legs = part(&at, n_legs, sizeof *run->legs);
        for (unsigned i = 0; i < n_legs; i++)
                run->legs[i].endpoints = part(&at, 1 + n_to, sizeof *run->legs[i].endpoints);
        return run;
}

int run_go_on(struct run *run, const struct store_mark *mark)
{
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                const struct store_mark_end *end = &mark->ends[1 + d];
                struct run_dest *dest = &run->dests[d];

                if (ledger_copy(&dest->ledger, &end->ledger) < 0)
                        return -ENOMEM;
                dest->sure_copied_bytes = ledger_sum(&dest->ledger, LEDGER_COPIED);
                dest->sure_zeroed_bytes = ledger_sum(&dest->ledger, LEDGER_ZEROED);
                dest->error = end->error;
                if (dest->error.has_sector)
                        dest->error_bytes = end->error_bytes;
                if (end->told) {
                        run->facts.told_mask |= 1ull << d;
                        dest->durable = end->durable;
                }
        }
        run->bad_error = run->source_error = mark->ends[0].error;
        run->bad_error_bytes = run->source_error_bytes = mark->ends[0].error_bytes;
        return bad_ranges_copy(&run->bad, &mark->bad);
}

void run_free(struct run *run)
{
        if (!run)
                return;
        checkpoint_free(run->checkpoint, run->facts.n_to);
        cursor_done(&run->main);
        suspects_done(&run->suspects);
        bad_ranges_done(&run->bad);
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                if (run->dests[d].cursor)
                        cursor_done(run->dests[d].cursor);
                free(run->dests[d].cursor);
                ledger_done(&run->dests[d].ledger);
        }
        job_result_free(run->result);
        free(run);
}

/* ---- beginning */

bool run_waits_for_resize(const struct run *run)
{
        for (unsigned d = 0; d < run->facts.n_to; d++)
                if (run->dests[d].resizing && !run->dests[d].dropped)
                        return true;
        return false;
}

void run_maybe_copy(struct run *run)
{
        if (kc_sm_state(&run->sm) != RUN_PREPARING || run_waits_for_resize(run))
                return;
        kc_sm_move(&run->sm, RUN_COPYING);
        if (run->wants_helpers) {
                run->prepared_msg.on_message = job_on_run_prepared;
                kc_actor_post(run->control, &run->prepared_msg);
        }
}

/* Whatever the policy: nothing that comes later could succeed. */
static void resize_failed(struct run *run, unsigned d, int status, enum kc_class class)
{
        run_dest_failed(run, d, status, class, RUN_NO_PLACE,
            class == KC_CLASS_TRANSPORT || class == KC_CLASS_TIMEOUT, "could not be made the right size");
        if (run_going(run))
                run_drop(run, d);
}

static void resized(struct run *run, unsigned d, int status, enum kc_class class)
{
        struct run_dest *dest = &run->dests[d];

        dest->resizing = false;
        run->n_resizing--;
        if (status == -EEXIST && run_going(run)) {
                /* Absent when it was opened, and not any more: control opens it again. */
                run->stale = true;
                dest->resize_sent = false;
                run_endpoint_gone(run, 1 + d);
                run_stop(run, "another job created the file meanwhile");
        } else if (status < 0 && !run->done_posted && !dest->dropped) {
                resize_failed(run, d, status, class);
        }
        run_work(run);
}

void run_on_created(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run_created *created = kc_container_of(msg, struct run_created, msg);
        struct run *run = created->run;
        unsigned d = created->d;
        int status = created->status;

        free(created);
        resized(run, d, status, status < 0 ? KC_CLASS_BUSY : KC_CLASS_NONE);
}

static void on_resized(struct io_req *req)
{
        struct run_dest *dest = kc_container_of(req, struct run_dest, resize_req);
        struct run *run = dest->run;
        unsigned d = (unsigned)(dest - run->dests);
        const struct leg_endpoint *le = &run->leg->endpoints[1 + d];
        struct run_created *created;

        if (req->status < 0 || dest->cut || !le->port_info->absent) {
                resized(run, d, req->status, req->class);
                return;
        }
        created = calloc(1, sizeof *created);
        if (!created) {
                resized(run, d, -ENOMEM, KC_CLASS_INTERNAL);
                return;
        }
        created->run = run;
        created->d = d;
        created->identity = le->endpoint->info.identity;
        created->msg.on_message = job_on_created;
        kc_actor_post(run->control, &created->msg);
}

void run_check_resizes(struct run *run, uint64_t now_ns)
{
        if (!run_going(run) || !run_waits_for_resize(run))
                return;
        if (now_ns < run->resize_deadline_ns) {
                run_timer_at(run, run->resize_deadline_ns);
                return;
        }
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                if (!run->dests[d].resizing || run->dests[d].dropped)
                        continue;
                resize_failed(run, d, -ETIMEDOUT, KC_CLASS_TIMEOUT);
        }
}

static void resize(struct run *run, unsigned d, unsigned flags)
{
        struct run_dest *dest = &run->dests[d];
        int rc;

        dest->resize_req.op = IO_RESIZE;
        dest->resize_req.flags = flags;
        dest->resize_req.length_bytes = run->to_regions[d].resize_bytes;
        dest->resize_req.on_done = on_resized;
        rc = endpoint_submit(run->leg->endpoints[1 + d].endpoint, &dest->resize_req);
        if (rc < 0) {
                resize_failed(run, d, rc, endpoint_class_of_refusal(rc));
                return;
        }
        dest->resizing = dest->resize_sent = true;
        run->n_resizing++;
        run->resize_deadline_ns = kc_actor_now_ns(run->home) + run->facts.timeout_ns;
        run_timer_at(run, run->resize_deadline_ns);
}

static void make_room(struct run *run)
{
        for (unsigned d = 0; d < run->facts.n_to && run_going(run); d++)
                if (run->to_regions[d].resize && !run->dests[d].dropped)
                        resize(run, d, IO_GROW_ONLY);
}

/* What is too long is cut when everything has been written: a job that fails has not thrown away more than it
 * has overwritten. */
bool run_cut(struct run *run, unsigned d)
{
        const struct job_region *region = &run->to_regions[d];

        if (run->dests[d].cut || !region->resize || region->grow_only ||
            run->leg->endpoints[1 + d].endpoint->info.size_bytes <= region->resize_bytes)
                return false;
        run->dests[d].cut = true;
        resize(run, d, 0);
        return true;
}

/* The connection may have died while it waited for this job: then control opens it anew and starts again. */
static bool dead_already(struct run *run)
{
        bool dead = false;

        for (unsigned i = 0; i < 1 + run->facts.n_to; i++) {
                const struct leg_endpoint *le = &run->leg->endpoints[i];

                if (!le->endpoint || le->remote || !le->endpoint->dead)
                        continue;
                dead = true;
                if (i == 0)
                        run_source_failed(run, -ENOTCONN, KC_CLASS_TRANSPORT, RUN_NO_PLACE, true);
                else
                        run_dest_failed(
                            run, i - 1, -ENOTCONN, KC_CLASS_TRANSPORT, RUN_NO_PLACE, true, "before it began");
        }
        return dead;
}

static void on_start(struct kc_actor *actor, struct kc_msg *msg)
{
        struct run *run = kc_container_of(msg, struct run, start_msg);
        uint64_t tail_bytes = run->facts.length_bytes % run->facts.align_bytes;
        int rc;

        kc_sm_init(&run->sm, states, sizeof states / sizeof *states, RUN_PREPARING, "run", run->job_id);
        kc_timer_init(&run->timer, run_on_timer);
        run->started_ns = run->progress_ns = run->last_report_ns = kc_actor_now_ns(run->home);
        for (unsigned d = 0; d < run->facts.n_to; d++) {
                const struct endpoint_info *info = run->leg->endpoints[1 + d].port_info;

                run->dests[d].run = run;
                kc_sm_init(&run->dests[d].sm, dest_states, sizeof dest_states / sizeof *dest_states,
                    run->facts.told_mask >> d & 1 ? DEST_DONE : DEST_COPYING, "destination", d);
                if (run->dests[d].ledger.length_bytes == 0) /* it does not go on from anything */
                        ledger_init(&run->dests[d].ledger, run->facts.length_bytes);
                if (run->facts.length_bytes % info->block_min_bytes != 0)
                        run->merge_mask |= 1ull << d;
        }
        run->body_end_bytes = run->facts.length_bytes - (run->merge_mask ? tail_bytes : 0);
        run->legs_open = 1;
        run->leg->ready = true;
        rc = leg_open(run->leg);
        if (rc == 0 && dead_already(run) &&
            !run->facts.last_try) /* whatever the policy: they may be there again */
                run_stop(run, "a connection was lost while the job waited");
        if (run_going(run) && (rc < 0 || cursor_init(&run->main, run) < 0))
                run_no_memory(run);
        make_room(run);
        run_timer_at(run, run->started_ns + TICK_NS);
        run_work(run);
}

void run_start(struct run *run)
{
        run->start_msg.on_message = on_start;
        kc_actor_post(run->home, &run->start_msg);
}

/* ---- helpers */

/* A helper lane's leg: opened there (on_leg_open), then welcomed here (on_leg_ready). */
static void on_leg_ready(struct kc_actor *actor, struct kc_msg *msg)
{
        struct leg *leg = kc_container_of(msg, struct leg, orders_msg);
        struct run *run = leg->run;

        run->legs_open++;
        leg->ready = true;
        if (!leg->opened)
                leg->wanted.end = leg->wanted.stop = true;
        if (!leg_same_orders(&leg->orders, &leg->wanted))
                leg_order(leg);
        if (kc_sm_state(&run->sm) != RUN_DRAINED)
                run_work(run);
}

static void on_leg_open(struct kc_actor *actor, struct kc_msg *msg)
{
        struct leg *leg = kc_container_of(msg, struct leg, orders_msg);

        (void)leg_open(leg); /* leg->opened tells */
        leg->orders_msg.on_message = on_leg_ready;
        kc_actor_post(leg->run->home, &leg->orders_msg);
}

void run_add_leg(struct run *run, unsigned lane_index)
{
        struct leg *leg = run_leg(run, lane_index);

        leg->orders_msg.on_message = on_leg_open;
        kc_actor_post(leg->lane->actor, &leg->orders_msg);
}
