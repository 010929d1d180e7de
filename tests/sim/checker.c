#include "sim/checker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what may be written: bytes that a live job's source has at that place */

static bool all_zero(const unsigned char *at, size_t n)
{
        return n == 0 || (at[0] == 0 && memcmp(at, at + 1, n - 1) == 0);
}

/* Does [start, end) of the device get what `wanted` (NULL: zeroes) says? */
static bool gets(const struct device_op *op, uint64_t start, uint64_t end, const unsigned char *wanted)
{
        size_t n = end - start;

        if (op->op == IO_ZERO)
                return wanted == NULL || all_zero(wanted, n);
        if (wanted == NULL)
                return all_zero(op->data + (start - op->offset_bytes), n);
        return memcmp(op->data + (start - op->offset_bytes), wanted, n) == 0;
}

static bool justifies(const struct check_job *job, const struct check_region *to, const struct device_op *op)
{
        uint64_t start = op->offset_bytes, end = start + op->length_bytes;
        uint64_t region_end = to->start_bytes + job->length_bytes;
        uint64_t in_start = start > to->start_bytes ? start : to->start_bytes;
        uint64_t in_end = end < region_end ? end : region_end;
        const unsigned char *source = NULL, *there = op->device->cache;

        if (in_start >= in_end)
                return false;
        if (job->operation == COPY_OPERATION_COPY)
                source = job->from.device->cache + job->from.start_bytes + (in_start - to->start_bytes);
        /* outside of the region, in a merged block, everything stays as it is */
        return gets(op, in_start, in_end, source) &&
               (start == in_start || gets(op, start, in_start, there + start)) &&
               (end == in_end || gets(op, in_end, end, there + in_end));
}

static uint64_t writers_mask(const struct checker *checker, const struct device_op *op)
{
        uint64_t mask = 0;

        for (unsigned j = 0; j < checker->n_jobs; j++) {
                const struct check_job *job = &checker->jobs[j];

                if (!check_works(job))
                        continue;
                for (unsigned i = 0; i < job->n_to; i++)
                        if (job->to[i].device == op->device &&
                            (op->op == IO_RESIZE || justifies(job, &job->to[i], op)))
                                mask |= 1ull << j;
        }
        return mask;
}

static void check_justified(struct checker *checker, struct device_op *op)
{
        op->jobs_mask = writers_mask(checker, op);
        if (op->jobs_mask != 0)
                return;
        checker->n_wrong_data++;
        if (!checker->expect_wrong_data)
                world_fail(checker->world,
                    "unread data: %s #%u op %u [%" PRIu64 ", +%" PRIu64
                    ") is not what a live job's source has",
                    op->device->name, op->index, op->op, op->offset_bytes, op->length_bytes);
}

/* ---- locks: nothing goes where a write is unanswered */

static void drop_open(struct checker *checker, unsigned at)
{
        checker->open[at] = checker->open[--checker->n_open];
}

static void check_no_open_change(struct checker *checker, const struct device_op *op)
{
        uint64_t start = op->offset_bytes, end = start + op->length_bytes;

        for (unsigned i = 0; i < checker->n_open; i++) {
                const struct device_op *other = checker->open[i].op;

                if (other->device != op->device || !check_overlap(start, end, other->offset_bytes,
                                                       other->offset_bytes + other->length_bytes))
                        continue;
                world_fail(checker->world,
                    "lock: %s #%u op %u [%" PRIu64 ", +%" PRIu64 ") while #%u is unanswered%s",
                    op->device->name, op->index, op->op, op->offset_bytes, op->length_bytes, other->index,
                    other->settled_moment ? " (in quarantine)" : "");
        }
}

static void add_open(struct checker *checker, struct device_op *op)
{
        if (checker->n_open == checker->open_room) {
                checker->open_room = checker->open_room ? checker->open_room * 2 : 64;
                checker->open = realloc(checker->open, checker->open_room * sizeof *checker->open);
                assert(checker->open != NULL);
        }
        checker->open[checker->n_open++] =
            (struct check_open){.op = op, .until_ns = UINT64_MAX, .buf = op->op == IO_WRITE ? op->buf : NULL};
}

