/* limit [OPTION…] SOURCE DESTINATION…: a bare copy with no service around it, the floor for the benchmark.
 *
 * Ends are NBD URIs, or absolute paths of files and block devices (io_uring). Each of THREADS threads has its
 * own connections and a part of the device; it keeps REQUESTS chunks of SIZE bytes going: read one, write it
 * to all, take the next. No extents, no zero detection, no policy, no locks: what a copy costs without a
 * contract, with the tunings that were tried; with others it may be faster, and so may a copier that adapts.
 * Ends with a flush. Exit status 1 on any error, 77 where io_uring is refused.
 *
 *   --threads N   --requests N   --size BYTES
 *   --direct      files and devices with O_DIRECT
 *   --random      the chunks in an order that jumps about
 *   --latency     one thread; prints I/Os a second and percentiles as JSON
 *   --no-flush */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "limit_lane.h"

#define ALIGN_BYTES 4096u

static void parse(struct limit_plan *plan, int argc, char **argv)
{
        static const struct option options[] = {{"threads", required_argument, NULL, 't'},
            {"requests", required_argument, NULL, 'r'}, {"size", required_argument, NULL, 's'},
            {"direct", no_argument, NULL, 'd'}, {"random", no_argument, NULL, 'j'},
            {"latency", no_argument, NULL, 'l'}, {"no-flush", no_argument, NULL, 'n'}, {0}};
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (option) {
                case 't':
                        plan->n_threads = (unsigned)atoi(optarg);
                        break;
                case 'r':
                        plan->n_requests = (unsigned)atoi(optarg);
                        break;
                case 's':
                        plan->chunk_bytes = (uint64_t)atoll(optarg);
                        break;
                case 'd':
                        plan->direct = true;
                        break;
                case 'j':
                        plan->random = true;
                        break;
                case 'l':
                        plan->latency = true;
                        break;
                case 'n':
                        plan->no_flush = true;
                        break;
                default:
                        exit(2);
                }
        }
        plan->n_destinations = (unsigned)(argc - optind - 1);
        if (argc - optind < 2 || plan->n_destinations > LIMIT_DESTINATIONS_MAX || plan->n_threads < 1 ||
            (plan->latency && plan->n_threads != 1) || plan->n_requests < 1 ||
            plan->n_requests > LIMIT_REQUESTS_MAX || plan->chunk_bytes < ALIGN_BYTES ||
            plan->chunk_bytes % ALIGN_BYTES != 0) {
                fprintf(stderr, "usage: limit [OPTION...] SOURCE DESTINATION... (see limit.c)\n");
                exit(2);
        }
        plan->source = argv[optind];
        for (unsigned i = 0; i < plan->n_destinations; i++)
                plan->destinations[i] = argv[optind + 1 + (int)i];
}

static uint64_t source_size_bytes(const struct limit_plan *plan)
{
        struct limit_end probe;
        uint64_t size_bytes;

        limit_end_open(&probe, plan->source, false, false, NULL);
        size_bytes = limit_end_size_bytes(&probe);
        limit_end_close(&probe);
        return size_bytes;
}

int main(int argc, char **argv)
{
        struct limit_plan plan = {.n_threads = 2, .n_requests = 2, .chunk_bytes = 512 * 1024};
        struct limit_lane *lanes;
        uint64_t start_ns;

        parse(&plan, argc, argv);
        plan.size_bytes = source_size_bytes(&plan);
        lanes = calloc(plan.n_threads, sizeof(*lanes));
        if (!lanes)
                limit_die("lanes", "no memory");
        for (unsigned i = 0; i < plan.n_threads; i++)
                limit_lane_init(&lanes[i], &plan, i);
        start_ns = percentiles_now_ns();
        for (unsigned i = 0; i < plan.n_threads; i++)
                if (pthread_create(&lanes[i].thread, NULL, limit_lane_run, &lanes[i]) != 0)
                        limit_die("thread", NULL);
        for (unsigned i = 0; i < plan.n_threads; i++)
                pthread_join(lanes[i].thread, NULL);
        if (plan.latency)
                percentiles_print(
                    &lanes[0].latencies, (double)(percentiles_now_ns() - start_ns) / 1e9, plan.chunk_bytes);
        for (unsigned i = 0; i < plan.n_destinations && !plan.no_flush; i++) /* one flush covers all lanes */
                limit_end_flush(&lanes[0].destinations[i]);
        for (unsigned i = 0; i < plan.n_threads; i++)
                limit_lane_done(&lanes[i]);
        free(lanes);
        return 0;
}
