/* Many jobs and many connections (jobs.h). */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "jobs.h"
#include "percentiles.h"

#define BATCH_MAX 128u
#define QUEUED_COUNT 128u        /* sectors of a queued job */
#define QUEUED_PER_CLIENT 10000u /* the server stops reading a connection with 15,872 */
#define CLIENTS_MAX 64u
#define HELD_BYTES_PER_S 65536u
#define POLL_MS 20
#define IDLE_PAGES 16u

static void on_end(int read_err, uint64_t write_err, void *context, const struct kcopy_result *result)
{
        jobs_check(read_err, write_err, result);
        if (context)
                *(bool *)context = true;
}

static void on_queued_end(int read_err, uint64_t write_err, void *context, const struct kcopy_result *result)
{
        if (result->state == KCOPY_REFUSED)
                jobs_die("a queued job was refused", result->refusal.message);
}

static void print_seconds(uint64_t start_ns, uint64_t bytes)
{
        double seconds = (double)(percentiles_now_ns() - start_ns) / 1e9;

        printf("{\"seconds\": %.6f, \"bytes_per_s\": %.0f}\n", seconds, (double)bytes / seconds);
}

/* The i-th of n parts of a device, in whole sectors. */
static void part(uint64_t size_bytes, unsigned i, unsigned n, uint64_t *ret_sector, uint64_t *ret_count)
{
        uint64_t sectors = size_bytes / KCOPY_SECTOR_BYTES;

        *ret_sector = sectors * i / n / 8 * 8;
        *ret_count = (i + 1 == n ? sectors : sectors * (i + 1) / n / 8 * 8) - *ret_sector;
}

void jobs_many(const struct jobs_plan *plan)
{
        struct kcopy_client *client = jobs_connect(plan, plan->pages);
        struct kcopy_batch_job batch[BATCH_MAX];
        struct kcopy_io_region to[BATCH_MAX];
        struct kcopy_device source, destination;
        uint64_t start_ns;

        jobs_open(client, plan->source, false, &source);
        jobs_open(client, plan->destinations[0], true, &destination);
        jobs_wait_for_start();
        start_ns = percentiles_now_ns();
        for (unsigned i = 0, n = 0; i < plan->n_jobs; i++) {
                struct kcopy_batch_job *job = &batch[n];

                *job = (struct kcopy_batch_job){.from.handle = source.handle, .n_to = 1, .notify = on_end};
                part(source.size_bytes, i, plan->n_jobs, &job->from.sector, &job->from.count);
                to[n] = job->from;
                to[n].handle = destination.handle;
                job->to = &to[n];
                n++;
                if (n < BATCH_MAX && i + 1 < plan->n_jobs)
                        continue;
                if (kcopy_copy_many(client, n, batch, NULL) < 0)
                        jobs_die("submit", kcopy_error(client));
                n = 0;
        }
        if (kcopy_run(client) < 0)
                jobs_die("run", kcopy_error(client));
        print_seconds(start_ns, source.size_bytes);
        jobs_wait_for_end();
        kcopy_client_destroy(client);
}

static void submit_large(struct kcopy_client *client, const struct jobs_plan *plan, uint64_t rate, bool *over)
{
        struct kcopy_io_region from = {.device = plan->source}, to[JOBS_DESTINATIONS_MAX] = {0};
        struct kcopy_options options = {.rate_bytes_per_s = rate};

        for (unsigned i = 0; i < plan->n_destinations; i++)
                to[i].device = plan->destinations[i];
        if (kcopy_copy(client, &from, plan->n_destinations, to, &options, rate ? on_queued_end : on_end, over,
                NULL) < 0)
                jobs_die("submit", kcopy_error(client));
}

/* All on the same sectors: they wait for each other, and for the one before them. */
static void submit_queued(struct kcopy_client *client, const struct jobs_plan *plan, unsigned n_jobs)
{
        struct kcopy_io_region to = {.device = plan->destinations[0], .count = QUEUED_COUNT};
        struct kcopy_batch_job batch[BATCH_MAX];

        for (unsigned i = 0; i < BATCH_MAX; i++) {
                batch[i] = (struct kcopy_batch_job){
                    .from = {.device = plan->source, .count = QUEUED_COUNT},
                    .n_to = 1,
                    .to = &to,
                    .notify = on_queued_end,
                };
        }
        for (unsigned i = 0; i < n_jobs; i += BATCH_MAX) {
                unsigned n = n_jobs - i < BATCH_MAX ? n_jobs - i : BATCH_MAX;

                if (kcopy_copy_many(client, n, batch, NULL) < 0)
                        jobs_die("submit", kcopy_error(client));
        }
}

