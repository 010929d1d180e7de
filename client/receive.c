/* What the server says, taken apart (receive.h). */
#include "receive.h"

#include <errno.h>
#include <string.h>

#include "convert.h"
#include "job.h"
#include "request.h"
#include "scan.h"
#include "submit.h"

static int garbage(struct kcopy_client *client, const char *what)
{
        return client_lose(client, -EPROTO, "the server broke the protocol: %s", what);
}

/* ---- replies to jobs */

static int accepted(struct kcopy_client *client, struct job *job, uint64_t id, uint64_t length_bytes)
{
        bool cancel = job->cancel; /* the event's function may cancel it, too */

        if (!id || job_find_id(client, id))
                return garbage(client, "a job id that is 0 or given twice");
        job_accept(client, job, id);
        client_event(client, &(struct kcopy_event){.type = KCOPY_EVENT_ACCEPTED,
                                 .job = id,
                                 .context = job->context,
                                 .length_bytes = length_bytes,
                                 .n_destinations = job->n_to});
        if (cancel)
                submit_cancel(client, job);
        return 0;
}

/* A batch that was answered as a whole: by a list with an entry per job, or one refusal for all. */
static int batch_answered(struct kcopy_client *client, struct job *job, const Kcopy__V1__ServerMessage *reply)
{
        uint64_t first = job->ticket;
        unsigned n = job->n_batch;

        if (reply->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_ACCEPTED_MANY &&
            reply->accepted_many->n_answers != n)
                return garbage(client, "a batch with more or fewer answers than jobs");
        for (unsigned i = 0; i < n && !client->lost; i++) {
                job = job_find_ticket(client, first + i);
                if (!job || job->id)
                        return garbage(client, "a batch answered twice");
                if (reply->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_REFUSED) {
                        job_refuse(client, job, reply->refused);
                } else {
                        const Kcopy__V1__BatchAnswer *answer = reply->accepted_many->answers[i];

                        if (answer->refused && answer->job)
                                return garbage(client, "a job both accepted and refused");
                        if (answer->refused)
                                job_refuse(client, job, answer->refused);
                        else
                                accepted(client, job, answer->job, 0);
                }
        }
        return client->lost ? -ENOTCONN : 0;
}

static int job_answered(struct kcopy_client *client, struct job *job, const Kcopy__V1__ServerMessage *reply)
{
        if (job->id)
                return garbage(client, "a job answered twice");
        if (job->n_batch && (reply->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_REFUSED ||
                                reply->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_ACCEPTED_MANY))
                return batch_answered(client, job, reply);
        if (reply->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_REFUSED) {
                job_refuse(client, job, reply->refused);
                return 0;
        }
        if (job->validate_only && reply->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_VALIDATED)
                return job_validated(client, job, reply->validated)
                           ? 0
                           : garbage(client, "a validation of another job");
        /* one that was only to be validated must not begin: without the connection it is cancelled */
        if (job->n_batch || job->validate_only ||
            reply->body_case != KCOPY__V1__SERVER_MESSAGE__BODY_ACCEPTED)
                return garbage(client, "a job answered by something else");
        if (job->detached) {
                if (!reply->accepted->job)
                        return garbage(client, "a job id that is 0");
                job_stored(client, job, reply->accepted->job, reply->accepted->length_bytes);
                return 0;
        }
        return accepted(client, job, reply->accepted->job, reply->accepted->length_bytes);
}

static int receive_reply(struct kcopy_client *client, const Kcopy__V1__ServerMessage *reply)
{
        struct request *request = request_find(client, reply->request_id);
        struct job *job = request ? NULL : job_find_ticket(client, reply->request_id);

        if (request)
                return request_answer(request, reply)
                           ? 0
                           : garbage(client, "a request answered by something else");
        if (job)
                return job_answered(client, job, reply);
        return garbage(client, "a reply to nothing");
}

/* ---- events */

static void *context_of(struct kcopy_client *client, uint64_t id)
{
        struct job *job = job_find_id(client, id);

        return job ? job->context : NULL;
}

static int on_progress(struct kcopy_client *client, const Kcopy__V1__Progress *progress)
{
        if (progress->n_done_bytes > KC_DESTINATIONS_MAX)
                return garbage(client, "progress of too many destinations");
        client_event(client, &(struct kcopy_event){.type = KCOPY_EVENT_PROGRESS,
                                 .job = progress->job,
                                 .context = context_of(client, progress->job),
                                 .length_bytes = progress->length_bytes,
                                 .elapsed_ms = progress->elapsed_ms,
                                 .rate_bytes_per_s = progress->rate_bytes_per_s,
                                 .n_destinations = (unsigned)progress->n_done_bytes,
                                 .done_bytes = progress->done_bytes});
        return 0;
}

