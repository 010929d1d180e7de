/* libkcopy: the kernel's kcopyd API, for block devices on a network.
 *
 * A client has a reservation of pages in the server and any number of asynchronous jobs. Each job copies a
 * region of one device to one or more others (or zeroes regions) and ends with exactly one call of its notify
 * function, with kcopyd's two answers: read_err, and write_err as a bitset by destination index.
 *
 * Threads: a client belongs to one thread at a time. Callbacks run inside kcopy_dispatch,
 * kcopy_client_destroy, kcopy_client_abandon and the calls marked "blocking", never inside a submitting call;
 * a callback may submit and cancel jobs, but not destroy the client, and dispatching and blocking calls
 * answer it -EBUSY. Errors: functions return 0 or a negative errno; kcopy_error tells the last one in words.
 * Ownership: what is passed in is copied; what callbacks are handed is borrowed for the call. */
#ifndef KCOPY_H
#define KCOPY_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KCOPY_API __attribute__((visibility("default")))

#define KCOPY_PAGE_BYTES 4096u
#define KCOPY_SECTOR_BYTES 512u
#define KCOPY_DESTINATIONS_MAX 64u
#define KCOPY_BAD_RANGES_MAX 1024u

struct kcopy_client;

/* `count` sectors of 512 bytes from `sector` on. count 0: a source to the end of its device (a final partial
 * sector included); a destination: the source's length. */
struct kcopy_io_region {
        const char
            *device;     /* endpoint name, absolute path, NBD URI or "null:", in UTF-8; NULL: use `handle` */
        uint64_t handle; /* from kcopy_open */
        uint64_t sector;
        uint64_t count;
        uint64_t expect_size_bytes;  /* the device has to be of this size, or the job is refused; 0: any */
        const char *expect_identity; /* … and to be this one, as a validation tells it; NULL: any */
};

enum kcopy_flag {
        KCOPY_IGNORE_ERROR = 1 << 0,        /* kcopyd's: go through everything and report */
        KCOPY_CONTINUE = 1 << 1,            /* a failing destination drops out, the others go on */
        KCOPY_NO_FLUSH = 1 << 2,            /* completion does not wait for durability */
        KCOPY_FUA = 1 << 3,                 /* every write on stable storage before it counts */
        KCOPY_NO_EXTENTS = 1 << 4,          /* do not ask the source where its zeroes are */
        KCOPY_NO_DETECT_ZEROES = 1 << 5,    /* do not look for zeroes in the data */
        KCOPY_ALLOCATED = 1 << 6,           /* copy: zeroes keep their blocks */
        KCOPY_UNMAP = 1 << 7,               /* zero: blocks may be deallocated */
        KCOPY_DESTINATION_IS_ZERO = 1 << 8, /* all destinations read as zeroes already */
        KCOPY_STRICT_ONCE =
            1 << 9, /* read every block once, even if a slow destination holds up the others */
        /* Have the job judged as ever, and go no further: it ends as KCOPY_REFUSED or KCOPY_VALIDATED,
         * nothing is created, written, locked or waited for. Not with kcopy_copy_many. A server that does not
         * know it refuses the job. */
        KCOPY_VALIDATE_ONLY = 1 << 10,
        /* The job outlives this client, and goes on by itself after the server's end or death: notify runs
         * when it is on stable storage, with KCOPY_ACCEPTED, and what comes of it is for those who watch it.
         * Not with kcopy_copy_many, nor with handles. */
        KCOPY_DETACHED = 1 << 11,
};

struct kcopy_options {              /* zeroed: the defaults */
        unsigned flags;             /* enum kcopy_flag */
        uint64_t zero_destinations; /* bit i: destination i reads as zeroes already */
        uint64_t rate_bytes_per_s;  /* data per second and destination, at most; 0: no limit */
        uint64_t timeout_ms;        /* of one command; 0: the server's default */
        unsigned priority; /* 0 (the default) … 7: the job's share against this user's other jobs */
        unsigned progress_interval_ms; /* 0: no progress events */
        /* With KCOPY_DETACHED: submitting the job again under this key, of up to 128 bytes, is answered with
         * the one there is, also after a restart; another job is refused. NULL: none. */
        const char *key;
        uint64_t retry_for_ms; /* how long lost connections are tried again; 0: detached: 10 min, else not */
};

