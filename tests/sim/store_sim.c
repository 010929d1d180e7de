#include "sim/store_sim.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/schema.h"

struct store_entry { /* a request that has no answer, with what the checker wants to know of it */
        struct store_entry *next;
        struct store_req *req;
        bool done; /* it has taken effect, or failed */
        struct check_job *created;
        struct check_mark *mark;
        unsigned n_events;
        struct job_event *events; /* what they point to is theirs */
};

static struct store_sim *store_sim_of(struct job_store *store)
{
        return (struct store_sim *)store;
}

static void *new (size_t bytes)
{
        void *got = calloc(1, bytes > 0 ? bytes : 1);

        assert(got != NULL);
        return got;
}

static void *copy_of(const void *from, size_t bytes)
{
        return from ? memcpy(new (bytes), from, bytes) : NULL;
}

static void copy_events(struct store_entry *entry, const struct store_req *req)
{
        entry->n_events = req->update.n_events;
        entry->events = new (entry->n_events * sizeof *entry->events);
        for (unsigned i = 0; i < entry->n_events; i++) {
                struct job_event *event = &entry->events[i];

                *event = req->update.events[i];
                event->job_id = req->job_id;
                event->seq = req->update.first_seq + i;
                event->spec = NULL;
                event->client = NULL;
                event->reason = copy_of(event->reason, strlen(event->reason) + 1);
                event->destination = copy_of(event->destination, sizeof *event->destination);
                event->result = event->type == JOB_EVENT_COMPLETION
                                    ? copy_of(event->result,
                                          sizeof *event->result + event->result->n_destinations *
                                                                      sizeof event->result->destinations[0])
                                    : NULL;
        }
}

static void free_entry(struct store_entry *entry)
{
        for (unsigned i = 0; i < entry->n_events; i++) {
                free((void *)entry->events[i].reason);
                free((void *)entry->events[i].destination);
                free((void *)entry->events[i].result);
        }
        free(entry->events);
        check_mark_free(entry->mark);
        free(entry);
}

/* ---- one request */

static void run_sql(struct store_sim *store, const char *sql)
{
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        if (code != SQLITE_OK)
                world_fail(store->world, "store: %s: %s", sql, sqlite3_errmsg(store->db));
}

static void tell_checker(struct store_sim *store, struct store_entry *entry)
{
        struct store_req *req = entry->req;

        if (req->op == STORE_CREATE && !req->existed)
                checker_created(store->checker, entry->created, req->job_id);
        if (req->op != STORE_UPDATE)
                return;
        if (entry->mark)
                checker_marked(store->checker, req->job_id, entry->mark);
        entry->mark = NULL;
        for (unsigned i = 0; i < entry->n_events; i++)
                checker_stored(store->checker, &entry->events[i]);
}

static void carry_out(struct store_sim *store, struct store_entry *entry)
{
        static const int troubles[] = {-ENOSPC, -EIO, -ENOMEM};
        struct store_req *req = entry->req;

        entry->done = true;
        if (req->op != STORE_CLAIM && req->op != STORE_RESERVE &&
            world_one_in(store->world, store->fails_one_in)) {
                int status = troubles[world_below(store->world, 3)];

                req->status = kc_error_set(
                    &req->error, status, kc_class_of_errno(status), "job store: it was told to fail");
                world_say(store->world, "store: request %d of job %llu FAILED", (int)req->op,
                    (unsigned long long)req->job_id);
                return;
        }
        run_sql(store, "BEGIN");
        req->status = sqlite_run(store->db, &store->statements, req, &req->error);
        run_sql(store, req->status < 0 ? "ROLLBACK" : "COMMIT");
        if (req->status == 0)
                tell_checker(store, entry);
        else
                store_req_done(req);
}

static void start(struct store_sim *store)
{
        if (store->first)
                world_event_start(store->world, &store->event,
                    world_log_between(store->world, store->delay_min_ns, store->delay_max_ns));
}

static void on_event(struct world_event *event)
{
        struct store_sim *store = kc_container_of(event, struct store_sim, event);
        struct store_entry *entry = store->first;
        struct store_req *req = entry->req;

        if (!entry->done) {
                carry_out(store, entry);
                start(store);
                return;
        }
        store->first = entry->next;
        if (!store->first)
                store->last = &store->first;
        free_entry(entry);
        start(store);
        sqlite_packed_done(req);
        req->on_done(req);
}

static int submit(struct job_store *base, struct store_req *req)
{
        struct store_sim *store = store_sim_of(base);
        int r = sqlite_pack(req);
        struct store_entry *entry;

        if (r < 0)
                return r;
        if (store->world->current != 0)
                world_fail(store->world, "store: a request of actor %u", store->world->current);
        store_req_begin(req, base);
        entry = new (sizeof *entry);
        entry->req = req;
        if (req->op == STORE_CREATE)
                entry->created = checker_job_of(store->checker, req->create.spec);
        if (req->op == STORE_UPDATE) {
                copy_events(entry, req);
                entry->mark = req->update.mark ? check_mark_new(req->update.mark) : NULL;
        }
        *store->last = entry;
        store->last = &entry->next;
        if (store->first == entry)
                start(store);
        return 0;
}

/* ---- the whole */

static const struct job_store_ops ops = {submit};

void store_sim_init(struct store_sim *store, struct world *world, struct checker *checker)
{
        struct kc_error error;

        *store = (struct store_sim){.store.ops = &ops,
            .world = world,
            .checker = checker,
            .delay_min_ns = 1,
            .delay_max_ns = 10 * MS_NS};
        store->last = &store->first;
        world_event_init(&store->event, 0, on_event);
        if (schema_open(":memory:", true, &store->db, &error) < 0)
                world_fail(world, "store: %s", error.message);
}

void store_sim_forget(struct store_sim *store)
{
        struct store_entry *entry;

        world_event_stop(store->world, &store->event);
        while ((entry = store->first)) {
                store->first = entry->next;
                free_entry(entry);
        }
        store->last = &store->first;
}

bool store_sim_idle(const struct store_sim *store)
{
        return store->first == NULL;
}

unsigned store_sim_unended(struct store_sim *store)
{
        sqlite3_stmt *at = NULL;
        unsigned n = 0;

        if (sqlite3_prepare_v2(store->db, "SELECT count(*) FROM job WHERE ended_ms IS NULL", -1, &at, NULL) ==
                SQLITE_OK &&
            sqlite3_step(at) == SQLITE_ROW)
                n = (unsigned)sqlite3_column_int(at, 0);
        sqlite3_finalize(at);
        return n;
}

void store_sim_done(struct store_sim *store)
{
        store_sim_forget(store);
        sqlite_statements_done(&store->statements);
        (void)sqlite3_close(store->db);
}
