/* The jobs of one session (slot.h). */
#include "rpc/slot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "rpc/batch.h"
#include "rpc/completions.h"
#include "rpc/session.h"

void slots_init(struct slots *jobs)
{
        memset(jobs, 0, sizeof(*jobs));
        kc_list_init(&jobs->all);
        kc_list_init(&jobs->dirty);
        kc_list_init(&jobs->done);
        kc_list_init(&jobs->done_many);
}

/* ---- one record */

struct slot *slot_new(struct session *session, uint64_t request_id)
{
        struct slot *slot = kc_zalloc(sizeof(*slot));

        if (!slot)
                return NULL;
        slot->session = session;
        slot->request_id = request_id;
        kc_list_init(&slot->queue);
        kc_list_init(&slot->node);
        kc_list_push(&session->jobs.all, &slot->node);
        session->jobs.n++;
        return slot;
}

/* Its part of the engine's memory is the history's, or free. */
static void uncount(struct slot *slot)
{
        slot->session->jobs.engine_bytes -= slot->engine_bytes;
        slot->engine_bytes = 0;
}

/* The record goes, its slot stays taken: the terminal event is on its way. */
static void forget(struct slot *slot)
{
        struct rpc *rpc = slot->session->rpc;

        if (slot->accepted) {
                kc_idmap_del(&rpc->jobs, &slot->by_id);
                if (rpc->jobs.n == 0)
                        rpc_jobs_end(rpc);
        }
        uncount(slot);
        slot->session->jobs.terminal_bytes -= slot->terminal_bytes;
        free(slot->terminal);
        kc_list_del(&slot->queue);
        kc_list_del(&slot->node);
        free(slot);
}

void slot_free(struct slot *slot)
{
        slot->session->jobs.n--;
        forget(slot);
}

void slot_accepted(struct slot *slot, uint64_t job_id)
{
        slot->accepted = true;
        kc_idmap_add(&slot->session->rpc->jobs, &slot->by_id, job_id);
}

/* What a job's view shows is at most so old. */
#define VIEW_AGE_MAX_NS UINT64_C(250000000)

void slot_prepare(struct slot *slot, struct copy_spec *spec)
{
        uint64_t wanted_ns = spec->options.progress_interval_ns;
        uint64_t n_looks = (wanted_ns + VIEW_AGE_MAX_NS - 1) / VIEW_AGE_MAX_NS;
        uint64_t look_ns = wanted_ns ? wanted_ns / n_looks : VIEW_AGE_MAX_NS;

        slot->progress_interval_ns = wanted_ns;
        slot->progress_slack_ns = wanted_ns ? look_ns / 2 : 0;
        spec->options.progress_interval_ns = look_ns;
        slot->engine_bytes = (uint32_t)engine_job_bytes(spec);
        slot->session->jobs.engine_bytes += slot->engine_bytes;
}

uint64_t slot_rate(const struct rpc *rpc, uint64_t job_id)
{
        struct kc_idmap_node *node = kc_idmap_get(&rpc->jobs, job_id);

        return node ? kc_container_of(node, struct slot, by_id)->rate_bytes_per_s : 0;
}

/* Put it on the queue of what it has to say. */
static void enqueue(struct slot *slot)
{
        struct slots *jobs = &slot->session->jobs;

        if (slot->batch)
                return;
        if (slot->terminal)
                kc_list_move(slot->of_batch ? &jobs->done_many : &jobs->done, &slot->queue);
        else if (kc_list_empty(&slot->queue) && news_any(&slot->news))
                kc_list_push(&jobs->dirty, &slot->queue);
        session_wake(slot->session);
}

void slot_unhold(struct slot *slot)
{
        slot->batch = NULL;
        enqueue(slot);
}

/* ---- submission */

static void on_accepted(struct engine_submission *submission, uint64_t job_id, uint64_t length_bytes)
{
        struct slot *slot = kc_container_of(submission, struct slot, submission);
        struct session *session = slot->session;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Accepted accepted = KCOPY__V1__ACCEPTED__INIT;

        message.request_id = slot->request_id;
        if (slot->detached || !session_is_live(session))
                slot_free(slot);
        else
                slot_accepted(slot, job_id);
        if (session_is_live(session)) {
                accepted.job = job_id;
                accepted.length_bytes = length_bytes;
                message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_ACCEPTED;
                message.accepted = &accepted;
                session_send(session, &message);
        }
        session_release(session);
}

static void on_refused(struct engine_submission *submission, const struct engine_refusal *refusal)
{
        struct slot *slot = kc_container_of(submission, struct slot, submission);
        struct session *session = slot->session;
        uint64_t request_id = slot->request_id;

        slot_free(slot);
        session_refuse(session, request_id, refusal);
        session_release(session);
}

static void on_validated(struct engine_submission *submission, const struct engine_plan *plan)
{
        struct slot *slot = kc_container_of(submission, struct slot, submission);
        struct session *session = slot->session;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;

        message.request_id = slot->request_id;
        slot_free(slot);
        if (session_is_live(session)) {
                kc_budget_reset(&session->rpc->build);
                message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_VALIDATED;
                message.validated = encode_validated(&session->rpc->build, plan);
                if (message.validated)
                        session_send(session, &message);
                else
                        session_lost(session, "out of memory");
        }
        session_release(session);
}

