/* An nbdkit plugin over a file whose requests fail, hang or are slow exactly where a control file says.
 *
 * nbdkit ./nbdkit-faulty-plugin.so file=PATH [control=PATH] [trace=PATH] [no=flush,fua,multi-conn,trim]
 *
 * The control file has a line "OPERATION OFFSET LENGTH ACTION" per fault: an operation (read, write, zero,
 * trim, flush, any), the bytes it concerns (a request that touches one of them matches; flush: any), and an
 * errno's name, also so much later ("EIO:MS"), "hang" (until the line is gone) or "delay:MS". It is read anew
 * for every request and replaced by rename. The trace gets a line "OPERATION OFFSET LENGTH" per request,
 * before its fault.
 *
 * Owns: the descriptors of the file and the trace. Threads: nbdkit's, in parallel. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define HANG_POLL_NS 10000000u

static char *file, *control, *trace;
static bool no_flush, no_fua, no_multi_conn, no_trim;
static int file_fd = -1, trace_fd = -1;

static int faulty_config(const char *key, const char *value)
{
        if (strcmp(key, "file") == 0) {
                file = nbdkit_absolute_path(value);
                return file ? 0 : -1;
        }
        if (strcmp(key, "control") == 0) {
                control = nbdkit_absolute_path(value);
                return control ? 0 : -1;
        }
        if (strcmp(key, "trace") == 0) {
                trace = nbdkit_absolute_path(value);
                return trace ? 0 : -1;
        }
        if (strcmp(key, "no") == 0) {
                no_flush = strstr(value, "flush") != NULL;
                no_fua = strstr(value, "fua") != NULL;
                no_multi_conn = strstr(value, "multi-conn") != NULL;
                no_trim = strstr(value, "trim") != NULL;
                return 0;
        }
        nbdkit_error("unknown parameter %s", key);
        return -1;
}

static int faulty_get_ready(void)
{
        file_fd = open(file ? file : "", O_RDWR | O_CLOEXEC);
        if (file_fd < 0) {
                nbdkit_error("file=%s: %m", file ? file : "");
                return -1;
        }
        if (trace) {
                trace_fd = open(trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
                if (trace_fd < 0) {
                        nbdkit_error("trace=%s: %m", trace);
                        return -1;
                }
        }
        return 0;
}

static void faulty_unload(void)
{
        if (file_fd >= 0)
                close(file_fd);
        if (trace_fd >= 0)
                close(trace_fd);
        free(file);
        free(control);
        free(trace);
}

static int errno_by_name(const char *name)
{
        static const struct {
                const char *name;
                int number;
        } errnos[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EPERM", EPERM}, {"EINVAL", EINVAL},
            {"ENOMEM", ENOMEM}, {"EOPNOTSUPP", EOPNOTSUPP}, {"ESHUTDOWN", ESHUTDOWN}};
        for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
                if (strcmp(errnos[i].name, name) == 0)
                        return errnos[i].number;
        return EIO;
}

/* The action for a request, or false when nothing is to happen to it. */
static bool find_fault(const char *op, uint64_t offset_bytes, uint64_t length_bytes, char action[static 32])
{
        FILE *lines = control ? fopen(control, "re") : NULL;
        char line[128], line_op[16];
        uint64_t from, bytes;
        bool found = false;

        if (!lines)
                return false;
        while (!found && fgets(line, sizeof(line), lines)) {
                if (sscanf(line, "%15s %" SCNu64 " %" SCNu64 " %31s", line_op, &from, &bytes, action) != 4)
                        continue;
                if (strcmp(line_op, "any") != 0 && strcmp(line_op, op) != 0)
                        continue;
                found = strcmp(op, "flush") == 0 ||
                        (offset_bytes < from + bytes && from < offset_bytes + length_bytes);
        }
        fclose(lines);
        return found;
}

/* Trace a request and make it suffer. 0: it goes on; -1: it failed, errno set. */
static int meet(const char *op, uint64_t offset_bytes, uint64_t length_bytes)
{
        char action[32];

        if (trace_fd >= 0 &&
            dprintf(trace_fd, "%s %" PRIu64 " %" PRIu64 "\n", op, offset_bytes, length_bytes) < 0)
                return -1;
        while (find_fault(op, offset_bytes, length_bytes, action)) {
                if (strcmp(action, "hang") == 0) {
                        if (nbdkit_nanosleep(0, HANG_POLL_NS) < 0)
                                return -1;
                        continue;
                }
                char *late = strchr(action, ':');
                unsigned ms = late ? (unsigned)atoi(late + 1) : 0;

                if (late)
                        *late = '\0';
                if (nbdkit_nanosleep(ms / 1000, ms % 1000 * 1000000) < 0)
                        return -1;
                if (strcmp(action, "delay") == 0)
                        return 0;
                errno = errno_by_name(action);
                nbdkit_error(
                    "%s %" PRIu64 " %" PRIu64 ": %s, as told", op, offset_bytes, length_bytes, action);
                return -1;
        }
        return 0;
}

static void *faulty_open(int readonly)
{
        return &file_fd;
}

static int64_t faulty_get_size(void *handle)
{
        struct stat st;
        return fstat(file_fd, &st) < 0 ? -1 : st.st_size;
}

static int faulty_can_flush(void *handle)
{
        return !no_flush;
}

static int faulty_can_fua(void *handle)
{
        return no_fua ? NBDKIT_FUA_NONE : NBDKIT_FUA_NATIVE;
}

static int faulty_can_multi_conn(void *handle)
{
        return !no_multi_conn;
}

static int faulty_can_trim(void *handle)
{
        return !no_trim;
}

static int sync_if(uint32_t flags)
{
        return flags & NBDKIT_FLAG_FUA ? fdatasync(file_fd) : 0;
}

static int faulty_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
        if (meet("read", offset, count) < 0)
                return -1;
        return pread(file_fd, buf, count, (off_t)offset) == (ssize_t)count ? 0 : -1;
}

static int faulty_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
        if (meet("write", offset, count) < 0)
                return -1;
        return pwrite(file_fd, buf, count, (off_t)offset) == (ssize_t)count ? sync_if(flags) : -1;
}

static int faulty_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
        int mode = flags & NBDKIT_FLAG_MAY_TRIM ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
        if (meet("zero", offset, count) < 0)
                return -1;
        return fallocate(file_fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, count) == 0 ? sync_if(flags)
                                                                                         : -1;
}

static int faulty_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
        if (meet("trim", offset, count) < 0)
                return -1;
        return fallocate(file_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, count) == 0
                   ? sync_if(flags)
                   : -1;
}

static int faulty_flush(void *handle, uint32_t flags)
{
        if (meet("flush", 0, 0) < 0)
                return -1;
        return fdatasync(file_fd);
}

static struct nbdkit_plugin plugin = {
    .name = "faulty",
    .config = faulty_config,
    .get_ready = faulty_get_ready,
    .unload = faulty_unload,
    .open = faulty_open,
    .get_size = faulty_get_size,
    .can_flush = faulty_can_flush,
    .can_fua = faulty_can_fua,
    .can_multi_conn = faulty_can_multi_conn,
    .can_trim = faulty_can_trim,
    .pread = faulty_pread,
    .pwrite = faulty_pwrite,
    .zero = faulty_zero,
    .trim = faulty_trim,
    .flush = faulty_flush,
    .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin)
