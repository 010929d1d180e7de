/* The order in which several jobs' requests leave for one device: see gate.h. */
#include "copy/gate.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/num.h"

static void on_answer(struct io_req *req);
static void pump(struct gate *gate);

/* Zero requests cost a minimum, whatever their length (DESIGN 3). */
static uint64_t cost_bytes(const struct io_req *req)
{
        return req->op == IO_ZERO ? FAIR_MIN_CHARGE_BYTES : req->length_bytes;
}

static void note_window(struct gate *gate, const struct io_req *req)
{
        if (++gate->epoch_reqs > GATE_EPOCH_REQS) {
                gate->epoch_reqs = 0;
                gate->window_before_bytes = gate->window_bytes;
                gate->window_bytes = 0;
        }
        gate->window_bytes = kc_max_u64(gate->window_bytes, req->window_bytes);
}

static uint64_t limit_bytes(const struct gate *gate)
{
        uint64_t window_bytes = kc_max_u64(gate->window_bytes, gate->window_before_bytes);

        if (gate->contended)
                return kc_max_u64(GATE_MIN_BYTES, window_bytes);
        if (gate->n_flows > 1)
                return kc_max_u64(GATE_SHARED_MIN_BYTES, GATE_SHARED_WINDOWS * window_bytes);
        return UINT64_MAX;
}

static bool has_room(const struct gate *gate)
{
        return gate->n_out == 0 || gate->out_bytes < limit_bytes(gate);
}

/* As much as is let out at all, and as much again that waits, whatever of it is with other devices just now:
 * with nothing there when its turn comes, its share would go to others. */
uint64_t gate_wanted_bytes(const struct gate *gate)
{
        return gate->contended ? 2 * limit_bytes(gate) : 0;
}

/* ---- who is there */

static bool differ(const struct io_flow *a, const struct io_flow *b)
{
        return a->priority != b->priority ||
               (a->identity != b->identity && strcmp(a->identity, b->identity) != 0);
}

static bool is_contended(const struct gate *gate)
{
        const struct io_flow *first = kc_list_first(&gate->flows, struct io_flow, node);

        kc_list_for_each (pos, &gate->flows)
                if (differ(first, kc_list_entry(pos, struct io_flow, node)))
                        return true;
        return false;
}

static void enter(struct gate *gate, struct io_req *req)
{
        struct io_flow *flow = req->flow;

        if (flow && flow->n_reqs++ == 0) {
                kc_list_push(&gate->flows, &flow->node);
                gate->n_flows++;
                if (!gate->contended)
                        gate->contended = differ(flow, kc_list_first(&gate->flows, struct io_flow, node));
        }
        req->sched_on_done = req->on_done;
        req->on_done = on_answer;
}

static void leave(struct gate *gate, struct io_req *req)
{
        struct io_flow *flow = req->flow;

        if (flow && --flow->n_reqs == 0) {
                if (flow->in_round)
                        fair_remove(gate->fair, &flow->fair);
                flow->in_round = false;
                kc_list_del(&flow->node);
                gate->n_flows--;
                gate->contended = gate->contended && is_contended(gate);
        }
        req->on_done = req->sched_on_done;
}

/* ---- what is out */

static bool is_idle(const struct gate *gate)
{
        return gate->n_out + gate->n_without_flow == 0;
}

static void on_answer(struct io_req *req)
{
        struct gate *gate = (struct gate *)req->endpoint->sched;

        if (req->sent && !req->unanswered && !gate->endpoint->dead) /* the device did it, not the endpoint */
                gate->endpoint->answered_ns = kc_actor_now_ns(gate->actor);
        if (req->flow) {
                gate->n_out--;
                gate->out_bytes -= cost_bytes(req);
        } else {
                gate->n_without_flow--;
        }
        leave(gate, req);
        req->on_done(req);
        pump(gate);
}

static int let_out(struct gate *gate, struct io_req *req)
{
        uint64_t now_ns = kc_actor_now_ns(gate->actor);
        int rc;

        req->sent = true; /* unless it waits once more behind us */
        req->sent_ns = now_ns;
        rc = gate->endpoint->ops->submit(gate->endpoint, req);
        if (rc < 0)
                return rc;
        if (is_idle(gate))
                gate->endpoint->answered_ns = now_ns;
        if (!req->flow) {
                gate->n_without_flow++;
                return 0;
        }
        gate->n_out++;
        gate->out_bytes += cost_bytes(req);
        return 0;
}

