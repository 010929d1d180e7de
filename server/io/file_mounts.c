/* Mounts, swap and holders of block devices, from /proc and sysfs: see file_mounts.h. */
#include "io/file_mounts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "io/identity.h"

#define LAYERS_MAX 8

static bool stands_on(dev_t upper, dev_t dev, int layers);

/* Does anything that `upper` is mapped onto (device mapper, md) stand on `dev`? */
static bool slaves_stand_on(dev_t upper, dev_t dev, int layers)
{
        char path[320];
        struct dirent *entry;
        bool found = false;
        DIR *dir;

        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", major(upper), minor(upper));
        dir = opendir(path);
        if (dir == NULL)
                return false;
        while (!found && (entry = readdir(dir)) != NULL) {
                unsigned slave_major, slave_minor;
                FILE *file;

                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "/sys/class/block/%s/dev", entry->d_name);
                file = fopen(path, "re");
                if (file == NULL)
                        continue;
                if (fscanf(file, "%u:%u", &slave_major, &slave_minor) == 2)
                        found = stands_on(makedev(slave_major, slave_minor), dev, layers);
                fclose(file);
        }
        closedir(dir);
        return found;
}

/* Is `upper` the device `dev`, a partition of it, or mapped onto either? */
static bool stands_on(dev_t upper, dev_t dev, int layers)
{
        uint64_t start_bytes;
        dev_t disk;

        if (upper == dev)
                return true;
        if (layers == 0)
                return false;
        if (identity_partition(upper, &disk, &start_bytes))
                return stands_on(disk, dev, layers - 1);
        return slaves_stand_on(upper, dev, layers - 1);
}

/* The device that one line of mountinfo mounts. Some file systems (btrfs) show a number of their own there:
 * then the source's name tells. */
static dev_t mounted_device(unsigned line_major, unsigned line_minor, const char *source)
{
        struct stat st;

        if (line_major == 0 && strncmp(source, "/dev/", 5) == 0 && stat(source, &st) == 0 &&
            S_ISBLK(st.st_mode))
                return st.st_rdev;
        return makedev(line_major, line_minor);
}

/* The first mount that stands on `dev`; only those for writing if `writable`. Its place is put in `place`. */
static bool find_mount(dev_t dev, bool writable, char *place, size_t place_bytes)
{
        FILE *file = fopen("/proc/self/mountinfo", "re");
        char *line = NULL;
        size_t line_bytes = 0;
        bool found = false;

        if (file == NULL)
                return false;
        while (!found && getline(&line, &line_bytes, file) > 0) {
                char mount_point[128], source[256], super_options[8];
                const char *tail = strstr(line, " - ");
                unsigned line_major, line_minor;

                if (tail == NULL ||
                    sscanf(line, "%*u %*u %u:%u %*s %127s", &line_major, &line_minor, mount_point) != 3 ||
                    sscanf(tail, " - %*s %255s %7[^, \n]", source, super_options) != 2)
                        continue;
                if (writable && strcmp(super_options, "rw") != 0)
                        continue;
                found = stands_on(mounted_device(line_major, line_minor, source), dev, LAYERS_MAX);
                if (found)
                        kc_error_escape(place, place_bytes, mount_point, strlen(mount_point));
        }
        free(line);
        fclose(file);
        return found;
}

bool file_mounts_writable(dev_t dev)
{
        char place[8];

        return find_mount(dev, true, place, sizeof(place));
}

/* In /proc/swaps blanks and backslashes of a path are \ooo. */
static void unescape(char *text)
{
        char *to = text;
        unsigned code;

        for (const char *from = text; *from != '\0'; to++) {
                if (strnlen(from, 4) == 4 && sscanf(from, "\\%3o", &code) == 1) {
                        *to = (char)code;
                        from += 4;
                } else {
                        *to = *from++;
                }
        }
        *to = '\0';
}

/* The first swap space that is `wanted`. */
static bool find_swap(bool (*wanted)(const struct stat *swap, const void *arg), const void *arg)
{
        FILE *file = fopen("/proc/swaps", "re");
        char *line = NULL;
        size_t line_bytes = 0;
        bool found = false;

        if (file == NULL)
                return false;
        while (!found && getline(&line, &line_bytes, file) > 0) {
                struct stat st;

                line[strcspn(line, " \t\n")] = '\0';
                unescape(line);
                found = line[0] == '/' && stat(line, &st) == 0 && wanted(&st, arg);
        }
        free(line);
        fclose(file);
        return found;
}

static bool swaps_on_device(const struct stat *swap, const void *arg)
{
        return S_ISBLK(swap->st_mode) && stands_on(swap->st_rdev, *(const dev_t *)arg, LAYERS_MAX);
}

static bool is_same_file(const struct stat *swap, const void *arg)
{
        const struct stat *st = arg;

        return swap->st_dev == st->st_dev && swap->st_ino == st->st_ino;
}

bool file_mounts_swap_file(const struct stat *st)
{
        return find_swap(is_same_file, st);
}

/* The first entry of the sysfs folder `path`/holders. */
static bool find_holder(const char *path, char *name, size_t name_bytes)
{
        char holders[400];
        struct dirent *entry;
        bool found = false;
        DIR *dir;

        snprintf(holders, sizeof(holders), "%s/holders", path);
        dir = opendir(holders);
        if (dir == NULL)
                return false;
        while (!found && (entry = readdir(dir)) != NULL) {
                found = entry->d_name[0] != '.';
                if (found)
                        snprintf(name, name_bytes, "%.60s", entry->d_name);
        }
        closedir(dir);
        return found;
}

/* Who holds `dev` or one of its partitions. */
static bool find_holders(dev_t dev, char *name, size_t name_bytes)
{
        char device[64], path[352];
        struct dirent *entry;
        bool found;
        DIR *dir;

        snprintf(device, sizeof(device), "/sys/dev/block/%u:%u", major(dev), minor(dev));
        found = find_holder(device, name, name_bytes);
        dir = opendir(device);
        if (dir == NULL)
                return found;
        while (!found && (entry = readdir(dir)) != NULL) {
                snprintf(path, sizeof(path), "%s/%s/partition", device, entry->d_name);
                if (entry->d_name[0] == '.' || access(path, F_OK) < 0)
                        continue;
                snprintf(path, sizeof(path), "%s/%s", device, entry->d_name);
                found = find_holder(path, name, name_bytes);
        }
        closedir(dir);
        return found;
}

bool file_mounts_find(dev_t dev, char *text, size_t text_bytes)
{
        char name[100];

        if (find_mount(dev, false, name, sizeof(name)))
                snprintf(text, text_bytes, "mounted on %s", name);
        else if (find_swap(swaps_on_device, &dev))
                snprintf(text, text_bytes, "used as swap");
        else if (find_holders(dev, name, sizeof(name)))
                snprintf(text, text_bytes, "held by %s", name);
        else
                return false;
        return true;
}

void file_mounts_user(dev_t dev, char *text, size_t text_bytes)
{
        if (!file_mounts_find(dev, text, text_bytes))
                snprintf(text, text_bytes, "mounted or in use");
}
