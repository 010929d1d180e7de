/* Jobs on their way (job.h). */
#include "job.h"

#include <stdlib.h>

#include "convert.h"

#define CONTAINER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

uint64_t job_mask(unsigned n)
{
        return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

struct job *job_new(
    struct kcopy_client *client, unsigned n_to, bool zero, kcopy_notify_fn notify, void *context)
{
        struct job *job = calloc(1, sizeof(*job));

        if (!job)
                return NULL;
        job->ticket = ++client->last_ticket;
        job->n_to = n_to;
        job->zero = zero;
        job->notify = notify;
        job->context = context;
        table_insert(&client->jobs_by_ticket, &job->by_ticket, job->ticket);
        TAILQ_INSERT_TAIL(&client->jobs, job, link);
        client->n_jobs++;
        return job;
}

static void forget(struct kcopy_client *client, struct job *job)
{
        table_remove(&client->jobs_by_ticket, &job->by_ticket);
        if (job->id)
                table_remove(&client->jobs_by_id, &job->by_id);
        TAILQ_REMOVE(&client->jobs, job, link);
        client->n_jobs--;
}

void job_free(struct kcopy_client *client, struct job *job)
{
        forget(client, job);
        free(job);
}

struct job *job_find_ticket(struct kcopy_client *client, uint64_t ticket)
{
        struct table_node *node = table_find(&client->jobs_by_ticket, ticket);

        return node ? CONTAINER(node, struct job, by_ticket) : NULL;
}

struct job *job_find_id(struct kcopy_client *client, uint64_t id)
{
        struct table_node *node = table_find(&client->jobs_by_id, id);

        return node ? CONTAINER(node, struct job, by_id) : NULL;
}

void job_accept(struct kcopy_client *client, struct job *job, uint64_t id)
{
        job->id = id;
        table_insert(&client->jobs_by_id, &job->by_id, id);
}

void job_end(struct kcopy_client *client, struct job *job, int read_err, uint64_t write_err,
    const struct kcopy_result *result)
{
        /* out of the lists first: in its callback, the user may count what is pending */
        forget(client, job);
        job->notify(read_err, write_err, job->context, result);
        free(job);
}

void job_refuse(struct kcopy_client *client, struct job *job, const Kcopy__V1__Refused *refused)
{
        struct kcopy_result result = {
            .state = KCOPY_REFUSED,
            .refused_field = refused->field,
            .refusal = {.error_class = convert_class(refused->error_class),
                .errno_name = refused->errno_name,
                .message = refused->reason},
            .has_limit = refused->has_limit,
            .limit = refused->limit,
        };

        if (result.refusal.error_class == KCOPY_CLASS_NONE)
                result.refusal.error_class = KCOPY_CLASS_INTERNAL;
        job_end(client, job, !job->zero, job_mask(job->n_to), &result);
}

bool job_validated(struct kcopy_client *client, struct job *job, const Kcopy__V1__Validated *validated)
{
        struct kcopy_planned_device source, destinations[KCOPY_DESTINATIONS_MAX];
        struct kcopy_plan plan = {
            .source = job->zero ? NULL : &source, .n_destinations = job->n_to, .destinations = destinations};
        struct kcopy_result result = {
            .state = KCOPY_VALIDATED,
            .length_bytes = validated->length_bytes,
            .source_error = {.errno_name = "", .message = ""},
            .refused_field = "",
            .refusal = {.errno_name = "", .message = ""},
            .plan = &plan,
        };

        if ((validated->from == NULL) != job->zero || validated->n_to != job->n_to)
                return false;
        if (validated->from)
                source = convert_planned(validated->from);
        for (unsigned i = 0; i < job->n_to; i++)
                destinations[i] = convert_planned(validated->to[i]);
        /* nothing is complete: who looks at kcopyd's answers alone must not take it for a copy */
        job_end(client, job, !job->zero, job_mask(job->n_to), &result);
        return true;
}

void job_stored(struct kcopy_client *client, struct job *job, uint64_t id, uint64_t length_bytes)
{
        const struct kcopy_result result = {
            .job = id,
            .state = KCOPY_ACCEPTED,
            .length_bytes = length_bytes,
            .source_error = {.errno_name = "", .message = ""},
            .refused_field = "",
            .refusal = {.errno_name = "", .message = ""},
        };

        /* nothing is complete yet, as with a job that was only validated */
        job_end(client, job, !job->zero, job_mask(job->n_to), &result);
}

void job_lose_all(struct kcopy_client *client)
{
        struct job *job;

        while ((job = TAILQ_FIRST(&client->jobs))) {
                struct kcopy_result result = {
                    .job = job->id,
                    .state = KCOPY_LOST,
                    .refused_field = "",
                    .refusal = {.error_class = KCOPY_CLASS_TRANSPORT,
                        .errno_name = convert_errno_name(client->lost_error),
                        .message = client->lost_reason},
                };

                job_end(client, job, !job->zero, job_mask(job->n_to), &result);
        }
}
