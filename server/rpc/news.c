/* That there is something to say of a job (news.h). */
#include "rpc/news.h"

#include "rpc/session.h"

void news_note(struct news *news, const struct job_event *event, bool talkative)
{
        switch (event->type) {
        case JOB_EVENT_STATE:
                news->state |= talkative;
                break;
        case JOB_EVENT_PROGRESS:
                news->progress = true;
                break;
        case JOB_EVENT_DESTINATION_DONE:
                if (talkative)
                        news->destinations |= UINT64_C(1) << event->index;
                break;
        case JOB_EVENT_COMPLETION:
                news->completion = true;
                break;
        }
}

bool news_any(const struct news *news)
{
        return news->state || news->progress || news->completion || news->destinations;
}

/* `body` is NULL when the arena was full. */
#define SEND(session, member, BODY, body)                                                                    \
        do {                                                                                                 \
                Kcopy__V1__ServerMessage message_ = KCOPY__V1__SERVER_MESSAGE__INIT;                         \
                                                                                                             \
                message_.body_case = KCOPY__V1__SERVER_MESSAGE__BODY_##BODY;                                 \
                message_.member = (body);                                                                    \
                if (message_.member)                                                                         \
                        session_send(session, &message_);                                                    \
                else                                                                                         \
                        session_lost(session, "out of memory");                                              \
        } while (0)

static void send_destination(struct session *session, const struct engine_job_view *view, unsigned index)
{
        struct kc_budget *build = &session->rpc->build;
        Kcopy__V1__DestinationDone done = KCOPY__V1__DESTINATION_DONE__INIT;
        Kcopy__V1__DestinationDone *body = &done;

        kc_budget_reset(build);
        done.job = view->job_id;
        done.result = encode_destination(build, index, &view->destinations[index], KC_MESSAGE_MAX_BYTES);
        SEND(session, destination_done, DESTINATION_DONE, done.result ? body : NULL);
}

void news_send(struct session *session, const struct engine_job_view *view, struct news *news)
{
        struct kc_budget *build = &session->rpc->build;
        struct news said = *news;

        *news = (struct news){0};
        kc_budget_reset(build);
        if (said.completion && view->result) {
                SEND(session, completion, COMPLETION,
                    encode_completion(build, view->job_id, view->spec, view->result, session->rpc->stopped));
                return;
        }
        if (said.state)
                SEND(session, state_change, STATE_CHANGE, encode_state(build, view));
        for (unsigned i = 0; i < view->spec->n_to; i++) {
                if (view->destinations && said.destinations & UINT64_C(1) << i)
                        send_destination(session, view, i);
        }
        kc_budget_reset(build);
        if (said.progress)
                SEND(session, progress, PROGRESS,
                    encode_progress(build, view, slot_rate(session->rpc, view->job_id)));
}
