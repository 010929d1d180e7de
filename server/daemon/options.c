/* What the daemon was told (options.h). */
#include "daemon/options.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/limits.h"
#include "daemon/listener.h"
#include "kc_limits.h"

#define NS_PER_S UINT64_C(1000000000)
#define SECONDS_MAX 1e6
#define PAGES_DEFAULT 65536u
#define LANES_MAX 64u
#define LANES_DEFAULT_MAX 16u
#define DEFAULT_LISTEN "unix:" OPTIONS_DEFAULT_SOCKET

/* visible: glibc looks for it */
__attribute__((visibility("default"))) const char *argp_program_version = "kcopyd " KCOPY_VERSION;

static int set_text(char **text, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*text);
        *text = copy;
        return 0;
}

static int parse_number(
    const char *value, uint64_t min, uint64_t max, uint64_t *ret_number, struct kc_error *err)
{
        unsigned long long number;
        char *end;

        errno = 0;
        number = strtoull(value, &end, 10);
        if (*value < '0' || *value > '9' || *end || errno || number < min || number > max)
                return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "%s: not a number from %llu to %llu",
                    value, (unsigned long long)min, (unsigned long long)max);
        *ret_number = number;
        return 0;
}

/* Pages, or bytes with a unit, rounded up to pages: as kcopyctl takes them. */
static int parse_pages(const char *value, uint32_t *ret_pages, struct kc_error *err)
{
        static const char *const units[] = {"B", "K", "KiB", "M", "MiB", "G", "GiB", "T", "TiB"};
        unsigned long long number, most = UINT32_MAX;
        char *end;

        errno = 0;
        number = strtoull(value, &end, 10);
        if (*value < '0' || *value > '9' || errno)
                goto err;
        for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                if (strcmp(end, units[i]) != 0)
                        continue;
                if (number > most * KC_PAGE_BYTES >> (i + 1) / 2 * 10)
                        goto err;
                number <<= (i + 1) / 2 * 10;
                number = number / KC_PAGE_BYTES + (number % KC_PAGE_BYTES != 0);
                end = "";
        }
        if (*end || number == 0 || number > most)
                goto err;
        *ret_pages = (uint32_t)number;
        return 0;

err:
        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID,
            "%s: not a number of pages of 4096 bytes from 1 to %llu, nor bytes, as in 64MiB", value, most);
}

static int set_seconds(uint64_t *ns, const char *value, struct kc_error *err)
{
        char *end;
        double seconds = strtod(value, &end);

        if (end == value || *end || !isfinite(seconds) || seconds < 0 || seconds > SECONDS_MAX)
                return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "%s: not a number of seconds", value);
        *ns = (uint64_t)(seconds * (double)NS_PER_S);
        return 0;
}

/* Where no time at all would let nothing through. */
static int set_some_seconds(uint64_t *ns, const char *value, struct kc_error *err)
{
        uint64_t some_ns = 0;
        int r = set_seconds(&some_ns, value, err);

        if (r == 0 && some_ns == 0)
                return kc_error_set(
                    err, -EINVAL, KC_CLASS_INVALID, "%s: not a number of seconds above 0", value);
        if (r == 0)
                *ns = some_ns;
        return r;
}

static int set_word(
    const char *const *words, unsigned n, const char *value, unsigned *ret_index, struct kc_error *err)
{
        char list[64];
        size_t used = 0;

        for (unsigned i = 0; i < n; i++) {
                if (strcmp(value, words[i]) == 0) {
                        *ret_index = i;
                        return 0;
                }
        }
        for (unsigned i = 0; i < n; i++)
                used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", words[i]);
        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "%s: none of %s", value, list);
}

enum key {
        KEY_LISTEN = 'l',
        KEY_PAGES = 'p',
        KEY_LANES = 'n',
        KEY_STATE = 's',
        KEY_CONFIG = 'c',
        KEY_DRAIN = 0x100,
        KEY_PLAINTEXT,
        KEY_IO,
        KEY_COMMAND,
        KEY_OPEN,
        KEY_QUARANTINE,
        KEY_GRACE,
        KEY_KEEP_JOBS,
        KEY_KEEP_DAYS,
        KEY_CHECKPOINT,
        KEY_DETACHED_PAGES,
        KEY_LOG,
        KEY_CONNECTION,
};

