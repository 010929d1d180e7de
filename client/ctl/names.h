/* Names on the command line that are likely meant as something else: refused before they become files, and
 * what to write instead.
 *
 * Where the server is on this machine a name that exists is taken as it is. Owns nothing. Thread: any. */
#ifndef CTL_NAMES_H
#define CTL_NAMES_H

#include <stdbool.h>

enum names_place {
        NAMES_PRIVATE,      /* a daemon of our own: names are files here */
        NAMES_SERVER,       /* a server on this machine: a bare word is an endpoint's name */
        NAMES_FAR_LOOPBACK, /* tcp: to this machine, but a tunnel may end here: its files may be elsewhere */
        NAMES_FAR,          /* a server elsewhere */
};

/* Is `server` unix: or tcp:, with an address behind it? */
bool names_is_server(const char *server);
/* Of --server's argument; NULL: private. */
enum names_place names_place(const char *server);
#define NAMES_REASON_BYTES 1024
/* Is `word`, as typed, fit to be a source or a destination? True, or false with the reason and the remedy. */
bool names_check(enum names_place place, const char *word, bool source, char reason[NAMES_REASON_BYTES]);
/* What to say behind a server's refusal of this name, or "". `missing`: as something that is not there;
 * static. */
const char *names_hint(enum names_place place, const char *word, bool source, bool missing);

#endif
