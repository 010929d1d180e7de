/* An endpoint: one open way to a device, behind one vtable, as one lane sees it.
 *
 * NBD connections, local descriptors, null: and (through remote.c) an endpoint that lives on another lane all
 * look the same from above. The engine knows nothing else of devices; the simulator brings its own.
 *
 * Thread: an endpoint belongs to the lane that opened it; every call and callback is on that lane.
 *
 * The callback contract (MODELS): a submit that returns < 0 never calls back; one that returns 0 calls
 * io_req.on_done exactly once, and never inside the submit; inside on_done the request may be freed or
 * submitted again. on_done means *settled*: the buffer is free, and unless `unanswered` is set nothing of
 * this request can reach the device any more. Deadlines of commands are the engine's: a request may stay open
 * for as long as a dead server likes. They are the device's time, too: what waits in a queue on its way has
 * none while the device answers others (endpoint_deadline_ns). */
#ifndef IO_ENDPOINT_H
#define IO_ENDPOINT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/actor.h"
#include "base/error.h"
#include "base/list.h"

#define IO_SECTOR_BYTES 512u
#define IO_KEY_MAX_BYTES 192
#define IO_INSTANCE_MAX_BYTES 128u
#define IO_EXTENTS_PER_REQ 128u

enum io_op {
        IO_READ,  /* length_bytes ≤ info.block_max_bytes, aligned to block_min_bytes, inside the device */
        IO_WRITE, /* the same */
        IO_ZERO, /* length_bytes ≤ info.zero_max_bytes, aligned, inside the device; reads as zeroes after */
        IO_FLUSH,   /* covers every write that was answered before the submit; for a file this job created,
                       its directory entry too */
        IO_EXTENTS, /* which parts of [offset, offset + length) read as zeroes */
        IO_RESIZE,  /* regular files: create if absent, then make the size `length_bytes`; with IO_GROW_ONLY
                       never smaller than it was. Updates info.size_bytes */
};

enum io_flag {
        IO_FUA = 1 << 0,       /* write, zero: on stable storage before the answer; only if info.can_fua */
        IO_UNMAP = 1 << 1,     /* zero: the device may deallocate; without it the blocks stay allocated */
        IO_GROW_ONLY = 1 << 2, /* resize */
};

/* What is opened for writing can be read as well: tails are merged. */
enum io_access { IO_ACCESS_READ = 1, IO_ACCESS_WRITE = 2, IO_ACCESS_READ_WRITE = 3 };

struct io_extent {
        uint64_t length_bytes;
        bool zero; /* reads as zeroes; a hint: never trusted for more than what may be skipped as data */
};

struct endpoint;
struct io_flow;

struct io_req {
        /* the caller's, unchanged by the endpoint */
        enum io_op op;
        unsigned flags;        /* enum io_flag */
        uint64_t offset_bytes; /* in the device */
        uint64_t length_bytes;
        void *buf; /* read: filled; write: borrowed until on_done; page aligned when it comes from a pool */
        void (*on_done)(struct io_req *req);
        struct io_flow *flow;  /* whose it is, for the endpoint's scheduler; NULL: it is never held back */
        uint64_t window_bytes; /* how much its flow keeps in flight; 0: unknown */

        /* results, valid in on_done */
        int status;          /* 0, or negative errno: everything was done, or the range is in doubt.
                                -EOPNOTSUPP from IO_ZERO / IO_EXTENTS: the caller takes its next rung */
        enum kc_class class; /* of the error; KC_CLASS_NONE with status 0 */
        bool unanswered;     /* a write or zero that was sent and will never be answered: it may still land */
        unsigned n_extents; /* IO_EXTENTS: how many of `extents` were filled, at least 1; they cover the range
                               from its start without gaps, cut to the range, no zero lengths */
        struct io_extent *extents; /* IO_EXTENTS: the caller's array of IO_EXTENTS_PER_REQ */

        /* Whether it may have left for the device: false while it waits in a queue of this lane's and could
         * be withdrawn for certain. Endpoints that hand over at once leave it true, and so do those of other
         * lanes, where it may leave at any moment. False in on_done: it failed and never left. */
        bool sent;
        uint64_t sent_ns;   /* when it left; 0: it has not, or nobody here knows */
        uint64_t waited_ns; /* at another lane's: it had not left when the device gave this answer */
        int withdrawn;      /* what it is to end with unless it has left; 0: nobody withdrew it */

        /* the scheduler's */
        bool held;
        void (*sched_on_done)(struct io_req *req);

        /* the endpoint's between submit and on_done */
        struct endpoint *endpoint;
        struct kc_list node; /* the scheduler's while it is held */
        int64_t cookie;
        void *scratch;
};

enum io_kind { IO_KIND_NULL, IO_KIND_FILE, IO_KIND_BLOCK, IO_KIND_NBD, IO_KIND_SIM };