/* ---- memory: what endpoints hold stays within the reservation */

static struct check_page *find_page(struct checker *checker, uintptr_t page)
{
        size_t at = (page * 0x9e3779b97f4a7c15ull) >> 40 & (CHECKER_PAGES_MAX - 1);

        while (checker->pages[at].page != page && checker->pages[at].page != 0)
                at = (at + 1) & (CHECKER_PAGES_MAX - 1);
        return &checker->pages[at]; /* entries stay; a run sees no more pages than are ever granted */
}

/* The one client whose job this can be, or -1. */
static int client_of(const struct checker *checker, const struct device_op *op)
{
        uint64_t start = op->offset_bytes, end = start + op->length_bytes;
        int client = -1;

        for (unsigned j = 0; j < checker->n_jobs; j++) {
                const struct check_job *job = &checker->jobs[j];
                bool may = job->from.device == op->device && check_overlap(start, end, job->from.start_bytes,
                                                                 job->from.start_bytes + job->length_bytes);

                for (unsigned i = 0; i < job->n_to; i++)
                        may |= job->to[i].device == op->device &&
                               check_overlap(start, end, job->to[i].start_bytes,
                                   job->to[i].start_bytes + job->length_bytes);
                if (!may || !check_works(job))
                        continue;
                if (client >= 0 && client != (int)job->client)
                        return -1;
                client = (int)job->client;
        }
        return client;
}

static void count_page(struct checker *checker, struct check_page *page, int client)
{
        uint32_t granted = 0;

        page->client = client;
        for (unsigned i = 0; i < CHECKER_CLIENTS_MAX; i++)
                granted += checker->granted_pages[i];
        if (++checker->total_used_pages > granted)
                world_fail(checker->world, "memory: %u pages in use, %u granted", checker->total_used_pages,
                    granted);
        if (client < 0)
                return;
        if (++checker->used_pages[client] > checker->granted_pages[client])
                world_fail(checker->world, "memory: client %d uses %u pages of %u", client,
                    checker->used_pages[client], checker->granted_pages[client]);
        if (checker->used_pages[client] > checker->most_pages[client])
                checker->most_pages[client] = checker->used_pages[client];
}

/* Written zeroes may come from a page that everybody shares: one that nothing was ever read into. */
static bool is_shared_zero(struct checker *checker, const struct device_op *op)
{
        return op->op == IO_WRITE && find_page(checker, (uintptr_t)op->buf / KC_PAGE_BYTES)->page == 0 &&
               all_zero(op->data, op->length_bytes);
}

static void hold_pages(struct checker *checker, const struct device_op *op)
{
        uintptr_t first = (uintptr_t)op->buf / KC_PAGE_BYTES;
        uintptr_t last = ((uintptr_t)op->buf + op->length_bytes - 1) / KC_PAGE_BYTES;
        int client = client_of(checker, op);

        for (uintptr_t at = first; at <= last; at++) {
                struct check_page *page = find_page(checker, at);

                page->page = at;
                if (page->quarantined > 0 && op->op == IO_READ)
                        world_fail(checker->world, "memory: %s #%u reads into a page of an unanswered write",
                            op->device->name, op->index);
                if (page->refs++ == 0)
                        count_page(checker, page, client);
                else if (page->client >= 0 && client >= 0 && page->client != client)
                        world_fail(checker->world, "memory: a page of client %d is used by client %d",
                            page->client, client);
        }
}

static void release_pages(struct checker *checker, const void *buf, uint64_t length_bytes, bool quarantined)
{
        uintptr_t first = (uintptr_t)buf / KC_PAGE_BYTES;
        uintptr_t last = ((uintptr_t)buf + length_bytes - 1) / KC_PAGE_BYTES;

        for (uintptr_t at = first; at <= last; at++) {
                struct check_page *page = find_page(checker, at);

                assert(page->refs > 0);
                page->quarantined -= quarantined;
                if (--page->refs > 0)
                        continue;
                checker->total_used_pages--;
                if (page->client >= 0)
                        checker->used_pages[page->client]--;
        }
}

