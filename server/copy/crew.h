/* A crew: the legs on one lane that do the same work, of one client and priority, from the same port to the
 * same port. They have one window (window.h), which learns from the chunks of all, and while nobody else
 * wants either port it is for all of them together: a hundred jobs keep as much in flight as one would, the
 * same few pages, which stay in the cache. (With a window each, 100 jobs of 2.6 MiB had 34 huge pages in turn
 * instead of 4, and 1.3 × the processor time for each GiB.) It counts bytes: of short jobs more are out. They
 * take turns, first come first served.
 *
 * With others at one of the ports the window is for each leg by itself, since what goes where is the gate's
 * affair then, and it goes by job. What is out and does not come back for CREW_PATIENCE_NS is counted no
 * longer: one job's lost answer must not hold up the next job; each still has its own chunks limited.
 *
 * A leg with several destinations, or with a device on another lane, is a crew of its own.
 *
 * Owned by its legs together, from the first one's crew_join to the last one's crew_leave. Borrows the ports.
 * Thread: the lane. */
#ifndef COPY_CREW_H
#define COPY_CREW_H

#include "copy/leg.h"

#define CREW_PATIENCE_NS 100000000ull

struct crew {
        struct lane *lane;
        struct kc_list node; /* its port's list; on none: of one leg alone */
        const struct share *share;
        struct port *from,
            *to; /* `from` NULL: nothing is read; `to` NULL: it shares nothing, or has closed */
        unsigned priority;
        unsigned n_legs;
        struct window window;
        uint32_t chunk_bytes;        /* what the window counts: of shorter chunks more may be out */
        uint64_t out_bytes;          /* chunks of the main cursor that are out, of all of them … */
        unsigned epoch;              /* … begun since the last time that patience ended */
        uint64_t progress_ns;        /* when one came back, or began with none out */
        bool window_limited;         /* it was full when the last chunk began */
        struct kc_list waiting_legs; /* by ready_node: to begin a chunk, in turn */
        struct kc_list waiting_node; /* on the lane's list while there may be some */
};

/* 0 or -ENOMEM; `window` is what a new one starts with. */
int crew_join(struct leg *leg, const struct window *window);
void crew_leave(struct leg *leg);
/* The port closes; legs that have nothing out to it may be there yet. */
void crew_port_closes(struct port *port);
/* Whether the one window is for all of them just now. */
bool crew_together(const struct crew *crew);
bool crew_has_room(const struct crew *crew);
/* Put a leg that may begin a chunk in its crew's row. */
void crew_wait(struct leg *leg);
/* The next of the lane's waiting legs whose crew lets it begin a chunk, or NULL. */
struct leg *crew_next_leg(struct lane *lane);
/* One of its legs begins a chunk: the other crews come first now. */
void crew_turn_taken(struct crew *crew);
/* A chunk of the main cursor begins; returns the epoch that it ends with. */
unsigned crew_chunk_begins(struct crew *crew, uint64_t length_bytes);
void crew_chunk_ends(struct crew *crew, uint64_t length_bytes, unsigned epoch);
/* Look whether nothing comes back. Returns when to look again; UINT64_MAX: nobody waits. */
uint64_t crew_check(struct crew *crew, uint64_t now_ns);

#endif
