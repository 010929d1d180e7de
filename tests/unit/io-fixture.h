/* For tests of local endpoints: a lane (loop, actor, local I/O), a folder of its own, and requests that are
 * waited for. Included by one file of a program, after cmocka.h. */
#ifndef UNIT_IO_FIXTURE_H
#define UNIT_IO_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/actor_uv.h"
#include "base/list.h"
#include "io/file_io.h"
#include "io/file_open.h"

#define MIB (1u << 20)
#define SECOND_NS 1000000000ull

/* In a list of tests: one for each way to reach local devices, which is the test's initial state. */
#define BOTH(test)                                                                                           \
        {"io_uring: " #test, test, NULL, NULL, &(enum provider_local_io){PROVIDER_LOCAL_URING}},             \
        {                                                                                                    \
                "threads: " #test, test, NULL, NULL, &(enum provider_local_io)                               \
                {                                                                                            \
                        PROVIDER_LOCAL_THREADS                                                               \
                }                                                                                            \
        }

/* ---- the lane */

struct lane {
        uv_loop_t loop;
        struct kc_actor_uv actor;
        struct file_io *io;
        struct file_opener opener;
        char dir[64];
        bool closed;
};

static inline void on_flag(void *arg)
{
        *(bool *)arg = true;
}

static inline void on_actor_closed(struct kc_actor_uv *actor)
{
        kc_container_of(actor, struct lane, actor)->closed = true;
}

static inline void lane_run_until(struct lane *lane, const bool *flag)
{
        while (!*flag)
                uv_run(&lane->loop, UV_RUN_ONCE);
}

static inline int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static inline void lane_init_loop(struct lane *lane)
{
        memset(lane, 0, sizeof(*lane));
        snprintf(lane->dir, sizeof(lane->dir), "/var/tmp/kcopy-test-XXXXXX");
        assert_non_null(mkdtemp(lane->dir));
        assert_int_equal(uv_loop_init(&lane->loop), 0);
        assert_int_equal(kc_actor_uv_init(&lane->actor, &lane->loop, 1), 0);
}

static inline void lane_init(struct lane *lane, enum provider_local_io which)
{
        struct kc_error error = {0};

        lane_init_loop(lane);
        assert_int_equal(file_io_new(&lane->actor, which, &lane->io, &error), 0);
        file_opener_init(&lane->opener, lane->io, 5000);
}

static inline void lane_done_loop(struct lane *lane)
{
        kc_actor_uv_close(&lane->actor, on_actor_closed);
        uv_run(&lane->loop, UV_RUN_DEFAULT);
        assert_true(lane->closed);
        assert_int_equal(uv_loop_close(&lane->loop), 0);
        assert_int_equal(nftw(lane->dir, on_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void lane_done(struct lane *lane)
{
        bool closed = false;

        file_opener_close(&lane->opener, on_flag, &closed);
        lane_run_until(lane, &closed);
        closed = false;
        file_io_close(lane->io, on_flag, &closed);
        assert_false(closed);
        lane_run_until(lane, &closed);
        lane_done_loop(lane);
}

static inline const char *lane_path(struct lane *lane, const char *name)
{
        static char paths[4][320];
        static unsigned next;
        char *path = paths[next++ % 4];

        snprintf(path, sizeof(paths[0]), "%s/%s", lane->dir, name);
        return path;
}

/* ---- opens that are waited for */

struct waited_open {
        struct io_open open;
        bool done;
};

static inline void on_open_done(struct io_open *open)
{
        struct waited_open *waited = kc_container_of(open, struct waited_open, open);

        assert_false(waited->done);
        waited->done = true;
}

static inline void waited_open_start(
    struct lane *lane, struct waited_open *waited, const char *path, enum io_access access)
{
        *waited = (struct waited_open){
            .open = {
                .device = path, .access = access, .timeout_ns = 10 * SECOND_NS, .on_open = on_open_done}};
        kc_list_init(&waited->open.node);
}

enum { MAY_CREATE = 1, EXTRA = 2 };

static inline struct endpoint *lane_try_open(
    struct lane *lane, const char *path, enum io_access access, unsigned how, struct kc_error *ret_error)
{
        struct waited_open waited;

        waited_open_start(lane, &waited, path, access);
        waited.open.may_create = how & MAY_CREATE;
        waited.open.extra = how & EXTRA;
        assert_int_equal(file_opener_open(&lane->opener, &waited.open), 0);
        assert_false(waited.done);
        lane_run_until(lane, &waited.done);
        *ret_error = waited.open.error;
        assert_int_equal(waited.open.status, waited.open.error.code);
        assert_true((waited.open.status == 0) == (waited.open.endpoint != NULL));
        return waited.open.endpoint;
}

static inline struct endpoint *lane_open(
    struct lane *lane, const char *path, enum io_access access, unsigned how)
{
        struct kc_error error;
        struct endpoint *endpoint = lane_try_open(lane, path, access, how, &error);

        if (endpoint == NULL)
                fail_msg("%s", error.message);
        return endpoint;
}

static inline void lane_close(struct lane *lane, struct endpoint *endpoint)
{
        bool closed = false;

        endpoint_close(endpoint, on_flag, &closed);
        assert_false(closed);
        lane_run_until(lane, &closed);
}

/* The open fails with `code` and `class`, and says `words`. */
static inline void lane_refused(struct lane *lane, const char *path, enum io_access access, unsigned how,
    int code, enum kc_class class, const char *words)
{
        struct kc_error error;

        assert_null(lane_try_open(lane, path, access, how, &error));
        assert_int_equal(error.code, code);
        assert_int_equal(error.class, class);
        if (strstr(error.message, words) == NULL)
                fail_msg("\"%s\" does not say \"%s\"", error.message, words);
}

/* ---- requests that are waited for */

struct waited_req {
        struct io_req req;
        bool done;
};

static inline void on_req_done(struct io_req *req)
{
        struct waited_req *waited = kc_container_of(req, struct waited_req, req);

        assert_false(waited->done);
        waited->done = true;
}

static inline void req_start(struct endpoint *endpoint, struct waited_req *waited, enum io_op op,
    unsigned flags, uint64_t offset_bytes, uint64_t length_bytes, void *buf)
{
        *waited = (struct waited_req){.req = {.op = op,
                                          .flags = flags,
                                          .offset_bytes = offset_bytes,
                                          .length_bytes = length_bytes,
                                          .buf = buf,
                                          .on_done = on_req_done}};
        assert_int_equal(endpoint_submit(endpoint, &waited->req), 0);
        assert_false(waited->done);
}

static inline int lane_io(struct lane *lane, struct endpoint *endpoint, enum io_op op, unsigned flags,
    uint64_t offset_bytes, uint64_t length_bytes, void *buf)
{
        struct waited_req waited;

        req_start(endpoint, &waited, op, flags, offset_bytes, length_bytes, buf);
        lane_run_until(lane, &waited.done);
        assert_true((waited.req.status == 0) == (waited.req.class == KC_CLASS_NONE));
        assert_false(waited.req.unanswered);
        return waited.req.status;
}

/* ---- files and bytes */

static inline void fill_random(void *buf, size_t bytes, uint64_t seed)
{
        unsigned char *p = buf;

        for (size_t i = 0; i < bytes; i++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                p[i] = (unsigned char)(seed >> 56);
        }
}

static inline bool all_zero(const void *buf, size_t bytes)
{
        const unsigned char *p = buf;

        return bytes == 0 || (*p == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

/* A file of `bytes` random bytes; returns its path. */
static inline const char *make_file(struct lane *lane, const char *name, size_t bytes, void *ret_content)
{
        const char *path = lane_path(lane, name);
        char *content = ret_content != NULL ? ret_content : malloc(bytes + 1);
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

        assert_true(fd >= 0);
        fill_random(content, bytes, bytes);
        assert_int_equal(pwrite(fd, content, bytes, 0), (ssize_t)bytes);
        close(fd);
        if (ret_content == NULL)
                free(content);
        return path;
}

static inline unsigned count_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        while (readdir(dir) != NULL)
                n++;
        closedir(dir);
        return n;
}

#endif
