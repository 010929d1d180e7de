/* What requests to the store bring back (store.h). */
#include "copy/store.h"

#include <stdlib.h>

struct store_mark *store_mark_new(unsigned n_to, uint64_t length_bytes)
{
        struct store_mark *mark = calloc(1, sizeof *mark + (1 + (size_t)n_to) * sizeof mark->ends[0]);

        if (!mark)
                return NULL;
        mark->n_to = n_to;
        mark->length_bytes = length_bytes;
        for (unsigned i = 0; i < 1 + n_to; i++)
                ledger_init(&mark->ends[i].ledger, length_bytes);
        return mark;
}

void store_mark_free(struct store_mark *mark)
{
        if (!mark)
                return;
        for (unsigned i = 0; i < 1 + mark->n_to; i++)
                ledger_done(&mark->ends[i].ledger);
        bad_ranges_done(&mark->bad);
        free(mark);
}

void store_job_done(struct store_job *job)
{
        free(job->identity);
        free(job->key);
        free(job->reason);
        free(job->spec);
        store_mark_free(job->mark);
        job_result_free(job->result);
        *job = (struct store_job){0};
}

void store_req_begin(struct store_req *req, struct job_store *store)
{
        req->status = 0;
        req->error = (struct kc_error){.code = 0};
        req->existed = req->more = false;
        req->jobs = NULL;
        req->events = NULL;
        req->n_jobs = req->n_events = 0;
        req->store = store;
}

void store_req_done(struct store_req *req)
{
        for (unsigned i = 0; i < req->n_jobs; i++)
                store_job_done(&req->jobs[i]);
        for (unsigned i = 0; i < req->n_events; i++)
                free(req->events[i].body);
        free(req->jobs);
        free(req->events);
        req->jobs = NULL;
        req->events = NULL;
        req->n_jobs = req->n_events = 0;
}
