/* Validation: every refusal of a job before any I/O, with field, class and limit; and what is accepted.
 * links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy/validate.h"

#define MIB (1u << 20)
#define TO_MAX 3
#define NO_LIMIT UINT64_MAX /* no refusal has it as a limit */

/* ---- devices */

#define DEVICE(the_kind, the_size, the_min, the_key)                                                         \
        .kind = (the_kind), .size_bytes = (the_size), .block_min_bytes = (the_min),                          \
        .block_preferred_bytes = 65536, .block_max_bytes = 32 * MIB, .identity = {.key = the_key}
#define NBD(size, min, key)                                                                                  \
        {                                                                                                    \
                DEVICE(IO_KIND_NBD, size, min, key)                                                          \
        }
#define FILE_OF(size, key)                                                                                   \
        {                                                                                                    \
                DEVICE(IO_KIND_FILE, size, 1, key), .resizable = true                                        \
        }
#define ABSENT                                                                                               \
        {                                                                                                    \
                DEVICE(IO_KIND_FILE, 0, 1, "file:1:99"), .resizable = true, .absent = true                   \
        }
#define NOTHING                                                                                              \
        {                                                                                                    \
                DEVICE(IO_KIND_NULL, UINT64_MAX, 1, "")                                                      \
        }
#define PART_OF(size, key_, base)                                                                            \
        {                                                                                                    \
                .kind = IO_KIND_BLOCK, .size_bytes = (size), .block_min_bytes = 512,                         \
                .block_preferred_bytes = 4096, .block_max_bytes = MIB, .identity = {                         \
                        .key = key_,                                                                         \
                        .base_bytes = base                                                                   \
                }                                                                                            \
        }

struct place {
        struct endpoint_info info;
        uint64_t sector, count;
};

struct job {
        const char *name;
        bool zero;
        struct place from;
        unsigned n_to; /* 0: 1 */
        struct place to[TO_MAX];
        uint32_t pages; /* 0: 4096 */
        /* a refusal … */
        const char *field;
        enum kc_class class;
        uint64_t limit;
        /* … or a plan */
        uint64_t length_bytes;
        uint32_t align_bytes, chunk_max_bytes; /* 0: not looked at */
        struct job_region planned[TO_MAX];     /* lock bounds are looked at where lock_end_bytes is set */
};

static bool validate(const struct job *job, struct job_plan *ret_plan, struct engine_refusal *ret_refusal)
{
        const struct endpoint_info *infos[TO_MAX];
        unsigned n_to = job->n_to > 0 ? job->n_to : 1;
        struct copy_spec *spec = copy_spec_new(n_to, 64);
        bool fine;

        spec->operation = job->zero ? COPY_OPERATION_ZERO : COPY_OPERATION_COPY;
        spec->from = (struct copy_region){
            .device = copy_spec_name(spec, "/dev/source", 11),
            .sector = job->from.sector,
            .count_sectors = job->from.count,
        };
        for (unsigned i = 0; i < n_to; i++) {
                infos[i] = &job->to[i].info;
                spec->to[i] = (struct copy_region){
                    .handle = i + 1, .sector = job->to[i].sector, .count_sectors = job->to[i].count};
        }
        fine = validate_spec(spec, ret_refusal) &&
               validate_plan(spec, job->zero ? NULL : &job->from.info, infos,
                   job->pages > 0 ? job->pages : 4096, ret_plan, ret_refusal);
        free(spec);
        return fine;
}

static void assert_refused(const struct job *job)
{
        struct engine_refusal refusal;
        struct job_plan plan = {.length_bytes = 4711};

        memset(&refusal, 0xa5, sizeof(refusal));
        if (validate(job, &plan, &refusal))
                fail_msg("%s: was accepted", job->name);
        if (strcmp(refusal.field, job->field) != 0 || refusal.error.class != job->class)
                fail_msg("%s: refused for %s, class %d: %s", job->name, refusal.field, refusal.error.class,
                    refusal.error.message);
        if (refusal.has_limit != (job->limit != NO_LIMIT) ||
            (refusal.has_limit && refusal.limit != job->limit))
                fail_msg("%s: limit %d %llu: %s", job->name, refusal.has_limit,
                    (unsigned long long)refusal.limit, refusal.error.message);
        assert_true(refusal.error.code < 0);
        assert_non_null(strstr(refusal.error.message, ": "));
        assert_int_equal(plan.length_bytes, 4711);
}

