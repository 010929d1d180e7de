/* The configuration file (config.h). */
#include "daemon/config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/nbd.h"
#include "io/nbd_uri.h"
#include "scan.h"

#define ENDPOINT "endpoint "

struct parse {
        const char *path;
        FILE *file;
        unsigned line;
        bool in_key; /* an indented line goes on with its value */
        struct options *options;
        struct config *config;
        struct kc_error err; /* the first mistake */
};

/* names that a region could mean otherwise, and what a shell takes apart */
static int check_endpoint_name(struct parse *parse, const char *name)
{
        if (*name && *name != '/' && !strpbrk(name, ":# \t"))
                return 0;
        return kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
            "%s:%u: %s: no name for an endpoint; use letters, digits, dots and dashes", parse->path,
            parse->line, name);
}

static struct config_endpoint *endpoint_get(struct parse *parse, const char *name)
{
        struct config_endpoint **at = &parse->config->endpoints, *endpoint;

        while (*at && strcmp((*at)->name, name) != 0)
                at = &(*at)->next;
        if (*at)
                return *at;
        endpoint = calloc(1, sizeof(*endpoint) + strlen(name) + 1);
        if (!endpoint) {
                kc_error_set(&parse->err, -ENOMEM, KC_CLASS_INTERNAL, "out of memory");
                return NULL;
        }
        strcpy(endpoint->name, name);
        endpoint->line = parse->line;
        *at = endpoint;
        return endpoint;
}

/* A section begins, perhaps one without keys, of which inih tells nothing. */
static void begin_section(struct parse *parse, const char *section)
{
        if (strncmp(section, ENDPOINT, strlen(ENDPOINT)) == 0) {
                if (check_endpoint_name(parse, section + strlen(ENDPOINT)) == 0)
                        endpoint_get(parse, section + strlen(ENDPOINT));
        } else if (strcmp(section, "daemon") != 0) {
                kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
                    "%s:%u: there is no section [%s]; [daemon] and [endpoint NAME] are known", parse->path,
                    parse->line, section);
        }
}

static void look_for_section(struct parse *parse, const char *line)
{
        const char *start = line + strspn(line, " \t"), *end = strchr(start, ']');
        char *section;

        if (*start != '[' || !end || (start != line && parse->in_key))
                return;
        parse->in_key = false;
        section = strndup(start + 1, (size_t)(end - start - 1));
        if (section)
                begin_section(parse, section);
        else
                kc_error_set(&parse->err, -ENOMEM, KC_CLASS_INTERNAL, "out of memory");
        free(section);
}

/* inih counts lines, but does not tell its handler: it reads through this. */
static char *read_line(char *buf, int bytes, void *stream)
{
        struct parse *parse = stream;
        char *line = fgets(buf, bytes, parse->file);

        if (!line)
                return NULL;
        parse->line++;
        if (!strchr(line, '\n') && !feof(parse->file))
                kc_error_set(&parse->err, -EINVAL, KC_CLASS_LIMIT, "%s:%u: line longer than %d bytes",
                    parse->path, parse->line, bytes - 1);
        look_for_section(parse, line);
        return line;
}

/* What a request may name, too. */
static int check_device(struct parse *parse, const char *device)
{
        struct kc_error err = {0};
        struct nbd_uri uri;

        if (*device == '/' || strcmp(device, "null:") == 0)
                return 0;
        if (!nbd_is_uri(device))
                return kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
                    "%s:%u: %s: no device; write an absolute path, an NBD URI or null:", parse->path,
                    parse->line, device);
        if (nbd_uri_parse(device, &uri, &err) < 0)
                return kc_error_set(&parse->err, err.code, err.class, "%s:%u: %s: %s", parse->path,
                    parse->line, device, err.message);
        nbd_uri_done(&uri);
        return 0;
}

static int set_endpoint(struct parse *parse, const char *name, const char *key, const char *value)
{
        struct config_endpoint *endpoint;
        int r;

        if (strcmp(key, "device") != 0)
                return -ENOENT;
        /* clients are told both, and break off at what is no text */
        if (!kc_scan_text(name) || !kc_scan_text(value))
                return kc_error_set(&parse->err, -EILSEQ, KC_CLASS_INVALID,
                    "%s:%u: is no UTF-8, which names are; a link can have one that is", parse->path,
                    parse->line);
        r = check_device(parse, value);
        if (r < 0)
                return r;
        endpoint = endpoint_get(parse, name);
        if (!endpoint)
                return -ENOMEM;
        if (endpoint->device)
                return kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
                    "%s:%u: endpoint %s: has a device already, in line %u", parse->path, parse->line, name,
                    endpoint->line);
        endpoint->line = parse->line;
        endpoint->device = strdup(value);
        return endpoint->device ? 0 : kc_error_set(&parse->err, -ENOMEM, KC_CLASS_INTERNAL, "out of memory");
}

static int on_value(void *user, const char *section, const char *key, const char *value)
{
        struct parse *parse = user;
        struct kc_error err = {0};
        int r;

        if (parse->err.code)
                return 0;
        parse->in_key = true;
        if (strcmp(section, "daemon") == 0) {
                r = options_set(parse->options, key, value, &err);
                if (r < 0 && r != -ENOENT)
                        kc_error_set(&parse->err, r, KC_CLASS_INVALID, "%s:%u: %s: %s", parse->path,
                            parse->line, key, err.code ? err.message : strerror(-r));
        } else if (strncmp(section, ENDPOINT, strlen(ENDPOINT)) == 0) {
                r = set_endpoint(parse, section + strlen(ENDPOINT), key, value);
        } else { /* before the first one */
                begin_section(parse, section);
                r = -EINVAL;
        }
        if (r == -ENOENT)
                kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID, "%s:%u: [%s] has no key %s", parse->path,
                    parse->line, section, key);
        return r == 0;
}

static void check_devices(struct parse *parse)
{
        for (struct config_endpoint *at = parse->config->endpoints; at; at = at->next)
                if (!at->device)
                        kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
                            "%s:%u: endpoint %s: has no device; write device = what the name stands for",
                            parse->path, at->line, at->name);
}

int config_read(const char *path, struct options *options, struct config *ret_config, struct kc_error *err)
{
        struct parse parse = {.path = path, .options = options, .config = ret_config};
        int r;

        ret_config->endpoints = NULL;
        parse.file = fopen(path, "re");
        if (!parse.file) {
                r = -errno;
                return kc_error_set(err, r, kc_class_of_errno(r), "%s: %s", path, strerror(-r));
        }
        r = ini_parse_stream(read_line, &parse, on_value, &parse);
        if (ferror(parse.file))
                kc_error_set(&parse.err, -EIO, KC_CLASS_MEDIA, "%s: cannot be read", path);
        fclose(parse.file);
        if (r > 0)
                kc_error_set(&parse.err, -EINVAL, KC_CLASS_INVALID,
                    "%s:%d: neither a [section] nor key = value", path, r);
        else if (r < 0)
                kc_error_set(&parse.err, -ENOMEM, KC_CLASS_INTERNAL, "%s: out of memory", path);
        check_devices(&parse);
        if (parse.err.code)
                return kc_error_set(err, parse.err.code, parse.err.class, "%s", parse.err.message);
        return 0;
}

void config_done(struct config *config)
{
        struct config_endpoint *endpoint, *next;

        for (endpoint = config->endpoints; endpoint; endpoint = next) {
                next = endpoint->next;
                free(endpoint->device);
                free(endpoint);
        }
        config->endpoints = NULL;
}