enum kcopy_job_state {
        KCOPY_WAITING = 1,
        KCOPY_RUNNING = 2,
        KCOPY_PAUSED = 3,
        KCOPY_DRAINING = 4,
        KCOPY_COMPLETED = 5,
        KCOPY_FAILED = 6,
        KCOPY_CANCELLED = 7,
        KCOPY_REFUSED = 8,    /* the library's own: the server did not accept the job */
        KCOPY_LOST = 9,       /* the library's own: the connection was lost, the outcome is not known */
        KCOPY_VALIDATED = 10, /* the library's own: with KCOPY_VALIDATE_ONLY, it would have been accepted */
        KCOPY_ACCEPTED = 11,  /* the library's own: with KCOPY_DETACHED, it is on stable storage */
};

enum kcopy_class { /* as in the schema */
        KCOPY_CLASS_NONE = 0,
        KCOPY_CLASS_TRANSPORT = 1,
        KCOPY_CLASS_MEDIA = 2,
        KCOPY_CLASS_NO_SPACE = 3,
        KCOPY_CLASS_PERMISSION = 4,
        KCOPY_CLASS_PROTOCOL = 5,
        KCOPY_CLASS_TIMEOUT = 6,
        KCOPY_CLASS_CANCELLED = 7,
        KCOPY_CLASS_STOPPED = 8,
        KCOPY_CLASS_INVALID = 9,
        KCOPY_CLASS_NOT_FOUND = 10,
        KCOPY_CLASS_LIMIT = 11,
        KCOPY_CLASS_CONFLICT = 12,
        KCOPY_CLASS_BUSY = 13,
        KCOPY_CLASS_UNSUPPORTED = 14,
        KCOPY_CLASS_INTERNAL = 15,
};

struct kcopy_endpoint_error {
        enum kcopy_class error_class; /* KCOPY_CLASS_NONE: no error */
        const char *errno_name;       /* "EIO" */
        const char *message;
        bool has_sector;
        uint64_t sector; /* first bad one, in the device */
};

struct kcopy_destination_result {
        uint64_t copied_bytes, zeroed_bytes, skipped_bytes, indeterminate_bytes, untouched_bytes;
        struct kcopy_endpoint_error error;
        bool durable;
};

enum kcopy_device_kind { /* as in the schema */
        KCOPY_DEVICE_OTHER = 0,
        KCOPY_DEVICE_NULL = 1,
        KCOPY_DEVICE_FILE = 2,
        KCOPY_DEVICE_BLOCK = 3,
        KCOPY_DEVICE_NBD = 4,
};

struct kcopy_planned_device { /* as the validation found it */
        enum kcopy_device_kind kind;
        uint64_t size_bytes;       /* 0: null:, or a file that does not exist */
        uint64_t size_after_bytes; /* destinations: a file would be created, grown or cut to it */
        bool created;              /* a file that the job would create */
        bool mounted_for_writing;
        const char *identity; /* for expect_identity; "": null: */
};

struct kcopy_plan {
        const struct kcopy_planned_device *source; /* NULL: zero */
        unsigned n_destinations;
        const struct kcopy_planned_device *destinations;
};

struct kcopy_sector_range { /* of a device */
        uint64_t sector, count;
};

struct kcopy_result {
        uint64_t job;               /* 0: refused, validated */
        enum kcopy_job_state state; /* completed, failed, cancelled, refused, lost, validated */
        bool durable;
        uint64_t length_bytes;
        uint64_t elapsed_ms;
        struct kcopy_endpoint_error source_error;
        unsigned n_destinations;
        const struct kcopy_destination_result *destinations;
        const char *refused_field;           /* refused: "to[2].count", or "" */
        struct kcopy_endpoint_error refusal; /* refused, lost: why */
        bool has_limit;                      /* refused: a limit was passed … */
        uint64_t limit;                      /* … this one, in the field's unit */
        const struct kcopy_plan *plan;       /* validated: what it would have worked on; else NULL */
        /* What of the source could not be read, ascending, disjoint; at most KCOPY_BAD_RANGES_MAX: where
         * there are more, neighbours are joined, and what lies between them was read. */
        unsigned n_bad_ranges;
        const struct kcopy_sector_range *bad_ranges;
};

/* kcopyd's dm_kcopyd_notify_fn: read_err is 0 or 1; bit i of write_err set means destination i is not
 * complete. A job that was refused, lost or only validated has every bit set (read_err only if it has a
 * source) and no destinations in `result`, which says the rest. */
