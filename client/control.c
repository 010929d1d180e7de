/* Blocking requests that change what becomes of jobs, or who hears of it (kcopy.h). */
#include "request.h"

int kcopy_pause_job(struct kcopy_client *client, uint64_t job)
{
        return RUN_NUMBERS(client, PAUSE, pause, Pause, .job = job);
}

int kcopy_resume_job(struct kcopy_client *client, uint64_t job)
{
        return RUN_NUMBERS(client, RESUME, resume, Resume, .job = job);
}

int kcopy_cancel_job(struct kcopy_client *client, uint64_t job)
{
        return RUN_NUMBERS(client, CANCEL, cancel, Cancel, .job = job);
}

int kcopy_adjust_job(
    struct kcopy_client *client, uint64_t job, unsigned flags, uint64_t rate_bytes_per_s, unsigned priority)
{
        return RUN_NUMBERS(client, ADJUST, adjust, Adjust, .job = job, .set_rate = flags & KCOPY_ADJUST_RATE,
            .rate_bytes_per_s = rate_bytes_per_s, .set_priority = flags & KCOPY_ADJUST_PRIORITY,
            .priority = priority);
}

int kcopy_forget_job(struct kcopy_client *client, uint64_t job)
{
        return RUN_NUMBERS(client, FORGET, forget, Forget, .job = job);
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
