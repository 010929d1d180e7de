/* What the machine grants (limits.h). */
#include "daemon/limits.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

static uint64_t least(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* memory.max of the folder, if it says a number. */
static uint64_t cgroup_max_bytes(const char *folder)
{
        char path[PATH_MAX + sizeof("/memory.max")];
        unsigned long long bytes;
        FILE *file;

        snprintf(path, sizeof(path), "%s/memory.max", folder);
        file = fopen(path, "re");
        if (!file)
                return UINT64_MAX;
        if (fscanf(file, "%llu", &bytes) != 1)
                bytes = UINT64_MAX;
        fclose(file);
        return bytes;
}

/* Of the process's group and those above it (cgroup v2; libuv 1.44 knows v1 only). */
static uint64_t cgroup_memory_bytes(void)
{
        FILE *file = fopen("/proc/self/cgroup", "re");
        char line[PATH_MAX - sizeof(CGROUP_ROOT)], folder[PATH_MAX];
        uint64_t bytes = UINT64_MAX;
        char *end;

        if (!file)
                return bytes;
        while (fgets(line, sizeof(line), file)) {
                if (strncmp(line, "0::/", 4) != 0)
                        continue;
                line[strcspn(line, "\n")] = '\0';
                snprintf(folder, sizeof(folder), CGROUP_ROOT "%s", line + 3);
                while ((end = strrchr(folder, '/')) && strlen(folder) >= sizeof(CGROUP_ROOT) - 1) {
                        bytes = least(bytes, cgroup_max_bytes(folder));
                        *end = '\0';
                }
        }
        fclose(file);
        return bytes;
}

uint64_t limits_memory_bytes(void)
{
        uint64_t bytes = least(uv_get_total_memory(), cgroup_memory_bytes());
        uint64_t constrained_bytes = uv_get_constrained_memory();
        struct rlimit limit;

        if (constrained_bytes)
                bytes = least(bytes, constrained_bytes);
        if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
                bytes = least(bytes, limit.rlim_cur);
        return bytes;
}
