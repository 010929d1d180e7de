/* What a job is to do, as the client said it. Immutable once submitted; shared by control and lanes.
 *
 * Owned by the job; freed on the control loop when the job's record goes. All strings are inside the one
 * allocation. Sizes here are as requested: resolved ones (length, offsets in bytes) are in struct job_plan.
 */
#ifndef COPY_SPEC_H
#define COPY_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kc_limits.h"

enum copy_operation { COPY_OPERATION_COPY, COPY_OPERATION_ZERO };
enum copy_policy { COPY_POLICY_STOP, COPY_POLICY_CONTINUE, COPY_POLICY_IGNORE };
enum copy_durability { COPY_DURABILITY_FLUSH, COPY_DURABILITY_NONE, COPY_DURABILITY_FUA };

#define COPY_PRIORITY_MAX 7u

struct copy_region {
        const char *device; /* name; NULL when `handle` is used */
        uint64_t handle;
        uint64_t sector, count_sectors; /* count 0: see DESIGN 3 */
};

struct copy_options {
        enum copy_policy policy;
        enum copy_durability durability;
        bool no_extents, no_detect_zeroes, unmap, strict_once;
        uint64_t zero_destinations;    /* bit i: destination i reads as zeroes already */
        uint64_t rate_bytes_per_s;     /* 0: none */
        uint64_t timeout_ns;           /* of one command; 0: the engine's default */
        unsigned priority;             /* 0 … COPY_PRIORITY_MAX */
        uint64_t progress_interval_ns; /* 0: none */
        bool validate_only;            /* no job comes of it */
};

struct copy_expected {        /* what the client knows of a device: another one is not to be touched */
        uint64_t size_bytes;  /* 0: nothing said */
        const char *identity; /* as DeviceInfo has it; NULL: nothing said */
};

/* What only jobs have that are to outlive something: few, so that it costs the others a pointer. */
struct copy_lasting {
        bool detached;               /* durable: it outlives its client and the daemon */
        const char *key;             /* submitting it again is submitting it once; NULL: none */
        uint64_t retry_for_ns;       /* how long lost connections are tried again; 0: not at all */
        struct copy_expected ends[]; /* [1 + n_to]: the source first */
};

struct copy_spec {
        size_t size_bytes; /* of the whole allocation */
        enum copy_operation operation;
        struct copy_options options;
        unsigned context_bytes;
        unsigned char context[KC_CONTEXT_MAX_BYTES];
        struct copy_region from; /* COPY_OPERATION_COPY only */
        char *names_room;        /* what copy_spec_name has not used yet */
        size_t names_room_bytes;
        struct copy_lasting *lasting; /* NULL: nothing of the kind */
        unsigned n_to;
        struct copy_region to[];
};

/* A spec, zeroed but for its sizes, with room for `n_to` destinations and `names_bytes` bytes of names
 * (terminators of n_to + 1 names are not counted) behind them, or NULL. Free with free(). */
struct copy_spec *copy_spec_new(unsigned n_to, size_t names_bytes);
/* … and with spec->lasting, whose strings are names, too (terminators counted). */
struct copy_spec *copy_spec_new_lasting(unsigned n_to, size_t names_bytes);
/* Copy `name` into the spec's room for names; returns where it stands now, NUL-terminated. The room must
 * suffice (asserted). */
const char *copy_spec_name(struct copy_spec *spec, const char *name, size_t name_bytes);

/* Another one that says the same; NULL: no memory. */
struct copy_spec *copy_spec_copy(const struct copy_spec *spec);

static inline bool copy_spec_detached(const struct copy_spec *spec)
{
        return spec->lasting && spec->lasting->detached;
}

#endif
