/* The jobs of one CopyMany until they are answered (batch.h). */
#include "rpc/batch.h"

#include <stdlib.h>

#include "rpc/session.h"

struct answer {
        uint64_t job_id;   /* 0: refused, or not answered yet */
        struct slot *slot; /* accepted, and the session has not forgotten it */
        struct engine_refusal *refusal;
};

struct batch {
        struct session *session;
        uint64_t request_id;
        unsigned n_jobs;
        unsigned n_open; /* jobs without an answer, and one for the sealing */
        struct answer answers[];
};

/* What one answer costs beside the text of its reason: tags and lengths (12), a field (64), the name of an
 * errno (20), class and limit (16). */
#define ANSWER_FIXED_BYTES 112u

struct batch *batch_new(struct session *session, uint64_t request_id, unsigned n_jobs)
{
        struct batch *batch = calloc(1, sizeof(*batch) + n_jobs * sizeof(batch->answers[0]));

        if (!batch)
                return NULL;
        batch->session = session;
        batch->request_id = request_id;
        batch->n_jobs = n_jobs;
        batch->n_open = n_jobs + 1;
        return batch;
}

/* One frame holds it: reasons are cut to what each answer may take. */
static void send_answers(struct batch *batch)
{
        struct kc_budget *build = &batch->session->rpc->build;
        Kcopy__V1__ServerMessage message = KCOPY__V1__SERVER_MESSAGE__INIT;
        Kcopy__V1__AcceptedMany many = KCOPY__V1__ACCEPTED_MANY__INIT;
        size_t share_bytes = (KC_FRAME_MAX_BYTES - 64) / batch->n_jobs;
        size_t reason_bytes = share_bytes > ANSWER_FIXED_BYTES + 8 ? share_bytes - ANSWER_FIXED_BYTES : 8;
        Kcopy__V1__BatchAnswer *answers;
        Kcopy__V1__Refused *refused;

        if (reason_bytes > KC_MESSAGE_MAX_BYTES)
                reason_bytes = KC_MESSAGE_MAX_BYTES;
        kc_budget_reset(build);
        many.answers = kc_budget_alloc(build, batch->n_jobs * sizeof(many.answers[0]));
        answers = kc_budget_alloc(build, batch->n_jobs * sizeof(answers[0]));
        refused = kc_budget_alloc(build, batch->n_jobs * sizeof(refused[0]));
        if (!many.answers || !answers || !refused)
                goto err;
        for (unsigned i = 0; i < batch->n_jobs; i++) {
                kcopy__v1__batch_answer__init(&answers[i]);
                many.answers[i] = &answers[i];
                answers[i].job = batch->answers[i].job_id;
                if (!batch->answers[i].refusal)
                        continue;
                if (!encode_refused(build, batch->answers[i].refusal, reason_bytes, &refused[i]))
                        goto err;
                answers[i].refused = &refused[i];
        }
        many.n_answers = batch->n_jobs;
        message.request_id = batch->request_id;
        message.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_ACCEPTED_MANY;
        message.accepted_many = &many;
        session_send(batch->session, &message);
        return;
err:
        session_lost(batch->session, "out of memory");
}

static void batch_answered(struct batch *batch)
{
        if (--batch->n_open)
                return;
        if (session_is_live(batch->session))
                send_answers(batch);
        for (unsigned i = 0; i < batch->n_jobs; i++) {
                if (batch->answers[i].slot)
                        slot_unhold(batch->answers[i].slot);
                free(batch->answers[i].refusal);
        }
        free(batch);
}

void batch_refuse(struct batch *batch, unsigned index, const struct engine_refusal *refusal)
{
        struct engine_refusal *copy = malloc(sizeof(*copy));

        if (copy) {
                *copy = *refusal;
                session_explain(batch->session, copy);
        } else {
                session_lost(batch->session, "out of memory");
        }
        batch->answers[index].refusal = copy;
        batch_answered(batch);
}

static void on_accepted(struct engine_submission *submission, uint64_t job_id, uint64_t length_bytes)
{
        struct slot *slot = kc_container_of(submission, struct slot, submission);
        struct batch *batch = slot->batch;
        struct session *session = slot->session;

        if (session_is_live(session)) {
                batch->answers[slot->index].job_id = job_id;
                batch->answers[slot->index].slot = slot;
                slot_accepted(slot, job_id);
        } else {
                slot_free(slot);
        }
        batch_answered(batch);
        session_release(session);
}

static void on_refused(struct engine_submission *submission, const struct engine_refusal *refusal)
{
        struct slot *slot = kc_container_of(submission, struct slot, submission);
        struct batch *batch = slot->batch;
        struct session *session = slot->session;
        unsigned index = slot->index;

        slot_free(slot);
        batch_refuse(batch, index, refusal);
        session_release(session);
}

void batch_submit(struct batch *batch, unsigned index, struct copy_spec *spec)
{
        struct session *session = batch->session;
        struct slot *slot = session_is_live(session) ? slot_new(session, batch->request_id) : NULL;

        if (!slot) {
                free(spec);
                goto err;
        }
        slot->batch = batch;
        slot->index = index;
        slot->of_batch = true;
        slot->submission.on_accepted = on_accepted;
        slot->submission.on_refused = on_refused;
        slot_prepare(slot, spec);
        if (engine_submit(session->client, spec, &slot->submission) < 0) {
                slot_free(slot);
                goto err;
        }
        session_hold(session);
        return;
err:
        session_lost(session, "out of memory");
        batch_answered(batch);
}

void batch_seal(struct batch *batch)
{
        batch_answered(batch);
}

void batch_forget(struct batch *batch, unsigned index)
{
        batch->answers[index].slot = NULL;
}
