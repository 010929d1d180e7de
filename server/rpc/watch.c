/* What a session wants to hear of jobs that are not its own (watch.h). */
#include "rpc/watch.h"

#include <stdlib.h>

#include "rpc/session.h"

struct mark {
        struct kc_idmap_node by_id; /* watch.marks */
        struct kc_list node;        /* watch.all_marks */
        struct kc_list queue;       /* watch.news, while there are any */
        struct news news;
        bool named; /* asked for by its id: stays until the job ends */
};

static struct mark *mark_get(const struct watch *watch, uint64_t job_id)
{
        struct kc_idmap_node *node = kc_idmap_get(&watch->marks, job_id);

        return node ? kc_container_of(node, struct mark, by_id) : NULL;
}

static struct mark *mark_new(struct watch *watch, uint64_t job_id)
{
        struct mark *mark = calloc(1, sizeof(*mark));

        if (!mark)
                return NULL;
        kc_list_init(&mark->node);
        kc_list_init(&mark->queue);
        kc_list_push(&watch->all_marks, &mark->node);
        kc_idmap_add(&watch->marks, &mark->by_id, job_id);
        return mark;
}

static void mark_free(struct watch *watch, struct mark *mark)
{
        watch->n_named -= mark->named;
        kc_idmap_del(&watch->marks, &mark->by_id);
        kc_list_del(&mark->queue);
        kc_list_del(&mark->node);
        free(mark);
}

static void mark_enqueue(struct session *session, struct mark *mark)
{
        if (news_any(&mark->news) && kc_list_empty(&mark->queue))
                kc_list_push(&session->watch.news, &mark->queue);
        session_wake(session);
}

size_t watch_bytes(const struct session *session)
{
        return session->watch.marks.n * sizeof(struct mark);
}

/* ---- progress, by the clock: a job whose owner wants none has no progress events */

static void on_timer(struct kc_timer *timer)
{
        struct session *session = kc_container_of(timer, struct session, watch.timer);
        struct watch *watch = &session->watch;
        struct kc_actor *control = session->rpc->config.control;
        struct engine_job_view view;
        uint64_t after = 0;

        while (engine_job_next(session->rpc->config.engine, after, false, &view) == 0) {
                struct mark *mark = mark_get(watch, view.job_id);

                after = view.job_id;
                if (view.state != JOB_RUNNING || !peer_may_see(&session->peer, view.owner) ||
                    (!watch->all && !mark))
                        continue;
                if (!mark)
                        mark = mark_new(watch, view.job_id);
                if (!mark)
                        break; /* progress can be missed */
                mark->news.progress = true;
                mark_enqueue(session, mark);
        }
        kc_actor_timer_start(control, timer, kc_actor_now_ns(control) + watch->interval_ns);
        session_check_ceiling(session);
}

static void start(struct session *session, uint64_t interval_ns)
{
        struct kc_actor *control = session->rpc->config.control;
        struct watch *watch = &session->watch;

        if (kc_list_empty(&watch->node))
                kc_list_push(&session->rpc->watchers, &watch->node);
        if (!interval_ns || (watch->timer.armed && watch->interval_ns <= interval_ns))
                return;
        watch->interval_ns = interval_ns;
        kc_actor_timer_start(control, &watch->timer, kc_actor_now_ns(control) + interval_ns);
}

void watch_start(struct session *session)
{
        start(session, 0);
}

void watch_stop_if_idle(struct session *session)
{
        struct watch *watch = &session->watch;

        if (watch->all || watch->n_named || session->replays.n)
                return;
        kc_list_del(&watch->node);
        kc_actor_timer_stop(session->rpc->config.control, &watch->timer);
}

/* ---- what is watched */

int watch_init(struct session *session)
{
        struct watch *watch = &session->watch;

        kc_list_init(&watch->node);
        kc_list_init(&watch->all_marks);
        kc_list_init(&watch->news);
        kc_timer_init(&watch->timer, on_timer);
        return kc_idmap_init(&watch->marks);
}

static void forget_marks(struct watch *watch, bool named)
{
        kc_list_for_each_safe (node, &watch->all_marks) {
                struct mark *mark = kc_list_entry(node, struct mark, node);

                if (named || !mark->named)
                        mark_free(watch, mark);
        }
}

void watch_stop(struct session *session)
{
        session->watch.all = false;
        forget_marks(&session->watch, true);
        watch_stop_if_idle(session);
        kc_idmap_done(&session->watch.marks);
}

