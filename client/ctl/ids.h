/* The jobs' ids of a command line: a parser for the commands that take them. */
#ifndef CTL_IDS_H
#define CTL_IDS_H

#include <argp.h>
#include <stdint.h>

struct ids {
        unsigned n, n_min;
        uint64_t items[256];
};

/* For a command with options of its own: a child whose input is the ids. */
extern const struct argp ids_argp;
/* Parse a command that takes ids and no options of its own; returns only if there was no mistake. */
void ids_parse(const char *args_doc, const char *doc, int argc, char **argv, struct ids *ids);

#endif
