/* Ports: opening, closing and flushing on the device's lanes. */
#include "copy/port.h"

#include <assert.h>
#include <errno.h>

#include "copy/crew.h"
#include "copy/device.h"
#include "copy/lane.h"

void port_init(struct port *port, struct device *device, struct lane *lane)
{
        *port = (struct port){.device = device, .lane = lane, .state = PORT_CLOSED};
        kc_list_init(&port->flush_waiting);
        kc_list_init(&port->flush_batch);
        kc_list_init(&port->lane_node);
        kc_list_init(&port->crews);
        kc_list_init(&port->legs);
}

/* ---- close: on_close_msg → (open given up) → endpoint closed → back to control */

/* Its last word: with the others closed it is gone after that. */
static void closed(struct port *port)
{
        port->endpoint = NULL;
        port->closing = false;
        port->close_msg.on_message = device_on_port_closed;
        kc_actor_post(port->lane->control, &port->close_msg);
}

static void on_endpoint_closed(void *arg)
{
        closed(arg);
}

static void close_endpoint(struct port *port)
{
        assert(kc_list_empty(&port->flush_waiting) && !port->flushing);
        port->closing = true;
        crew_port_closes(port);
        if (!port->endpoint) {
                closed(port);
                return;
        }
        gate_done(&port->gate);
        endpoint_close(port->endpoint, on_endpoint_closed, port);
}

static void on_close_msg(struct kc_actor *actor, struct kc_msg *msg)
{
        struct port *port = kc_container_of(msg, struct port, close_msg);

        if (port->opening) {
                port->close_wanted = true;
                port->lane->provider->ops->cancel(port->lane->provider, &port->open);
                return;
        }
        if (port->flushing) { /* given up by whoever waited; closing settles it */
                port->close_wanted = true;
                endpoint_kill(port->endpoint);
                return;
        }
        close_endpoint(port);
}

void port_close(struct port *port)
{
        assert(port->state == PORT_OPEN || port->state == PORT_OPENING);
        port->state = PORT_CLOSING;
        port->close_msg.on_message = on_close_msg;
        kc_actor_post(port->lane->actor, &port->close_msg);
}

/* ---- a connection that is lost while nobody uses it: nobody is to find it any more */

static void on_endpoint_dead(struct endpoint *endpoint)
{
        struct port *port = endpoint->owner;

        if (port->closing)
                return;
        port->dead_msg.on_message = device_on_port_dead;
        kc_actor_post(port->lane->control, &port->dead_msg);
}

/* ---- open: on_open_msg → provider → on_open → back to control */

static void on_open(struct io_open *open)
{
        struct port *port = kc_container_of(open, struct port, open);
        bool close_wanted;

        port->opening = false;
        port->status = open->status;
        port->error = open->error;
        port->busy_number = open->busy_number;
        if (open->status == 0) {
                port->endpoint = open->endpoint;
                port->info = open->endpoint->info;
                port->endpoint->owner = port;
                port->endpoint->on_dead = on_endpoint_dead;
                gate_init(&port->gate, port->lane->actor, port->endpoint);
        }
        /* With nothing to close the port is the control loop's again from here on: it may be gone already. */
        close_wanted = port->close_wanted;
        port->close_wanted = false;
        port->open_msg.on_message = device_on_port_opened;
        kc_actor_post(port->lane->control, &port->open_msg);
        if (close_wanted)
                close_endpoint(port);
}

static void on_open_msg(struct kc_actor *actor, struct kc_msg *msg)
{
        struct port *port = kc_container_of(msg, struct port, open_msg);

        port->opening = true;
        port->flush_status = 0;
        port->open.device = port->name;
        port->open.access = port->access;
        port->open.may_create = port->may_create;
        port->open.extra = port->extra;
        port->open.busy_number = 0;
        port->open.on_open = on_open;
        port->lane->provider->ops->open(port->lane->provider, &port->open);
}

void port_open(struct port *port)
{
        assert(port->state == PORT_CLOSED);
        port->state = PORT_OPENING;
        port->open_msg.on_message = on_open_msg;
        kc_actor_post(port->lane->actor, &port->open_msg);
}

void port_kill(struct port *port)
{
        if (port->endpoint && !port->closing)
                endpoint_kill(port->endpoint);
}

/* ---- flush: tickets gather while one flush is in flight; the next covers all of them */

static void flush_start(struct port *port);

static void on_ticket_back(struct kc_actor *actor, struct kc_msg *msg)
{
        struct flush_ticket *ticket = kc_container_of(msg, struct flush_ticket, msg);

        ticket->on_flushed(ticket);
}