static const struct argp_option definitions[] = {
    {"listen", KEY_LISTEN, "unix:PATH|tcp:HOST[:PORT]", 0,
        "Where to take connections; may be repeated (" DEFAULT_LISTEN ")", 0},
    {"plaintext", KEY_PLAINTEXT, NULL, 0,
        "Allow tcp: listeners without TLS: anybody who can reach them may copy", 0},
    {"pages", KEY_PAGES, "N", 0,
        "Pages of 4096 bytes for data, or bytes as in 64MiB, of all clients together (65536, or half the "
        "memory)",
        0},
    {"lanes", KEY_LANES, "N", 0, "Threads that move data (one per core, at most 16)", 0},
    {"state", KEY_STATE, "DIR", 0, "Where to keep detached jobs, which outlive the daemon", 0},
    {"detached-pages", KEY_DETACHED_PAGES, "N", 0,
        "Of --pages, those for detached jobs (16MiB, at most a quarter)", 0},
    {"checkpoint-interval", KEY_CHECKPOINT, "S", 0,
        "How often a detached job's progress is flushed and stored (10)", 0},
    {"keep-jobs", KEY_KEEP_JOBS, "N", 0, "How many detached jobs that have ended are kept (10000)", 0},
    {"keep-days", KEY_KEEP_DAYS, "N", 0, "For how long they are (30)", 0},
    {"config", KEY_CONFIG, "FILE", 0, "Read options and endpoints from FILE", 0},
    {"io", KEY_IO, "auto|io_uring|threads", 0, "How to reach local devices (auto)", 0},
    {"drain-timeout", KEY_DRAIN, "S", 0, "On SIGTERM, let jobs run for so long (30)", 0},
    {"open-timeout", KEY_OPEN, "S", 0, "For connecting to an endpoint, all steps together (10)", 0},
    {"command-timeout", KEY_COMMAND, "S", 0, "For one read, write, zero or flush (30)", 0},
    {"cancel-grace", KEY_GRACE, "S", 0, "How long a cancelled job waits for answers (2)", 0},
    {"quarantine", KEY_QUARANTINE, "S", 0, "How long a write without an answer may still land (30)", 0},
    {"log-level", KEY_LOG, "error|warning|info|debug", 0, "How much to log on standard error (info)", 0},
    {"connection-fd", KEY_CONNECTION, "N", OPTION_HIDDEN, "Serve the connected socket N and end with it", 0},
    {0},
};

static int apply(struct options *options, int key, const char *value, struct kc_error *err)
{
        static const char *const ios[] = {"auto", "io_uring", "threads"};
        static const char *const levels[] = {"error", "warning", "info", "debug"};
        static const char *const truths[] = {"false", "true"};
        uint64_t number = 0;
        unsigned index = 0;
        int r = 0;

        switch (key) {
        case KEY_LISTEN:
                if (options->n_listen == OPTIONS_LISTEN_MAX)
                        return kc_error_set(err, -EINVAL, KC_CLASS_LIMIT, "%s: more than %u listeners", value,
                            OPTIONS_LISTEN_MAX);
                r = set_text(&options->listen[options->n_listen], value);
                options->n_listen += r == 0;
                break;
        case KEY_PAGES:
                r = parse_pages(value, &options->pages, err);
                break;
        case KEY_DETACHED_PAGES:
                r = parse_pages(value, &options->detached_pages, err);
                break;
        case KEY_CHECKPOINT:
                r = set_some_seconds(&options->checkpoint_ns, value, err);
                break;
        case KEY_KEEP_JOBS:
                r = parse_number(value, 0, 100000000, &number, err);
                options->keep_jobs = (unsigned)number;
                break;
        case KEY_KEEP_DAYS:
                r = parse_number(value, 0, 36500, &number, err);
                options->keep_ms = number * 24 * 3600 * 1000;
                break;
        case KEY_LANES:
                r = parse_number(value, 1, LANES_MAX, &number, err);
                options->n_lanes = (unsigned)number;
                break;
        case KEY_CONNECTION:
                r = parse_number(value, 0, INT32_MAX, &number, err);
                options->connection_fd = (int)number;
                break;
        case KEY_STATE:
                r = set_text(&options->state, value);
                break;
        case KEY_CONFIG:
                r = set_text(&options->config, value);
                break;
        case KEY_PLAINTEXT:
                r = value ? set_word(truths, 2, value, &index, err) : 0;
                options->plaintext = !value || index == 1;
                break;
        case KEY_IO:
                r = set_word(ios, 3, value, &index, err);
                options->local_io = (enum provider_local_io)index;
                break;
        case KEY_LOG:
                r = set_word(levels, 4, value, &index, err);
                options->log_level = (enum kc_log_level)index;
                break;
        case KEY_DRAIN:
                r = set_seconds(&options->drain_timeout_ns, value, err);
                break;
        case KEY_COMMAND:
                r = set_some_seconds(&options->command_timeout_ns, value, err);
                break;
        case KEY_OPEN:
                r = set_some_seconds(&options->open_timeout_ns, value, err);
                break;
        case KEY_QUARANTINE:
                r = set_seconds(&options->quarantine_ns, value, err);
                break;
        case KEY_GRACE:
                r = set_seconds(&options->cancel_grace_ns, value, err);
                break;
        default:
                r = -ENOENT;
        }
        return r;
}

