/* The configuration file (config.h). */
#include "daemon/config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

struct parse {
        const char *path;
        FILE *file;
        unsigned line;
        struct options *options;
        struct config *config;
        struct kc_error err; /* the first mistake */
};

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
        return line;
}

static struct config_endpoint *endpoint_get(struct parse *parse, const char *name)
{
        struct config_endpoint **at = &parse->config->endpoints, *endpoint;

        while (*at && strcmp((*at)->name, name) != 0)
                at = &(*at)->next;
        if (*at)
                return *at;
        endpoint = calloc(1, sizeof(*endpoint) + strlen(name) + 1);
        if (!endpoint)
                return NULL;
        strcpy(endpoint->name, name);
        endpoint->line = parse->line;
        *at = endpoint;
        return endpoint;
}

static int set_endpoint(struct parse *parse, const char *name, const char *key, const char *value)
{
        struct config_endpoint *endpoint;

        /* names that a region could mean otherwise */
        if (*name == '\0' || *name == '/' || strpbrk(name, ":#"))
                return kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
                    "%s:%u: %s: no name for an endpoint; use letters, digits, dots and dashes", parse->path,
                    parse->line, name);
        if (strcmp(key, "device") != 0)
                return -ENOENT;
        /* what a request may name, too */
        if (*value != '/' && !strstr(value, "://") && strcmp(value, "null:") != 0)
                return kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
                    "%s:%u: %s: no device; write an absolute path, an NBD URI or null:", parse->path,
                    parse->line, value);
        /* clients are told both, and break off at what is no text */
        if (!kc_scan_text(name) || !kc_scan_text(value))
                return kc_error_set(&parse->err, -EILSEQ, KC_CLASS_INVALID,
                    "%s:%u: is no UTF-8, which names are; a link can have one that is", parse->path,
                    parse->line);
        endpoint = endpoint_get(parse, name);
        if (!endpoint)
                return kc_error_set(&parse->err, -ENOMEM, KC_CLASS_INTERNAL, "out of memory");
        if (endpoint->device)
                return kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
                    "%s:%u: endpoint %s: has a device already, in line %u", parse->path, parse->line, name,
                    endpoint->line);
        endpoint->device = strdup(value);
        return endpoint->device ? 0 : kc_error_set(&parse->err, -ENOMEM, KC_CLASS_INTERNAL, "out of memory");
}

static int on_value(void *user, const char *section, const char *key, const char *value)
{
        static const char endpoint[] = "endpoint ";
        struct parse *parse = user;
        struct kc_error err = {0};
        int r;

        if (parse->err.code)
                return 0;
        if (strcmp(section, "daemon") == 0) {
                r = options_set(parse->options, key, value, &err);
                if (r < 0 && r != -ENOENT)
                        kc_error_set(&parse->err, r, KC_CLASS_INVALID, "%s:%u: %s: %s", parse->path,
                            parse->line, key, err.code ? err.message : strerror(-r));
        } else if (strncmp(section, endpoint, sizeof(endpoint) - 1) == 0) {
                r = set_endpoint(parse, section + sizeof(endpoint) - 1, key, value);
        } else {
                kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID,
                    "%s:%u: there is no section [%s]; [daemon] and [endpoint NAME] are known", parse->path,
                    parse->line, section);
                r = -EINVAL;
        }
        if (r == -ENOENT)
                kc_error_set(&parse->err, -EINVAL, KC_CLASS_INVALID, "%s:%u: [%s] has no key %s", parse->path,
                    parse->line, section, key);
        return r == 0;
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
