/* The bracketed commands of a command line, `[ nbdkit … ]`, taken out of it before options are parsed.
 *
 * Each group becomes one argument, its text; which one an argument is, is known by the pointer. Owns the
 * texts and the arrays, borrows the words. Thread: any. Closes with brackets_done. */
#ifndef CTL_BRACKETS_H
#define CTL_BRACKETS_H

#include <stdbool.h>

struct bracket {
        char *text;       /* "[ nbdkit memory 1G ]": the argument, and the name for messages */
        char **argv;      /* NULL-terminated */
        const char *tail; /* "#START+COUNT" behind the bracket, or "" */
};

struct brackets {
        struct bracket *items;
        unsigned n;
        int argc; /* the command line without them */
        char **argv;
};

/* True, or false with the reason in *ret_reason (static). */
bool brackets_init(struct brackets *brackets, int argc, char **argv, const char **ret_reason);
void brackets_done(struct brackets *brackets);
/* The bracket that `arg` stands for, or NULL. */
const struct bracket *brackets_find(const struct brackets *brackets, const char *arg);

#endif
