/* A lane's share of a client's reservation: pages come from the slabs at hand, and slabs from the bank.
 *
 * The happy path: share_alloc finds room. Otherwise the share posts a want; the bank (client.c) answers with
 * a slab, perhaps after it recalled one from another lane. A recalled slab goes back as soon as it is empty.
 */
#include "copy/lane.h"

#include <assert.h>

#include "copy/client.h"

void share_init(struct share *share, struct lane *lane, struct engine_client *client)
{
        *share = (struct share){.lane = lane, .client = client};
        pool_init(&share->pool);
        kc_list_init(&share->pages_chunks);
        kc_list_init(&share->hungry_node);
}

void share_done(struct share *share)
{
        assert(kc_list_empty(&share->pages_chunks));
        assert(!share->want_posted && !share->starved_posted && share->adrift_pages == 0);
        pool_done(&share->pool);
}

/* ---- wanting: on_granted runs on the lane when the bank has given a slab */

static void on_granted(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, want_msg);
        struct lane *lane = share->lane;

        share->want_posted = false;
        if (share->granted.n_pages > 0 && pool_add(&share->pool, &share->granted) < 0) {
                /* No memory to keep account of it: give it straight back and ask again later. */
                share->want_msg.on_message = client_on_slab_refused;
                share->want_posted = true;
                kc_actor_post(share->lane->control, &share->want_msg);
                return;
        }
        /* Used before it can be recalled: a slab that only travels helps nobody. */
        lane_feed(share);
        share_settle(share); /* it may be gone after that */
        lane_wake(lane);     /* with the one that waited out of the way, more may begin */
}

void share_grant(struct share *share, const struct slab *slab)
{
        share->granted = *slab;
        share->want_msg.on_message = on_granted;
        kc_actor_post(share->lane->actor, &share->want_msg);
}

static void want(struct share *share)
{
        if (share->want_posted || share->close_pending)
                return;
        share->want_posted = true;
        share->want_msg.on_message = client_on_slab_wanted;
        kc_actor_post(share->lane->control, &share->want_msg);
}

static void on_starved_taken(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, starved_msg);

        share->starved_posted = false;
        share_settle(share);
}

void share_starved_taken(struct share *share)
{
        share->starved_msg.on_message = on_starved_taken;
        kc_actor_post(share->lane->actor, &share->starved_msg);
}

/* With something in flight pages will come free; without, only another slab helps. */
void share_check_starved(struct share *share)
{
        if (!share->want_posted || share->starved_posted || share->adrift_pages == 0 ||
            share->pool.in_use_pages != share->adrift_pages || kc_list_empty(&share->pages_chunks))
                return;
        share->starved_posted = true;
        share->starved_msg.on_message = client_on_share_starved;
        kc_actor_post(share->lane->control, &share->starved_msg);
}

void share_adrift(struct share *share, const void *buf, uint32_t pages, bool adrift)
{
        if (!buf)
                return;
        pool_stick(&share->pool, buf, pages, adrift);
        if (adrift)
                share->adrift_pages += pages;
        else
                share->adrift_pages -= pages;
        share_check_starved(share);
}

void *share_alloc(struct share *share, uint32_t bytes, uint32_t *ret_pages)
{
        void *buf = pool_alloc(&share->pool, (bytes + KC_PAGE_BYTES - 1) / KC_PAGE_BYTES, ret_pages);

        if (!buf)
                want(share);
        return buf;
}

void share_free(struct share *share, void *buf, uint32_t pages)
{
        pool_free(&share->pool, buf, pages);
        share_check_starved(share);
        if (!kc_list_empty(&share->pages_chunks))
                lane_wake(share->lane);
        share_settle(share); /* last: it may be gone after that */
}

/* ---- giving back */

/* Answer what control asked for, as far as slabs are empty. With a share that closes, that may be the last of
 * it. */
void share_settle(struct share *share)
{
        if (share->recall_pending && share->pool.n_pages == 0)
                share->recalled = (struct slab){0}; /* there was no memory to take it */
        if (share->recall_pending &&
            (share->pool.n_pages == 0 || pool_take(&share->pool, &share->recalled))) {
                share->recall_pending = false;
                share->recall_msg.on_message = client_on_recalled;
                kc_actor_post(share->lane->control, &share->recall_msg);
        }
        if (share->close_pending && !share->close_posted && !share->want_posted && !share->starved_posted &&
            !share->recall_pending && share->pool.in_use_pages == 0) {
                share->close_posted = true;
                share->close_msg.on_message = client_on_share_closed;
                kc_actor_post(share->lane->control, &share->close_msg);
        }
}

static void on_recall(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, recall_msg);

        pool_recall(&share->pool);
        share->recall_pending = true;
        share_settle(share);
}

void share_recall(struct share *share)
{
        share->recall_msg.on_message = on_recall;
        kc_actor_post(share->lane->actor, &share->recall_msg);
}

static void on_close(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, close_msg);

        share->close_pending = true;
        share_settle(share);
}

void share_close(struct share *share)
{
        share->close_msg.on_message = on_close;
        kc_actor_post(share->lane->actor, &share->close_msg);
}

/* The lane has let go of everything: what is left in the pool is given to the bank. */
void share_take_all(struct share *share, struct bank *bank)
{
        struct slab slab;

        while (pool_take(&share->pool, &slab))
                bank_give(bank, slab.index);
}
