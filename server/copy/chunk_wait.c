/* Waiting for answers: deadlines, who holds others up, and what is adrift: reported, but not answered. */
#include "copy/chunk.h"

#include <errno.h>

#include "base/num.h"
#include "copy/run.h"

/* Where a request waits on another lane is asked this often, and for so long at most. */
#define LOOK_AGAIN_NS 10000000ull
#define LOOK_MAX_NS 1000000000ull

static void move_deadline(
    const struct chunk *chunk, const struct leg_endpoint *le, const struct io_req *req, uint64_t *deadline_ns)
{
        *deadline_ns = endpoint_deadline_ns(le->endpoint, req, *deadline_ns, chunk_facts(chunk)->timeout_ns);
}

/* When to look at a request again; 0: it is overdue, and has left or may have. One that has not is ended by
 * its endpoint. */
static uint64_t check_request(const struct chunk *chunk, const struct leg_endpoint *le, struct io_req *req,
    uint64_t *deadline_ns, uint64_t now)
{
        move_deadline(chunk, le, req, deadline_ns);
        if (now < *deadline_ns)
                return *deadline_ns;
        if (now - *deadline_ns < LOOK_MAX_NS &&
            endpoint_expire(le->endpoint, req, chunk_facts(chunk)->timeout_ns))
                return now + LOOK_AGAIN_NS;
        return 0;
}

uint64_t chunk_check_deadline(struct chunk *chunk, uint64_t now)
{
        uint64_t next = UINT64_MAX, at;

        if (chunk->reading && chunk->n_undecided > 0) {
                at = check_request(
                    chunk, chunk_read_endpoint(chunk), &chunk->read_req, &chunk->read_deadline_ns, now);
                if (at > 0)
                        next = at;
                else if (chunk->step == CHUNK_MERGE_READ)
                        chunk_decide(&chunk->writes[0], -ETIMEDOUT, KC_CLASS_TIMEOUT, 0);
                else
                        chunk_read_failed(chunk, -ETIMEDOUT, KC_CLASS_TIMEOUT);
        }
        for (unsigned i = 0; i < chunk->n_writes; i++) {
                struct chunk_write *w = &chunk->writes[i];

                if (!w->in_flight || w->decided)
                        continue;
                at = check_request(chunk, chunk_destination(w), &w->req, &w->deadline_ns, now);
                if (at > 0)
                        next = kc_min_u64(next, at);
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

/* Nobody waits for its outcome any more: it need not leave if it has not. No answer for the quarantine time
 * after the deadline: the connection is ended, which fails what is pending. */
static uint64_t give_up(
    struct chunk *chunk, struct leg_endpoint *le, struct io_req *req, uint64_t *deadline_ns, uint64_t now)
{
        uint64_t kill_ns;

        endpoint_withdraw(le->endpoint, req);
        move_deadline(chunk, le, req, deadline_ns);
        kill_ns = *deadline_ns + chunk->leg->lane->quarantine_ns;
        if (now < kill_ns)
                return kill_ns;
        leg_kill_endpoint(chunk->leg, le);
        return UINT64_MAX;
}

uint64_t chunk_check_settled(struct chunk *chunk, uint64_t now)
{
        uint64_t next = UINT64_MAX;

        if (chunk_in_flight(chunk)) {
                if (chunk->reading)
                        next = give_up(chunk, chunk_read_endpoint(chunk), &chunk->read_req,
                            &chunk->read_deadline_ns, now);
                for (unsigned i = 0; i < chunk->n_writes; i++) {
                        struct chunk_write *w = &chunk->writes[i];

                        if (w->in_flight)
                                next = kc_min_u64(next,
                                    give_up(chunk, chunk_destination(w), &w->req, &w->deadline_ns, now));
                }
                return next;
        }
        if (now < chunk->settle_ns)
                return chunk->settle_ns;
        chunk_free(chunk);
        return UINT64_MAX;
}