int watch_add_all(struct session *session, uint64_t interval_ns)
{
        struct engine_job_view view;
        uint64_t after = 0;

        while (engine_job_next(session->rpc->config.engine, after, false, &view) == 0) {
                struct mark *mark = mark_get(&session->watch, view.job_id);

                after = view.job_id;
                if (!peer_may_see(&session->peer, view.owner))
                        continue;
                if (!mark)
                        mark = mark_new(&session->watch, view.job_id);
                if (!mark)
                        return -ENOMEM;
                mark->news.state = true;
                mark_enqueue(session, mark);
        }
        session->watch.all = true;
        start(session, interval_ns);
        session_check_ceiling(session);
        return 0;
}

/* A job of this very session whose Completion has not been sent will have it anyway. */
static bool is_own(const struct session *session, uint64_t job_id)
{
        struct kc_idmap_node *node = kc_idmap_get(&session->rpc->jobs, job_id);

        return node && kc_container_of(node, struct slot, by_id)->session == session;
}

int watch_add(struct session *session, uint64_t job_id, uint64_t interval_ns)
{
        struct watch *watch = &session->watch;
        struct engine_job_view view;
        struct mark *mark = mark_get(watch, job_id);

        if (engine_job_get(session->rpc->config.engine, job_id, &view) < 0 ||
            !peer_may_see(&session->peer, view.owner))
                return -ENOENT;
        if (!(mark && mark->named) && watch->n_named >= WATCH_JOBS_MAX)
                return -E2BIG;
        if (!mark)
                mark = mark_new(watch, job_id);
        if (!mark)
                return -ENOMEM;
        if (!mark->named) {
                mark->named = true;
                watch->n_named++;
        }
        if (!view.result)
                mark->news.state = true;
        else if (!is_own(session, job_id))
                mark->news.completion = true;
        mark_enqueue(session, mark);
        start(session, interval_ns);
        return 0;
}

void watch_add_progress(struct session *session, uint64_t job_id, uint64_t interval_ns)
{
        struct watch *watch = &session->watch;
        struct mark *mark = mark_get(watch, job_id);

        if (!mark && watch->n_named < WATCH_JOBS_MAX)
                mark = mark_new(watch, job_id);
        if (!mark)
                return; /* progress can be missed */
        watch->n_named += !mark->named;
        mark->named = true;
        start(session, interval_ns);
}

void watch_remove_all(struct session *session)
{
        session->watch.all = false;
        forget_marks(&session->watch, false);
        watch_stop_if_idle(session);
}

void watch_remove(struct session *session, uint64_t job_id)
{
        struct mark *mark = mark_get(&session->watch, job_id);

        if (mark && mark->named)
                mark_free(&session->watch, mark);
        watch_stop_if_idle(session);
}

bool watch_covers(const struct session *session, uint64_t job_id)
{
        const struct watch *watch = &session->watch;
        const struct mark *mark = watch->all ? NULL : mark_get(watch, job_id);

        return watch->all || (mark && mark->named);
}

/* ---- news */

void watch_on_event(struct session *session, const struct job_event *event)
{
        struct watch *watch = &session->watch;
        struct mark *mark = mark_get(watch, event->job_id);
        struct engine_job_view view;

        if (event->type == JOB_EVENT_PROGRESS) /* is by the watcher's own clock */
                return;
        if (replay_covers(session, event->job_id)) { /* which tells it, when it is its turn */
                if (event->type == JOB_EVENT_COMPLETION && mark && mark->named)
                        mark_free(watch, mark);
                return;
        }
        if (!mark || !mark->named) {
                if (!watch->all || engine_job_get(session->rpc->config.engine, event->job_id, &view) < 0 ||
                    !peer_may_see(&session->peer, view.owner))
                        return;
        }
        if (!mark)
                mark = mark_new(watch, event->job_id);
        if (!mark) {
                session_lost(session, "out of memory");
                return;
        }
        news_note(&mark->news, event, true);
        mark_enqueue(session, mark);
        session_check_ceiling(session);
}

static void flush_mark(struct session *session, struct mark *mark)
{
        struct watch *watch = &session->watch;
        bool ended = mark->news.completion;
        struct engine_job_view view;

        kc_list_del(&mark->queue);
        if (engine_job_get(session->rpc->config.engine, mark->by_id.id, &view) < 0) {
                session_hangup(session, KC_CLASS_LIMIT,
                    "watch: job %llu ended too long ago to tell how; read faster",
                    (unsigned long long)mark->by_id.id);
                return;
        }
        /* a terminal job's own event is still to come: it says the rest */
        if (!view.result || ended)
                news_send(session, &view, &mark->news);
        if (session_is_live(session) && (ended || !mark->named)) {
                mark_free(watch, mark);
                watch_stop_if_idle(session);
        }
}

void watch_flush(struct session *session)
{
        struct watch *watch = &session->watch;

        while (session_is_live(session) && !kc_list_empty(&watch->news) &&
               session->out.bytes < session->rpc->config.high_water_bytes)
                flush_mark(session, kc_list_first(&watch->news, struct mark, queue));
}