typedef void (*kcopy_notify_fn)(
    int read_err, uint64_t write_err, void *context, const struct kcopy_result *result);

/* ---- client */

/* Connect to `server` ("unix:PATH" or "tcp:HOST:PORT"; NULL: $KCOPYD_SERVER, else
 * unix:/run/kcopyd/kcopyd.sock) and reserve `num_pages` pages there (0: the server's default). Blocks until
 * the server has answered, at most 10 s. Returns 0 and *ret_client, or a negative errno with the reason in
 * `message` (may be NULL). */
KCOPY_API int kcopy_client_create(const char *server, unsigned num_pages, struct kcopy_client **ret_client,
    char *message, unsigned message_bytes);
/* The same over a connected socket, which the client owns from here on, also on failure. */
KCOPY_API int kcopy_client_create_fd(
    int fd, unsigned num_pages, struct kcopy_client **ret_client, char *message, unsigned message_bytes);
/* kcopyd's: waits for the jobs (their notify functions run), releases the pages, closes. NULL is fine. */
KCOPY_API void kcopy_client_destroy(struct kcopy_client *client);
/* Do not wait: the connection is dropped, the server cancels the jobs; notify functions run with KCOPY_LOST.
 */
KCOPY_API void kcopy_client_abandon(struct kcopy_client *client);
/* Pages granted, which may be fewer than asked for; at most what fits an unsigned int. */
KCOPY_API unsigned kcopy_client_pages(const struct kcopy_client *client);
/* The last error in words; borrowed, valid until the next call. */
KCOPY_API const char *kcopy_error(const struct kcopy_client *client);
/* Identifies the run of the server: 16 bytes, borrowed. */
KCOPY_API const unsigned char *kcopy_server_instance(const struct kcopy_client *client);
/* How long a blocking request (not a job) may take before it ends with -ETIMEDOUT. 0: 60 s, the default. */
KCOPY_API void kcopy_set_timeout(struct kcopy_client *client, unsigned timeout_ms);

/* ---- jobs */

/* Copy `from` to `to[0 … n_to)`. `notify` runs exactly once for each call that returned 0. `ret_ticket` (may
 * be NULL) is the library's number of the job, for kcopy_cancel; the server's id is in events and results.
 * -EINVAL: arguments; -ENAMETOOLONG: a device's name; -E2BIG: names too long for one request together;
 * -ENOTCONN: the connection is lost; -ENOMEM. */
KCOPY_API int kcopy_copy(struct kcopy_client *client, const struct kcopy_io_region *from, unsigned n_to,
    const struct kcopy_io_region *to, const struct kcopy_options *options, kcopy_notify_fn notify,
    void *context, uint64_t *ret_ticket);
/* Zero to[0 … n_to), all of the same length. Otherwise as kcopy_copy, with the same errors. */
KCOPY_API int kcopy_zero(struct kcopy_client *client, unsigned n_to, const struct kcopy_io_region *to,
    const struct kcopy_options *options, kcopy_notify_fn notify, void *context, uint64_t *ret_ticket);

struct kcopy_batch_job {
        struct kcopy_io_region from;
        unsigned n_to;
        const struct kcopy_io_region *to;
        kcopy_notify_fn notify;
        void *context;
};
/* Many small jobs in as few frames as possible. All or none are sent; the same errors. */
KCOPY_API int kcopy_copy_many(struct kcopy_client *client, unsigned n_jobs,
    const struct kcopy_batch_job *jobs, const struct kcopy_options *options);
/* Ask for a job's end; its notify still runs once. 0 or -ENOENT. */
KCOPY_API int kcopy_cancel(struct kcopy_client *client, uint64_t ticket);
/* Jobs submitted and not yet notified. */
KCOPY_API unsigned kcopy_pending(const struct kcopy_client *client);

/* ---- events besides completions */

