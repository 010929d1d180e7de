/* Waiting for answers: deadlines, who holds others up, and what is adrift: reported, but not answered. */
#include "copy/chunk.h"

#include <errno.h>

#include "base/num.h"
#include "copy/run.h"

uint64_t chunk_check_deadline(struct chunk *chunk, uint64_t now)
{
        uint64_t next = UINT64_MAX;

        if (chunk->reading && chunk->n_undecided > 0) {
                /* A deadline is the device's: it runs from when the request has left for it. */
                if (!chunk->read_req.sent)
                        chunk->read_deadline_ns = now + chunk_facts(chunk)->timeout_ns;
                if (now < chunk->read_deadline_ns)
                        next = chunk->read_deadline_ns;
                else if (chunk->step == CHUNK_MERGE_READ)
                        chunk_decide(&chunk->writes[0], -ETIMEDOUT, KC_CLASS_TIMEOUT, 0);
                else
                        chunk_read_failed(chunk, -ETIMEDOUT, KC_CLASS_TIMEOUT);
        }
        for (unsigned i = 0; i < chunk->n_writes; i++) {
                struct chunk_write *w = &chunk->writes[i];

                if (!w->in_flight || w->decided)
                        continue;
                if (!w->req.sent)
                        w->deadline_ns = now + chunk_facts(chunk)->timeout_ns;
                if (now < w->deadline_ns)
                        next = kc_min_u64(next, w->deadline_ns);
                else
                        chunk_decide(w, -ETIMEDOUT, KC_CLASS_TIMEOUT, w->requested_bytes);
        }
        return next;
}

bool chunk_blocking(const struct chunk *chunk, uint64_t *mask)
{
        if (!chunk->counted || chunk->hungry)
                return true; /* it is not in the way */
        if (chunk->step != CHUNK_WRITE || chunk->n_undecided == chunk->n_writes)
                return false;
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (!chunk->writes[i].decided)
                        *mask |= 1ull << chunk->writes[i].destination;
        return true;
}

const char *chunk_stalled_on(const struct chunk *chunk)
{
        if (chunk->reading)
                return chunk->step == CHUNK_MERGE_READ ? chunk_destination(&chunk->writes[0])->port->name
                                                       : chunk->leg->endpoints[0].port->name;
        for (unsigned i = 0; i < chunk->n_writes; i++)
                if (chunk->writes[i].in_flight)
                        return chunk_destination(&chunk->writes[i])->port->name;
        return NULL;
}

/* No answer for the quarantine time after the deadline: the connection is ended, which fails what is pending.
 */
static uint64_t kill_if_overdue(
    struct chunk *chunk, struct leg_endpoint *le, uint64_t deadline_ns, uint64_t now)
{
        uint64_t kill_ns = deadline_ns + chunk->leg->lane->quarantine_ns;

        if (now < kill_ns)
                return kill_ns;
        leg_kill_endpoint(chunk->leg, le);
        return UINT64_MAX;
}

uint64_t chunk_check_settled(struct chunk *chunk, uint64_t now)
{
        uint64_t next = UINT64_MAX;

        if (chunk_in_flight(chunk)) {
                if (chunk->reading) {
                        bool merge = chunk->step == CHUNK_MERGE_READ;

                        next = kill_if_overdue(chunk,
                            merge ? chunk_destination(&chunk->writes[0]) : &chunk->leg->endpoints[0],
                            chunk->read_deadline_ns, now);
                }
                for (unsigned i = 0; i < chunk->n_writes; i++) {
                        struct chunk_write *w = &chunk->writes[i];

                        if (w->in_flight)
                                next = kc_min_u64(
                                    next, kill_if_overdue(chunk, chunk_destination(w), w->deadline_ns, now));
                }
                return next;
        }
        if (now < chunk->settle_ns)
                return chunk->settle_ns;
        chunk_free(chunk);
        return UINT64_MAX;
}
