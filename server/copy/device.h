/* A device that jobs and handles use: one record for a name and an access, with a port on each lane that has
 * it open. The lane that validated it is its home: an export that admits one connection is used from there
 * alone, and its flushes are sent from there.
 *
 * Counted by users; without any it stays open for info.keep_idle_ms (DESIGN 5) and then closes. A device
 * whose connection failed is retired: nobody new finds it, who has it keeps it until drained. Owns its ports
 * and name. Thread: control. */
#ifndef COPY_DEVICE_H
#define COPY_DEVICE_H

#include "copy/port.h"

struct engine;

enum device_state {
        DEVICE_BLOCKED,
        DEVICE_OPENING,
        DEVICE_OPEN,
        DEVICE_FAILED,
        DEVICE_CLOSING,
        DEVICE_CLOSED
};

struct device_waiter {
        struct kc_list node;
        void (*on_device)(struct device_waiter *waiter); /* may release the device */
};

struct device {
        struct kc_list node; /* the engine's list */
        struct engine *engine;
        char *name;
        enum io_access access;
        enum device_state state;
        bool retired;
        unsigned n_stuck; /* runs that wait for its answers: nobody waits for its close meanwhile */
        unsigned users;
        unsigned pins; /* who needs the record itself, open or not: locks borrow its key */
        unsigned home; /* lane */
        int status;    /* of the open, with `error` */
        struct kc_error error;
        struct endpoint_info info; /* fixed once open: lanes read it */
        /* The file that `info` is about was absent, and this is what it is since it was created; or it is a
         * file that was created under another record, whose key stands in `info`. Empty: neither. */
        char born_key[IO_KEY_MAX_BYTES];
        int flush_status; /* a flush failed: what its users wrote is in doubt, unless it was flushed before …
                           */
        uint64_t flush_sent_ns; /* … that one was sent */
        enum kc_class flush_class;
        struct kc_list open_waiters, close_waiters;
        struct device *blocked_by; /* the same device is still closing, or perhaps about to be open */
        uint64_t patience_ns;      /* until when it may be so again */
        uint64_t closed_before;    /* engine->n_devices_closed when the open was sent */
        struct device *same;       /* referenced: a block device that is open already under another name */
        struct kc_timer timer;     /* idle, or patience with blocked_by */
        bool extra_failed;         /* another connection was refused once: not asked for again */
        unsigned n_ports_used;     /* not PORT_CLOSED */
        struct port ports[];       /* by lane */
};

/* A reference to the record for `name`, found or made (then it starts to open, on `lane`). NULL: out of
 * memory. */
struct device *device_get(struct engine *engine, const char *name, enum io_access access, unsigned lane);
struct device *device_ref(struct device *device);
void device_put(struct device *device);
/* Keep the record, not the device open. */
void device_pin(struct device *device);
void device_unpin(struct device *device);
/* Whether the open has ended, either way (status tells); otherwise on_device is called when it has. */
bool device_opened(const struct device *device);
void device_wait_open(struct device *device, struct device_waiter *waiter);
/* Called with a reference to one that is opened: the record to use instead, with the reference. A block
 * device is opened for writing once (O_EXCL), whatever names it has. */
struct device *device_actual(struct device *device);
/* A waiter changed its mind. */
void device_unwait(struct device_waiter *waiter);
/* Whether it closes as soon as nobody uses it. */
bool device_closes_at_once(const struct device *device);
/* Called with a reference that is given up here: on_device when it has closed, or nobody can wait for it. */
void device_put_and_wait(struct device *device, struct device_waiter *waiter);
/* No new users: its connection is not to be trusted. */
void device_retire(struct device *device);
/* The file that was absent exists now, and is known as `key` to whoever opens it. From here on they are told
 * that it is the same, so that their regions conflict with those of the job that created it. -EBUSY: somebody
 * was quicker, and uses it already. */
int device_created(struct device *device, const char *key);
/* Something that was sent to it is not answered, and then, that it has been after all. */
void device_stuck(struct device *device);
void device_unstuck(struct device *device);
/* Ask for a port on another lane, if that may succeed. job_try_helpers follows when it is open. */
void device_want_port(struct device *device, unsigned lane);
/* The engine is closing: do not linger. */
void device_close_idle(struct device *device);

/* device.c and device_same.c */
void device_start_open(struct device *device);
/* Open it when `by` has opened or closed, or when patience ends. */
void device_block(struct device *device, struct device *by);
/* Called when it has opened, before anybody has seen its info: a file that was created under another record.
 */
void device_find_creator(struct device *device);
/* What it is known as to its provider, whatever jobs lock it by: a file that was created has had another. */
static inline const char *device_key(const struct device *device)
{
        return device->born_key[0] != '\0' ? device->born_key : device->info.identity.key;
}
/* Whether what a further connection found is the device that the first one found. */
bool device_is_same(const struct device *device, const struct endpoint_info *info);
/* It is busy: find the record that has block device `number` open for writing, and use that, or wait for it
 * to open or close. False: somebody else has it. */
bool device_find_holder(struct device *device, uint64_t number);

/* From port.c, on control. */
void device_on_port_opened(struct kc_actor *actor, struct kc_msg *msg);
void device_on_port_closed(struct kc_actor *actor, struct kc_msg *msg);
void device_on_port_dead(struct kc_actor *actor, struct kc_msg *msg);
void device_on_flush_failed(struct kc_actor *actor, struct kc_msg *msg);

#endif