/* What overlap is judged by: two regions may touch the same bytes if their keys are equal and
 * [base + offset, …) intersect. The key names the lowest layer that can be detected: partitions and loop
 * devices are translated to what holds them ("blk:8:0", "file:DEV:INO"), NBD to "nbd:PEER/EXPORT". */
struct io_identity {
        char
            key[IO_KEY_MAX_BYTES]; /* long names end in a digest; empty: shares nothing with anyone (null:) */
        uint64_t base_bytes;
        uint64_t number; /* of a block device: its own, whatever lies below; else 0 */
        /* What tells it from another one that has the key at another time: "wwid:…" of a disk, else
         * "seq:BOOT:N", its sequence number since the machine started, "born:…" of a file; "": not known. */
        char instance[IO_INSTANCE_MAX_BYTES];
};

/* Whether these two, of the same key, are surely not the same: sequence numbers of two boots say nothing. */
static inline bool io_instances_differ(const char *a, const char *b)
{
        const char *number = strrchr(a, ':');
        bool counted = strncmp(a, "seq:", 4) == 0 && strncmp(b, "seq:", 4) == 0;

        if (a[0] == '\0' || b[0] == '\0' || strcmp(a, b) == 0)
                return false;
        return !counted || strncmp(a, b, (size_t)(number - a)) == 0;
}

struct endpoint_info {
        enum io_kind kind;
        uint64_t size_bytes;
        uint32_t block_min_bytes;       /* power of two, 1 … 64 KiB */
        uint32_t block_preferred_bytes; /* a hint, ≥ min */
        uint32_t block_max_bytes;       /* of a read or write; multiple of min; ≥ 4096 or min; ≤ 32 MiB */
        uint64_t zero_max_bytes;        /* of a zero request; multiple of min; 0: no zero requests */
        uint32_t keep_idle_ms; /* how long it may stay open without users; 0: it must be closed before
                                  the job's completion is sent */
        bool read_only;
        bool can_flush, can_fua, can_extents;
        bool can_unmap;  /* IO_ZERO with IO_UNMAP deallocates */
        bool multi_conn; /* other lanes may open it too, and one flush covers all of them */
        bool absent;     /* a regular file that IO_RESIZE will create; size_bytes is 0 */
        bool resizable;  /* regular file: IO_RESIZE works */
        bool deep;       /* large requests wait in the device, and no processor copies their data */
        bool mounted_rw; /* a source that is mounted for writing: worth a warning */
        struct io_identity identity; /* of a file that IO_RESIZE creates: another one from then on */
};

struct endpoint_ops {
        const char *name; /* "nbd", "uring", "threads", "null", "remote" */
        /* 0, or negative errno without a callback (-EINVAL programmer error asserts instead; -ENOTCONN the
         * endpoint is dead). Any number of requests may be in flight; the endpoint queues what its transport
         * does not take. */
        int (*submit)(struct endpoint *endpoint, struct io_req *req);
        /* Asynchronous. What is pending is settled first: answered, or failed with -ECANCELED (unanswered set
         * where that is so) after at most the provider's disconnect deadline for network endpoints; a local
         * request that the kernel holds is waited for. on_closed comes last, never inside the call; then the
         * endpoint's memory is gone. Called once. */
        void (*close)(struct endpoint *endpoint, void (*on_closed)(void *arg), void *arg);
        /* May be NULL (local devices: the kernel cannot be hurried). Give up on the peer: drop the connection
         * now. The endpoint is dead, what is pending fails soon (unanswered where it was sent), never inside
         * the call; the memory stays until close. Calling it again, or on a dead endpoint, does nothing. */
        void (*kill)(struct endpoint *endpoint);
        /* May be NULL. A request that has not left yet need not any more: it ends soon with the status
         * req->withdrawn, not sent, not unanswered. One that has left is left alone. Called once per submit.
         */
        void (*withdraw)(struct endpoint *endpoint, struct io_req *req);
        /* NULL where req->sent is certain. Ask the lane where the request is: soon req->sent_ns is what it is
         * there, or req->waited_ns the endpoint's answered_ns there; or, if the request waits for a device
         * that has not answered anything for `silent_ns`, it is withdrawn with -ETIMEDOUT. */
        void (*look)(struct endpoint *endpoint, struct io_req *req, uint64_t silent_ns);
};

/* In which order requests with a flow leave for a device that several flows share (copy/gate.c). All requests
 * pass through it, so that it knows when the device last answered. */
struct io_sched {
        int (*submit)(struct io_sched *sched, struct io_req *req);    /* as endpoint_ops.submit */
        void (*withdraw)(struct io_sched *sched, struct io_req *req); /* of one that is held */
};

struct endpoint {
        const struct endpoint_ops *ops;
        struct io_sched *sched;    /* NULL: none; its owner's, who set it */
        struct endpoint_info info; /* fixed once open, except size_bytes and absent by IO_RESIZE */
        bool dead;                 /* the connection is lost: every submit fails; set before the first on_done
                                      that tells of it */
        void *owner;               /* its own affair, for on_dead */
        void (*on_dead)(struct endpoint *endpoint); /* the owner's, or NULL: dead was set; called once, and
                                                       nothing is asked of the endpoint inside */
        uint64_t answered_ns; /* the scheduler's: when the device last answered anything, or was first asked
                                 after it had nothing to do */
};

