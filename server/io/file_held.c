/* Loop devices and swap over what is to be written: see file_held.h. */
#include "io/file_held.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/file_mounts.h"
#include "io/identity.h"

/* A number, or two with a colon in between, from /sys/block/`name`/`attribute`. */
static int sysfs_numbers(const char *name, const char *attribute, unsigned long long numbers[2])
{
        char path[320];
        FILE *file;
        int n;

        snprintf(path, sizeof(path), "/sys/block/%s/%s", name, attribute);
        file = fopen(path, "re");
        if (file == NULL)
                return 0;
        n = fscanf(file, "%llu:%llu", &numbers[0], &numbers[1]);
        fclose(file);
        return n;
}

static bool is_attached(const char *name)
{
        char path[320];

        snprintf(path, sizeof(path), "/sys/block/%s/loop", name);
        return access(path, F_OK) == 0;
}

/* Do two ranges share a byte? Neither runs over the end of what an integer holds. */
static bool intersect(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
        return a <= b ? b - a < a_bytes : a - b < b_bytes;
}

/* Does the loop device `name`, another than `own_disk`, lie on the bytes that are to be written? */
static bool lies_on(const char *name, dev_t own_disk, const struct endpoint_info *info, dev_t *ret_dev)
{
        unsigned long long number[2], sectors[2];
        struct io_identity loop;

        if (sysfs_numbers(name, "dev", number) != 2 || sysfs_numbers(name, "size", sectors) != 1)
                return false;
        *ret_dev = makedev((unsigned)number[0], (unsigned)number[1]);
        if (*ret_dev == own_disk)
                return false; /* opened itself, with O_EXCL */
        identity_of_device(*ret_dev, &loop);
        if (strcmp(loop.key, info->identity.key) != 0)
                return false;
        /* A file can grow, so all of it counts. */
        return info->kind == IO_KIND_FILE || intersect(info->identity.base_bytes, info->size_bytes,
                                                 loop.base_bytes, sectors[0] * IO_SECTOR_BYTES);
}

static bool find_loop(dev_t own_disk, const struct endpoint_info *info, char *text, size_t text_bytes)
{
        DIR *dir = opendir("/sys/block");
        struct dirent *entry;
        bool found = false;

        if (dir == NULL)
                return false;
        while (!found && (entry = readdir(dir)) != NULL) {
                char user[128];
                dev_t dev;

                found = strncmp(entry->d_name, "loop", 4) == 0 && is_attached(entry->d_name) &&
                        lies_on(entry->d_name, own_disk, info, &dev) &&
                        file_mounts_find(dev, user, sizeof(user));
                if (found)
                        snprintf(text, text_bytes, "backs /dev/%.32s, which is %s", entry->d_name, user);
        }
        closedir(dir);
        return found;
}

bool file_held(const struct stat *st, const struct endpoint_info *info, char *text, size_t text_bytes)
{
        uint64_t start_bytes;
        dev_t own_disk = 0;

        if (S_ISBLK(st->st_mode) && !identity_partition(st->st_rdev, &own_disk, &start_bytes))
                own_disk = st->st_rdev;
        if (S_ISREG(st->st_mode) && file_mounts_swap_file(st)) {
                snprintf(text, text_bytes, "is used as swap");
                return true;
        }
        return find_loop(own_disk, info, text, text_bytes);
}
