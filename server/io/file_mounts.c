/* Mounts and holders of block devices, from /proc/self/mountinfo and sysfs: see file_mounts.h. */
#include "io/file_mounts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

void file_mounts_user(dev_t dev, char *text, size_t text_bytes)
{
        char path[64], place[100];
        struct dirent *entry;
        DIR *dir;

        if (find_mount(dev, false, place, sizeof(place))) {
                snprintf(text, text_bytes, "mounted on %s", place);
                return;
        }
        snprintf(text, text_bytes, "mounted or in use");
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev), minor(dev));
        dir = opendir(path);
        if (dir == NULL)
                return;
        while ((entry = readdir(dir)) != NULL) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(text, text_bytes, "held by %.60s", entry->d_name);
                break;
        }
        closedir(dir);
}
