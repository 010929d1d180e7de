/* Bracketed commands (brackets.h). */
#include "ctl/brackets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "]", or "]#…" with a region's tail. */
static bool is_end(const char *word)
{
        return word[0] == ']' && (!word[1] || word[1] == '#');
}

static char *join(char **words, int n)
{
        size_t bytes = sizeof("[  ]");
        char *text, *at;

        for (int i = 0; i < n; i++)
                bytes += strlen(words[i]) + 1;
        text = at = malloc(bytes);
        if (!text)
                return NULL;
        at = stpcpy(at, "[ ");
        for (int i = 0; i < n; i++)
                at = stpcpy(stpcpy(at, words[i]), " ");
        strcpy(at, "]");
        return text;
}

static const char *take(struct brackets *brackets, char **words, int n)
{
        struct bracket *bracket = &brackets->items[brackets->n];

        if (n == 0)
                return "there is no command between the brackets";
        bracket->argv = calloc((size_t)n + 1, sizeof(*bracket->argv));
        bracket->text = join(words, n);
        bracket->tail = words[n] + 1;
        brackets->n++;
        if (!bracket->argv || !bracket->text)
                return "no memory";
        memcpy(bracket->argv, words, (size_t)n * sizeof(*words));
        return NULL;
}

bool brackets_init(struct brackets *brackets, int argc, char **argv, const char **ret_reason)
{
        const char *reason = NULL;

        *brackets = (struct brackets){0};
        brackets->argv = calloc((size_t)argc + 1, sizeof(*argv));
        brackets->items = calloc((size_t)argc + 1, sizeof(*brackets->items));
        if (!brackets->argv || !brackets->items)
                reason = "no memory";
        for (int i = 0; i < argc && !reason; i++) {
                int end = i + 1;

                if (strcmp(argv[i], "[") != 0) {
                        brackets->argv[brackets->argc++] = argv[i];
                        continue;
                }
                while (end < argc && !is_end(argv[end]))
                        end++;
                if (end == argc) {
                        reason = "[ without its ]";
                        break;
                }
                reason = take(brackets, argv + i + 1, end - i - 1);
                if (!reason)
                        brackets->argv[brackets->argc++] = brackets->items[brackets->n - 1].text;
                i = end;
        }
        if (!reason)
                return true;
        brackets_done(brackets);
        *ret_reason = reason;
        return false;
}

void brackets_done(struct brackets *brackets)
{
        for (unsigned i = 0; i < brackets->n; i++) {
                free(brackets->items[i].argv);
                free(brackets->items[i].text);
        }
        free(brackets->items);
        free(brackets->argv);
        *brackets = (struct brackets){0};
}

const struct bracket *brackets_find(const struct brackets *brackets, const char *arg)
{
        for (unsigned i = 0; i < brackets->n; i++)
                if (brackets->items[i].text == arg)
                        return &brackets->items[i];
        return NULL;
}