void slot_submit(struct slot *slot, struct copy_spec *spec)
{
        struct session *session = slot->session;

        slot->submission.on_accepted = on_accepted;
        slot->submission.on_refused = on_refused;
        slot->submission.on_validated = on_validated;
        slot->detached = copy_spec_detached(spec);
        slot_prepare(slot, spec);
        if (engine_submit(session->client, spec, &slot->submission) == 0) {
                session_hold(session);
                return;
        }
        slot_free(slot);
        session_lost(session, "out of memory");
}

/* ---- events */

static uint8_t *pack_completion(const struct slot *slot, const struct job_event *event, uint32_t *ret_bytes)
{
        struct kc_budget *build = &slot->session->rpc->build;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__Completion *completion;

        kc_budget_reset(build);
        completion =
            encode_completion(build, event->job_id, event->spec, event->result, slot->session->rpc->stopped);
        if (!completion)
                return NULL;
        if (slot->of_batch)
                return encode_pack(&completion->base, ret_bytes);
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION;
        message.completion = completion;
        return encode_pack(&message.base, ret_bytes);
}

static void hold_completion(struct slot *slot, const struct job_event *event)
{
        struct session *session = slot->session;

        assert(!slot->terminal);
        slot->terminal = pack_completion(slot, event, &slot->terminal_bytes);
        if (!slot->terminal) {
                session_lost(session, "out of memory");
                return;
        }
        session->jobs.terminal_bytes += slot->terminal_bytes;
        enqueue(slot);
        session_check_ceiling(session);
}

/* Note the rate; true: its owner is to hear of it. */
static bool progress_is_due(struct slot *slot, const struct job_event *event)
{
        uint64_t now_ns = kc_actor_now_ns(slot->session->rpc->config.control);

        slot->rate_bytes_per_s = event->rate_bytes_per_s;
        if (!slot->progress_interval_ns || now_ns < slot->progress_due_ns)
                return false;
        slot->progress_due_ns = now_ns + slot->progress_interval_ns - slot->progress_slack_ns;
        return true;
}

void slot_on_event(struct slot *slot, const struct job_event *event, bool watched)
{
        if (event->type == JOB_EVENT_PROGRESS && !progress_is_due(slot, event))
                return;
        if (event->type == JOB_EVENT_COMPLETION) {
                uncount(slot);
                hold_completion(slot, event);
                return;
        }
        news_note(&slot->news, event, !slot->of_batch || watched);
        enqueue(slot);
}

/* ---- saying it */

static bool has_room(const struct session *session)
{
        return session_is_live(session) && session->out.bytes < session->rpc->config.high_water_bytes;
}

static void flush_one(struct session *session, struct slot *slot)
{
        unsigned header_bytes = kc_frame_header_bytes(slot->terminal_bytes);
        uint8_t *at = outq_reserve(&session->out, header_bytes + slot->terminal_bytes);

        if (!at) {
                session_lost(session, "out of memory");
                return;
        }
        kc_frame_header(at, slot->terminal_bytes);
        memcpy(at + header_bytes, slot->terminal, slot->terminal_bytes);
        outq_commit(&session->out, header_bytes + slot->terminal_bytes, 1);
        forget(slot);
}

/* As many as one frame takes. */
static void flush_many(struct session *session)
{
        struct slots *jobs = &session->jobs;
        size_t body_bytes = 0, frame_bytes;
        unsigned n = 0;
        uint8_t *at;

        kc_list_for_each (node, &jobs->done_many) {
                const struct slot *slot = kc_list_entry(node, struct slot, queue);
                size_t with_it = completions_grow(body_bytes, slot->terminal_bytes);

                if (!completions_fits(with_it) || n == KC_BATCH_JOBS_MAX) /* which a client can unpack */
                        break;
                body_bytes = with_it;
                n++;
        }
        frame_bytes = completions_frame_bytes(body_bytes);
        at = outq_reserve(&session->out, frame_bytes);
        if (!at) {
                session_lost(session, "out of memory");
                return;
        }
        at = completions_begin(at, body_bytes);
        for (unsigned i = 0; i < n; i++) {
                struct slot *slot = kc_list_first(&jobs->done_many, struct slot, queue);

                at = completions_add(at, slot->terminal, slot->terminal_bytes);
                forget(slot);
        }
        outq_commit(&session->out, frame_bytes, n);
}

static void flush_news(struct session *session, struct slot *slot)
{
        struct engine_job_view view;

        kc_list_del(&slot->queue);
        /* once it is terminal its Completion is all there is to say */
        if (engine_job_get(session->rpc->config.engine, slot->by_id.id, &view) == 0 && !view.result)
                news_send(session, &view, &slot->news);
}

void slots_flush(struct session *session)
{
        struct slots *jobs = &session->jobs;

        while (has_room(session) && !kc_list_empty(&jobs->done))
                flush_one(session, kc_list_first(&jobs->done, struct slot, queue));
        while (has_room(session) && !kc_list_empty(&jobs->done_many))
                flush_many(session);
        while (has_room(session) && !kc_list_empty(&jobs->dirty))
                flush_news(session, kc_list_first(&jobs->dirty, struct slot, queue));
}

void slots_written(struct session *session, unsigned n)
{
        assert(n <= session->jobs.n);
        session->jobs.n -= n;
}

void slots_abandon(struct session *session)
{
        kc_list_for_each_safe (node, &session->jobs.all) {
                struct slot *slot = kc_list_entry(node, struct slot, node);

                if (!slot->accepted)
                        continue; /* its answer from the engine frees it */
                if (slot->batch)
                        batch_forget(slot->batch, slot->index);
                slot_free(slot);
        }
}