struct kcopy_event {
        enum {
                KCOPY_EVENT_ACCEPTED,
                KCOPY_EVENT_STATE,
                KCOPY_EVENT_PROGRESS,
                KCOPY_EVENT_DESTINATION, /* a destination that ended before its job */
                KCOPY_EVENT_COMPLETION,  /* of a watched job that is not this client's */
                KCOPY_EVENT_STOPPING,    /* the server shuts down: it takes no more jobs */
        } type;
        uint64_t job;               /* 0: STOPPING */
        void *context;              /* of this client's job, NULL for another's */
        enum kcopy_job_state state; /* STATE */
        const char *reason;         /* STATE */
        uint64_t length_bytes;      /* ACCEPTED, PROGRESS */
        uint64_t elapsed_ms;        /* PROGRESS, COMPLETION */
        uint64_t rate_bytes_per_s;  /* PROGRESS: of late; 0: not known yet */
        unsigned n_destinations;
        const uint64_t *done_bytes; /* PROGRESS: by destination */
        unsigned index;             /* DESTINATION */
        const struct kcopy_destination_result *destination;
        bool read_err;                     /* COMPLETION */
        uint64_t write_err;                /* COMPLETION */
        const struct kcopy_result *result; /* COMPLETION */
        uint64_t seq;      /* of a detached job: the event's number in that job, from 1 on; else 0 */
        uint64_t at_ms;    /* … and when it was, in milliseconds since 1970 UTC */
        uint64_t drain_ms; /* STOPPING: how long jobs may still run before they are cancelled */
};
typedef void (*kcopy_event_fn)(void *opaque, const struct kcopy_event *event);
/* Have `on_event` called with what happens to jobs (this client's, and those it watches) and to the server;
 * NULL: no more. `opaque` is handed to it and stays the caller's. Progress comes as often as a job's options
 * or kcopy_watch ask for it. */
KCOPY_API void kcopy_on_event(struct kcopy_client *client, kcopy_event_fn on_event, void *opaque);

/* ---- handles: a device kept open by the server, so that small jobs cost an I/O and no look-up */

struct kcopy_device {
        uint64_t handle;
        uint64_t size_bytes;
        uint32_t block_min_bytes, block_preferred_bytes, block_max_bytes;
        bool read_only, can_flush, can_fua, can_zero, can_extents, multi_conn, mounted_for_writing;
        bool resizable; /* a regular file: it grows where a destination passes its end */
};
/* Blocking. 0 and *ret_device, or a negative errno (kcopy_error has the reason; -EMFILE: the server keeps no
 * more devices open for this client, 256 as it comes). */
KCOPY_API int kcopy_open(
    struct kcopy_client *client, const char *device, bool write, struct kcopy_device *ret_device);
/* Blocking. Jobs that use the handle keep the device. 0 or a negative errno (-ENOENT: no such handle). */
KCOPY_API int kcopy_close(struct kcopy_client *client, uint64_t handle);

/* ---- the server and everybody's jobs (all blocking; visitors are callbacks; strings are borrowed for the
 * call). 0 or a negative errno: the server's own (-ENOENT, -EACCES …), -ETIMEDOUT, -ENOTCONN; kcopy_error has
 * the reason. */

struct kcopy_destination_info {
        const char *device;
        uint64_t sector; /* where the job's region starts in it */
        struct kcopy_destination_result result;
        bool done;     /* its part has ended */
        bool detached; /* fell behind and reads for itself */
};
struct kcopy_job_info {
        uint64_t job;
        enum kcopy_job_state state;
        const char *reason;        /* why it waits, what it is stalled on; or "" */
        bool zero;                 /* zeroes its destinations: no source */
        const char *source_device; /* "" for zero */
        uint64_t source_sector;
        uint64_t length_bytes, elapsed_ms;
        unsigned n_destinations;
        const struct kcopy_destination_info *destinations;
        bool draining; /* ended, but unanswered writes still hold its ranges and pages */
        const char *owner;
        const struct kcopy_result *result; /* NULL until it has ended */
        bool read_err;                     /* with result */
        uint64_t write_err;                /* with result */
        bool detached;                     /* it outlives its client and the server */
        const char *key;                   /* of a detached job; "" where it has none */
        uint64_t rate_bytes_per_s;         /* as it was asked for; 0: no limit */
        unsigned priority;
        unsigned on_error; /* KCOPY_CONTINUE, KCOPY_IGNORE_ERROR or 0: stop */
};
typedef void (*kcopy_job_fn)(void *opaque, const struct kcopy_job_info *job);
/* Visit the jobs that this client may see, by ascending id; `terminal`: those that have ended as well, within
 * the last hour or, detached ones, as long as the server keeps them. */
