/* Terminal jobs: see history.h. */
#include "copy/history.h"

#include <stdlib.h>

/* A result without errors, 72 bytes for one destination instead of 672: most of those are room for errors. */
struct job_brief {
        uint64_t length_bytes, elapsed_ns;
        bool durable;
        unsigned n_destinations;
        struct {
                struct job_ledger ledger;
                bool durable, detached;
        } destinations[];
};

static bool is_clean(const struct job_result *result)
{
        return result->state == JOB_COMPLETED && !result->read_err && result->write_err == 0;
}

static struct job_brief *brief_new(const struct job_result *result)
{
        struct job_brief *brief =
            malloc(sizeof *brief + result->n_destinations * sizeof brief->destinations[0]);

        if (!brief)
                return NULL;
        brief->length_bytes = result->length_bytes;
        brief->elapsed_ns = result->elapsed_ns;
        brief->durable = result->durable;
        brief->n_destinations = result->n_destinations;
        for (unsigned i = 0; i < brief->n_destinations; i++) {
                brief->destinations[i].ledger = result->destinations[i].ledger;
                brief->destinations[i].durable = result->destinations[i].durable;
                brief->destinations[i].detached = result->destinations[i].detached;
        }
        return brief;
}

static const struct job_result *result_of(const struct job_brief *brief)
{
        static union {
                struct job_result result;
                char room[sizeof(struct job_result) +
                          KC_DESTINATIONS_MAX * sizeof(struct job_destination_result)];
        } shown;

        shown.result = (struct job_result){
            .state = JOB_COMPLETED,
            .durable = brief->durable,
            .length_bytes = brief->length_bytes,
            .elapsed_ns = brief->elapsed_ns,
            .n_destinations = brief->n_destinations,
        };
        for (unsigned i = 0; i < brief->n_destinations; i++)
                shown.result.destinations[i] = (struct job_destination_result){
                    .ledger = brief->destinations[i].ledger,
                    .durable = brief->destinations[i].durable,
                    .detached = brief->destinations[i].detached,
                    .done = true,
                };
        return &shown.result;
}

const struct job_result *history_result(const struct job *job)
{
        return job->brief ? result_of(job->brief) : job->result;
}

/* What the record takes of the heap once its job has drained. */
static uint32_t record_bytes(const struct job *job)
{
        size_t result_bytes =
            job->brief
                ? sizeof *job->brief + job->brief->n_destinations * sizeof job->brief->destinations[0]
                : sizeof *job->result + job->result->n_destinations * sizeof job->result->destinations[0];

        if (!job->brief && job->result->bad.room > 0)
                result_bytes += job_heap_bytes(job->result->bad.room * sizeof job->result->bad.ranges[0]);
        return (uint32_t)(job_heap_bytes(sizeof *job) + job_heap_bytes(job->spec->size_bytes) +
                          job_heap_bytes(result_bytes));
}

static void count(struct job *job)
{
        job->engine->history_bytes -= job->history_bytes;
        job->history_bytes = record_bytes(job);
        job->engine->history_bytes += job->history_bytes;
}

void history_add(struct job *job)
{
        kc_list_push(&job->engine->history, &job->history_node);
        job->engine->n_history++;
        count(job);
}

void history_shorten(struct job *job)
{
        if (!is_clean(job->result))
                return;
        job->brief = brief_new(job->result);
        if (!job->brief)
                return;
        job_result_free(job->result);
        job->result = NULL;
        count(job);
}

/* It is looked at again when it has drained, or been told. */
static bool is_needed(const struct job *job)
{
        return job->client || job->msg_posted || (job->lasting && job->lasting->msg_posted);
}

static void let_go(struct job *job)
{
        struct engine *engine = job->engine;

        engine->n_history--;
        engine->history_bytes -= job->history_bytes;
        kc_idmap_del(&engine->by_id, &job->by_id);
        job_free(job);
}

bool history_forget(struct job *job)
{
        if (kc_sm_state(&job->sm) < JOB_COMPLETED || is_needed(job))
                return false;
        let_go(job);
        return true;
}

void history_prune(struct engine *engine)
{
        const struct engine_config *config = &engine->config;
        uint64_t now_ns = kc_actor_now_ns(engine->control), next_ns = 0;

        kc_list_for_each_safe (pos, &engine->history) {
                struct job *job = kc_list_entry(pos, struct job, history_node);
                bool excess = engine->n_history > config->history_max_jobs ||
                              engine->history_bytes > config->history_max_bytes;

                if (!excess && now_ns < job->terminal_ns + config->history_ns) {
                        next_ns = job->terminal_ns + config->history_ns;
                        break;
                }
                if (!is_needed(job))
                        let_go(job);
        }
        if (next_ns > 0 && !engine->closing && !engine->history_timer.armed)
                kc_actor_timer_start(engine->control, &engine->history_timer, next_ns);
}

static void on_timer(struct kc_timer *timer)
{
        history_prune(kc_container_of(timer, struct engine, history_timer));
}

void history_init(struct engine *engine)
{
        kc_timer_init(&engine->history_timer, on_timer);
}