static void answer(struct kc_list *tickets, int status, enum kc_class class)
{
        struct kc_list *node;

        while ((node = kc_list_pop(tickets))) {
                struct flush_ticket *ticket = kc_list_entry(node, struct flush_ticket, node);

                ticket->status = status;
                ticket->answered_ns = kc_actor_now_ns(ticket->port->lane->actor);
                ticket->class = class;
                ticket->msg.on_message = on_ticket_back;
                kc_actor_post(ticket->reply_to, &ticket->msg);
        }
}

static void flush_failed(struct port *port, int status, enum kc_class class)
{
        if (port->flush_status == 0) {
                port->flush_status = status;
                port->flush_class = class;
                port->flush_failed_sent_ns = port->flush_sent_ns;
                port->flush_failed_msg.on_message = device_on_flush_failed;
                kc_actor_post(port->lane->control, &port->flush_failed_msg);
        }
        answer(&port->flush_batch, port->flush_status, port->flush_class);
        answer(&port->flush_waiting, port->flush_status, port->flush_class);
}

static void on_flush_done(struct io_req *req)
{
        struct port *port = kc_container_of(req, struct port, flush_req);

        port->flushing = false;
        kc_list_del(&port->lane_node);
        if (req->status < 0)
                flush_failed(port, req->status, req->class);
        else /* an answer after the deadline finds an empty batch */
                answer(&port->flush_batch, 0, KC_CLASS_NONE);
        if (port->close_wanted) {
                port->close_wanted = false;
                close_endpoint(port);
                return;
        }
        if (!kc_list_empty(&port->flush_waiting))
                flush_start(port);
}

static void flush_start(struct port *port)
{
        struct lane *lane = port->lane;
        int rc;

        /* After a failure nothing is believed any more: what the device forgot, no later flush brings back.
         */
        if (port->flush_status < 0) {
                flush_failed(port, port->flush_status, port->flush_class);
                return;
        }
        kc_list_splice(&port->flush_batch, &port->flush_waiting);
        port->flush_timeout_ns = 0;
        kc_list_for_each (pos, &port->flush_batch) {
                struct flush_ticket *ticket = kc_list_entry(pos, struct flush_ticket, node);

                if (ticket->timeout_ns > port->flush_timeout_ns)
                        port->flush_timeout_ns = ticket->timeout_ns;
        }
        port->flush_req.op = IO_FLUSH;
        port->flush_req.flags = 0;
        port->flush_req.offset_bytes = 0;
        port->flush_req.length_bytes = 0;
        port->flush_req.on_done = on_flush_done;
        port->flush_sent_ns = kc_actor_now_ns(lane->actor);
        port->flush_deadline_ns = port->flush_sent_ns + port->flush_timeout_ns;
        rc = port->endpoint ? endpoint_submit(port->endpoint, &port->flush_req) : -ENOTCONN;
        if (rc < 0) {
                flush_failed(port, rc, endpoint_class_of_refusal(rc));
                return;
        }
        port->flushing = true;
        kc_list_push(&lane->flushing_ports, &port->lane_node);
        lane_tick_at(lane, port->flush_deadline_ns);
}

uint64_t port_check_deadline(struct port *port, uint64_t now_ns)
{
        /* It may wait behind many writes of others. */
        port->flush_deadline_ns = endpoint_deadline_ns(
            port->endpoint, &port->flush_req, port->flush_deadline_ns, port->flush_timeout_ns);
        if (now_ns < port->flush_deadline_ns)
                return port->flush_deadline_ns;
        /* The flush stays in flight until it is answered or the port closes, which kills the endpoint. */
        if (!kc_list_empty(&port->flush_batch))
                flush_failed(port, -ETIMEDOUT, KC_CLASS_TIMEOUT);
        return UINT64_MAX;
}

static void on_ticket(struct kc_actor *actor, struct kc_msg *msg)
{
        struct flush_ticket *ticket = kc_container_of(msg, struct flush_ticket, msg);
        struct port *port = ticket->port;

        kc_list_init(&ticket->node);
        kc_list_push(&port->flush_waiting, &ticket->node);
        if (!port->flushing)
                flush_start(port);
        else if (port->flush_status < 0)
                flush_failed(port, port->flush_status, port->flush_class);
}

void port_flush(struct flush_ticket *ticket)
{
        ticket->msg.on_message = on_ticket;
        kc_actor_post(ticket->port->lane->actor, &ticket->msg);
}
