/* Opens of local devices under way: see file_open.h. */
#include "io/file_open.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/workers.h"

/* One open. Lives until its thread has returned, which may be long after on_open. */
struct opening {
        struct file_opener *opener;
        struct io_open *open; /* NULL once it was answered */
        uv_work_t work;
        struct kc_timer timer;
        bool cancelled;
        bool refused; /* there are no threads: `status` and `error` say why */
        /* for the pool thread, which touches nothing else */
        int (*probe)(const struct file_wanted *wanted, struct file_found *ret_found, struct kc_error *err);
        struct file_wanted wanted; /* the path is in `path` */
        struct file_found found;
        struct kc_error error;
        int status;
        char path[];
};

static struct kc_actor *actor_of(const struct opening *opening)
{
        return &opening->opener->io->actor->actor;
}

/* Any thread may have set the results before; this is the lane's. */
static void answer(struct opening *opening, int status, struct endpoint *endpoint)
{
        struct io_open *open = opening->open;

        kc_actor_timer_stop(actor_of(opening), &opening->timer);
        opening->open = NULL;
        open->status = status;
        open->endpoint = endpoint;
        open->on_open(open);
}

/* The caller waits no longer; what the thread still brings is late. */
static void give_up(struct opening *opening)
{
        struct kc_error *err = &opening->open->error;
        char subject[120];

        kc_error_escape(subject, sizeof(subject), opening->path, strlen(opening->path));
        if (opening->cancelled)
                answer(opening,
                    kc_error_set(err, -ECANCELED, KC_CLASS_CANCELLED, "%s: the open was cancelled", subject),
                    NULL);
        else
                answer(opening,
                    kc_error_set(err, -ETIMEDOUT, KC_CLASS_TIMEOUT,
                        "%s: the device did not answer the open in time", subject),
                    NULL);
}

static void on_work(uv_work_t *work)
{
        struct opening *opening = kc_container_of(work, struct opening, work);

        opening->status = opening->probe(&opening->wanted, &opening->found, &opening->error);
}

static void on_found(struct opening *opening)
{
        struct endpoint *endpoint = NULL;
        int status = opening->status;

        if (status == 0) {
                opening->found.info.keep_idle_ms =
                    opening->found.info.read_only ? opening->opener->keep_idle_ms : 0;
                status = file_new(opening->opener->io, &opening->found, &endpoint);
                if (status < 0) {
                        file_found_done(&opening->found);
                        kc_error_set(&opening->error, status, KC_CLASS_INTERNAL, "open: out of memory");
                }
        }
        if (status < 0) {
                opening->open->error = opening->error;
                opening->open->busy_number = opening->found.busy_number;
        }
        answer(opening, status, endpoint);
}

/* Nobody waits for it any more. Closing can block as opening can, so it is left to the pool as well. */
static void on_discard(uv_work_t *work)
{
        file_found_done(&kc_container_of(work, struct opening, work)->found);
}

static void opening_gone(uv_work_t *work, int status)
{
        struct opening *opening = kc_container_of(work, struct opening, work);
        struct file_opener *opener = opening->opener;

        assert(status == 0); /* nobody cancels it */
        free(opening);
        opener->n_openings--;
        if (opener->n_openings == 0 && opener->on_closed != NULL)
                opener->on_closed(opener->on_closed_arg);
}

static void on_worked(uv_work_t *work, int status)
{
        struct opening *opening = kc_container_of(work, struct opening, work);

        if (opening->open != NULL && opening->cancelled)
                give_up(opening);
        /* A late or cancelled result has nothing in it, or something that has to go. */
        if (opening->open != NULL) {
                assert(status == 0);
                on_found(opening);
                opening->found = (struct file_found){.fd = -1, .dir_fd = -1};
        } else if (status == 0 && opening->status == 0) {
                uv_queue_work(opening->opener->io->actor->loop, work, on_discard, opening_gone);
                return;
        }
        opening_gone(work, 0);
}

/* No thread was asked. */
static void refuse(struct opening *opening)
{
        if (opening->cancelled) {
                give_up(opening);
        } else {
                opening->open->error = opening->error;
                answer(opening, opening->status, NULL);
        }
        opening_gone(&opening->work, 0);
}

static void on_timer(struct kc_timer *timer)
{
        struct opening *opening = kc_container_of(timer, struct opening, timer);

        if (opening->refused) {
                refuse(opening);
                return;
        }
        (void)uv_cancel((uv_req_t *)&opening->work); /* EBUSY: it hangs already, and is left behind */
        give_up(opening);
}

void file_opener_init(struct file_opener *opener, struct file_io *io, uint32_t keep_idle_ms)
{
        memset(opener, 0, sizeof(*opener));
        opener->io = io;
        opener->keep_idle_ms = keep_idle_ms;
        opener->probe = file_probe;
}

int file_opener_open(struct file_opener *opener, struct io_open *open)
{
        size_t path_bytes = strlen(open->device) + 1;
        struct opening *opening = calloc(1, sizeof(*opening) + path_bytes);
        int rc;

        if (opening == NULL)
                return -ENOMEM;
        memcpy(opening->path, open->device, path_bytes);
        opening->opener = opener;
        opening->open = open;
        opening->probe = opener->probe;
        opening->wanted = (struct file_wanted){
            .path = opening->path,
            .access = open->access,
            .may_create = open->may_create,
            .extra = open->extra,
        };
        open->scratch = opening;
        kc_timer_init(&opening->timer, on_timer);
        opener->n_openings++;
        opening->status = workers_start(opener->io->actor->loop, &opening->error);
        opening->refused = opening->status < 0;
        if (opening->refused) {
                kc_actor_timer_start(actor_of(opening), &opening->timer, kc_actor_now_ns(actor_of(opening)));
                return 0;
        }
        rc = uv_queue_work(opener->io->actor->loop, &opening->work, on_work, on_worked);
        assert(rc == 0); /* it fails for a missing function only */
        (void)rc;
        kc_actor_timer_start(
            actor_of(opening), &opening->timer, kc_actor_now_ns(actor_of(opening)) + open->timeout_ns);
        return 0;
}

void file_opener_cancel(struct file_opener *opener, struct io_open *open)
{
        struct opening *opening = open->scratch;

        opening->cancelled = true;
        kc_actor_timer_start(actor_of(opening), &opening->timer, kc_actor_now_ns(actor_of(opening)));
}

void file_opener_close(struct file_opener *opener, void (*on_closed)(void *arg), void *arg)
{
        opener->on_closed = on_closed;
        opener->on_closed_arg = arg;
        if (opener->n_openings == 0)
                on_closed(arg);
}
