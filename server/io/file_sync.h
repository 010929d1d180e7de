/* Keeps calls that sync one descriptor honest about each other.
 *
 * The kernel tells a failed writeback once per descriptor, to whichever sync (fdatasync, fsync, a write with
 * RWF_DSYNC) gets there first. Another that ran at the same time may then succeed although data that it
 * stands for is lost. So the success of a sync is held back until every sync that overlapped it in time has
 * ended, and any failure among them fails them all. And a failure is remembered: no later flush can know that
 * earlier writes are stable.
 *
 * Owns nothing; tickets are embedded in their owners. Thread: one. */
#ifndef IO_FILE_SYNC_H
#define IO_FILE_SYNC_H

#include <stdint.h>

#include "base/list.h"

struct file_sync {
        struct kc_list running; /* of tickets, oldest first */
        struct kc_list held;    /* ended, waiting for those they overlapped; in the order they ended */
        uint64_t last_number;
        int failed; /* the first failure, for all later flushes; 0: none */
};

struct file_sync_ticket {
        void (*on_settled)(struct file_sync_ticket *ticket, int status);
        /* file_sync's */
        struct kc_list node;
        uint64_t number, until; /* until: the youngest that it overlapped */
        int status;
};

void file_sync_init(struct file_sync *sync);
void file_sync_begin(struct file_sync *sync, struct file_sync_ticket *ticket);
/* `status`: 0 or negative errno; -ECANCELED means it never ran. Settles this ticket and others that waited
 * for it, now or later; on_settled may run inside. */
void file_sync_end(struct file_sync *sync, struct file_sync_ticket *ticket, int status);

#endif