static void assert_accepted(const struct job *job)
{
        struct engine_refusal refusal;
        struct job_plan plan;

        if (!validate(job, &plan, &refusal))
                fail_msg("%s: refused for %s: %s", job->name, refusal.field, refusal.error.message);
        if (plan.length_bytes != job->length_bytes)
                fail_msg("%s: length %llu", job->name, (unsigned long long)plan.length_bytes);
        if (job->align_bytes != 0 && plan.align_bytes != job->align_bytes)
                fail_msg("%s: align %u", job->name, plan.align_bytes);
        if (job->chunk_max_bytes != 0 && plan.chunk_max_bytes != job->chunk_max_bytes)
                fail_msg("%s: chunk %u", job->name, plan.chunk_max_bytes);
        assert_true(plan.chunk_max_bytes > 0 && plan.chunk_max_bytes % plan.align_bytes == 0);
        assert_int_equal(plan.from.start_bytes, job->from.sector * 512);
        for (unsigned i = 0; i < (job->n_to > 0 ? job->n_to : 1); i++) {
                const struct job_region *want = &job->planned[i], *have = &plan.to[i];

                assert_int_equal(have->start_bytes, job->to[i].sector * 512);
                if (have->resize != want->resize || have->grow_only != want->grow_only ||
                    have->resize_bytes != want->resize_bytes)
                        fail_msg("%s: to[%u]: resize %d %d %llu", job->name, i, have->resize, have->grow_only,
                            (unsigned long long)have->resize_bytes);
                if (want->lock_end_bytes != 0 && (have->lock_start_bytes != want->lock_start_bytes ||
                                                     have->lock_end_bytes != want->lock_end_bytes))
                        fail_msg("%s: to[%u]: locks %llu … %llu", job->name, i,
                            (unsigned long long)have->lock_start_bytes,
                            (unsigned long long)have->lock_end_bytes);
        }
}

/* ---- the tables */

