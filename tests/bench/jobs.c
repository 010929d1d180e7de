/* jobs LOAD [OPTION…] SERVER SOURCE DESTINATION…: loads on a daemon, through libkcopy.
 *
 * Prints "ready", waits for a line, runs, prints a JSON object, waits for a line, leaves. Loads:
 *   small   the source in --chunk bytes at random places, --flight jobs at a time over one connection
 *   many    the source in --jobs jobs at once
 *   queued  --jobs jobs on the sectors of one that never ends; "done" when all of them wait
 *   behind  the whole source to every destination, --jobs jobs queued behind it; "done" when it is
 *   busy    --clients connections that copy a part of the source each, among --idle that do nothing */
#include "jobs.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *name;
        void (*run)(const struct jobs_plan *plan);
} LOADS[] = {{"small", jobs_small}, {"many", jobs_many}, {"queued", jobs_queued}, {"behind", jobs_behind},
    {"busy", jobs_busy}};

void jobs_die(const char *what, const char *why)
{
        fprintf(stderr, "jobs: %s: %s\n", what, why);
        exit(1);
}

struct kcopy_client *jobs_connect(const struct jobs_plan *plan, unsigned pages)
{
        struct kcopy_client *client;
        char message[512];

        if (kcopy_client_create(plan->server, pages, &client, message, sizeof(message)) < 0)
                jobs_die(plan->server, message);
        return client;
}

void jobs_open(struct kcopy_client *client, const char *device, bool write, struct kcopy_device *ret_device)
{
        if (kcopy_open(client, device, write, ret_device) < 0)
                jobs_die(device, kcopy_error(client));
}

static void wait_for_line(void)
{
        int c;

        while ((c = getchar()) != '\n')
                if (c == EOF)
                        exit(1);
}

void jobs_wait_for_start(void)
{
        puts("ready");
        fflush(stdout);
        wait_for_line();
}

void jobs_wait_for_end(void)
{
        fflush(stdout);
        wait_for_line();
}

void jobs_check(int read_err, uint64_t write_err, const struct kcopy_result *result)
{
        if (read_err || write_err || result->state != KCOPY_COMPLETED)
                jobs_die("a job failed", result->refusal.message ? result->refusal.message : "");
}

static unsigned number(const char *text)
{
        return (unsigned)strtoul(text, NULL, 10);
}

static void parse(struct jobs_plan *plan, int argc, char **argv)
{
        static const struct option options[] = {{"chunk", required_argument, NULL, 'c'},
            {"flight", required_argument, NULL, 'f'}, {"jobs", required_argument, NULL, 'j'},
            {"clients", required_argument, NULL, 'b'}, {"idle", required_argument, NULL, 'i'},
            {"pages", required_argument, NULL, 'p'}, {0}};
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (option) {
                case 'c':
                        plan->chunk_bytes = number(optarg);
                        break;
                case 'f':
                        plan->in_flight = number(optarg);
                        break;
                case 'j':
                        plan->n_jobs = number(optarg);
                        break;
                case 'b':
                        plan->n_clients = number(optarg);
                        break;
                case 'i':
                        plan->n_idle = number(optarg);
                        break;
                case 'p':
                        plan->pages = number(optarg);
                        break;
                default:
                        exit(2);
                }
        }
        argv += optind;
        argc -= optind;
        if (argc < 3 || argc - 2 > JOBS_DESTINATIONS_MAX || plan->chunk_bytes % KCOPY_SECTOR_BYTES ||
            !plan->chunk_bytes || !plan->in_flight || !plan->n_jobs || !plan->n_clients) {
                fprintf(stderr, "usage: jobs LOAD [OPTION...] SERVER SOURCE DESTINATION... (see jobs.c)\n");
                exit(2);
        }
        plan->server = argv[0];
        plan->source = argv[1];
        plan->n_destinations = (unsigned)argc - 2;
        for (unsigned i = 0; i < plan->n_destinations; i++)
                plan->destinations[i] = argv[2 + i];
}

int main(int argc, char **argv)
{
        struct jobs_plan plan = {.chunk_bytes = 4096, .in_flight = 64, .n_jobs = 1, .n_clients = 1};

        for (size_t i = 0; argc > 1 && i < sizeof(LOADS) / sizeof(LOADS[0]); i++) {
                if (strcmp(argv[1], LOADS[i].name) != 0)
                        continue;
                parse(&plan, argc - 1, argv + 1);
                LOADS[i].run(&plan);
                return 0;
        }
        fprintf(stderr, "usage: jobs small|many|queued|behind|busy ...\n");
        return 2;
}
