/* Overlapping syncs of one descriptor: see file_sync.h. */
#include "io/file_sync.h"

#include <assert.h>
#include <errno.h>

void file_sync_init(struct file_sync *sync)
{
        kc_list_init(&sync->running);
        kc_list_init(&sync->held);
        sync->last_number = 0;
        sync->failed = 0;
}

void file_sync_begin(struct file_sync *sync, struct file_sync_ticket *ticket)
{
        ticket->number = ++sync->last_number;
        ticket->status = 0;
        kc_list_init(&ticket->node);
        kc_list_push(&sync->running, &ticket->node);
}

static void fail_overlapping(struct file_sync *sync, const struct file_sync_ticket *failed)
{
        kc_list_for_each (node, &sync->running) {
                struct file_sync_ticket *other = kc_list_entry(node, struct file_sync_ticket, node);

                if (other->status == 0)
                        other->status = failed->status;
        }
        kc_list_for_each (node, &sync->held) {
                struct file_sync_ticket *other = kc_list_entry(node, struct file_sync_ticket, node);

                if (other->status == 0 && other->until >= failed->number)
                        other->status = failed->status;
        }
}

static bool may_settle(const struct file_sync *sync, const struct file_sync_ticket *ticket)
{
        return kc_list_empty(&sync->running) ||
               kc_list_first(&sync->running, struct file_sync_ticket, node)->number > ticket->until;
}

void file_sync_end(struct file_sync *sync, struct file_sync_ticket *ticket, int status)
{
        assert(status <= 0);
        kc_list_del(&ticket->node);
        ticket->until = sync->last_number;
        if (status < 0)
                ticket->status = status;
        if (status < 0 && status != -ECANCELED) {
                if (sync->failed == 0)
                        sync->failed = status;
                fail_overlapping(sync, ticket);
        }
        kc_list_push(&sync->held, &ticket->node);
        while (!kc_list_empty(&sync->held)) {
                ticket = kc_list_first(&sync->held, struct file_sync_ticket, node);
                if (!may_settle(sync, ticket))
                        break;
                kc_list_del(&ticket->node);
                ticket->on_settled(ticket, ticket->status);
        }
}
