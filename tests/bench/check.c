/* check: fills, spoils and compares devices, for the benchmark. Devices are NBD URIs or absolute paths.
 *
 *   check fill SEED DEVICE            data that no zero detection and no cache can shorten
 *   check islands SEED PERCENT DEVICE islands of 64 KiB in that share of the device; the rest is left alone
 *   check spoil SEED DEVICE…          256 pages here and there, and the first and last, are made wrong
 *   check same A B…                   exit status 0 if all are byte for byte the same, 1 if not
 *
 * Comparing skips what both sides say is zero. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_end.h"

#define PIECE_BYTES (1u << 20)
#define ISLAND_BYTES (64u * 1024)
#define PAGE_BYTES 4096u
#define N_SPOILED 256u
#define N_THREADS 2u

static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static void make_data(uint64_t seed, uint64_t *buf, size_t length_bytes, uint64_t offset_bytes)
{
        uint64_t state = mix(seed ^ mix(offset_bytes));

        for (size_t i = 0; i < length_bytes / sizeof(*buf); i++) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                buf[i] = state;
        }
}

static uint64_t parse_number(const char *text)
{
        return strtoull(text, NULL, 10);
}

static void fill(uint64_t seed, const char *name)
{
        static uint64_t buf[PIECE_BYTES / sizeof(uint64_t)];
        struct check_end *end = malloc(sizeof(*end));

        if (!end)
                check_die(name, "no memory");
        check_end_open(end, name, true);
        for (uint64_t at = 0; at < end->size_bytes; at += PIECE_BYTES) {
                size_t n = end->size_bytes - at < PIECE_BYTES ? (size_t)(end->size_bytes - at) : PIECE_BYTES;

                make_data(seed, buf, n, at);
                check_end_write(end, buf, n, at);
        }
        check_end_close(end);
        free(end);
}

static void fill_islands(uint64_t seed, uint64_t percent, const char *name)
{
        static uint64_t buf[ISLAND_BYTES / sizeof(uint64_t)];
        struct check_end *end = malloc(sizeof(*end));
        uint64_t places = 100 / percent, stride = places * ISLAND_BYTES;

        if (!end)
                check_die(name, "no memory");
        check_end_open(end, name, true);
        for (uint64_t at = 0; at + stride <= end->size_bytes; at += stride) {
                uint64_t island = at + mix(seed ^ at) % places * ISLAND_BYTES;

                make_data(seed, buf, ISLAND_BYTES, island);
                check_end_write(end, buf, ISLAND_BYTES, island);
        }
        check_end_close(end);
        free(end);
}

static void spoil(uint64_t seed, const char *name)
{
        static uint64_t buf[PAGE_BYTES / sizeof(uint64_t)];
        struct check_end *end = malloc(sizeof(*end));
        uint64_t pages;

        if (!end)
                check_die(name, "no memory");
        check_end_open(end, name, true);
        pages = end->size_bytes / PAGE_BYTES;
        for (uint64_t i = 0; pages && i < N_SPOILED; i++) {
                uint64_t page = i == 0 ? 0 : i == 1 ? pages - 1 : mix(seed + i) % pages;

                make_data(mix(seed) + 1, buf, PAGE_BYTES, page * PAGE_BYTES);
                check_end_write(end, buf, PAGE_BYTES, page * PAGE_BYTES);
        }
        check_end_close(end);
        free(end);
}

struct comparison { /* one thread's part */
        pthread_t thread;
        const char *a, *b;
        unsigned index;
        bool differs;
        uint64_t where_bytes;
        struct check_end ends[2];
};

/* Compare a run; false where it differs. */
static bool compare_run(struct comparison *comparison, char **bufs, uint64_t at, uint64_t end)
{
        while (at < end) {
                size_t n = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;

                for (int i = 0; i < 2; i++)
                        check_end_read(&comparison->ends[i], bufs[i], n, at);
                if (memcmp(bufs[0], bufs[1], n) != 0) {
                        comparison->where_bytes = at;
                        return false;
                }
                at += n;
        }
        return true;
}

static void *run_comparison(void *arg)
{
        struct comparison *comparison = arg;
        struct check_end *ends = comparison->ends;
        char *bufs[2] = {malloc(PIECE_BYTES), malloc(PIECE_BYTES)};
        uint64_t at, end;

        check_end_open(&ends[0], comparison->a, false);
        check_end_open(&ends[1], comparison->b, false);
        if (!bufs[0] || !bufs[1])
                check_die("buffers", "no memory");
        at = ends[0].size_bytes / PAGE_BYTES * comparison->index / N_THREADS * PAGE_BYTES;
        end = comparison->index + 1 == N_THREADS
                  ? ends[0].size_bytes
                  : ends[0].size_bytes / PAGE_BYTES * (comparison->index + 1) / N_THREADS * PAGE_BYTES;
        comparison->differs = ends[0].size_bytes != ends[1].size_bytes;
        while (at < end && !comparison->differs) {
                bool zero[2];
                uint64_t next[2] = {
                    check_end_extent(&ends[0], at, &zero[0]), check_end_extent(&ends[1], at, &zero[1])};
                uint64_t run = next[0] < next[1] ? next[0] : next[1];

                if (run > end)
                        run = end;
                if (!zero[0] || !zero[1])
                        comparison->differs = !compare_run(comparison, bufs, at, run);
                at = run;
        }
        check_end_close(&ends[0]);
        check_end_close(&ends[1]);
        free(bufs[0]);
        free(bufs[1]);
        return NULL;
}

static bool same(const char *a, const char *b)
{
        struct comparison *parts = calloc(N_THREADS, sizeof(*parts));
        bool differs = false;

        if (!parts)
                check_die("comparison", "no memory");
        for (unsigned i = 0; i < N_THREADS; i++) {
                parts[i].a = a;
                parts[i].b = b;
                parts[i].index = i;
                if (pthread_create(&parts[i].thread, NULL, run_comparison, &parts[i]) != 0)
                        check_die("thread", NULL);
        }
        for (unsigned i = 0; i < N_THREADS; i++) {
                pthread_join(parts[i].thread, NULL);
                if (parts[i].differs && !differs)
                        fprintf(stderr, "check: %s differs from %s in the MiB from byte %llu on\n", b, a,
                            (unsigned long long)parts[i].where_bytes);
                differs |= parts[i].differs;
        }
        free(parts);
        return !differs;
}

int main(int argc, char **argv)
{
        int result = 0;

        if (argc == 4 && strcmp(argv[1], "fill") == 0) {
                fill(parse_number(argv[2]), argv[3]);
        } else if (argc == 5 && strcmp(argv[1], "islands") == 0 && parse_number(argv[3]) >= 1 &&
                   parse_number(argv[3]) <= 100) {
                fill_islands(parse_number(argv[2]), parse_number(argv[3]), argv[4]);
        } else if (argc >= 4 && strcmp(argv[1], "spoil") == 0) {
                for (int i = 3; i < argc; i++)
                        spoil(parse_number(argv[2]), argv[i]);
        } else if (argc >= 4 && strcmp(argv[1], "same") == 0) {
                for (int i = 3; i < argc; i++)
                        if (!same(argv[2], argv[i]))
                                result = 1;
        } else {
                fprintf(stderr, "usage: check fill|islands|spoil|same ... (see check.c)\n");
                result = 2;
        }
        return result;
}
