/* Detached jobs' words: see journal.h. */
#include "copy/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"
#include "copy/engine_private.h"
#include "copy/job.h"
#include "copy/lasting.h"

#define BATCH_MAX 64u
#define TRY_AGAIN_NS (1000 * KC_NS_PER_MS)

struct entry { /* an event, with what it points to */
        struct kc_list node;
        struct job_event event;
        struct job_destination_result destination;
        char reason[256];
};

struct journal {
        struct job *job;
        uint64_t next_seq; /* of the first entry */
        struct kc_list entries;
        bool mark_wanted, spec_wanted; /* to be stored next */
        /* the update that is out */
        bool out, mark_out, spec_out;
        unsigned n_out; /* entries */
        struct store_req req;
        struct job_event events[BATCH_MAX]; /* … of it */
        struct kc_timer timer;              /* armed: it is to be tried again … */
        struct kc_error trouble;            /* … because of this, which no update has overcome since */
        bool closed;                        /* the job is somebody else's: nothing more is stored */
};

static void push(struct journal *journal);

static void on_timer(struct kc_timer *timer)
{
        push(kc_container_of(timer, struct journal, timer));
}

struct journal *journal_new(struct job *job, uint64_t epoch, uint64_t next_seq)
{
        struct journal *journal = calloc(1, sizeof *journal);

        if (!journal)
                return NULL;
        journal->job = job;
        journal->next_seq = next_seq;
        journal->req.op = STORE_UPDATE;
        journal->req.job_id = job->id;
        journal->req.epoch = epoch;
        kc_list_init(&journal->entries);
        kc_timer_init(&journal->timer, on_timer);
        return journal;
}

static void drop_entries(struct journal *journal, unsigned n)
{
        struct kc_list *node;

        while (n-- > 0 && (node = kc_list_pop(&journal->entries)))
                free(kc_list_entry(node, struct entry, node));
}

void journal_free(struct journal *journal)
{
        if (!journal)
                return;
        kc_actor_timer_stop(journal->job->engine->control, &journal->timer);
        drop_entries(journal, UINT32_MAX);
        free(journal);
}

bool journal_marking(const struct journal *journal)
{
        return !journal->closed && (journal->mark_wanted || (journal->out && journal->mark_out));
}

bool journal_busy(const struct journal *journal)
{
        if (journal->closed)
                return journal->out;
        return journal->out || journal->mark_wanted || journal->spec_wanted ||
               !kc_list_empty(&journal->entries);
}

bool journal_may_be_left(const struct journal *journal)
{
        return !journal_busy(journal) || (!journal->out && journal->trouble.code < 0);
}

const char *journal_trouble(const struct journal *journal)
{
        return journal->trouble.code < 0 ? journal->trouble.message : NULL;
}

/* ---- out */

static void try_again(struct journal *journal)
{
        struct kc_actor *control = journal->job->engine->control;

        kc_actor_timer_start(control, &journal->timer, kc_actor_now_ns(control) + TRY_AGAIN_NS);
}

/* The numbers stay with the entries, whatever else fails: told once is told for ever. */
static void tell(struct journal *journal)
{
        struct engine *engine = journal->job->engine;

        for (unsigned i = 0; i < journal->n_out; i++) {
                struct job_event event = journal->events[i];

                event.seq = journal->next_seq++;
                event.client = journal->job->client;
                event.spec = journal->job->spec;        /* another one by now, perhaps */
                if (event.type == JOB_EVENT_COMPLETION) /* the job tells it, with all that belongs to it */
                        journal->job->lasting->end_seq = event.seq;
                else
                        engine_emit(engine, &event);
        }
        drop_entries(journal, journal->n_out);
        journal->n_out = 0;
}

static void on_stored(struct store_req *req)
{
        struct journal *journal = kc_container_of(req, struct journal, req);
        struct job *job = journal->job;
        bool marked = journal->mark_out;

        journal->out = false;
        journal->trouble = req->error;
        if (req->status == -ESTALE || req->status == -ENOENT) {
                journal->closed = true;
                lasting_on_taken_over(job, &req->error);
                return;
        }
        if (req->status < 0) {
                kc_log_warning("copy",
                    "a job's progress cannot be stored, trying again job=%llu error=\"%s\"",
                    (unsigned long long)job->id, req->error.message);
                journal->mark_wanted |= journal->mark_out;
                journal->spec_wanted |= journal->spec_out;
                try_again(journal);
                lasting_on_store_trouble(job);
                return;
        }
        tell(journal);
        push(journal);
        lasting_on_stored(job, marked); /* it may be gone after that */
}

static void push(struct journal *journal)
{
        struct store_req *req = &journal->req;
        unsigned n = 0;

        if (journal->out || journal->timer.armed || journal->closed || !journal_busy(journal))
                return;
        req->update.has_state = false;
        req->update.result = NULL;
        kc_list_for_each (pos, &journal->entries) {
                const struct entry *entry = kc_list_entry(pos, struct entry, node);
                struct job_event *event = &journal->events[n];

                if (n == BATCH_MAX)
                        break;
                *event = entry->event;
                event->spec = journal->job->spec;
                n++;
                if (event->type == JOB_EVENT_DESTINATION_DONE) {
                        event->destination = &entry->destination;
                        continue;
                }
                event->reason = entry->reason;
                req->update.has_state = true;
                req->update.state = event->state;
                req->update.reason = entry->reason;
                req->update.result = event->type == JOB_EVENT_COMPLETION ? event->result : NULL;
        }
        req->update.n_events = n;
        req->update.events = journal->events;
        req->update.first_seq = journal->next_seq;
        req->update.mark = journal->mark_wanted ? journal->job->lasting->mark : NULL;
        req->update.spec = journal->spec_wanted ? journal->job->spec : NULL;
        req->on_done = on_stored;
        if (store_submit(journal->job->engine->config.store, req) < 0) {
                try_again(journal);
                return;
        }
        journal->out = true;
        journal->n_out = n;
        journal->mark_out = journal->mark_wanted;
        journal->mark_wanted = false;
        journal->spec_out = journal->spec_wanted;
        journal->spec_wanted = false;
}

/* ---- in */

int journal_tell(struct journal *journal, const struct job_event *event)
{
        struct entry *entry = calloc(1, sizeof *entry);

        if (!entry)
                return -ENOMEM;
        entry->event = *event;
        if (event->destination)
                entry->destination = *event->destination;
        snprintf(entry->reason, sizeof entry->reason, "%s", event->reason ? event->reason : "");
        kc_list_init(&entry->node);
        kc_list_push(&journal->entries, &entry->node);
        push(journal);
        return 0;
}

void journal_mark(struct journal *journal)
{
        journal->mark_wanted = true;
        push(journal);
}

void journal_spec(struct journal *journal)
{
        journal->spec_wanted = true;
        push(journal);
}
