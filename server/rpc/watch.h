/* What a session wants to hear of jobs that it did not submit on this connection.
 *
 * Nothing is stored but "job N has news": what the news is, is fetched from the engine when there is room to
 * say it, so a slow watcher sees the latest state, and terminal events as long as the engine remembers them.
 * The marks count into the session's ceiling.
 * Owns its marks. Borrows: the session. Thread: the control loop. Close: watch_stop. */
#ifndef RPC_WATCH_H
#define RPC_WATCH_H

#include <stdbool.h>

#include "base/list.h"
#include "base/timer.h"
#include "copy/engine.h"
#include "base/idmap.h"

#define WATCH_JOBS_MAX 1024u /* named ones, of one session */

struct session;

struct watch {
        struct kc_list node; /* rpc->watchers, while there is something to watch */
        bool all;
        unsigned n_named;
        struct kc_idmap marks;    /* job id → struct mark */
        struct kc_list all_marks; /* mark.node */
        struct kc_list news;      /* mark.queue: those with something to say */
        struct kc_timer timer;    /* progress, when asked for */
        uint64_t interval_ns;
};

/* 0 or -ENOMEM. */
int watch_init(struct session *session);
/* No more news; also frees. */
void watch_stop(struct session *session);

/* All that the peer may see, from now on; their states are said first. 0 or -ENOMEM. */
int watch_add_all(struct session *session, uint64_t interval_ns);
/* One job: its state is said first, or its completion. 0, -ENOENT (unknown, or not for this peer), -E2BIG,
 * -ENOMEM. */
int watch_add(struct session *session, uint64_t job_id, uint64_t interval_ns);
/* The progress of one job whose other events come from elsewhere. */
void watch_add_progress(struct session *session, uint64_t job_id, uint64_t interval_ns);
void watch_remove_all(struct session *session);
void watch_remove(struct session *session, uint64_t job_id);
/* A replay (records.h) wants to hear of events; and does no longer. */
void watch_start(struct session *session);
void watch_stop_if_idle(struct session *session);
bool watch_covers(const struct session *session, uint64_t job_id);

/* An event of a job that is not the session's. */
void watch_on_event(struct session *session, const struct job_event *event);
void watch_flush(struct session *session);
size_t watch_bytes(const struct session *session);

#endif
