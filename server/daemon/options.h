/* What the daemon was told: defaults, then the configuration file, then the command line, which wins.
 *
 * Owns its strings. Thread: before the threads start. Close: options_done. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "base/log.h"
#include "io/provider.h"

#define OPTIONS_LISTEN_MAX 16u
#define OPTIONS_DEFAULT_SOCKET "/run/kcopyd/kcopyd.sock"

struct options {
        char *listen[OPTIONS_LISTEN_MAX]; /* "unix:PATH", "tcp:HOST[:PORT]" */
        unsigned n_listen;
        uint32_t pages;          /* 0 until options_check: the default */
        uint32_t detached_pages; /* of them, for detached jobs */
        unsigned keep_jobs;      /* detached ones that have ended … */
        uint64_t keep_ms;        /* … and for how long */
        unsigned n_lanes;
        char *state, *config; /* NULL: none */
        uint64_t drain_timeout_ns, command_timeout_ns, open_timeout_ns, quarantine_ns, cancel_grace_ns;
        uint64_t checkpoint_ns;
        bool plaintext;
        enum provider_local_io local_io;
        enum kc_log_level log_level;
        int connection_fd; /* ≥ 0: serve that one connection only */
        uint32_t given;    /* which ones the command line said: the file does not change them */
};

void options_init(struct options *options);
void options_done(struct options *options);
/* The command line; mistakes end the process with usage and status 2, --help and --version with 0. */
void options_parse(struct options *options, int argc, char **argv);
/* One key of the configuration file, named as the option is. 0, -ENOENT: no such key, -EINVAL with `err`. */
int options_set(struct options *options, const char *name, const char *value, struct kc_error *err);
/* What the file and the command line say together: 0, or -EINVAL with `err`. Fills in the defaults that
 * depend on other options. */
int options_check(struct options *options, struct kc_error *err);

#endif
