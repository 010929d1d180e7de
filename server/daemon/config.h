/* The configuration file: an INI file with the daemon's options and named endpoints.
 *
 *   [daemon]            keys named as the command line's options
 *   [endpoint NAME]     device = what the name stands for
 *
 * What it does not know it refuses, with file and line. Thread: before the threads start. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "daemon/options.h"

struct config_endpoint {
        struct config_endpoint *next;
        char *device;  /* NULL until its key has been read */
        unsigned line; /* of its device; until then where its section began */
        char name[];
};

struct config {
        struct config_endpoint *endpoints;
};

/* Options go to `options`, endpoints to *ret_config, to be freed with config_done, also on failure. 0 or
 * negative errno with `err` ("FILE:LINE: …"). */
int config_read(const char *path, struct options *options, struct config *ret_config, struct kc_error *err);
void config_done(struct config *config);

#endif