/* For the endpoints themselves: the connection is lost. */
static inline void endpoint_died(struct endpoint *endpoint)
{
        bool was_dead = endpoint->dead;

        endpoint->dead = true;
        if (endpoint->on_dead && !was_dead)
                endpoint->on_dead(endpoint);
}

/* Of what endpoint_submit returns, where that is an error: no memory is our own, not the device's. */
static inline enum kc_class endpoint_class_of_refusal(int rc)
{
        return rc == -ENOMEM ? KC_CLASS_INTERNAL : kc_class_of_errno(rc);
}

static inline int endpoint_submit(struct endpoint *endpoint, struct io_req *req)
{
        req->status = 0;
        req->class = KC_CLASS_NONE;
        req->unanswered = false;
        req->n_extents = 0;
        req->endpoint = endpoint;
        req->sent = true;
        req->sent_ns = req->waited_ns = 0;
        req->withdrawn = 0;
        req->held = false;
        if (endpoint->sched)
                return endpoint->sched->submit(endpoint->sched, req);
        return endpoint->ops->submit(endpoint, req);
}

static inline void endpoint_kill(struct endpoint *endpoint)
{
        if (endpoint->ops->kill)
                endpoint->ops->kill(endpoint);
}

/* It need not leave any more if it has not; again, or on one that has left, it does nothing. */
static inline void endpoint_withdraw_as(struct endpoint *endpoint, struct io_req *req, int status)
{
        if (req->withdrawn < 0 || (req->sent && !endpoint->ops->look))
                return;
        req->withdrawn = status;
        if (req->held)
                endpoint->sched->withdraw(endpoint->sched, req);
        else if (endpoint->ops->withdraw)
                endpoint->ops->withdraw(endpoint, req);
}

static inline void endpoint_withdraw(struct endpoint *endpoint, struct io_req *req)
{
        endpoint_withdraw_as(endpoint, req, -ECANCELED);
}

/* When the time of a request in flight is over, as far as is known now: `timeout_ns` from when it left, or,
 * while it waits, from the device's last answer; never before `least_ns`. */
static inline uint64_t endpoint_deadline_ns(
    const struct endpoint *endpoint, const struct io_req *req, uint64_t least_ns, uint64_t timeout_ns)
{
        uint64_t since_ns = req->sent_ns > 0 ? req->sent_ns
                            : req->sent      ? req->waited_ns
                                             : endpoint->answered_ns;
        uint64_t deadline_ns = since_ns + timeout_ns < since_ns ? UINT64_MAX : since_ns + timeout_ns;

        return deadline_ns > least_ns ? deadline_ns : least_ns;
}

/* Its time is over. False: it has left, and no more can be known. True: it waits, or may, as far as is known
 * here; then it ends soon with -ETIMEDOUT, or there is soon another endpoint_deadline_ns. */
static inline bool endpoint_expire(struct endpoint *endpoint, struct io_req *req, uint64_t timeout_ns)
{
        if (req->sent_ns > 0 || (req->sent && !endpoint->ops->look))
                return false;
        if (endpoint->ops->look)
                endpoint->ops->look(endpoint, req, timeout_ns);
        else
                endpoint_withdraw_as(endpoint, req, -ETIMEDOUT);
        return true;
}

static inline void endpoint_close(struct endpoint *endpoint, void (*on_closed)(void *arg), void *arg)
{
        endpoint->ops->close(endpoint, on_closed, arg);
}

/* Where endpoints come from: one provider per lane. */
struct io_open {
        /* the caller's; `device` borrowed until on_open */
        const char *device; /* absolute path, NBD URI, or "null:" */
        enum io_access access;
        bool may_create;     /* a missing regular file is no error: opened as info.absent */
        bool extra;          /* a further connection to a device that is open on another lane */
        uint64_t timeout_ns; /* for all phases together: resolve, connect, TLS, options */
        void (*on_open)(struct io_open *open);

        /* results, valid in on_open */
        int status;                /* 0 or negative errno */
        struct endpoint *endpoint; /* the caller's from here on, to be closed */
        struct kc_error error;     /* subject, reason, remedy */
        uint64_t busy_number;      /* -EBUSY: the block device that somebody has, as in io_identity; or 0 */

        /* the provider's between open and on_open */
        void *scratch;
        struct kc_list node;
};

struct io_provider;

struct io_provider_ops {
        /* Always calls back exactly once, never inside the call, at the latest when timeout_ns is over. */
        void (*open)(struct io_provider *provider, struct io_open *open);
        /* Give up: on_open follows soon, with -ECANCELED unless it had been decided otherwise. */
        void (*cancel)(struct io_provider *provider, struct io_open *open);
};

struct io_provider {
        const struct io_provider_ops *ops;
};

#endif
