/* Small jobs, many of them (jobs.h). */
#include <stdlib.h>

#include "jobs.h"
#include "percentiles.h"

struct slot { /* one job in flight */
        struct small *small;
        struct kcopy_io_region to;
        uint64_t start_ns;
        struct slot *next; /* free ones */
};

struct small {
        struct slot *free;
        struct percentiles latencies;
        uint64_t n_done;
};

static void on_end(int read_err, uint64_t write_err, void *context, const struct kcopy_result *result)
{
        struct slot *slot = context;
        struct small *small = slot->small;

        jobs_check(read_err, write_err, result);
        percentiles_add(&small->latencies, percentiles_now_ns() - slot->start_ns);
        small->n_done++;
        slot->next = small->free;
        small->free = slot;
}

/* Every free slot gets the next chunk, all of them in one batch. */
static void submit(struct small *small, struct kcopy_client *client, const struct jobs_plan *plan,
    const struct kcopy_device *devices, struct kcopy_batch_job *batch, uint64_t *next, uint64_t n)
{
        const struct kcopy_options options = {
            .flags = KCOPY_NO_FLUSH | KCOPY_NO_EXTENTS | KCOPY_NO_DETECT_ZEROES};
        uint64_t count = plan->chunk_bytes / KCOPY_SECTOR_BYTES;
        uint64_t now_ns = percentiles_now_ns();
        unsigned n_batch = 0;

        while (small->free && *next < n) {
                struct slot *slot = small->free;
                uint64_t sector = percentiles_place((*next)++, n) * count;

                small->free = slot->next;
                slot->start_ns = now_ns;
                slot->to =
                    (struct kcopy_io_region){.handle = devices[1].handle, .sector = sector, .count = count};
                batch[n_batch++] = (struct kcopy_batch_job){
                    .from = {.handle = devices[0].handle, .sector = sector, .count = count},
                    .n_to = 1,
                    .to = &slot->to,
                    .notify = on_end,
                    .context = slot,
                };
        }
        if (n_batch && kcopy_copy_many(client, n_batch, batch, &options) < 0)
                jobs_die("submit", kcopy_error(client));
}

void jobs_small(const struct jobs_plan *plan)
{
        struct kcopy_client *client = jobs_connect(plan, plan->pages);
        struct slot *slots = calloc(plan->in_flight, sizeof(*slots));
        struct kcopy_batch_job *batch = calloc(plan->in_flight, sizeof(*batch));
        struct small small = {0};
        struct kcopy_device devices[2];
        uint64_t next = 0, n, start_ns;

        jobs_open(client, plan->source, false, &devices[0]);
        jobs_open(client, plan->destinations[0], true, &devices[1]);
        n = devices[0].size_bytes / plan->chunk_bytes;
        if (!slots || !batch || percentiles_init(&small.latencies, n) < 0)
                jobs_die("slots", "no memory");
        for (unsigned i = 0; i < plan->in_flight; i++) {
                slots[i] = (struct slot){.small = &small, .next = small.free};
                small.free = &slots[i];
        }
        jobs_wait_for_start();
        start_ns = percentiles_now_ns();
        while (small.n_done < n) {
                submit(&small, client, plan, devices, batch, &next, n);
                if (kcopy_wait(client, -1) < 0)
                        jobs_die("wait", kcopy_error(client));
        }
        percentiles_print(
            &small.latencies, (double)(percentiles_now_ns() - start_ns) / 1e9, plan->chunk_bytes);
        jobs_wait_for_end();
        kcopy_client_destroy(client);
        percentiles_done(&small.latencies);
        free(slots);
        free(batch);
}
