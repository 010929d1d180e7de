/* The store's thread: see sqlite.h. What each request does is in sqlite_ops.c. */
#include "store/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "store/schema.h"
#include "store/sqlite_ops.h"

#define BATCH_MAX 256u

struct sqlite_store {
        struct job_store store; /* first: the cast */
        struct kc_actor *control;
        unsigned n_out; /* requests without an answer; control's */

        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        struct kc_msg *first, **last; /* requests that wait, by their msg; under the lock */
        bool closing;                 /* under the lock */

        /* the thread's, once it runs */
        char *path;
        sqlite3 *db; /* NULL: to be opened again */
        struct sqlite_statements statements;
};

static struct sqlite_store *sqlite_store_of(struct job_store *store)
{
        return kc_container_of(store, struct sqlite_store, store);
}

/* ---- the thread */

/* What waits, at most a batch of it; NULL: the store closes. */
static struct kc_msg *take(struct sqlite_store *store)
{
        struct kc_msg *first, *at;
        unsigned n = 1;

        pthread_mutex_lock(&store->lock);
        while (!store->first && !store->closing)
                pthread_cond_wait(&store->wake, &store->lock);
        first = at = store->first;
        while (at && at->next && n++ < BATCH_MAX)
                at = at->next;
        if (at) {
                store->first = at->next;
                if (!store->first)
                        store->last = &store->first;
                at->next = NULL;
        }
        pthread_mutex_unlock(&store->lock);
        return first;
}

static int step(struct sqlite_store *store, const char *sql, struct kc_error *err)
{
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : schema_error(store->db, code, NULL, err);
}

static void forget_database(struct sqlite_store *store)
{
        sqlite_statements_done(&store->statements);
        (void)sqlite3_close(store->db);
        store->db = NULL;
}

/* One request, all of it or nothing. Negative: all of the batch is lost. */
static int run(struct sqlite_store *store, struct store_req *req, struct kc_error *err)
{
        int r = step(store, "SAVEPOINT request", err);

        if (r < 0)
                return r;
        req->status = sqlite_run(store->db, &store->statements, req, &req->error);
        if (req->status == 0)
                return step(store, "RELEASE request", err);
        if (sqlite3_get_autocommit(store->db)) { /* SQLite has rolled everything back */
                *err = req->error;
                return req->status;
        }
        r = step(store, "ROLLBACK TO request", err);
        return r < 0 ? r : step(store, "RELEASE request", err);
}

static void answer_all(
    struct sqlite_store *store, struct kc_msg *at, int status, const struct kc_error *error)
{
        while (at) {
                struct store_req *req = kc_container_of(at, struct store_req, msg);

                at = at->next;
                if (status < 0) {
                        req->status = status;
                        req->error = *error;
                }
                if (req->status < 0)
                        store_req_done(req);
                kc_actor_post(store->control, &req->msg);
        }
}

static void run_batch(struct sqlite_store *store, struct kc_msg *batch)
{
        struct kc_error error = {.code = 0};
        /* not a new one: its jobs would be forgotten */
        int r = store->db ? 0 : schema_open(store->path, false, &store->db, &error);

        if (r == 0)
                r = step(store, "BEGIN IMMEDIATE", &error);
        for (struct kc_msg *at = batch; at && r == 0; at = at->next)
                r = run(store, kc_container_of(at, struct store_req, msg), &error);
        if (r == 0)
                r = step(store, "COMMIT", &error);
        if (r < 0 && store->db)
                forget_database(store); /* and with it, all that was not committed */
        answer_all(store, batch, r, &error);
}

static void *thread_main(void *arg)
{
        struct sqlite_store *store = arg;
        struct kc_msg *batch;

        pthread_setname_np(pthread_self(), "store");
        while ((batch = take(store)))
                run_batch(store, batch);
        return NULL;
}

/* ---- control */

static void on_answer(struct kc_actor *actor, struct kc_msg *msg)
{
        struct store_req *req = kc_container_of(msg, struct store_req, msg);

        sqlite_packed_done(req);
        sqlite_store_of(req->store)->n_out--;
        req->on_done(req);
}

static int submit(struct job_store *base, struct store_req *req)
{
        struct sqlite_store *store = sqlite_store_of(base);
        int r = sqlite_pack(req);

        if (r < 0)
                return r;
        store_req_begin(req, base);
        req->msg.on_message = on_answer;
        req->msg.next = NULL;
        store->n_out++;
        pthread_mutex_lock(&store->lock);
        *store->last = &req->msg;
        store->last = &req->msg.next;
        pthread_cond_signal(&store->wake);
        pthread_mutex_unlock(&store->lock);
        return 0;
}

static const struct job_store_ops ops = {submit};

static int start_thread(struct sqlite_store *store, struct kc_error *err)
{
        sigset_t all, old;
        int r;

        sigfillset(&all); /* signals are the control loop's */
        pthread_sigmask(SIG_BLOCK, &all, &old);
        r = -pthread_create(&store->thread, NULL, thread_main, store);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r < 0)
                return kc_error_set(err, r, KC_CLASS_INTERNAL,
                    "job store: no thread: %s; raise the limit of processes (ulimit -u)", strerror(-r));
        return 0;
}

int sqlite_store_open(
    struct kc_actor *control, const char *path, struct job_store **ret_store, struct kc_error *err)
{
        struct sqlite_store *store = kc_zalloc(sizeof *store);
        int r;

        if (!store || !(store->path = strdup(path))) {
                free(store);
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "job store: out of memory");
        }
        store->store.ops = &ops;
        store->control = control;
        store->last = &store->first;
        pthread_mutex_init(&store->lock, NULL);
        pthread_cond_init(&store->wake, NULL);
        r = schema_open(path, true, &store->db, err);
        if (r == 0)
                r = start_thread(store, err);
        if (r == 0) {
                *ret_store = &store->store;
                return 0;
        }
        (void)sqlite3_close(store->db);
        pthread_mutex_destroy(&store->lock);
        pthread_cond_destroy(&store->wake);
        free(store->path);
        free(store);
        return r;
}

void sqlite_store_close(struct job_store *base)
{
        struct sqlite_store *store;

        if (!base)
                return;
        store = sqlite_store_of(base);
        assert(store->n_out == 0);
        pthread_mutex_lock(&store->lock);
        store->closing = true;
        pthread_cond_signal(&store->wake);
        pthread_mutex_unlock(&store->lock);
        pthread_join(store->thread, NULL);
        assert(!store->first);
        if (store->db)
                forget_database(store);
        pthread_mutex_destroy(&store->lock);
        pthread_cond_destroy(&store->wake);
        free(store->path);
        free(store);
}