/* Its place in `definitions`, or -1. */
static int find(const char *name, int key)
{
        for (int i = 0; definitions[i].name; i++) {
                if (name ? strcmp(definitions[i].name, name) == 0 : definitions[i].key == key)
                        return i;
        }
        return -1;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *options = state->input;
        struct kc_error err = {0};
        int r;

        if (key == ARGP_KEY_ARG)
                argp_error(state, "%s: unexpected argument", arg);
        r = find(NULL, key);
        if (r < 0)
                return ARGP_ERR_UNKNOWN;
        options->given |= 1u << r;
        r = apply(options, key, arg, &err);
        if (r < 0)
                argp_error(state, "--%s: %s", definitions[find(NULL, key)].name,
                    err.code ? err.message : strerror(-r));
        return 0;
}

void options_init(struct options *options)
{
        *options = (struct options){
            .drain_timeout_ns = 30 * NS_PER_S,
            .command_timeout_ns = 30 * NS_PER_S,
            .open_timeout_ns = 10 * NS_PER_S,
            .quarantine_ns = 30 * NS_PER_S,
            .cancel_grace_ns = 2 * NS_PER_S,
            .checkpoint_ns = 10 * NS_PER_S,
            .keep_jobs = 10000,
            .keep_ms = UINT64_C(30) * 24 * 3600 * 1000,
            .log_level = KC_LOG_INFO,
            .connection_fd = -1,
        };
}

void options_done(struct options *options)
{
        for (unsigned i = 0; i < options->n_listen; i++)
                free(options->listen[i]);
        free(options->state);
        free(options->config);
}

void options_parse(struct options *options, int argc, char **argv)
{
        static const struct argp argp = {
            .options = definitions,
            .parser = parse,
            .doc = "Serve block copies to clients on local sockets and the network.",
        };

        argp_err_exit_status = 2;
        argp_parse(&argp, argc, argv, 0, NULL, options);
}

int options_set(struct options *options, const char *name, const char *value, struct kc_error *err)
{
        struct options scratch;
        int i = find(name, 0), r;

        /* a file does not name a file, nor a descriptor */
        if (i < 0 || definitions[i].key == KEY_CONFIG || definitions[i].key == KEY_CONNECTION)
                return -ENOENT;
        if (!(options->given & 1u << i))
                return apply(options, definitions[i].key, value, err);
        /* the command line wins, but a mistake is one all the same */
        options_init(&scratch);
        r = apply(&scratch, definitions[i].key, value, err);
        options_done(&scratch);
        return r;
}

/* Pages are mapped when a client reserves them, and that would only then find out. */
static int check_pages(struct options *options, struct kc_error *err)
{
        uint64_t memory_bytes = limits_memory_bytes();
        uint64_t pages_max = memory_bytes / KC_PAGE_BYTES;

        if (options->pages == 0)
                options->pages = pages_max / 2 < PAGES_DEFAULT ? (uint32_t)(pages_max / 2) : PAGES_DEFAULT;
        if (options->pages == 0 || options->pages > pages_max)
                return kc_error_set(err, -EINVAL, KC_CLASS_LIMIT,
                    "--pages: %u pages are %llu MiB, and kcopyd may have %llu MiB of memory (the machine's, "
                    "its "
                    "cgroup's, ulimit -v); at most %llu",
                    options->pages, (unsigned long long)options->pages * KC_PAGE_BYTES >> 20,
                    (unsigned long long)memory_bytes >> 20, (unsigned long long)pages_max);
        if (options->detached_pages > options->pages)
                return kc_error_set(err, -EINVAL, KC_CLASS_LIMIT,
                    "--detached-pages: %u are more than all pages, of which there are %u; raise --pages",
                    options->detached_pages, options->pages);
        return 0;
}

int options_check(struct options *options, struct kc_error *err)
{
        unsigned cores = uv_available_parallelism();
        int r = check_pages(options, err);

        if (r < 0)
                return r;
        if (options->n_lanes == 0)
                options->n_lanes = cores < LANES_DEFAULT_MAX ? cores : LANES_DEFAULT_MAX;
        if (options->connection_fd >= 0) {
                if (options->n_listen)
                        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID,
                            "--connection-fd: serves one connection; there can be no listener");
                if (fcntl(options->connection_fd, F_GETFD) < 0)
                        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "--connection-fd: %d is not open",
                            options->connection_fd);
                return 0;
        }
        if (options->n_listen == 0)
                return apply(options, KEY_LISTEN, DEFAULT_LISTEN, err);
        for (unsigned i = 0; i < options->n_listen; i++) {
                const char *listen = options->listen[i];
                struct kc_error cause = {0};

                if (strncmp(listen, "unix:", 5) != 0 && strncmp(listen, "tcp:", 4) != 0)
                        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID,
                            "--listen: %s: neither unix:PATH nor tcp:HOST[:PORT]", listen);
                if (listen[0] == 't' && !options->plaintext)
                        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID,
                            "--listen: %s: TCP without TLS lets anybody who reaches it read and write; say "
                            "--plaintext "
                            "to allow that, or use unix:PATH",
                            listen);
                if (listener_check(listen, &cause) < 0)
                        return kc_error_set(err, -EINVAL, KC_CLASS_INVALID, "--listen: %s", cause.message);
        }
        return 0;
}