static void keep_in_quarantine(struct checker *checker, struct check_open *open)
{
        open->until_ns = open->op->settled_ns + checker->quarantine_ns;
        if (open->buf == NULL)
                return;
        for (uintptr_t at = (uintptr_t)open->buf / KC_PAGE_BYTES;
             at <= ((uintptr_t)open->buf + open->op->length_bytes - 1) / KC_PAGE_BYTES; at++)
                find_page(checker, at)->quarantined++;
}

static void end_quarantines(struct checker *checker)
{
        for (unsigned i = 0; i < checker->n_open;) {
                struct check_open *open = &checker->open[i];

                if (checker->world->now_ns < open->until_ns) {
                        i++;
                        continue;
                }
                if (open->buf)
                        release_pages(checker, open->buf, open->op->length_bytes, true);
                drop_open(checker, i);
        }
}

/* ---- the devices tell */

static void on_sent(struct device_watch *watch, struct device_op *op)
{
        struct checker *checker = (struct checker *)watch;

        end_quarantines(checker);
        if (op->op == IO_READ || device_is_mutation(op->op))
                check_no_open_change(checker, op);
        if (device_is_mutation(op->op) || op->op == IO_RESIZE)
                check_justified(checker, op);
        if (device_is_mutation(op->op))
                add_open(checker, op);
        if (op->op == IO_READ || (op->op == IO_WRITE && !is_shared_zero(checker, op)))
                hold_pages(checker, op);
        else if (op->op == IO_WRITE)
                checker->open[checker->n_open - 1].buf = NULL;
        world_mix(checker->world, op->jobs_mask);
}

static void settle_change(struct checker *checker, struct device_op *op)
{
        unsigned i = 0;

        while (checker->open[i].op != op)
                i++;
        if (op->unanswered) {
                keep_in_quarantine(checker, &checker->open[i]);
                return;
        }
        if (checker->open[i].buf)
                release_pages(checker, checker->open[i].buf, op->length_bytes, false);
        drop_open(checker, i);
}

static void on_settled(struct device_watch *watch, struct device_op *op)
{
        struct checker *checker = (struct checker *)watch;

        if (device_is_mutation(op->op))
                settle_change(checker, op);
        else if (op->op == IO_READ)
                release_pages(checker, op->buf, op->length_bytes, false);
}

void checker_client(struct checker *checker, unsigned client, uint32_t pages)
{
        checker->granted_pages[client] = pages;
}

void checker_init(struct checker *checker, struct world *world, struct device *devices, unsigned n_devices,
    uint64_t quarantine_ns)
{
        *checker = (struct checker){.watch = {.on_sent = on_sent, .on_settled = on_settled},
            .world = world,
            .devices = devices,
            .n_devices = n_devices,
            .quarantine_ns = quarantine_ns};
        checker->pages = calloc(CHECKER_PAGES_MAX, sizeof *checker->pages);
        assert(checker->pages != NULL);
        for (unsigned i = 0; i < n_devices; i++)
                devices[i].watch = &checker->watch;
}

void checker_done(struct checker *checker)
{
        free(checker->pages);
        free(checker->open);
}

/* ---- what the history keeps */

static bool same_error(const struct kc_error *a, const struct kc_error *b)
{
        return a->code == b->code && a->class == b->class && strcmp(a->message, b->message) == 0;
}

bool check_as_told(const struct check_job *job, const struct job_result *result)
{
        if (!result || result->state != job->end || result->read_err != job->read_err ||
            result->write_err != job->write_err || result->durable != job->durable ||
            result->length_bytes != job->length_bytes || result->n_destinations != job->n_to ||
            !same_error(&result->source_error.error, &job->source_error))
                return false;
        for (unsigned i = 0; i < job->n_to; i++) {
                const struct job_destination_result *a = &result->destinations[i], *b = &job->results[i];

                if (memcmp(&a->ledger, &b->ledger, sizeof a->ledger) != 0 || a->durable != b->durable ||
                    a->done != b->done || a->detached != b->detached ||
                    !same_error(&a->error.error, &b->error.error))
                        return false;
        }
        return true;
}