/* One turn of all clients. */
static void dispatch(struct kcopy_client **clients, unsigned n, int timeout_ms)
{
        struct pollfd fds[CLIENTS_MAX];

        for (unsigned i = 0; i < n; i++)
                fds[i] = (struct pollfd){kcopy_fd(clients[i]), kcopy_poll_events(clients[i]), 0};
        if (poll(fds, n, timeout_ms) < 0)
                jobs_die("poll", "failed");
        for (unsigned i = 0; i < n; i++)
                if (fds[i].revents && kcopy_dispatch(clients[i]) < 0)
                        jobs_die("dispatch", kcopy_error(clients[i]));
}

/* Until more than `n_jobs` are there. */
static void wait_until_queued(struct kcopy_client **clients, unsigned n, unsigned n_jobs)
{
        struct kcopy_server_info info;

        do {
                dispatch(clients, n, POLL_MS);
                if (kcopy_server_info(clients[0], &info) < 0)
                        jobs_die("info", kcopy_error(clients[0]));
        } while (info.jobs_waiting + info.jobs_running <= n_jobs);
}

void jobs_queued(const struct jobs_plan *plan)
{
        unsigned n = 1 + (plan->n_jobs + QUEUED_PER_CLIENT - 1) / QUEUED_PER_CLIENT;
        struct kcopy_client *clients[CLIENTS_MAX];
        uint64_t start_ns;

        if (n > CLIENTS_MAX)
                jobs_die("--jobs", "too many");
        for (unsigned i = 0; i < n; i++)
                clients[i] = jobs_connect(plan, i == 0 ? plan->pages : IDLE_PAGES);
        submit_large(clients[0], plan, HELD_BYTES_PER_S, NULL);
        wait_until_queued(clients, n, 0);
        jobs_wait_for_start();
        start_ns = percentiles_now_ns();
        for (unsigned i = 1, left = plan->n_jobs; i < n; i++) {
                submit_queued(clients[i], plan, left < QUEUED_PER_CLIENT ? left : QUEUED_PER_CLIENT);
                left -= left < QUEUED_PER_CLIENT ? left : QUEUED_PER_CLIENT;
        }
        wait_until_queued(clients, n, plan->n_jobs);
        print_seconds(start_ns, 0);
        jobs_wait_for_end();
        for (unsigned i = 0; i < n; i++)
                kcopy_client_abandon(clients[i]);
}

void jobs_behind(const struct jobs_plan *plan)
{
        struct kcopy_client *client = jobs_connect(plan, plan->pages);
        bool over = false;
        uint64_t start_ns;

        jobs_wait_for_start();
        start_ns = percentiles_now_ns();
        submit_large(client, plan, 0, &over);
        submit_queued(client, plan, plan->n_jobs);
        while (!over)
                if (kcopy_wait(client, -1) < 0)
                        jobs_die("wait", kcopy_error(client));
        print_seconds(start_ns, 0);
        jobs_wait_for_end();
        kcopy_client_abandon(client);
}

static void submit_part(struct kcopy_client *client, const struct jobs_plan *plan, unsigned index)
{
        struct kcopy_device source, destination;
        struct kcopy_io_region from = {0}, to;

        jobs_open(client, plan->source, false, &source);
        jobs_open(client, plan->destinations[0], true, &destination);
        from.handle = source.handle;
        part(source.size_bytes, index, plan->n_clients, &from.sector, &from.count);
        to = from;
        to.handle = destination.handle;
        if (kcopy_copy(client, &from, 1, &to, NULL, on_end, NULL, NULL) < 0)
                jobs_die("submit", kcopy_error(client));
}

static void run_all(struct kcopy_client **clients, unsigned n)
{
        unsigned pending;

        do {
                dispatch(clients, n, -1);
                pending = 0;
                for (unsigned i = 0; i < n; i++)
                        pending += kcopy_pending(clients[i]);
        } while (pending);
}

void jobs_busy(const struct jobs_plan *plan)
{
        unsigned n = plan->n_clients + plan->n_idle;
        struct kcopy_client **clients = calloc(n, sizeof(struct kcopy_client *));
        struct rlimit files;
        uint64_t start_ns;

        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        if (!clients || plan->n_clients > CLIENTS_MAX)
                jobs_die("clients", "too many");
        for (unsigned i = 0; i < n; i++)
                clients[i] = jobs_connect(plan, i < plan->n_clients ? plan->pages : IDLE_PAGES);
        jobs_wait_for_start();
        start_ns = percentiles_now_ns();
        for (unsigned i = 0; i < plan->n_clients; i++)
                submit_part(clients[i], plan, i);
        run_all(clients, plan->n_clients);
        print_seconds(start_ns, 0);
        jobs_wait_for_end();
        for (unsigned i = 0; i < n; i++)
                kcopy_client_destroy(clients[i]);
        free(clients);
}
