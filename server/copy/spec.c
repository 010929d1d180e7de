/* What a job is to do: one allocation with its destinations and their names. */
#include "copy/spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static struct copy_spec *new_spec(unsigned n_to, size_t names_bytes, bool lasting)
{
        size_t regions_bytes = sizeof(struct copy_spec) + n_to * sizeof(struct copy_region);
        size_t lasting_bytes =
            lasting ? sizeof(struct copy_lasting) + (1u + n_to) * sizeof(struct copy_expected) : 0;
        size_t head_bytes = regions_bytes + lasting_bytes;
        size_t terminators_bytes = n_to + 1u; /* every destination and the source may have a name */
        struct copy_spec *spec;

        if (names_bytes > SIZE_MAX - head_bytes - terminators_bytes)
                return NULL;
        spec = kc_zalloc(head_bytes + names_bytes + terminators_bytes);
        if (spec == NULL)
                return NULL;
        spec->size_bytes = head_bytes + names_bytes + terminators_bytes;
        spec->n_to = n_to;
        if (lasting)
                spec->lasting = (struct copy_lasting *)(void *)((char *)spec + regions_bytes);
        spec->names_room = (char *)spec + head_bytes;
        spec->names_room_bytes = names_bytes + terminators_bytes;
        return spec;
}

struct copy_spec *copy_spec_new(unsigned n_to, size_t names_bytes)
{
        return new_spec(n_to, names_bytes, false);
}

struct copy_spec *copy_spec_new_lasting(unsigned n_to, size_t names_bytes)
{
        return new_spec(n_to, names_bytes, true);
}

const char *copy_spec_name(struct copy_spec *spec, const char *name, size_t name_bytes)
{
        char *place = spec->names_room;

        assert(name_bytes < spec->names_room_bytes);
        memcpy(place, name, name_bytes);
        place[name_bytes] = '\0';
        spec->names_room += name_bytes + 1;
        spec->names_room_bytes -= name_bytes + 1;
        return place;
}

/* Where what was at `at` in the one is in the other. */
static void *moved(const struct copy_spec *from, struct copy_spec *to, const void *at)
{
        return at ? (char *)to + ((const char *)at - (const char *)from) : NULL;
}

struct copy_spec *copy_spec_copy(const struct copy_spec *spec)
{
        struct copy_spec *copy = kc_zalloc(spec->size_bytes);

        if (!copy)
                return NULL;
        memcpy(copy, spec, spec->size_bytes);
        copy->names_room = moved(spec, copy, spec->names_room);
        copy->from.device = moved(spec, copy, spec->from.device);
        for (unsigned i = 0; i < spec->n_to; i++)
                copy->to[i].device = moved(spec, copy, spec->to[i].device);
        copy->lasting = moved(spec, copy, spec->lasting);
        if (!copy->lasting)
                return copy;
        copy->lasting->key = moved(spec, copy, spec->lasting->key);
        for (unsigned i = 0; i < 1 + spec->n_to; i++)
                copy->lasting->ends[i].identity = moved(spec, copy, spec->lasting->ends[i].identity);
        return copy;
}