/* clang-format off */
static const struct job refused[] = {
        /* the source */
        {.name = "null: as a source", .from = {NOTHING, 0, 8}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from", .class = KC_CLASS_INVALID, .limit = NO_LIMIT},
        {.name = "a source that does not exist", .from = {ABSENT, 0, 0}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from", .class = KC_CLASS_NOT_FOUND, .limit = NO_LIMIT},
        {.name = "an empty source", .from = {NBD(0, 1, "a")}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.sector", .class = KC_CLASS_INVALID, .limit = NO_LIMIT},
        {.name = "a source region that starts at the end", .from = {NBD(MIB, 1, "a"), 2048, 0}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.sector", .class = KC_CLASS_INVALID, .limit = 2047},
        {.name = "a source region that starts behind an odd end", .from = {NBD(1000, 1, "a"), 2, 0}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.sector", .class = KC_CLASS_INVALID, .limit = 1},
        {.name = "a source region that passes the end", .from = {NBD(MIB, 1, "a"), 2040, 9}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.count", .class = KC_CLASS_INVALID, .limit = 8},
        {.name = "a count that includes half a sector", .from = {NBD(1000, 1, "a"), 0, 2}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.count", .class = KC_CLASS_INVALID, .limit = 1},
        {.name = "a source start within a minimum block", .from = {NBD(MIB, 4096, "a"), 9, 8}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.sector", .class = KC_CLASS_INVALID, .limit = 8},
        {.name = "a source end within a minimum block", .from = {NBD(MIB, 4096, "a"), 8, 9}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.count", .class = KC_CLASS_INVALID, .limit = 8},
        {.name = "a source with a tail it cannot read", .from = {NBD(100000, 65536, "a")}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.count", .class = KC_CLASS_UNSUPPORTED, .limit = 128},
        {.name = "a source region of nothing but such a tail", .from = {NBD(100000, 65536, "a"), 128, 0}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.sector", .class = KC_CLASS_UNSUPPORTED, .limit = NO_LIMIT},
        {.name = "a source with such a tail behind less than a sector", .from = {NBD(300, 256, "a")}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.sector", .class = KC_CLASS_UNSUPPORTED, .limit = NO_LIMIT},
        /* numbers */
        {.name = "a sector beyond every device", .from = {NBD(MIB, 1, "a"), UINT64_MAX / 512, 0}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.sector", .class = KC_CLASS_INVALID, .limit = INT64_MAX / 512},
        {.name = "a count beyond every device", .from = {NBD(MIB, 1, "a"), 1, UINT64_MAX}, .to = {{NBD(MIB, 1, "b")}},
            .field = "from.count", .class = KC_CLASS_INVALID, .limit = INT64_MAX / 512 - 1},
        {.name = "a destination's sector beyond every device", .from = {NBD(MIB, 1, "a")}, .n_to = 2,
            .to = {{NBD(MIB, 1, "b")}, {NOTHING, 1ull << 55, 0}},
            .field = "to[1].sector", .class = KC_CLASS_INVALID, .limit = INT64_MAX / 512},
        {.name = "a destination's count beyond every device", .from = {NBD(MIB, 1, "a")},
            .to = {{NBD(MIB, 1, "b"), INT64_MAX / 512, 1}},
            .field = "to[0].count", .class = KC_CLASS_INVALID, .limit = 0},
        {.name = "a file region beyond every file", .from = {NBD(MIB, 1, "a")}, .to = {{FILE_OF(0, "f"), INT64_MAX / 512, 0}},
            .field = "to[0].sector", .class = KC_CLASS_INVALID, .limit = (INT64_MAX - MIB) / 512},
        /* lengths */
        {.name = "a destination of another length", .from = {NBD(MIB, 1, "a"), 0, 16}, .n_to = 2,
            .to = {{NBD(MIB, 1, "b"), 0, 16}, {NBD(MIB, 1, "c"), 0, 8}},
            .field = "to[1].count", .class = KC_CLASS_INVALID, .limit = 16},
        {.name = "null: of another length", .from = {NBD(MIB, 1, "a"), 0, 16}, .to = {{NOTHING, 0, 17}},
            .field = "to[0].count", .class = KC_CLASS_INVALID, .limit = 16},
        {.name = "a count for a source of odd length", .from = {NBD(1000, 1, "a")}, .to = {{NBD(MIB, 1, "b"), 0, 2}},
            .field = "to[0].count", .class = KC_CLASS_INVALID, .limit = NO_LIMIT},
        {.name = "zeroing two lengths", .zero = true, .n_to = 2, .to = {{NBD(MIB, 1, "a")}, {NBD(2 * MIB, 1, "b")}},
            .field = "to[1].count", .class = KC_CLASS_INVALID, .limit = 2048},
        /* destinations */
        {.name = "a destination that starts at its end", .from = {NBD(MIB, 1, "a"), 0, 8}, .to = {{NBD(MIB, 1, "b"), 2048, 0}},
            .field = "to[0].sector", .class = KC_CLASS_INVALID, .limit = 2047},
        {.name = "a destination that is too small", .from = {NBD(2 * MIB, 1, "a")}, .to = {{NBD(MIB, 1, "b")}},
            .field = "to[0].count", .class = KC_CLASS_INVALID, .limit = 2048},
        {.name = "a destination that is a byte too small", .from = {NBD(1000, 1, "a")}, .to = {{NBD(999, 1, "b")}},
            .field = "to[0].count", .class = KC_CLASS_INVALID, .limit = 1},
        {.name = "an empty destination", .from = {NBD(MIB, 1, "a")}, .to = {{NBD(0, 1, "b")}},
            .field = "to[0].sector", .class = KC_CLASS_INVALID, .limit = NO_LIMIT},
        {.name = "a read-only destination", .from = {NBD(MIB, 1, "a")}, .n_to = 2,
            .to = {{NBD(MIB, 1, "b")}, {{DEVICE(IO_KIND_NBD, MIB, 1, "c"), .read_only = true}}},
            .field = "to[1]", .class = KC_CLASS_PERMISSION, .limit = NO_LIMIT},
        {.name = "a destination start within a block of 4096", .from = {NBD(MIB, 1, "a"), 0, 8}, .to = {{NBD(MIB, 4096, "b"), 4, 0}},
            .field = "to[0].sector", .class = KC_CLASS_INVALID, .limit = 8},
        {.name = "a destination start within a block of 65536", .from = {NBD(MIB, 1, "a"), 0, 8}, .to = {{NBD(MIB, 65536, "b"), 64, 0}},
            .field = "to[0].sector", .class = KC_CLASS_INVALID, .limit = 128},
        {.name = "a tail that no whole block holds", .from = {NBD(99999, 1, "a")}, .to = {{NBD(100000, 65536, "b")}},
            .field = "to[0].count", .class = KC_CLASS_UNSUPPORTED, .limit = 128},
        {.name = "a region of nothing but such a tail", .from = {NBD(1000, 1, "a")}, .to = {{NBD(100000, 65536, "b"), 128, 0}},
            .field = "to[0].sector", .class = KC_CLASS_UNSUPPORTED, .limit = NO_LIMIT},
        {.name = "zeroing such a tail", .zero = true, .to = {{NBD(100000, 65536, "b")}},
            .field = "to[0].count", .class = KC_CLASS_UNSUPPORTED, .limit = 128},
        {.name = "zeroing a file that does not exist", .zero = true, .to = {{ABSENT}},
            .field = "to[0].count", .class = KC_CLASS_INVALID, .limit = NO_LIMIT},
        {.name = "zeroing an empty file", .zero = true, .to = {{FILE_OF(0, "f")}},
            .field = "to[0].sector", .class = KC_CLASS_INVALID, .limit = NO_LIMIT},
        {.name = "zeroing from behind the end of a file", .zero = true, .to = {{FILE_OF(1000, "f"), 2, 0}},
            .field = "to[0].sector", .class = KC_CLASS_INVALID, .limit = 1},
        {.name = "zeroing null: without a count", .zero = true, .to = {{NOTHING}},
            .field = "to[0].count", .class = KC_CLASS_INVALID, .limit = NO_LIMIT},
        /* chunks and pages */
        {.name = "pages for less than a minimum block", .from = {NBD(MIB, 65536, "a")}, .to = {{NBD(MIB, 1, "b")}}, .pages = 15,
            .field = "pages", .class = KC_CLASS_LIMIT, .limit = 16},
        {.name = "pages for less than a destination's minimum block", .from = {NBD(MIB, 1, "a")}, .n_to = 2,
            .to = {{NBD(MIB, 1, "c")}, {NBD(MIB, 8192, "b")}}, .pages = 1,
            .field = "pages", .class = KC_CLASS_LIMIT, .limit = 2},
        {.name = "a maximum below another's minimum", .from = {NBD(MIB, 65536, "a")}, .n_to = 2,
            .to = {{NBD(MIB, 1, "b")}, {{.kind = IO_KIND_NBD, .size_bytes = MIB, .block_min_bytes = 512, .block_max_bytes = 32768}}},
            .field = "to[1]", .class = KC_CLASS_UNSUPPORTED, .limit = 65536},
        {.name = "a source's maximum below a destination's minimum",
            .from = {{.kind = IO_KIND_NBD, .size_bytes = MIB, .block_min_bytes = 512, .block_max_bytes = 32768}},
            .to = {{NBD(MIB, 65536, "b")}},
            .field = "from", .class = KC_CLASS_UNSUPPORTED, .limit = 65536},
        /* overlap */
        {.name = "a copy onto itself", .from = {NBD(MIB, 1, "a")}, .to = {{NBD(MIB, 1, "a")}},
            .field = "to[0]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
        {.name = "a copy that shares a sector with its source", .from = {NBD(MIB, 1, "a"), 0, 16}, .to = {{NBD(MIB, 1, "a"), 15, 0}},
            .field = "to[0]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
        {.name = "two destinations that share a sector", .from = {NBD(MIB, 1, "a"), 0, 16}, .n_to = 3,
            .to = {{NBD(MIB, 1, "b"), 0, 0}, {NOTHING}, {NBD(MIB, 1, "b"), 15, 0}},
            .field = "to[2]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
        {.name = "a destination inside the block that another's tail is merged into", .from = {NBD(1000, 1, "a")}, .n_to = 2,
            .to = {{NBD(MIB, 4096, "b"), 0, 0}, {NBD(MIB, 512, "b"), 4, 0}},
            .field = "to[1]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
        {.name = "zeroing the same region twice", .zero = true, .n_to = 2, .to = {{NBD(MIB, 1, "a")}, {NBD(MIB, 1, "a")}},
            .field = "to[1]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
        {.name = "a disk onto its own partition", .from = {PART_OF(4 * MIB, "blk:8:0", 0), 2048, 2048},
            .to = {{PART_OF(2 * MIB, "blk:8:0", MIB), 0, 0}},
            .field = "to[0]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
        {.name = "a loop device onto the file that holds it", .from = {PART_OF(MIB, "file:1:7", MIB)},
            .to = {{FILE_OF(2 * MIB, "file:1:7"), 4095, 0}},
            .field = "to[0]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
        {.name = "a file that is cut off before what is to be read", .from = {FILE_OF(2 * MIB, "f"), 2048, 0},
            .to = {{FILE_OF(2 * MIB, "f"), 0, 0}},
            .field = "to[0]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
        {.name = "a file that is cut off before another destination", .from = {NBD(MIB, 1, "a")}, .n_to = 2,
            .to = {{FILE_OF(4 * MIB, "f"), 4096, 0}, {FILE_OF(4 * MIB, "f"), 0, 0}},
            .field = "to[1]", .class = KC_CLASS_CONFLICT, .limit = NO_LIMIT},
};

static const struct job accepted[] = {
        {.name = "a whole device", .from = {NBD(MIB, 1, "a")}, .to = {{NBD(MIB, 1, "b")}},
            .length_bytes = MIB, .align_bytes = 512, .chunk_max_bytes = MIB},
        {.name = "the last sector", .from = {NBD(MIB, 1, "a"), 2047, 1}, .to = {{NBD(MIB, 1, "b"), 2047, 1}}, .length_bytes = 512},
        {.name = "a tail of less than a sector", .from = {NBD(100001, 1, "a"), 1, 0}, .to = {{NBD(MIB, 1, "b")}},
            .length_bytes = 99489, .planned = {{.lock_end_bytes = 99489}}},
        {.name = "less than a sector", .from = {NBD(100, 1, "a")}, .to = {{NBD(100, 1, "b")}}, .length_bytes = 100},
        {.name = "a device of odd size to one of the same", .from = {NBD(100001, 1, "a")}, .to = {{NBD(100001, 1, "b")}},
            .length_bytes = 100001},
        {.name = "a tail merged into a block of 512", .from = {NBD(1000, 1, "a")}, .to = {{NBD(1024, 512, "b")}}, .length_bytes = 1000,
            .align_bytes = 512, .planned = {{.lock_end_bytes = 1024}}},
        {.name = "a tail merged into a block of 4096", .from = {NBD(1000, 1, "a")}, .to = {{NBD(MIB, 4096, "b"), 8, 0}},
            .length_bytes = 1000, .align_bytes = 4096, .planned = {{.lock_start_bytes = 4096, .lock_end_bytes = 8192}}},
        {.name = "a tail merged into a block of 65536 of a device with an odd tail", .from = {NBD(1000, 1, "a")},
            .to = {{NBD(100000, 65536, "b")}}, .length_bytes = 1000, .align_bytes = 65536, .pages = 16,
            .planned = {{.lock_end_bytes = 65536}}},
        {.name = "what can be read of a source with an odd tail", .from = {NBD(100000, 65536, "a"), 0, 128}, .to = {{NBD(MIB, 1, "b")}},
            .length_bytes = 65536},
        {.name = "minimum blocks of 512, 4096 and 65536", .from = {NBD(MIB, 512, "a"), 128, 128}, .n_to = 2,
            .to = {{NBD(MIB, 4096, "b"), 8, 0}, {NBD(MIB, 65536, "c"), 256, 128}}, .length_bytes = 65536, .align_bytes = 65536},
        {.name = "a source of 4096 to its end", .from = {NBD(MIB, 4096, "a"), 8, 0}, .to = {{NBD(MIB, 512, "b")}},
            .length_bytes = MIB - 4096, .align_bytes = 4096},
        {.name = "a destination of the same count", .from = {NBD(MIB, 1, "a")}, .to = {{NBD(MIB, 1, "b"), 0, 2048}}, .length_bytes = MIB},
        {.name = "to null:", .from = {NBD(1001, 1, "a")}, .to = {{NOTHING}}, .length_bytes = 1001},
        {.name = "to null: three times, anywhere", .from = {NBD(MIB, 1, "a")}, .n_to = 3,
            .to = {{NOTHING, 5, 0}, {NOTHING, 5, 0}, {NOTHING, INT64_MAX / 512, 0}}, .length_bytes = MIB},
        {.name = "to null: with blocks", .from = {NBD(1001, 1, "a")}, .to = {{{DEVICE(IO_KIND_NULL, UINT64_MAX, 4096, "")}, 5, 0}},
            .length_bytes = 1001},
        /* files */
        {.name = "an empty file", .from = {FILE_OF(0, "e")}, .to = {{ABSENT}}, .length_bytes = 0,
            .planned = {{.resize = true, .resize_bytes = 0, .lock_end_bytes = UINT64_MAX}}},
        {.name = "a file that is created", .from = {NBD(1001, 1, "a")}, .to = {{ABSENT}}, .length_bytes = 1001,
            .planned = {{.resize = true, .resize_bytes = 1001, .lock_end_bytes = UINT64_MAX}}},
        {.name = "a file that is created with a region", .from = {NBD(1001, 1, "a")}, .to = {{ABSENT, 2, 0}}, .length_bytes = 1001,
            .planned = {{.resize = true, .grow_only = true, .resize_bytes = 2025, .lock_start_bytes = 1024, .lock_end_bytes = 2025}}},
        {.name = "a file that is cut to size", .from = {NBD(1001, 1, "a")}, .to = {{FILE_OF(MIB, "f")}}, .length_bytes = 1001,
            .planned = {{.resize = true, .resize_bytes = 1001, .lock_end_bytes = UINT64_MAX}}},
        {.name = "a file that grows to size", .from = {NBD(MIB, 1, "a")}, .to = {{FILE_OF(1, "f")}}, .length_bytes = MIB,
            .planned = {{.resize = true, .resize_bytes = MIB}}},
        {.name = "a file with a count is never cut", .from = {NBD(MIB, 1, "a"), 0, 8}, .to = {{FILE_OF(MIB, "f"), 0, 8}},
            .length_bytes = 4096, .planned = {{.lock_end_bytes = 4096}}},
        {.name = "a file with a region grows", .from = {NBD(MIB, 1, "a")}, .to = {{FILE_OF(MIB, "f"), 2048, 0}}, .length_bytes = MIB,
            .planned = {{.resize = true, .grow_only = true, .resize_bytes = 2 * MIB}}},
        {.name = "a file with a region behind its end grows", .from = {NBD(512, 1, "a")}, .to = {{FILE_OF(3, "f"), 8, 1}},
            .length_bytes = 512, .planned = {{.resize = true, .grow_only = true, .resize_bytes = 4608}}},
        {.name = "a file with a region grows by a byte", .from = {NBD(MIB, 1, "a"), 0, 1}, .to = {{FILE_OF(1023, "f"), 1, 1}},
            .length_bytes = 512, .planned = {{.resize = true, .grow_only = true, .resize_bytes = 1024}}},
        {.name = "growing behind what is read of the same file", .from = {FILE_OF(MIB, "f")}, .to = {{FILE_OF(MIB, "f"), 2048, 0}},
            .length_bytes = MIB, .planned = {{.resize = true, .grow_only = true, .resize_bytes = 2 * MIB}}},
        /* zeroes */
        {.name = "zeroing to the end", .zero = true, .to = {{NBD(1001, 1, "a"), 1, 0}}, .length_bytes = 489},
        {.name = "zeroing equal lengths", .zero = true, .n_to = 3, .to = {{NOTHING}, {NBD(2 * MIB, 1, "a"), 2048, 0}, {NBD(4 * MIB, 1, "b"), 0, 2048}},
            .length_bytes = MIB},
        {.name = "zeroing null: with a count", .zero = true, .to = {{NOTHING, 0, 8}}, .length_bytes = 4096},
        {.name = "zeroing a whole file keeps its size", .zero = true, .to = {{FILE_OF(1001, "f")}}, .length_bytes = 1001},
        {.name = "zeroing grows a file", .zero = true, .to = {{FILE_OF(1001, "f"), 1, 2}}, .length_bytes = 1024,
            .planned = {{.resize = true, .grow_only = true, .resize_bytes = 1536}}},
        {.name = "zeroing creates a file", .zero = true, .to = {{ABSENT, 0, 8}}, .length_bytes = 4096,
            .planned = {{.resize = true, .grow_only = true, .resize_bytes = 4096}}},
        {.name = "zeroing part of a last block", .zero = true, .to = {{NBD(MIB, 4096, "a"), 8, 1}}, .length_bytes = 512,
            .align_bytes = 4096, .planned = {{.lock_start_bytes = 4096, .lock_end_bytes = 8192}}},
        /* chunks */
        {.name = "one page", .from = {NBD(MIB, 512, "a")}, .to = {{NBD(MIB, 4096, "b")}}, .pages = 1, .length_bytes = MIB,
            .align_bytes = 4096, .chunk_max_bytes = 4096},
        {.name = "pages that are no power of two", .from = {NBD(MIB, 512, "a")}, .to = {{NBD(MIB, 1, "b")}}, .pages = 100,
            .length_bytes = MIB, .chunk_max_bytes = 16 * 4096},
        {.name = "just the pages for a minimum block", .from = {NBD(MIB, 65536, "a")}, .to = {{NBD(MIB, 1, "b")}}, .pages = 16,
            .length_bytes = MIB, .chunk_max_bytes = 65536},
        {.name = "the smallest maximum", .from = {NBD(MIB, 1, "a")}, .n_to = 2,
            .to = {{NBD(MIB, 1, "b")}, {{.kind = IO_KIND_NBD, .size_bytes = MIB, .block_min_bytes = 512, .block_max_bytes = 65536}}},
            .length_bytes = MIB, .chunk_max_bytes = 65536},
        {.name = "a maximum that is no multiple of another's minimum", .from = {NBD(MIB, 4096, "a")},
            .to = {{{.kind = IO_KIND_NBD, .size_bytes = MIB, .block_min_bytes = 512, .block_max_bytes = 10240}}},
            .length_bytes = MIB, .chunk_max_bytes = 8192},
        /* no overlap */
        {.name = "exactly adjacent regions of one device", .from = {NBD(MIB, 1, "a"), 0, 16}, .n_to = 2,
            .to = {{NBD(MIB, 1, "a"), 16, 0}, {NBD(MIB, 1, "a"), 32, 0}}, .length_bytes = 8192},
        {.name = "adjacent in front of the source", .from = {NBD(MIB, 1, "a"), 16, 16}, .to = {{NBD(MIB, 1, "a"), 0, 0}},
            .length_bytes = 8192},
        {.name = "two partitions side by side", .from = {PART_OF(MIB, "blk:8:0", MIB)}, .to = {{PART_OF(MIB, "blk:8:0", 2 * MIB)}},
            .length_bytes = MIB, .planned = {{.lock_start_bytes = 2 * MIB, .lock_end_bytes = 3 * MIB}}},
        {.name = "a loop device to another part of the file that holds it", .from = {PART_OF(MIB, "file:1:7", MIB)},
            .to = {{FILE_OF(2 * MIB, "file:1:7"), 0, 2048}}, .length_bytes = MIB},
        {.name = "the same offsets of two devices", .from = {NBD(MIB, 1, "nbd:x/a")}, .to = {{NBD(MIB, 1, "nbd:x/b")}},
            .length_bytes = MIB},
};
/* clang-format on */

static void every_wrong_job_is_refused_with_field_class_and_limit(void **state)
{
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
                assert_refused(&refused[i]);
}

static void every_right_job_is_planned(void **state)
{
        for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
                assert_accepted(&accepted[i]);
}

/* ---- numbers alone */

static struct copy_spec *new_spec(unsigned n_to)
{
        struct copy_spec *spec = copy_spec_new(n_to, 64);

        spec->from.device = copy_spec_name(spec, "/a", 2);
        for (unsigned i = 0; i < n_to; i++)
                spec->to[i].handle = i + 1;
        return spec;
}

static void assert_spec_refused(
    struct copy_spec *spec, const char *field, enum kc_class class, bool has_limit, uint64_t limit)
{
        struct engine_refusal refusal;

        memset(&refusal, 0xa5, sizeof(refusal));
        assert_false(validate_spec(spec, &refusal));
        assert_string_equal(refusal.field, field);
        assert_int_equal(refusal.error.class, class);
        assert_int_equal(refusal.has_limit, has_limit);
        if (has_limit)
                assert_int_equal(refusal.limit, limit);
        assert_true(refusal.error.code < 0 && refusal.error.message[0] != '\0');
        free(spec);
}

static void wrong_numbers_are_refused_before_anything_is_opened(void **state)
{
        struct copy_spec *spec;

        assert_spec_refused(new_spec(0), "to", KC_CLASS_INVALID, false, 0);
        assert_spec_refused(new_spec(65), "to", KC_CLASS_LIMIT, true, 64);
        spec = new_spec(2);
        spec->from.device = NULL;
        assert_spec_refused(spec, "from", KC_CLASS_INVALID, false, 0);
        spec = new_spec(2);
        spec->from.device = "";
        assert_spec_refused(spec, "from", KC_CLASS_INVALID, false, 0);
        spec = new_spec(2);
        spec->to[1].handle = 0;
        assert_spec_refused(spec, "to[1]", KC_CLASS_INVALID, false, 0);
        spec = new_spec(2);
        spec->options.priority = 8;
        assert_spec_refused(spec, "options.priority", KC_CLASS_INVALID, true, 7);
        spec = new_spec(2);
        spec->options.zero_destinations = 1u << 2;
        assert_spec_refused(spec, "options.zero_destinations", KC_CLASS_INVALID, true, 1);
        spec = new_spec(63);
        spec->options.zero_destinations = 1ull << 63;
        assert_spec_refused(spec, "options.zero_destinations", KC_CLASS_INVALID, true, 62);
        spec = new_spec(2);
        spec->options.policy = (enum copy_policy)3;
        assert_spec_refused(spec, "options.on_error", KC_CLASS_INVALID, false, 0);
        spec = new_spec(2);
        spec->options.durability = (enum copy_durability)3;
        assert_spec_refused(spec, "options.durability", KC_CLASS_INVALID, false, 0);
}

static void right_numbers_pass(void **state)
{
        struct copy_spec *spec = new_spec(64);
        struct engine_refusal refusal;

        spec->options.priority = 7;
        spec->options.zero_destinations = UINT64_MAX;
        assert_true(validate_spec(spec, &refusal));
        /* a Zero has no source */
        spec->operation = COPY_OPERATION_ZERO;
        spec->from = (struct copy_region){.sector = UINT64_MAX};
        assert_true(validate_spec(spec, &refusal));
        free(spec);
}

static void a_reason_escapes_and_cuts_the_device_name(void **state)
{
        struct endpoint_info info = NBD(0, 1, "a");
        const struct endpoint_info *to[] = {&info};
        char name[4096];
        struct copy_spec *spec = copy_spec_new(1, sizeof(name));
        struct engine_refusal refusal;
        struct job_plan plan;

        memset(name, 'x', sizeof(name));
        name[0] = '\n';
        spec->from.device = copy_spec_name(spec, name, sizeof(name));
        spec->to[0].handle = 1;
        assert_false(validate_plan(spec, &info, to, 16, &plan, &refusal));
        assert_null(strchr(refusal.error.message, '\n'));
        assert_non_null(strstr(refusal.error.message, ": is empty"));
        free(spec);
}

static void names_stand_in_the_spec(void **state)
{
        struct copy_spec *spec = copy_spec_new(2, 6);
        const char *names[3];

        names[0] = copy_spec_name(spec, "abc", 3);
        names[1] = copy_spec_name(spec, "dexx", 2);
        names[2] = copy_spec_name(spec, "f", 1);
        assert_string_equal(names[0], "abc");
        assert_string_equal(names[1], "de");
        assert_string_equal(names[2], "f");
        assert_int_equal(spec->n_to, 2);
        free(spec);
        assert_null(copy_spec_new(1, SIZE_MAX));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_wrong_job_is_refused_with_field_class_and_limit),
            cmocka_unit_test(every_right_job_is_planned),
            cmocka_unit_test(wrong_numbers_are_refused_before_anything_is_opened),
            cmocka_unit_test(right_numbers_pass),
            cmocka_unit_test(a_reason_escapes_and_cuts_the_device_name),
            cmocka_unit_test(names_stand_in_the_spec),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
