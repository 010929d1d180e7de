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
        return kc_max_u64(GATE_MIN_BYTES, kc_max_u64(gate->window_bytes, gate->window_before_bytes));
}

static bool has_room(const struct gate *gate)
{
        return !gate->contended || gate->n_out == 0 || gate->out_bytes < limit_bytes(gate);
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

        if (flow->n_reqs++ == 0) {
                kc_list_push(&gate->flows, &flow->node);
                if (!gate->contended)
                        gate->contended = differ(flow, kc_list_first(&gate->flows, struct io_flow, node));
        }
        req->sched_on_done = req->on_done;
        req->on_done = on_answer;
}

static void leave(struct gate *gate, struct io_req *req)
{
        struct io_flow *flow = req->flow;

        if (--flow->n_reqs == 0) {
                kc_list_del(&flow->node);
                gate->contended = gate->contended && is_contended(gate);
        }
        req->on_done = req->sched_on_done;
}

/* ---- what is out */

static void on_answer(struct io_req *req)
{
        struct gate *gate = (struct gate *)req->endpoint->sched;

        gate->n_out--;
        gate->out_bytes -= cost_bytes(req);
        leave(gate, req);
        req->on_done(req);
        pump(gate);
}

static int let_out(struct gate *gate, struct io_req *req)
{
        int rc;

        req->sent = true;
        rc = gate->endpoint->ops->submit(gate->endpoint, req);
        if (rc < 0)
                return rc;
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
                fair_remove(gate->fair, &req->flow->fair);
}

static int add_waiting(struct gate *gate, struct io_req *req)
{
        struct io_flow *flow = req->flow;

        if (!gate->fair)
                gate->fair = fair_new();
        if (!gate->fair)
                return -ENOMEM;
        if (kc_list_empty(&flow->waiting)) {
                int rc = fair_add(gate->fair, &flow->fair, flow->identity, flow->priority);

                if (rc < 0)
                        return rc;
                fair_set_ready(gate->fair, &flow->fair, true);
        }
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
                        fail(gate, req, rc, rc == -ENOMEM ? KC_CLASS_INTERNAL : kc_class_of_errno(rc));
        }
}

static int submit(struct io_sched *sched, struct io_req *req)
{
        struct gate *gate = (struct gate *)sched;
        int rc;

        enter(gate, req);
        note_window(gate, req);
        if ((gate->n_waiting > 0 || !has_room(gate)) && add_waiting(gate, req) == 0)
                return 0;
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
        while ((node = kc_list_pop(&gate->withdrawn)))
                fail(gate, kc_list_entry(node, struct io_req, node), -ECANCELED, KC_CLASS_CANCELLED);
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
        assert(gate->n_waiting == 0 && gate->n_out == 0 && !gate->withdrawn_posted);
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
