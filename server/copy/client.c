/* Clients and their pages. */
#include "copy/client.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "copy/device.h"
#include "copy/job.h"

/* ---- the bank: who gets the next slab */

/* One slab back from a lane that has nothing to do, or more than the one that wants it would have then; a
 * lane that has none gets one from anybody. So slabs settle evenly among lanes that are short, and none waits
 * for ever. */
static void recall_for(struct engine_client *client, unsigned lane)
{
        unsigned n_mine = bank_held(&client->bank, lane), best = 0, n_best = 0;

        for (unsigned i = 0; i < client->engine->n_lanes; i++) {
                const struct share *share = &client->shares[i];
                unsigned n = bank_held(&client->bank, i);

                if (n > 0 && share->n_legs == 0)
                        n = UINT_MAX;
                if (i != lane && n > n_best && !share->recall_posted) {
                        best = i;
                        n_best = n;
                }
        }
        if (n_best == 0 || (n_mine > 0 && n_best < n_mine + 2 && !client->shares[lane].starved))
                return;
        client->shares[best].recall_posted = true;
        share_recall(&client->shares[best]);
}

/* Whoever has least is served first; first come, first served among equals. */
static struct share *neediest(const struct engine_client *client)
{
        struct share *best = NULL;
        unsigned n_best = UINT_MAX;

        kc_list_for_each (pos, &client->wants) {
                struct share *share = kc_list_entry(pos, struct share, want_node);
                unsigned n = bank_held(&client->bank, share->lane->index);

                if (n < n_best) {
                        best = share;
                        n_best = n;
                }
        }
        return best;
}

static void serve_wants(struct engine_client *client)
{
        struct share *share;
        struct slab slab;

        while ((share = neediest(client)) && bank_take(&client->bank, share->lane->index, &slab)) {
                kc_list_del(&share->want_node);
                share->starved = false;
                share_grant(share, &slab);
        }
        kc_list_for_each (pos, &client->wants)
                recall_for(client, kc_list_entry(pos, struct share, want_node)->lane->index);
}

void client_leg_begins(struct engine_client *client, unsigned lane)
{
        client->shares[lane].n_legs++;
        client->shares[lane].lane->n_legs++;
}

void client_leg_gone(struct engine_client *client, unsigned lane)
{
        struct share *share = &client->shares[lane];

        assert(share->n_legs > 0);
        share->lane->n_legs--;
        if (--share->n_legs == 0) /* others may have its slabs */
                serve_wants(client);
}

void client_on_slab_wanted(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, want_msg);

        if (share->client->shares_closing) {
                share_grant(share, &(struct slab){0});
                return;
        }
        kc_list_push(&share->client->wants, &share->want_node);
        serve_wants(share->client);
}

void client_on_share_starved(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, starved_msg);

        share->starved = !kc_list_empty(&share->want_node);
        share_starved_taken(share);
        serve_wants(share->client);
}

/* The lane could not take it for want of memory. */
void client_on_slab_refused(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, want_msg);

        bank_give(&share->client->bank, share->granted.index);
        share_grant(share, &(struct slab){0});
        serve_wants(share->client);
}

void client_on_recalled(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, recall_msg);

        share->recall_posted = false;
        if (share->recalled.n_pages > 0)
                bank_give(&share->client->bank, share->recalled.index);
        serve_wants(share->client);
        client_check_closed(share->client);
}

void client_on_share_closed(struct kc_actor *actor, struct kc_msg *msg)
{
        struct share *share = kc_container_of(msg, struct share, close_msg);
        struct engine_client *client = share->client;

        share_take_all(share, &client->bank);
        client->shares_open--;
        client_check_closed(client);
}

/* ---- opening and closing */

/* The one of this identity, however many connections it has. */
struct owner *owner_get(struct engine *engine, const char *identity)
{
        size_t bytes = strlen(identity) + 1;
        struct owner *owner;

        kc_list_for_each (pos, &engine->owners) {
                owner = kc_list_entry(pos, struct owner, node);
                if (strcmp(owner->identity, identity) == 0)
                        return owner_ref(owner);
        }
        owner = malloc(sizeof *owner + bytes);
        if (!owner)
                return NULL;
        owner->n_users = 1;
        memcpy(owner->identity, identity, bytes);
        kc_list_init(&owner->node);
        kc_list_push(&engine->owners, &owner->node);
        return owner;
}

struct owner *owner_ref(struct owner *owner)
{
        owner->n_users++;
        return owner;
}

void owner_unref(struct owner *owner)
{
        if (!owner || --owner->n_users > 0)
                return;
        kc_list_del(&owner->node);
        free(owner);
}

/* Enough for a minimum block of the largest kind, and some chunks of others. */
#define RESERVATION_LOW_PAGES 64u

/* Who has no wish leaves most of it to those who come later, as far as he can work. Nothing may be left: then
 * he can still look, wait and cancel. */
static uint32_t to_grant(uint32_t wanted_pages, uint32_t left_pages)
{
        if (wanted_pages == 0) {
                wanted_pages = left_pages / 4;
                if (wanted_pages > KC_DEFAULT_RESERVATION_PAGES)
                        wanted_pages = KC_DEFAULT_RESERVATION_PAGES;
                if (wanted_pages < RESERVATION_LOW_PAGES)
                        wanted_pages = RESERVATION_LOW_PAGES;
        }
        return wanted_pages < left_pages ? wanted_pages : left_pages;
}

int engine_client_open(struct engine *engine, const char *identity, uint32_t pages,
    struct engine_client **ret_client, uint32_t *ret_pages, struct kc_error *err)
{
        struct engine_client *client;

