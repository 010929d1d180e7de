/* Events of jobs, as they are stored (replay.h). */
#include "rpc/replay.h"

#include <stdlib.h>

#include "base/num.h"
#include "copy/store.h"
#include "rpc/session.h"

struct replay {
        struct kc_list node;
        struct session *session;             /* held while something is out */
        uint64_t job_id, from_seq, next_seq; /* told from there on, but for the end; asked for */
        bool out, wanted;                    /* asked for; to be asked for, or again */
        bool gone;                           /* nobody wants it any more, and the store has not answered */
        bool ended;                          /* its last event is stored */
        struct store_req req;
};

#define EVENTS_AT_ONCE 64u

static void pull(struct replay *replay);

static void free_replay(struct replay *replay)
{
        replay->session->replays.n--;
        kc_list_del(&replay->node);
        replay->gone = true;
        if (!replay->out) /* else the answer frees it */
                free(replay);
}

static struct replay *find(const struct session *session, uint64_t job_id)
{
        kc_list_for_each (at, &session->replays.all) {
                struct replay *replay = kc_list_entry(at, struct replay, node);

                if (replay->job_id == job_id)
                        return replay;
        }
        return NULL;
}

static bool is_the_end(const struct store_event *event)
{
        Kcopy__V1__ServerMessage *message =
            kcopy__v1__server_message__unpack(NULL, event->body_bytes, event->body);
        bool is = message && message->body_case == KCOPY__V1__SERVER_MESSAGE__BODY_COMPLETION;

        if (message)
                kcopy__v1__server_message__free_unpacked(message, NULL);
        return is;
}

static void tell(struct replay *replay, const struct store_req *req)
{
        struct session *session = replay->session;

        for (unsigned i = 0; i < req->n_events && session_is_live(session); i++) {
                const struct store_event *event = &req->events[i];

                if (event->seq < replay->next_seq)
                        continue;
                replay->next_seq = event->seq + 1;
                replay->ended |= is_the_end(event);
                if ((event->seq >= replay->from_seq || replay->ended) &&
                    encode_body(&session->out, event->body, event->body_bytes) < 0)
                        session_lost(session, "out of memory");
        }
        session_wake(session);
}

/* Telling may be the session's end, and the replay's with it: it counts as out until here. */
static void on_events(struct store_req *req)
{
        struct replay *replay = kc_container_of(req, struct replay, req);
        struct session *session = replay->session;

        if (req->status == 0 && !replay->gone)
                tell(replay, req);
        else if (!replay->gone)
                session_hangup(session, req->error.class, "watch: job %llu: its events cannot be read: %s",
                    (unsigned long long)replay->job_id, req->error.message);
        replay->wanted |= req->more;
        store_req_done(req);
        replay->out = false;
        if (replay->gone) {
                free(replay);
        } else if (replay->ended) {
                free_replay(replay);
                watch_stop_if_idle(session);
        } else if (replay->wanted) {
                pull(replay);
        }
        session_release(session);
}

/* Unless the peer has enough to read; replays_flush then. */
static void pull(struct replay *replay)
{
        struct session *session = replay->session;

        replay->wanted = true;
        if (replay->out || session->out.bytes >= session->rpc->config.high_water_bytes)
                return;
        replay->wanted = false;
        replay->req = (struct store_req){.op = STORE_EVENTS,
            .job_id = replay->job_id,
            .after = replay->next_seq - 1,
            .limit = EVENTS_AT_ONCE,
            .on_done = on_events};
        if (store_submit(session->rpc->config.store, &replay->req) < 0) {
                session_lost(session, "out of memory"); /* and the replay with it */
                return;
        }
        replay->out = true;
        session_hold(session);
}

void replay_begin(struct session *session, uint64_t job_id, uint64_t from, uint64_t next_seq)
{
        struct replay *replay;

        replay_end(session, job_id);
        replay = calloc(1, sizeof(*replay));
        if (!replay) {
                session_lost(session, "out of memory");
                return;
        }
        kc_list_init(&replay->node);
        kc_list_push(&session->replays.all, &replay->node);
        session->replays.n++;
        replay->session = session;
        replay->job_id = job_id;
        replay->from_seq = from;
        replay->next_seq = kc_min_u64(from, next_seq);
        watch_start(session);
        pull(replay);
}

bool replay_covers(const struct session *session, uint64_t job_id)
{
        return find(session, job_id) != NULL;
}

void replay_on_event(struct session *session, uint64_t job_id)
{
        struct replay *replay = find(session, job_id);

        if (replay && session_is_live(session))
                pull(replay);
}

void replays_flush(struct session *session)
{
        kc_list_for_each_safe (at, &session->replays.all) {
                struct replay *replay = kc_list_entry(at, struct replay, node);

                if (replay->wanted)
                        pull(replay);
                if (!session_is_live(session))
                        return;
        }
}

void replay_end(struct session *session, uint64_t job_id)
{
        struct replay *replay = find(session, job_id);

        if (!replay)
                return;
        free_replay(replay);
        watch_stop_if_idle(session);
}

void replays_init(struct session *session)
{
        kc_list_init(&session->replays.all);
}

void replays_stop(struct session *session)
{
        while (!kc_list_empty(&session->replays.all))
                free_replay(kc_list_first(&session->replays.all, struct replay, node));
}