static int on_state_change(struct kcopy_client *client, const Kcopy__V1__ServerMessage *message)
{
        const Kcopy__V1__StateChange *change = message->state_change;

        if (change->state < KCOPY__V1__JOB_STATE__JOB_STATE_WAITING ||
            change->state > KCOPY__V1__JOB_STATE__JOB_STATE_CANCELLED)
                return garbage(client, "a job state that does not exist");
        client_event(client, &(struct kcopy_event){.type = KCOPY_EVENT_STATE,
                                 .job = change->job,
                                 .context = context_of(client, change->job),
                                 .state = (enum kcopy_job_state)change->state,
                                 .reason = change->reason,
                                 .seq = message->seq,
                                 .at_ms = message->at_ms});
        return 0;
}

static int on_destination_done(struct kcopy_client *client, const Kcopy__V1__ServerMessage *message)
{
        const Kcopy__V1__DestinationDone *done = message->destination_done;
        struct kcopy_destination_result destination;

        if (!done->result || done->result->index >= KC_DESTINATIONS_MAX)
                return garbage(client, "a destination that does not exist");
        convert_destination(done->result, &destination);
        client_event(client, &(struct kcopy_event){.type = KCOPY_EVENT_DESTINATION,
                                 .job = done->job,
                                 .context = context_of(client, done->job),
                                 .index = done->result->index,
                                 .destination = &destination,
                                 .seq = message->seq,
                                 .at_ms = message->at_ms});
        return 0;
}

static int on_completion(
    struct kcopy_client *client, const Kcopy__V1__Completion *message, uint64_t seq, uint64_t at_ms)
{
        struct convert_completion completion;
        struct job *job = job_find_id(client, message->job);

        if (!convert_completion(message, &completion) ||
            (job && completion.result.n_destinations != job->n_to))
                return garbage(client, "a completion that contradicts itself");
        if (job)
                job_end(client, job, message->read_err, message->write_err, &completion.result);
        else
                client_event(client, &(struct kcopy_event){.type = KCOPY_EVENT_COMPLETION,
                                         .job = message->job,
                                         .state = completion.result.state,
                                         .length_bytes = message->length_bytes,
                                         .elapsed_ms = message->elapsed_ms,
                                         .n_destinations = completion.result.n_destinations,
                                         .read_err = message->read_err,
                                         .write_err = message->write_err,
                                         .result = &completion.result,
                                         .seq = seq,
                                         .at_ms = at_ms});
        return 0;
}

static int on_completions(struct kcopy_client *client, const Kcopy__V1__Completions *completions)
{
        int rc = 0;

        for (size_t i = 0; i < completions->n_completions && rc == 0; i++)
                rc = on_completion(client, completions->completions[i], 0, 0);
        return rc;
}

static int on_stopping(struct kcopy_client *client, const Kcopy__V1__Stopping *stopping)
{
        client_event(
            client, &(struct kcopy_event){.type = KCOPY_EVENT_STOPPING, .drain_ms = stopping->drain_ms});
        return 0;
}

static int receive_event(struct kcopy_client *client, const Kcopy__V1__ServerMessage *message)
{
        switch (message->body_case) {
        case KCOPY__V1__SERVER_MESSAGE__BODY_PROGRESS:
                return on_progress(client, message->progress);
        case KCOPY__V1__SERVER_MESSAGE__BODY_STATE_CHANGE:
                return on_state_change(client, message);
        case KCOPY__V1__SERVER_MESSAGE__BODY_DESTINATION_DONE:
                return on_destination_done(client, message);
        case KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION:
                return on_completion(client, message->completion, message->seq, message->at_ms);
        case KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETIONS:
                return on_completions(client, message->completions);
        case KCOPY__V1__SERVER_MESSAGE__BODY_STOPPING:
                return on_stopping(client, message->stopping);
        case KCOPY__V1__SERVER_MESSAGE__BODY_FAREWELL: /* nobody asked for it */
                return client_lose(client, -ESHUTDOWN, "the server has shut down");
        case KCOPY__V1__SERVER_MESSAGE__BODY_PROTOCOL_ERROR:
                return client_lose(
                    client, -EPROTO, "the server hung up: %s", message->protocol_error->reason);
        case KCOPY__V1__SERVER_MESSAGE__BODY__NOT_SET:
                return 0; /* an event of a newer server */
        default:
                return garbage(client, "a reply without the request's id");
        }
}

int receive_body(struct kcopy_client *client, const uint8_t *body, size_t body_bytes)
{
        Kcopy__V1__ServerMessage *message;
        struct kc_scan scan;
        int rc;

        if (kc_scan_body(
                body, body_bytes, &kcopy__v1__server_message__descriptor, KC_REPLY_FIELDS_MAX, &scan) < 0)
                return garbage(client, "a frame that is no message");
        if (scan.finding == KC_SCAN_BAD_TEXT)
                return garbage(client, "text that is no UTF-8");
        message = kcopy__v1__server_message__unpack(&client->budget.allocator, body_bytes, body);
        if (!message) {
                kc_budget_reset(&client->budget);
                return garbage(client, "a message that cannot be unpacked");
        }
        rc = message->request_id ? receive_reply(client, message) : receive_event(client, message);
        kc_budget_reset(&client->budget);
        return rc;
}
