/* A gate: in which order the requests of several jobs leave for one device (a port's scheduler).
 *
 * A flow is a job's requests to this port. One alone is never held back. When several are there, only so much
 * is out at once: while all are of one identity and priority, plenty (GATE_SHARED_MIN_BYTES, or
 * GATE_SHARED_WINDOWS of the largest window that a flow has lately asked for), so that nobody who comes later
 * finds a deep queue in the device; when others want the device too, as much as keeps it busy: that window
 * (window.h finds what one job needs), at least GATE_MIN_BYTES. What has to wait goes out in the order that
 * fair.h says: deficit round robin by identity, priority, job. So a device's time is shared by this order,
 * and not by who keeps the most requests in its queue.
 *
 * A request that waits here has not left: req->sent is false, and it can be withdrawn. Its time is the
 * device's: endpoint.answered_ns, which the gate keeps, says whether that answers others. Flushes, extents
 * and resizes carry no flow and are never held back, but their answers count.
 *
 * Owned by its port. Borrows flows and requests, each until its on_done. Thread: the port's lane.
 * Close: gate_done, when nothing waits and nothing is out (asserted). */
#ifndef COPY_GATE_H
#define COPY_GATE_H

#include "copy/fair.h"
#include "io/endpoint.h"

#define GATE_MIN_BYTES (128u << 10)
#define GATE_SHARED_MIN_BYTES (4u << 20)
#define GATE_SHARED_WINDOWS 4u
/* Requests after which a window that nobody asks for any more is forgotten. */
#define GATE_EPOCH_REQS 256u

struct io_flow { /* one job at one port */
        /* fixed from gate_flow_init */
        const char *identity; /* borrowed */
        unsigned priority;

        /* the gate's */
        struct fair_entry fair; /* in the round, with its debts, from its first wait until n_reqs is 0 */
        bool in_round;
        struct kc_list waiting; /* struct io_req.node, first come first served */
        unsigned n_reqs;        /* waiting or out */
        struct kc_list node;    /* on the gate's list while there are any */
};

struct gate {
        struct io_sched sched; /* first: the cast */
        struct kc_actor *actor;
        struct endpoint *endpoint;
        struct fair *fair;    /* NULL until somebody has to wait for the first time */
        struct kc_list flows; /* with something waiting or out */
        unsigned n_flows;     /* on it */
        bool contended;       /* by flows of different identity or priority */
        unsigned n_waiting, n_out;
        unsigned n_without_flow; /* out, too */
        uint64_t out_bytes;
        /* the largest window of this epoch and the one before */
        uint64_t window_bytes, window_before_bytes;
        unsigned epoch_reqs;
        struct kc_list withdrawn; /* to be told so by withdrawn_msg */
        struct kc_msg withdrawn_msg;
        bool withdrawn_posted;
};

/* In front of `endpoint`, whose requests come here from now on. */
void gate_init(struct gate *gate, struct kc_actor *actor, struct endpoint *endpoint);
void gate_done(struct gate *gate);
/* What each flow should have under way to get its share here; 0: there is nobody to share with. */
uint64_t gate_wanted_bytes(const struct gate *gate);
void gate_flow_init(struct io_flow *flow, const char *identity, unsigned priority);

#endif
