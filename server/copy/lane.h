/* A lane: one thread's part of the engine. It owns ports and legs, hands out pages, starts chunks.
 *
 * lane_do_work (lane.c) is the engine's heart and reads as kcopyd's do_work: what completed first, because it
 * frees pages; then chunks that wait for pages; then new chunks, one of each leg in turn. Whose requests
 * go first to a device that several want is the port's affair (gate.h).
 *
 * Thread: its own, except lane_new / lane_free before and after the thread runs. Close: lane_close, when it
 * has no ports, no legs and no slabs any more (asserted by lane_free). */
#ifndef COPY_LANE_H
#define COPY_LANE_H

#include "copy/engine.h"
#include "copy/pool.h"

struct chunk;
struct leg;

/* What a chunk counts for at least: a short one is work too. */
#define LANE_CHUNK_MIN_BYTES 4096u

struct lane {
        struct kc_actor *actor, *control;
        struct io_provider *provider;
        unsigned index;                     /* 0 … n_lanes - 1 */
        uint64_t quarantine_ns, turn_bytes; /* the engine's configuration */

        struct kc_list ready_legs;    /* may start a chunk; in turn */
        struct kc_list waiting_crews; /* … with legs that wait for room in their common window */
        bool crews_turn;              /* the last chunk was begun by one that waits for nobody */
        struct kc_list write_chunks;  /* data is there: writes to issue */
        struct kc_list report_chunks; /* every write has an outcome: tell the home lane */
        struct kc_list io_chunks;     /* a read or writes in flight, by start */
        struct kc_list adrift_chunks; /* reported, but not settled: their pages and ranges stay taken */
        struct kc_list flushing_ports;
        struct kc_list hungry_shares; /* with chunks that wait for pages */

        struct kc_msg work_msg;
        bool work_posted;
        struct kc_timer tick; /* deadlines of commands and quarantines */

        unsigned n_legs; /* control's: of all runs */

        struct kc_msg close_msg; /* control → lane → control */
        void (*on_closed)(void *arg);
        void *closed_arg;
};

/* A lane's share of one client's reservation: slabs that the bank gave it. Owned by the client. A slab leaves
 * only when the bank recalls it or the client closes, so every slab that control believes to be here is. */
struct share {
        struct lane *lane;
        struct engine_client *client; /* control's object: only an address here */

        /* the lane's */
        struct pool pool;
        struct kc_list pages_chunks; /* waiting for pages, first come first served */
        struct kc_list hungry_node;  /* on the lane's list while there are any */
        bool want_posted, starved_posted, recall_pending, close_pending, close_posted;
        uint32_t adrift_pages; /* of the pool: held by what is unanswered */

        /* in messages */
        struct kc_msg want_msg;    /* lane → control → lane: a slab, please */
        struct slab granted;       /* n_pages 0: none after all */
        struct kc_msg starved_msg; /* lane → control → lane: nothing that I have will come free by itself */
        struct kc_msg recall_msg; /* control → lane → control: a slab back, when one is empty */
        struct slab recalled;
        struct kc_msg close_msg; /* control → lane → control: answered when no buffer is in use */

        /* control's */
        struct kc_list want_node; /* on the client's list while it waits for a slab */
        bool recall_posted, starved;
        unsigned n_legs; /* of the client's runs on this lane: with none it needs no slab */
};

int lane_new(struct kc_actor *actor, struct kc_actor *control, struct io_provider *provider, unsigned index,
    uint64_t quarantine_ns, uint64_t turn_bytes, struct lane **ret_lane);
/* Control: on_closed (on control) comes when no timer and no message of the lane is left. */
void lane_close(struct lane *lane, void (*on_closed)(void *arg), void *arg);
void lane_free(struct lane *lane);

/* Have lane_do_work run soon. */
void lane_wake(struct lane *lane);
/* Have the tick run no later than this. */
void lane_tick_at(struct lane *lane, uint64_t deadline_ns);

/* Give pages to the share's chunks that wait for them. */
void lane_feed(struct share *share);

/* share.c */
void share_init(struct share *share, struct lane *lane, struct engine_client *client);
void share_done(struct share *share);
/* A buffer of at least `bytes`, or NULL and the share asks the bank for more. */
void *share_alloc(struct share *share, uint32_t bytes, uint32_t *ret_pages);
void share_free(struct share *share, void *buf, uint32_t pages);
/* Only another slab may help: tell the bank. */
void share_check_starved(struct share *share);
/* A buffer will not come back soon, or has after all. */
void share_adrift(struct share *share, const void *buf, uint32_t pages, bool adrift);
/* Answer recalls and the close as far as buffers have come back. */
void share_settle(struct share *share);
/* Control: answers to a want, a recall, the close; client.c gets the answers. */
void share_grant(struct share *share, const struct slab *slab);
void share_recall(struct share *share);
void share_close(struct share *share);
void share_starved_taken(struct share *share);
/* Control, after the close was answered. */
void share_take_all(struct share *share, struct bank *bank);

#endif
