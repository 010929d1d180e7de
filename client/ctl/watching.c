/* Following jobs by their ids (watching.h). */
#include "ctl/watching.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/progress.h"
#include "ctl/report.h"
#include "ctl/text.h"

#define N_OVER_MAX (sizeof(((struct watching *)0)->over) / sizeof(uint64_t))

/* Index of a job that is waited for, or -1. */
static int find(const struct watching *watching, uint64_t job)
{
        for (unsigned i = 0; i < watching->ids->n; i++)
                if (watching->ids->items[i] == job && !watching->ended[i])
                        return (int)i;
        return -1;
}

/* One of our jobs, or anybody's when all are watched, has ended. */
static void ended(struct watching *watching, const struct report *report, bool read_err, uint64_t write_err,
    const struct kcopy_result *result)
{
        enum ctl_status status = report_status(report, read_err, write_err, result);
        int index = find(watching, result->job);

        if (index < 0 && watching->ids->n)
                return;
        if (watching->ctl->json)
                json_line(
                    json_numbered(json_completion(report->from, report->to, read_err, write_err, result),
                        watching->ids->n == 1 ? watching->end_seq : 0, watching->end_at_ms));
        else
                printf("job %" PRIu64 ": %s\n", result->job, text_state(result->state)), fflush(stdout);
        if (!watching->ctl->json)
                report_print(report, read_err, write_err, result);
        if (index < 0)
                return;
        /* the same id may have been given twice */
        for (; index >= 0; index = find(watching, result->job)) {
                watching->ended[index] = true;
                watching->n_left--;
        }
        if (status > watching->status)
                watching->status = status;
}

/* What is known of a job's destinations; `add`: a place to note it. */
static struct progress_over *parts_of(struct watching *watching, uint64_t job, bool add)
{
        static struct progress_over none;
        const unsigned n_max = sizeof(watching->parts) / sizeof(watching->parts[0]);
        unsigned i;

        for (i = 0; i < n_max && i < watching->n_parts; i++)
                if (watching->parts[i].job == job)
                        return &watching->parts[i].over;
        if (!add)
                return &none;
        i = watching->n_parts++ % n_max;
        watching->parts[i].job = job;
        watching->parts[i].over = (struct progress_over){0};
        return &watching->parts[i].over;
}

static void on_event(void *opaque, const struct kcopy_event *event)
{
        struct watching *watching = opaque;
        char line[PROGRESS_LINE_BYTES], reason[TEXT_ESCAPED_BYTES];

        if (event->type == KCOPY_EVENT_COMPLETION) {
                /* the server is asked for the devices' names as well, once it may be; where many end at once
                 * it would be asked too much, and when it shuts down it may be gone by then */
                bool asked = !watching->stopping && (watching->ids->n || watching->n_over < N_OVER_MAX);

                watching->end_seq = event->seq;
                watching->end_at_ms = event->at_ms;
                if (!watching->ids->n && asked)
                        watching->over[watching->n_over++] = event->job;
                if (asked)
                        watching->news = true;
                else
                        ended(
                            watching, &(struct report){0}, event->read_err, event->write_err, event->result);
                return;
        }
        if (event->type == KCOPY_EVENT_STOPPING) {
                watching->stopping = true;
                session_report_stopping(watching->session, event->drain_ms, "jobs");
        }
        if (watching->quiet)
                return;
        if (watching->ctl->json) {
                json_line(json_event(event, NULL));
        } else if (event->type == KCOPY_EVENT_PROGRESS) {
                progress_line(event, parts_of(watching, event->job, false), "", 0, line);
                printf("job %" PRIu64 ": %s\n", event->job, line);
        } else if (event->type == KCOPY_EVENT_STATE) {
                printf("job %" PRIu64 ": %s%s%s\n", event->job, text_state(event->state),
                    event->reason[0] ? ": " : "", text_escape(event->reason, reason));
        } else if (event->type == KCOPY_EVENT_DESTINATION) {
                progress_destination_over(
                    parts_of(watching, event->job, true), event->index, event->destination);
                printf("job %" PRIu64 ": destination %u %s\n", event->job, event->index,
                    event->destination->error.error_class == KCOPY_CLASS_NONE ? "is done" : "has failed");
        }
        fflush(stdout);
}

