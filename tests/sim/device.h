/* A simulated device: contents, a volatile cache before stable storage, faults, and a trace of everything
 * that reached it.
 *
 * Reads return the cache. A flush makes stable what was *answered* before it was sent (on the same
 * connection, unless the device is multi_conn): the least that a real one promises. A flush that fails loses
 * what it should have made stable: flushing again does not help, as with fsync. A command happens in three
 * moments: it is sent (endpoint_sim), it is applied here, it is answered; with a lost connection the last may
 * be missing and the second come late.
 *
 * Owns: contents and trace. Borrows: the world, a watcher. Close: device_done. */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "io/endpoint.h"
#include "sim/world.h"

#define DEVICE_MAX_BYTES (4u << 20)
#define DEVICE_BLOCK_BYTES 512u
#define DEVICE_NAME_MAX_BYTES 32

struct device_config {
        enum io_kind kind;
        uint64_t size_bytes;
        uint32_t block_min_bytes, block_preferred_bytes, block_max_bytes;
        uint64_t zero_max_bytes;
        uint32_t keep_idle_ms;
        bool absent, resizable, read_only, can_flush, can_fua, can_extents, can_unmap, multi_conn, deep;
        bool starts_zeroed; /* contents at the start: zeroes, else tagged with some holes */
        /* ways to be slow */
        uint64_t delay_min_ns, delay_max_ns;
        unsigned stall_one_in; /* an answer takes stall_ns */
        uint64_t stall_ns;
        uint64_t bytes_per_s; /* 0: only the delay */
        /* ways to fail; counts from 1, 0: never */
        unsigned silent_from_op; /* from this command on nothing is answered */
        unsigned silent_one_in;
        unsigned silent_ops; /* mask of 1 << enum io_op: these are never answered */
        uint64_t
            late_max_ns; /* a write without an answer lands at most this long after its connection's end */
        uint64_t bad_start_bytes, bad_end_bytes; /* commands that touch this range fail with bad_status */
        int bad_status;
        unsigned bad_ops; /* mask of 1 << enum io_op */
        unsigned flush_fails_at;
        unsigned lose_at_op; /* the connection is lost when this command arrives */
        unsigned submit_fails_one_in;
        unsigned apply_twice_one_in;
        bool zero_refused, extents_refused, extents_lie;
        bool lands_late; /* every write without an answer does */
        uint32_t extents_granule_bytes;
        int open_status;
        bool open_hangs;
        bool admits_one; /* a second connection waits until the first has gone */
        uint64_t open_delay_ns;
        bool extra_elsewhere; /* its name leads to another device once it is open */
};

struct device;

struct device_op { /* one command, in the trace */
        struct device *device;
        enum io_op op;
        unsigned flags, conn, index;
        uint64_t offset_bytes, length_bytes;
        unsigned char *data; /* write: what was sent; read: what was found */
        uint64_t data_hash;
        uint64_t sent_moment, sent_ns;
        uint64_t applied_moment;             /* 0: never reached the contents */
        uint64_t settled_moment, settled_ns; /* on_done; 0: not yet */
        int status;                          /* of the answer, once applied or settled */
        bool answered;                       /* the device answered and the answer arrived */
        bool unanswered;                     /* settled without; it may still land */
        bool lost; /* … but does not: it has not reached its server, or that is gone */
        /* the checker's */
        uint64_t jobs_mask;
        /* between sent and settled */
        const void *buf; /* the request's */
        struct world_event apply_event, again_event, answer_event;
        struct io_extent *extents;
        unsigned n_extents;
        void (*on_answer)(struct device_op *op);
        void *owner;
};

struct device_watch {
        void (*on_sent)(struct device_watch *watch, struct device_op *op);
        void (*on_settled)(struct device_watch *watch, struct device_op *op);
};

struct device {
        struct world *world;
        struct device_watch *watch; /* NULL: nobody looks */
        unsigned index;
        char name[DEVICE_NAME_MAX_BYTES]; /* what jobs call it */
        struct device_config config;
        uint64_t size_bytes; /* now */
        bool absent;
        unsigned char *cache, *stable; /* DEVICE_MAX_BYTES or less */
        uint64_t room_bytes;
        unsigned *dirty; /* by block: index + 1 of the last write that is not stable; 0: none */
        struct device_op **ops;
        unsigned n_ops, ops_room, n_flushes, n_conns;
        unsigned n_power_losses;
        unsigned n_connected, n_open_write; /* a lost connection is not connected, but still open */
        uint64_t busy_until_ns;
        unsigned n_turned_away; /* requests that a dead or failing endpoint did not take */
};

void device_init(
    struct device *device, struct world *world, unsigned index, const struct device_config *config);
void device_done(struct device *device);
/* Fill in the info of an endpoint to it. */
void device_info(const struct device *device, struct endpoint_info *ret_info);
/* A request arrives on a connection from an actor; on_answer comes later unless the connection is cut or the
 * device falls silent. The op lives as long as the device. */
struct device_op *device_send(struct device *device, unsigned conn, unsigned actor_index,
    const struct io_req *req, void (*on_answer)(struct device_op *op), void *owner);
/* It was told to its sender: by an answer, or without one. */
void device_settle(struct device_op *op, int status, bool answered, bool unanswered);
/* No answer will arrive any more. True: it may still land (it then lands or not, as chance has it). */
bool device_cut(struct device_op *op);
/* Its answer will not get through. */
void device_keep_answer(struct device_op *op);
/* As device_send, and nothing of it gets through. */
struct device_op *device_send_in_vain(
    struct device *device, unsigned conn, unsigned actor_index, const struct io_req *req, void *owner);
/* Its sender has died without an answer: it may still land, over the network, or has, if there is a kernel
 * yet. */
void device_forget_sender(struct device_op *op, bool kernel);
/* What is not on stable storage is gone, but for what has got there by itself; what is under way never
 * happens. */
void device_lose_power(struct device *device);
bool device_is_mutation(enum io_op op);
bool device_reads_zero(const struct device *device, uint64_t start_bytes, uint64_t end_bytes);
/* The contents that every byte of a device starts with: says whose it is and where it stood. */
void device_pattern(unsigned index, uint64_t offset_bytes, unsigned char *dst, size_t n);

#endif