/* ---- what waits */

static void remove_waiting(struct gate *gate, struct io_req *req)
{
        kc_list_del(&req->node);
        req->held = false;
        gate->n_waiting--;
        if (kc_list_empty(&req->flow->waiting))
                fair_set_ready(gate->fair, &req->flow->fair, false);
}

static int join_round(struct gate *gate, struct io_flow *flow)
{
        int rc;

        if (flow->in_round)
                return 0;
        if (!gate->fair)
                gate->fair = fair_new();
        if (!gate->fair)
                return -ENOMEM;
        rc = fair_add(gate->fair, &flow->fair, flow->identity, flow->priority);
        flow->in_round = rc == 0;
        return rc;
}

static int add_waiting(struct gate *gate, struct io_req *req)
{
        struct io_flow *flow = req->flow;
        int rc = join_round(gate, flow);

        if (rc < 0)
                return rc;
        fair_set_ready(gate->fair, &flow->fair, true);
        kc_list_init(&req->node);
        kc_list_push(&flow->waiting, &req->node);
        req->held = true;
        req->sent = false;
        gate->n_waiting++;
        return 0;
}

/* It never left. */
static void fail(struct gate *gate, struct io_req *req, int status, enum kc_class class)
{
        req->sent = false;
        req->sent_ns = 0;
        req->status = status;
        req->class = class;
        leave(gate, req);
        req->on_done(req);
}

/* Let out what there is room for. */
static void pump(struct gate *gate)
{
        while (gate->n_waiting > 0 && has_room(gate)) {
                struct fair_entry *entry = fair_next(gate->fair);
                struct io_flow *flow = kc_container_of(entry, struct io_flow, fair);
                struct io_req *req = kc_list_first(&flow->waiting, struct io_req, node);
                int rc;

                fair_charge(gate->fair, entry, cost_bytes(req));
                remove_waiting(gate, req);
                rc = let_out(gate, req);
                if (rc < 0)
                        fail(gate, req, rc, endpoint_class_of_refusal(rc));
        }
}

static int submit(struct io_sched *sched, struct io_req *req)
{
        struct gate *gate = (struct gate *)sched;
        int rc;

        enter(gate, req);
        if (req->flow) {
                note_window(gate, req);
                if ((gate->n_waiting > 0 || !has_room(gate)) && add_waiting(gate, req) == 0)
                        return 0;
        }
        rc = let_out(gate, req); /* also what there is no memory to hold back */
        if (rc < 0)
                leave(gate, req);
        return rc;
}

/* ---- withdrawing */

static void on_withdrawn(struct kc_actor *actor, struct kc_msg *msg)
{
        struct gate *gate = kc_container_of(msg, struct gate, withdrawn_msg);
        struct kc_list *node;

        gate->withdrawn_posted = false;
        while ((node = kc_list_pop(&gate->withdrawn))) {
                struct io_req *req = kc_list_entry(node, struct io_req, node);

                fail(gate, req, req->withdrawn, kc_class_of_errno(req->withdrawn));
        }
        pump(gate); /* somebody may be alone now */
}

static void withdraw(struct io_sched *sched, struct io_req *req)
{
        struct gate *gate = (struct gate *)sched;

        remove_waiting(gate, req);
        kc_list_push(&gate->withdrawn, &req->node);
        if (gate->withdrawn_posted)
                return;
        gate->withdrawn_posted = true;
        gate->withdrawn_msg.on_message = on_withdrawn;
        kc_actor_post(gate->actor, &gate->withdrawn_msg);
}

/* ---- beginning and end */

void gate_init(struct gate *gate, struct kc_actor *actor, struct endpoint *endpoint)
{
        *gate = (struct gate){.sched = {submit, withdraw}, .actor = actor, .endpoint = endpoint};
        kc_list_init(&gate->flows);
        kc_list_init(&gate->withdrawn);
        endpoint->sched = &gate->sched;
}

void gate_done(struct gate *gate)
{
        assert(gate->n_waiting == 0 && is_idle(gate) && !gate->withdrawn_posted);
        fair_free(gate->fair);
        gate->fair = NULL;
        gate->endpoint->sched = NULL;
}

void gate_flow_init(struct io_flow *flow, const char *identity, unsigned priority)
{
        *flow = (struct io_flow){.identity = identity, .priority = priority};
        kc_list_init(&flow->waiting);
        kc_list_init(&flow->node);
}
