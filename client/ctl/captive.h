/* Captive servers: the commands in brackets, started by socket activation, gone when we are.
 *
 * Each listens on a socket in a temporary folder of its own. Owns processes, sockets and folders, in one
 * static set (so that a signal handler can clean up). One thread. Closes with captive_stop_all. */
#ifndef CTL_CAPTIVE_H
#define CTL_CAPTIVE_H

#include <stdbool.h>

#include "ctl/brackets.h"

/* Start `bracket`'s command. 0 and *ret_uri (to be freed), or a negative errno, which has been reported. */
int captive_start(const struct bracket *bracket, char **ret_uri);
/* Report every captive that has ended by itself; gives one that is just ending a moment. True: there was one.
 */
bool captive_report_dead(void);
/* That has been reported of the one whose URI this is. */
bool captive_is_dead(const char *device);
/* The text of the bracket whose URI this is, or `device` itself. */
const char *captive_name(const char *device);
/* `text` with the bracket's words in place of every such URI; to be freed. NULL: there is none in it, or no
 * memory. */
char *captive_in_words(const char *text);
/* Is `device` a bracket's URI? */
bool captive_owns(const char *device);
void captive_stop_all(void);
/* For a signal handler, just before we die: end them and remove their folders without waiting. */
void captive_abandon_all(void);

#endif
