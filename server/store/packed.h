/* A request's input, as the store's thread needs it: packed, and its own. */
#ifndef STORE_PACKED_H
#define STORE_PACKED_H

#include "store/codec.h"

struct packed {
        char *identity, *key, *reason; /* NULL: none */
        struct codec_bytes spec, asked, mark, result;
        uint64_t at_ms;
        unsigned n_events;
        struct codec_bytes events[];
};

#endif