/* A job that is watched, asked for: has it ended? */
static void on_job(void *opaque, const struct kcopy_job_info *job)
{
        struct watching *watching = opaque;
        const char *to[KCOPY_DESTINATIONS_MAX] = {NULL};

        for (unsigned i = 0; i < job->n_destinations; i++) {
                to[i] = job->destinations[i].device;
                if (job->destinations[i].done && !job->result) /* before we watched */
                        progress_destination_over(
                            parts_of(watching, job->job, true), i, &job->destinations[i].result);
        }
        if (job->result)
                ended(watching,
                    &(struct report){
                        .zero = job->zero, .from = job->zero ? NULL : job->source_device, .to = to},
                    job->read_err, job->write_err, job->result);
}

static enum ctl_status ask(struct watching *watching, uint64_t job)
{
        int rc = kcopy_get_job(watching->session->client, job, on_job, watching);
        char subject[40];

        snprintf(subject, sizeof(subject), "job %" PRIu64, job);
        return rc < 0 ? session_failed(watching->session, rc, subject) : CTL_DONE;
}

/* Ask for every job that has not been seen to end, or, where all are watched, for those that have. */
static enum ctl_status look(struct watching *watching)
{
        enum ctl_status status = CTL_DONE;
        uint64_t over[N_OVER_MAX];
        unsigned n_over = watching->n_over;

        watching->news = false;
        for (unsigned i = 0; i < watching->ids->n && status == CTL_DONE; i++)
                if (!watching->ended[i])
                        status = ask(watching, watching->ids->items[i]);
        /* others may end while the server is being asked */
        memcpy(over, watching->over, sizeof(over));
        watching->n_over = 0;
        for (unsigned i = 0; i < n_over && status == CTL_DONE; i++) {
                status = ask(watching, over[i]);
                if (status == CTL_REFUSED) /* forgotten meanwhile: the others go on */
                        status = CTL_DONE;
        }
        return status;
}

static void ignore(void *opaque, const struct kcopy_job_info *job)
{
        (void)opaque, (void)job;
}

/* Say which of the jobs are not there, and go on with the others. False: the server could not be asked. */
static bool drop_unknown(struct watching *watching)
{
        struct ids *ids = watching->ids;
        enum ctl_status status;
        unsigned n = 0;

        for (unsigned i = 0; i < ids->n; i++) {
                int rc = kcopy_get_job(watching->session->client, ids->items[i], ignore, NULL);
                char subject[40];

                if (rc == 0) {
                        ids->items[n++] = ids->items[i];
                        continue;
                }
                if (rc == -ENOENT && watching->ctl->json)
                        json_line(
                            json_pack("{s:s, s:o}", "event", "not_found", "job", json_number(ids->items[i])));
                snprintf(subject, sizeof(subject), "job %" PRIu64, ids->items[i]);
                status = session_failed(watching->session, rc, subject);
                if (status > watching->status)
                        watching->status = status;
                if (status == CTL_NO_SERVER)
                        return false;
        }
        ids->n = n;
        return true;
}

enum ctl_status watching_run(struct watching *watching, unsigned progress_interval_ms)
{
        struct kcopy_client *client = watching->session->client;
        const struct ids *ids = watching->ids;
        enum ctl_status status;
        int rc;

        if (ids->n && (!drop_unknown(watching) || ids->n == 0)) /* none named at all would be all jobs */
                return watching->status;
        watching->n_left = ids->n;
        kcopy_on_event(client, on_event, watching);
        rc = ids->n ? 0 : kcopy_watch(client, 0, NULL, progress_interval_ms);
        for (unsigned i = 0; i < ids->n && rc == 0; i++) {
                char subject[40];

                rc = watching->from
                         ? kcopy_watch_from(client, ids->items[i], watching->from, progress_interval_ms)
                         : kcopy_watch(client, 1, &ids->items[i], progress_interval_ms);
                snprintf(subject, sizeof(subject), "job %" PRIu64, ids->items[i]);
                if (rc < 0)
                        return session_failed(watching->session, rc, subject);
        }
        if (rc < 0)
                return session_failed(watching->session, rc, NULL);
        watching->news |= !watching->from; /* those that have ended already; a replay tells it itself */
        while (watching->n_left || ids->n == 0) {
                if (watching->news) {
                        status = look(watching);
                        if (status != CTL_DONE)
                                return status;
                        continue;
                }
                rc = kcopy_wait(client, -1);
                /* a server that shuts down hangs up right behind the last end */
                if (ids->n && !watching->n_left)
                        break;
                if (rc < 0 && rc != -EINTR) {
                        if (watching->stopping && ids->n == 0) /* as it said it would */
                                return CTL_DONE;
                        text_error(watching->session->server, "%s", kcopy_error(client));
                        return CTL_UNKNOWN;
                }
        }
        return watching->status;
}