KCOPY_API int kcopy_list_jobs(struct kcopy_client *client, bool terminal, kcopy_job_fn visit, void *opaque);
/* Visit the one job with the server's id `job`. */
KCOPY_API int kcopy_get_job(struct kcopy_client *client, uint64_t job, kcopy_job_fn visit, void *opaque);
/* Ask for the end of any job this client may end, by the server's id. */
KCOPY_API int kcopy_cancel_job(struct kcopy_client *client, uint64_t job);
/* Have a detached job stop where it is, or a paused one go on. 0 when it has been asked for (its
 * KCOPY_EVENT_STATE says when it is so), -ENOENT, -EALREADY: it has ended, -EINVAL: it is not detached. */
KCOPY_API int kcopy_pause_job(struct kcopy_client *client, uint64_t job);
KCOPY_API int kcopy_resume_job(struct kcopy_client *client, uint64_t job);
enum kcopy_adjust_flag { KCOPY_ADJUST_RATE = 1 << 0, KCOPY_ADJUST_PRIORITY = 1 << 1 };
/* Have a detached job go on with another rate (bytes per second, 0: no limit) or priority (0 … 7), as `flags`
 * say. As kcopy_pause_job. */
KCOPY_API int kcopy_adjust_job(
    struct kcopy_client *client, uint64_t job, unsigned flags, uint64_t rate_bytes_per_s, unsigned priority);
/* Have a detached job that has ended kept no longer; its key is free then. 0, -ENOENT, -EBUSY: it has not
 * ended, -EINVAL: it is not detached. */
KCOPY_API int kcopy_forget_job(struct kcopy_client *client, uint64_t job);
/* Have the events of jobs[0 … n_jobs) (none: of all that this client may see) handed to kcopy_on_event's
 * function, progress at most every `progress_interval_ms` (0: none). */
KCOPY_API int kcopy_watch(
    struct kcopy_client *client, unsigned n_jobs, const uint64_t *jobs, unsigned progress_interval_ms);
/* The same of one detached job, beginning with its events from number `from` on (the first is 1) as they were
 * told, also if it has ended, and in an earlier life of the server. */
KCOPY_API int kcopy_watch_from(
    struct kcopy_client *client, uint64_t job, uint64_t from, unsigned progress_interval_ms);
/* End what kcopy_watch began with the same jobs. */
KCOPY_API int kcopy_unwatch(struct kcopy_client *client, unsigned n_jobs, const uint64_t *jobs);

struct kcopy_server_info {
        char version[64];
        unsigned char instance[16];
        char local_io[32];                            /* "io_uring" or "threads" */
        unsigned pages;                               /* of KCOPY_PAGE_BYTES, for all clients together */
        unsigned pages_granted;                       /* what clients have reserved of them */
        unsigned lanes;                               /* threads that move data */
        unsigned clients, jobs_running, jobs_waiting; /* of everybody */
        uint64_t uptime_ms;
};
/* Ask what the server is and how busy. */
KCOPY_API int kcopy_server_info(struct kcopy_client *client, struct kcopy_server_info *ret_info);

struct kcopy_endpoint_info {
        const char *name;
        const char *device;
        bool open;
        unsigned users; /* jobs and handles that have it open */
        bool unnamed;   /* no endpoint of the configuration: a device that is open, under its own name */
};
typedef void (*kcopy_endpoint_fn)(void *opaque, const struct kcopy_endpoint_info *endpoint);
/* Visit the endpoints of the server's configuration and the devices that are open, by name. */
KCOPY_API int kcopy_list_endpoints(struct kcopy_client *client, kcopy_endpoint_fn visit, void *opaque);

/* ---- in anybody's loop */

/* The descriptor to poll; the same for the client's life. */
KCOPY_API int kcopy_fd(const struct kcopy_client *client);
/* What to poll for: POLLIN, POLLOUT or both. Ask again after every call. */
KCOPY_API short kcopy_poll_events(const struct kcopy_client *client);
/* Read and write what is possible without blocking, and run callbacks (level-triggered: call it again while
 * the descriptor is ready). 0, or -ENOTCONN once the connection is
 * lost (every pending job has been notified with KCOPY_LOST by then). */
KCOPY_API int kcopy_dispatch(struct kcopy_client *client);
/* Blocking: until something was dispatched, at most `timeout_ms` (-1: no limit). 0, -ETIMEDOUT, -EINTR (a
 * signal) or -ENOTCONN. */
KCOPY_API int kcopy_wait(struct kcopy_client *client, int timeout_ms);
/* Blocking: until no job is pending. 0 or -ENOTCONN. */
KCOPY_API int kcopy_run(struct kcopy_client *client);

#ifdef __cplusplus
}
#endif

#endif
