/* The threads of libuv's pool (workers.h). */
#include "io/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#define POOL_DEFAULT 4u /* libuv's own numbers */
#define POOL_MAX 1024u
#define STACK_BYTES (UINT64_C(2) << 20) /* what libuv takes where there is no limit to go by */

/* As libuv reads it. */
static unsigned pool_threads(void)
{
        const char *text = getenv("UV_THREADPOOL_SIZE");
        unsigned n = text ? (unsigned)atoi(text) : POOL_DEFAULT;

        return n == 0 ? 1 : n > POOL_MAX ? POOL_MAX : n;
}

static void stay(void *arg)
{
        uv_sem_wait(arg);
}

/* As many threads at once as the pool will have, of the same size. */
static int try_threads(unsigned n_threads, struct kc_error *err)
{
        uv_thread_t *threads = calloc(n_threads, sizeof(*threads));
        unsigned n = 0;
        uv_sem_t go;
        int r;

        if (!threads)
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "threads: out of memory");
        r = uv_sem_init(&go, 0);
        if (r < 0)
                goto err_after_alloc;
        while (r == 0 && n < n_threads) {
                r = uv_thread_create(&threads[n], stay, &go);
                n += r == 0;
        }
        for (unsigned i = 0; i < n; i++)
                uv_sem_post(&go);
        for (unsigned i = 0; i < n; i++)
                uv_thread_join(&threads[i]);
        uv_sem_destroy(&go);
err_after_alloc:
        free(threads);
        if (r < 0)
                kc_error_set(err, r, KC_CLASS_LIMIT,
                    "threads: %u of the %u for local devices and host names can be made: %s; raise the limit "
                    "of processes (ulimit -u, pids.max) or of the address space (ulimit -v), or set "
                    "UV_THREADPOOL_SIZE to fewer",
                    n, n_threads, uv_strerror(r));
        return r;
}

static void on_work(uv_work_t *work)
{
}

/* Under the mutex. */
static int start_pool(uv_loop_t *loop, struct kc_error *err)
{
        static uv_work_t first; /* it only has the threads made */
        struct rlimit limit, less;
        bool limited = getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur > STACK_BYTES;
        int r;

        /* libuv makes its stacks as large as the main thread's may become: 8 MiB as a rule, times 32. The
         * limit is the whole process's, but nobody else begins threads or programs, and stacks grow by what
         * they began with. */
        if (limited) {
                less = (struct rlimit){.rlim_cur = STACK_BYTES, .rlim_max = limit.rlim_max};
                limited = setrlimit(RLIMIT_STACK, &less) == 0;
        }
        r = try_threads(pool_threads(), err);
        if (r == 0)
                r = uv_queue_work(loop, &first, on_work, NULL);
        if (limited)
                setrlimit(RLIMIT_STACK, &limit);
        return r;
}

int workers_start(uv_loop_t *loop, struct kc_error *err)
{
        /* the pool is libuv's and the whole process's: the lanes cannot each have their own */
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        static bool started;
        int r = 0;

        pthread_mutex_lock(&mutex);
        if (!started)
                r = start_pool(loop, err);
        started = r == 0;
        pthread_mutex_unlock(&mutex);
        return r;
}
