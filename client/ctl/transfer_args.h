/* The options that copy and zero share, as a child parser for argp. */
#ifndef CTL_TRANSFER_ARGS_H
#define CTL_TRANSFER_ARGS_H

#include <argp.h>

#include "ctl/transfer.h"

/* What a command's parser fills; the child's input. */
struct transfer_args {
        struct transfer transfer;
        unsigned n_words, n_words_min, n_words_max;
        char *words[1 + KCOPY_DESTINATIONS_MAX];
};

extern const struct argp transfer_argp;
/* For the commands' own parsers: an argument, and the end. */
error_t transfer_args_word(struct transfer_args *args, char *word, struct argp_state *state);
error_t transfer_args_end(struct transfer_args *args, struct argp_state *state);

#endif
