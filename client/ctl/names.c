/* Names that are likely meant as something else (names.h). */
#include "ctl/names.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/region.h"

static bool is_loopback(const char *host)
{
        static const char *const HOSTS[] = {"localhost", "[::1]"};

        for (unsigned i = 0; i < sizeof(HOSTS) / sizeof(HOSTS[0]); i++) {
                size_t bytes = strlen(HOSTS[i]);

                if (strncmp(host, HOSTS[i], bytes) == 0 && (!host[bytes] || host[bytes] == ':'))
                        return true;
        }
        return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.:") == strlen(host);
}

bool names_is_server(const char *server)
{
        return (strncmp(server, "unix:", 5) == 0 && server[5]) ||
               (strncmp(server, "tcp:", 4) == 0 && server[4]);
}

enum names_place names_place(const char *server)
{
        if (!server)
                return NAMES_PRIVATE;
        if (strncmp(server, "tcp:", 4) != 0)
                return NAMES_SERVER;
        return is_loopback(server + 4) ? NAMES_FAR_LOOPBACK : NAMES_FAR;
}

/* Only what is surely missing is; a dangling link is there, too. */
static bool is_missing(const char *path)
{
        struct stat st;

        return lstat(path, &st) < 0 && errno == ENOENT;
}

/* The last '#' with a digit or a sign behind it, which nobody but a region has, or NULL. */
static const char *region_like(const char *word)
{
        const char *hash = strrchr(word, '#');

        return hash && hash != word && (isdigit((unsigned char)hash[1]) || hash[1] == '+' || hash[1] == '-')
                   ? hash
                   : NULL;
}

static bool is_region(const char *hash)
{
        char reason[REGION_REASON_BYTES];
        uint64_t sector, count_sectors;

        return region_parse_tail(hash, &sector, &count_sectors, reason);
}

/* What stands before the region of `word` is missing. */
static bool is_missing_before(const char *word, const char *hash)
{
        char *name = strndup(word, (size_t)(hash - word));
        bool missing = name && is_missing(name);

        free(name);
        return missing;
}

/* "null:", with a region or without. */
static bool is_null(const char *word)
{
        return strncmp(word, "null:", 5) == 0 && (!word[5] || (word[5] == '#' && is_region(word + 5)));
}

/* qemu's names from before there were URIs: nbd:HOST:PORT, nbd:unix:PATH, each with :exportname=NAME or not.
 */
static bool check_qemu(const char *word, char reason[NAMES_REASON_BYTES])
{
        const char *rest = word + 4, *colon = strchr(rest, ':'), *name = strstr(rest, ":exportname=");
        int rest_bytes = name ? (int)(name - rest) : (int)strlen(rest);

        name = name ? name + strlen(":exportname=") : "";
        if (strncmp(rest, "unix:", 5) == 0)
                snprintf(reason, NAMES_REASON_BYTES, "is no NBD URI; write nbd+unix:///%s?socket=%.*s", name,
                    rest_bytes - 5, rest + 5);
        else if (colon && isdigit((unsigned char)colon[1]))
                snprintf(
                    reason, NAMES_REASON_BYTES, "is no NBD URI; write nbd://%.*s/%s", rest_bytes, rest, name);
        else
                snprintf(reason, NAMES_REASON_BYTES,
                    "is no NBD URI; write nbd://HOST:PORT/NAME (file:NAME takes a file's name as it is)");
        return false;
}

bool names_check(enum names_place place, const char *word, bool source, char reason[NAMES_REASON_BYTES])
{
        bool far = place == NAMES_FAR || place == NAMES_FAR_LOOPBACK, missing = !far && is_missing(word);
        bool literal = strncmp(word, "file:", 5) == 0;
        const char *path = literal ? word + 5 : word, *hash = region_like(word);

        if (region_is_uri(word) || is_null(word))
                return true;
        if (strncasecmp(word, "null:", 5) == 0 && (far || missing)) {
                snprintf(reason, NAMES_REASON_BYTES,
                    "there is no such file; null: and nothing behind it keeps nothing, file:NAME takes a "
                    "file's name as it is");
                return false;
        }
        if (far && path[0] != '/' && (literal || strchr(path, '/'))) {
                snprintf(reason, NAMES_REASON_BYTES,
                    "files are of the server's machine, where there is no such folder to start from; write "
                    "the path from / on");
                return false;
        }
        if (literal)
                return true;
        if (strncmp(word, "nbd:", 4) == 0 && (far || missing))
                return check_qemu(word, reason);
        if (place == NAMES_PRIVATE && missing && !source && strcasecmp(word, "null") == 0) {
                snprintf(reason, NAMES_REASON_BYTES,
                    "there is no such file; null: with a colon keeps nothing, ./%s makes a file of this "
                    "name",
                    word);
                return false;
        }
        if (hash && !far && !missing && is_region(hash) && is_missing_before(word, hash) &&
            (place == NAMES_PRIVATE || strchr(word, '/'))) {
                snprintf(reason, NAMES_REASON_BYTES,
                    "%s is a region of %.*s, which there is not; file:%s is the file of this name", hash,
                    (int)(hash - word), word, word);
                return false;
        }
        /* A far server refuses itself what is missing and should be read. Without a slash it is an endpoint's
         * name. */
        if (hash && !is_region(hash) && (far ? !source : missing) &&
            (place == NAMES_PRIVATE || strchr(word, '/'))) {
                snprintf(reason, NAMES_REASON_BYTES,
                    "%s is no region, and %s; write #START+COUNT (sectors, or with units as in "
                    "#0+1MiB), or file:NAME for a name that ends so",
                    hash,
                    far ? "whether the server has such a file cannot be seen from here"
                        : "there is no file of this name");
                return false;
        }
        return true;
}

const char *names_hint(enum names_place place, const char *word, bool source, bool missing)
{
        const char *hash = region_like(word);

        if (strcmp(word, "/dev/null") == 0 && !source)
                return "; null: keeps nothing";
        if (strcmp(word, "/dev/zero") == 0 && source)
                return "; kcopyctl zero DST writes zeroes";
        if (hash && strncmp(word, "file:", 5) != 0 && !is_region(hash))
                return "; a region is written #START+COUNT";
        if (!missing || region_is_uri(word))
                return "";
        if (place != NAMES_PRIVATE && !strchr(word, '/'))
                return place == NAMES_SERVER ? "; a file is ./NAME" : "";
        if (place == NAMES_FAR || place == NAMES_FAR_LOOPBACK)
                return "; files are of the server's machine";
        if (!source && strncmp(word, "/dev/", 5) == 0)
                return "";
        if (!source)
                return "; only the last part of a path is made, its folder must be there";
        return word[0] == '/' ? "; is the name right?" : "; is the name right, and the current folder?";
}
