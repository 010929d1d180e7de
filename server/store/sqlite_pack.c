/* From what a request points to, to what it owns (sqlite_ops.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/packed.h"
#include "store/sqlite_ops.h"

static uint64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int copy_text(const char *text, char **ret_copy)
{
        if (!text)
                return 0;
        *ret_copy = strdup(text);
        return *ret_copy ? 0 : -ENOMEM;
}

static int pack_create(const struct store_req *req, struct packed *packed)
{
        int r = copy_text(req->create.identity, &packed->identity);

        if (r == 0)
                r = copy_text(req->create.key, &packed->key);
        if (r == 0)
                r = codec_pack_spec(req->create.spec, &packed->spec);
        if (r == 0)
                r = codec_pack_asked(req->create.spec, &packed->asked);
        if (r == 0 && req->op == STORE_CREATE && req->create.mark)
                r = codec_pack_mark(req->create.mark, &packed->mark);
        return r;
}

static int pack_update(const struct store_req *req, struct packed *packed)
{
        int r = req->update.has_state ? copy_text(req->update.reason, &packed->reason) : 0;

        if (r == 0 && req->update.mark)
                r = codec_pack_mark(req->update.mark, &packed->mark);
        if (r == 0 && req->update.spec)
                r = codec_pack_spec(req->update.spec, &packed->spec);
        if (r == 0 && req->update.result) {
                const struct job_event *last = &req->update.events[req->update.n_events - 1];

                r = codec_pack_result(req->job_id, last->spec, req->update.result, &packed->result);
        }
        for (unsigned i = 0; i < req->update.n_events && r == 0; i++)
                r = codec_pack_event(
                    &req->update.events[i], req->update.first_seq + i, packed->at_ms, &packed->events[i]);
        return r;
}

void sqlite_packed_done(struct store_req *req)
{
        struct packed *packed = req->packed;

        if (!packed)
                return;
        for (unsigned i = 0; i < packed->n_events; i++)
                codec_bytes_done(&packed->events[i]);
        codec_bytes_done(&packed->spec);
        codec_bytes_done(&packed->asked);
        codec_bytes_done(&packed->mark);
        codec_bytes_done(&packed->result);
        free(packed->identity);
        free(packed->key);
        free(packed->reason);
        free(packed);
        req->packed = NULL;
}

int sqlite_pack(struct store_req *req)
{
        unsigned n_events = req->op == STORE_UPDATE ? req->update.n_events : 0;
        struct packed *packed = calloc(1, sizeof *packed + n_events * sizeof packed->events[0]);
        int r = 0;

        if (!packed)
                return -ENOMEM;
        req->packed = packed;
        packed->n_events = n_events;
        packed->at_ms = now_ms();
        if (req->op == STORE_CREATE || req->op == STORE_FIND)
                r = pack_create(req, packed);
        else if (req->op == STORE_UPDATE)
                r = pack_update(req, packed);
        if (r < 0)
                sqlite_packed_done(req);
        return r;
}
