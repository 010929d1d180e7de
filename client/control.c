/* Blocking requests that change what becomes of jobs, or who hears of it (kcopy.h). */
#include "request.h"

#define BODY(name) KCOPY__V1__CLIENT_MESSAGE__BODY_##name
#define REPLY(name) KCOPY__V1__SERVER_MESSAGE__BODY_##name

int kcopy_pause_job(struct kcopy_client *client, uint64_t job)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Pause body = KCOPY__V1__PAUSE__INIT;

        body.job = job;
        message.body_case = BODY(PAUSE);
        message.pause = &body;
        return request_run(client, &message, REPLY(DONE), NULL, NULL);
}

int kcopy_resume_job(struct kcopy_client *client, uint64_t job)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Resume body = KCOPY__V1__RESUME__INIT;

        body.job = job;
        message.body_case = BODY(RESUME);
        message.resume = &body;
        return request_run(client, &message, REPLY(DONE), NULL, NULL);
}

int kcopy_cancel_job(struct kcopy_client *client, uint64_t job)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Cancel cancel = KCOPY__V1__CANCEL__INIT;

        cancel.job = job;
        message.body_case = BODY(CANCEL);
        message.cancel = &cancel;
        return request_run(client, &message, REPLY(DONE), NULL, NULL);
}

int kcopy_adjust_job(
    struct kcopy_client *client, uint64_t job, unsigned flags, uint64_t rate_bytes_per_s, unsigned priority)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Adjust body = KCOPY__V1__ADJUST__INIT;

        body.job = job;
        body.set_rate = flags & KCOPY_ADJUST_RATE;
        body.rate_bytes_per_s = rate_bytes_per_s;
        body.set_priority = flags & KCOPY_ADJUST_PRIORITY;
        body.priority = priority;
        message.body_case = BODY(ADJUST);
        message.adjust = &body;
        return request_run(client, &message, REPLY(DONE), NULL, NULL);
}

int kcopy_forget_job(struct kcopy_client *client, uint64_t job)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Forget body = KCOPY__V1__FORGET__INIT;

        body.job = job;
        message.body_case = BODY(FORGET);
        message.forget = &body;
        return request_run(client, &message, REPLY(DONE), NULL, NULL);
}

static int watch(struct kcopy_client *client, Kcopy__V1__Watch *body, unsigned n_jobs, const uint64_t *jobs)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;

        body->n_jobs = n_jobs;
        body->jobs = (uint64_t *)(uintptr_t)jobs; /* only read */
        message.body_case = BODY(WATCH);
        message.watch = body;
        return request_run(client, &message, REPLY(DONE), NULL, NULL);
}

int kcopy_watch(
    struct kcopy_client *client, unsigned n_jobs, const uint64_t *jobs, unsigned progress_interval_ms)
{
        Kcopy__V1__Watch body = KCOPY__V1__WATCH__INIT;

        body.progress_interval_ms = progress_interval_ms;
        return watch(client, &body, n_jobs, jobs);
}

int kcopy_watch_from(struct kcopy_client *client, uint64_t job, uint64_t from, unsigned progress_interval_ms)
{
        Kcopy__V1__Watch body = KCOPY__V1__WATCH__INIT;

        body.progress_interval_ms = progress_interval_ms;
        body.from_event = from;
        return watch(client, &body, 1, &job);
}

int kcopy_unwatch(struct kcopy_client *client, unsigned n_jobs, const uint64_t *jobs)
{
        Kcopy__V1__Watch body = KCOPY__V1__WATCH__INIT;

        body.stop = true;
        return watch(client, &body, n_jobs, jobs);
}