        if (engine->closing)
                return kc_error_set(err, -ECANCELED, KC_CLASS_STOPPED, "pages: the server is shutting down");
        pages = bank_round_pages(to_grant(pages, engine->config.pages - engine->pages_granted));
        client = calloc(1, sizeof *client + engine->n_lanes * sizeof *client->shares);
        if (!client)
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "pages: out of memory");
        client->owner = owner_get(engine, identity);
        if (!client->owner || bank_init(&client->bank, pages) < 0) {
                owner_unref(client->owner);
                free(client);
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "pages: out of memory");
        }
        client->engine = engine;
        client->lane = engine_pick_lane(engine);
        kc_list_init(&client->wants);
        for (unsigned i = 0; i <= COPY_PRIORITY_MAX; i++)
                kc_list_init(&client->runnable[i]);
        kc_list_init(&client->resuming);
        kc_list_init(&client->jobs);
        kc_list_init(&client->handles);
        kc_list_init(&client->openings);
        for (unsigned i = 0; i < engine->n_lanes; i++) {
                share_init(&client->shares[i], engine->lanes[i], client);
                kc_list_init(&client->shares[i].want_node);
        }
        client->shares_open = engine->n_lanes;
        kc_list_push(&engine->clients, &client->node);
        engine->n_clients++;
        engine->pages_granted += pages;
        *ret_client = client;
        *ret_pages = pages;
        return 0;
}

static void free_client(struct engine_client *client)
{
        struct engine *engine = client->engine;

        for (unsigned i = 0; i < engine->n_lanes; i++)
                share_done(&client->shares[i]);
        engine->pages_granted -= client->bank.n_pages;
        engine->n_clients--;
        kc_list_del(&client->node);
        bank_done(&client->bank);
        owner_unref(client->owner);
        free(client);
        engine_check_closed(engine);
}

static void on_closed_msg(struct kc_actor *actor, struct kc_msg *msg)
{
        struct engine_client *client = kc_container_of(msg, struct engine_client, closed_msg);
        struct engine *engine = client->engine;

        client->closed = true;
        if (client->on_closed)
                client->on_closed(client->closed_arg);
        client_check_closed(client);
        engine_check_closed(engine);
}

/* Two ends: the owner is told when every job has had its terminal event; the memory goes when everything has
 * drained and the lanes have given the pages back. */
void client_check_closed(struct engine_client *client)
{
        if (!client->closing)
                return;
        if (client->n_jobs == 0 && !client->closed_posted) {
                client->closed_posted = true;
                client->closed_msg.on_message = on_closed_msg;
                kc_actor_post(client->engine->control, &client->closed_msg);
        }
        if (!client->closed || !kc_list_empty(&client->jobs))
                return;
        if (!client->shares_closing) {
                client->shares_closing = true;
                for (unsigned i = 0; i < client->engine->n_lanes; i++) {
                        struct share *share = &client->shares[i];

                        if (!kc_list_empty(&share->want_node)) {
                                kc_list_del(&share->want_node);
                                share_grant(share, &(struct slab){0});
                        }
                        share_close(share);
                }
                return;
        }
        if (client->shares_open > 0)
                return;
        free_client(client);
}

static void close_handles(struct engine_client *client)
{
        struct kc_list *node;

        while ((node = kc_list_pop(&client->handles))) {
                struct handle *handle = kc_list_entry(node, struct handle, node);

                device_put(handle->device);
                free(handle);
        }
}

void engine_client_cancel(struct engine_client *client)
{
        client->cancel = true;
        kc_list_for_each_safe (pos, &client->jobs)
                job_cancel(kc_list_entry(pos, struct job, client_node));
        client_give_up_opens(client);
}

void engine_client_close(struct engine_client *client, bool cancel, void (*on_closed)(void *arg), void *arg)
{
        assert(!client->closing);
        client->closing = true;
        client->on_closed = on_closed;
        client->closed_arg = arg;
        if (cancel)
                engine_client_cancel(client);
        close_handles(client);
        client_check_closed(client);
}

/* The first job of the highest priority. */
static struct job *next_runnable(struct engine_client *client, bool may_lock)
{
        if (!kc_list_empty(&client->resuming))
                return kc_list_first(&client->resuming, struct job, runnable_node);
        if (!may_lock)
                return NULL;
        for (unsigned i = COPY_PRIORITY_MAX + 1; i-- > 0;)
                if (!kc_list_empty(&client->runnable[i]))
                        return kc_list_first(&client->runnable[i], struct job, runnable_node);
        return NULL;
}

/* Jobs that wait for their locks take no slot, or one region that is long in use would hold up all the
 * others; there are at most as many of them as slots. Those that hold theirs already need a slot alone: the
 * others may wait for them. */
void client_start_jobs(struct engine_client *client)
{
        unsigned max = client->engine->config.client_running_max;
        struct job *job;

        if (client->starting) /* a job that begins may end or queue again at once: the loop below sees it */
                return;
        client->starting = true;
        while (client->n_runs < max && (job = next_runnable(client, client->n_locking < max))) {
                kc_list_del(&job->runnable_node);
                if (!job->cancel_wanted) /* else its end is on the way */
                        job_begin(job);
        }
        client->starting = false;
}

/* ---- handles */

struct handle *client_handle(struct engine_client *client, uint64_t id)
{
        kc_list_for_each (pos, &client->handles) {
                struct handle *handle = kc_list_entry(pos, struct handle, node);

                if (handle->id == id)
                        return handle;
        }
        return NULL;
}

int engine_close_handle(struct engine_client *client, uint64_t id)
{
        struct handle *handle = client_handle(client, id);

        if (!handle)
                return -ENOENT;
        kc_list_del(&handle->node);
        device_put(handle->device);
        free(handle);
        return 0;
}
