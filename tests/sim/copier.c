#include "sim/copier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void on_done(struct io_req *req)
{
        kc_container_of(req, struct command, req)->done = true;
}

void copier_start(struct copier *b, struct endpoint *ep, struct command *command, enum io_op op, uint64_t at,
    uint64_t n, void *buf)
{
        *command = (struct command){
            .req = {.op = op, .offset_bytes = at, .length_bytes = n, .buf = buf, .on_done = on_done}};
        b->world.current = COPIER_LANE;
        if (endpoint_submit(ep, &command->req) < 0)
                command->done = true;
        b->world.current = 0;
}

void copier_await(struct copier *b, const struct command *command)
{
        while (!command->done && world_step(&b->world))
                ;
}

int copier_run(struct copier *b, struct endpoint *ep, enum io_op op, uint64_t at, uint64_t n, void *buf)
{
        struct command command;

        copier_start(b, ep, &command, op, at, n, buf);
        copier_await(b, &command);
        return command.req.status;
}

void copier_copy_chunks(struct copier *b, uint64_t start_at, uint64_t end_at)
{
        for (uint64_t at = start_at; at < end_at; at += COPIER_CHUNK) {
                copier_run(b, b->from, IO_READ, at, COPIER_CHUNK, b->buf);
                copier_run(b, b->to, IO_WRITE, at, COPIER_CHUNK, b->buf);
        }
}

void copier_tell_end(struct copier *b)
{
        struct job_event event = {.type = JOB_EVENT_COMPLETION, .job_id = 7, .result = b->result};

        checker_event(&b->checker, &event);
}

static void on_open(struct io_open *open)
{
        assert(open->status == 0);
}

struct endpoint *copier_open(struct copier *b, unsigned index, enum io_access access)
{
        struct io_open open = {
            .device = b->devices[index].name, .access = access, .timeout_ns = SECOND_NS, .on_open = on_open};

        b->world.current = COPIER_LANE;
        b->provider.provider.ops->open(&b->provider.provider, &open);
        b->world.current = 0;
        while (open.endpoint == NULL && world_step(&b->world))
                ;
        return open.endpoint;
}

const struct device_config copier_device = {.kind = IO_KIND_NBD,
    .size_bytes = 8 * COPIER_CHUNK,
    .block_min_bytes = 512,
    .block_preferred_bytes = 4096,
    .block_max_bytes = 65536,
    .zero_max_bytes = 1 << 20,
    .keep_idle_ms = 100,
    .can_flush = true,
    .can_fua = true,
    .can_extents = true,
    .multi_conn = true,
    .delay_min_ns = 1000,
    .delay_max_ns = 100000,
    .late_max_ns = SECOND_NS,
    .extents_granule_bytes = 4096};

struct check_job *copier_submit(struct copier *b, unsigned from)
{
        struct copy_spec spec = {.operation = COPY_OPERATION_COPY, .n_to = 1};
        struct check_job *job = checker_submitted(&b->checker, 0, &spec);

        job->from.device = &b->devices[from];
        job->to[0].device = &b->devices[1];
        job->length_bytes = COPIER_LENGTH;
        return job;
}

void copier_set_up(struct copier *b, const struct device_config *destination)
{
        memset(b, 0, sizeof *b);
        world_init(&b->world, 42, 2);
        device_init(&b->devices[0], &b->world, 0, &copier_device);
        device_init(&b->devices[1], &b->world, 1, destination);
        device_init(&b->devices[2], &b->world, 2, &copier_device);
        for (unsigned d = 0; d < 3; d += 2) /* no holes: data that says whose it is */
                device_pattern(d, 0, b->devices[d].cache, b->devices[d].size_bytes);
        checker_init(&b->checker, &b->world, b->devices, 3, COPIER_QUARANTINE_NS);
        checker_client(&b->checker, 0, 16);
        provider_sim_init(&b->provider, &b->world, COPIER_LANE, b->devices, 3);
        b->from = copier_open(b, 0, IO_ACCESS_READ);
        b->to = copier_open(b, 1, IO_ACCESS_READ_WRITE);
        b->job = copier_submit(b, 0);
        b->buf = aligned_alloc(4096, 64 * 4096);
        b->result = calloc(1, sizeof *b->result + sizeof b->result->destinations[0]);
        *b->result = (struct job_result){
            .state = JOB_COMPLETED, .length_bytes = COPIER_LENGTH, .n_destinations = 1, .durable = true};
        b->result->destinations[0] =
            (struct job_destination_result){.ledger.copied = COPIER_LENGTH, .durable = true, .done = true};
}

static void on_closed(void *arg)
{
        ((struct copier *)arg)->closed = true;
}

void copier_close(struct copier *b, struct endpoint *ep)
{
        b->closed = false;
        b->world.current = COPIER_LANE;
        endpoint_close(ep, on_closed, b);
        b->world.current = 0;
        while (!b->closed && world_step(&b->world))
                ;
}

void copier_tear_down(struct copier *b, const char *alarm)
{
        if (b->from)
                copier_close(b, b->from);
        if (b->to)
                copier_close(b, b->to);
        provider_sim_done(&b->provider);
        checker_end(&b->checker);
        if (alarm == NULL && b->world.failed)
                fail_msg("unexpected alarm: %s", b->world.failure);
        if (alarm != NULL && !b->world.failed)
                fail_msg("no alarm, expected: %s", alarm);
        if (alarm != NULL && strstr(b->world.failure, alarm) == NULL)
                fail_msg("expected: %s, alarm: %s", alarm, b->world.failure);
        checker_done(&b->checker);
        for (unsigned d = 0; d < 3; d++)
                device_done(&b->devices[d]);
        world_done(&b->world);
        free(b->buf);
        free(b->result);
}
