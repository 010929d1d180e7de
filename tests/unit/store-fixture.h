/* For tests of the job store: one in a folder of its own, on an actor of its own, and requests that wait for
 * their answers. Included by one file of a program, after cmocka.h. */
#ifndef UNIT_STORE_FIXTURE_H
#define UNIT_STORE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/actor_uv.h"
#include "base/list.h"
#include "store/sqlite.h"

#define IDENTITY "unix:0"

struct fixture {
        uv_loop_t loop;
        struct kc_actor_uv actor;
        char folder[64], path[96];
        struct job_store *store;
        unsigned n_answers;
};

struct asked { /* a request and whose it is */
        struct store_req req;
        struct fixture *f;
        unsigned answered; /* the how-manieth; 0: not yet */
};

static inline void open_store(struct fixture *f)
{
        struct kc_error error = {.code = 0};

        if (sqlite_store_open(&f->actor.actor, f->path, &f->store, &error) < 0)
                fail_msg("%s", error.message);
}

static inline void close_store(struct fixture *f)
{
        sqlite_store_close(f->store);
        f->store = NULL;
}

static inline void reopen(struct fixture *f)
{
        close_store(f);
        open_store(f);
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);

        assert_non_null(f);
        assert_int_equal(uv_loop_init(&f->loop), 0);
        assert_int_equal(kc_actor_uv_init(&f->actor, &f->loop, 0), 0);
        snprintf(f->folder, sizeof f->folder, "/tmp/kcopy-store-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        snprintf(f->path, sizeof f->path, "%s/jobs.db", f->folder);
        open_store(f);
        *state = f;
        return 0;
}

static void on_actor_closed(struct kc_actor_uv *actor)
{
}

static int teardown(void **state)
{
        static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
        struct fixture *f = *state;
        char path[128];

        close_store(f);
        for (unsigned i = 0; i < 4; i++) {
                snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
                (void)unlink(path);
        }
        assert_int_equal(rmdir(f->folder), 0);
        kc_actor_uv_close(&f->actor, on_actor_closed);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&f->loop), 0);
        free(f);
        return 0;
}

static void on_done(struct store_req *req)
{
        struct asked *asked = kc_container_of(req, struct asked, req);

        assert_int_equal(asked->answered, 0);
        asked->answered = ++asked->f->n_answers;
}

static inline void submit(struct fixture *f, struct asked *asked)
{
        asked->f = f;
        asked->answered = 0;
        asked->req.on_done = on_done;
        assert_int_equal(store_submit(f->store, &asked->req), 0);
        assert_int_equal(asked->answered, 0); /* never inside */
}

static inline int answer(struct fixture *f, struct asked *asked)
{
        while (!asked->answered)
                uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(asked->req.status, asked->req.error.code);
        return asked->req.status;
}

static inline int ask(struct fixture *f, struct asked *asked)
{
        submit(f, asked);
        return answer(f, asked);
}

/* ---- jobs */

#define LENGTH (UINT64_C(1) << 30)

static inline struct copy_spec *new_spec(const char *key, const char *to)
{
        struct copy_spec *spec = copy_spec_new_lasting(1, 256);

        assert_non_null(spec);
        spec->operation = COPY_OPERATION_COPY;
        spec->options.unmap = true;
        spec->options.policy = COPY_POLICY_CONTINUE;
        spec->options.priority = 3;
        spec->lasting->detached = true;
        spec->lasting->retry_for_ns = 600 * UINT64_C(1000000000);
        if (key)
                spec->lasting->key = copy_spec_name(spec, key, strlen(key));
        spec->lasting->ends[1].size_bytes = 4096;
        spec->lasting->ends[1].identity = copy_spec_name(spec, "blk:7", 5);
        spec->from.device = copy_spec_name(spec, "nbd://a/x", 9);
        spec->from.sector = 8;
        spec->to[0].device = copy_spec_name(spec, to, strlen(to));
        spec->context_bytes = 3;
        memcpy(spec->context, "ctx", 3);
        return spec;
}

static inline int create(struct fixture *f, struct asked *asked, uint64_t id, const char *key, const char *to)
{
        struct copy_spec *spec = new_spec(key, to);
        int r;

        *asked = (struct asked){.req.op = STORE_CREATE};
        asked->req.create.job_id = id;
        asked->req.create.identity = IDENTITY;
        asked->req.create.key = key;
        asked->req.create.spec = spec;
        asked->req.create.length_bytes = LENGTH;
        submit(f, asked);
        free(spec); /* is not needed any more */
        r = answer(f, asked);
        return r;
}

static inline uint64_t created(struct fixture *f, uint64_t id)
{
        struct asked asked;

        assert_int_equal(create(f, &asked, id, NULL, "/dev/b"), 0);
        assert_int_equal(asked.req.job_id, id);
        assert_false(asked.req.existed);
        return asked.req.epoch;
}

static inline struct asked get(struct fixture *f, uint64_t id)
{
        struct asked asked = {.req = {.op = STORE_GET, .job_id = id}};

        (void)ask(f, &asked);
        return asked;
}

static inline struct job_event state_event(uint64_t id, enum job_state state, const char *reason)
{
        return (struct job_event){.type = JOB_EVENT_STATE, .job_id = id, .state = state, .reason = reason};
}

/* An update that says a state, with one event. */
static inline int set_state(
    struct fixture *f, uint64_t id, uint64_t epoch, uint64_t seq, enum job_state state, const char *reason)
{
        struct job_event event = state_event(id, state, reason);
        struct asked asked = {.req = {.op = STORE_UPDATE, .job_id = id, .epoch = epoch}};

        asked.req.update.has_state = true;
        asked.req.update.state = state;
        asked.req.update.reason = reason;
        asked.req.update.first_seq = seq;
        asked.req.update.n_events = 1;
        asked.req.update.events = &event;
        return ask(f, &asked);
}

static inline uint64_t next_seq(struct fixture *f, uint64_t id)
{
        struct asked asked = get(f, id);
        uint64_t seq;

        assert_int_equal(asked.req.n_jobs, 1);
        seq = asked.req.jobs[0].next_seq;
        store_req_done(&asked.req);
        return seq;
}

#endif
