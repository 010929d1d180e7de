/* A port: one lane's open way to a device, and the device's flushes on its home lane.
 *
 * The device (control loop) decides when a port opens and closes; the lane carries it out and keeps the
 * endpoint. While a port is open, legs of that lane submit to its endpoint directly, and legs of other lanes
 * through a remote endpoint.
 *
 * Owned by its device. Fields are marked by who touches them; what crosses does so inside a message.
 * Close: port_close, answered by device_on_port_closed; the endpoint is gone by then. */
#ifndef COPY_PORT_H
#define COPY_PORT_H

#include "copy/gate.h"
#include "copy/pool.h"
#include "io/endpoint.h"

struct device;
struct lane;

enum port_state { PORT_CLOSED, PORT_OPENING, PORT_OPEN, PORT_CLOSING };

struct port {
        struct device *device;
        struct lane *lane;

        /* the control loop's */
        enum port_state state;

        /* in messages: control → lane → control */
        struct kc_msg open_msg, close_msg;
        struct kc_msg dead_msg; /* lane → control: its connection was lost, in use or not */
        const char *name;       /* the device's */
        enum io_access access;
        bool may_create, extra;
        int status; /* of the open */
        struct kc_error error;
        uint64_t busy_number;
        struct endpoint_info info;
        struct endpoint *endpoint; /* the lane's; control hands it to remote endpoints as an opaque address */

        /* the lane's */
        struct io_open open;
        struct gate gate; /* in front of the endpoint while there is one */
        bool opening, close_wanted, closing;
        unsigned n_legs;      /* of its lane, that use it … */
        struct kc_list legs;  /* … by leg_endpoint.port_node */
        struct kc_list crews; /* of those that write to it (crew.h) */

        /* the lane's, home port only: flushes, one at a time, each for all who wait by then */
        struct io_req flush_req;
        bool flushing; /* flush_req is in flight */
        uint64_t flush_sent_ns, flush_deadline_ns, flush_timeout_ns;
        int flush_status; /* the first failure, for ever: a flush error is never retried and believed */
        enum kc_class flush_class;
        struct kc_msg flush_failed_msg;            /* lane → control, at the first failure */
        uint64_t flush_failed_sent_ns;             /* when that one was sent */
        struct kc_list flush_waiting, flush_batch; /* struct flush_ticket */
        struct kc_list lane_node;                  /* on the lane's list while a flush is in flight */
};

/* Somebody's wait for a flush: all writes that were answered before it was posted are covered. */
struct flush_ticket {
        struct kc_msg msg; /* to the port's lane and back */
        struct kc_list node;
        struct port *port;
        struct kc_actor *reply_to;
        void (*on_flushed)(struct flush_ticket *ticket); /* on reply_to */
        uint64_t timeout_ns;
        int status;
        enum kc_class class;
        uint64_t answered_ns;
};

void port_init(struct port *port, struct device *device, struct lane *lane);
/* Control: ask the lane to open; device_on_port_opened answers. */
void port_open(struct port *port);
/* Control: ask the lane to close (or to give up opening); device_on_port_closed answers, after the open's
 * answer if that was still due. */
void port_close(struct port *port);
/* Lane that owns it: the endpoint has not answered for too long; end it, which fails what is pending. */
void port_kill(struct port *port);
/* Any lane: post a ticket whose fields are set. on_flushed follows exactly once. */
void port_flush(struct flush_ticket *ticket);
/* Lane: fail the flush in flight if its deadline has passed. Returns the deadline that is due next. */
uint64_t port_check_deadline(struct port *port, uint64_t now_ns);

#endif
