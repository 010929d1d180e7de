/* One NBD export being opened: a state machine with one deadline for all its phases.
 *
 * The happy path: dial (or, for TLS, the helper thread) → handshake (greeting,
 * structured replies) → export (block sizes, meta contexts, flags) → an endpoint. Each failure names the
 * phase. Owns: the dial or helper, the handle and its watch, until they pass to the endpoint. Borrows: the
 * context, the io_open. Thread: its lane. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sm.h"
#include "io/nbd_dial.h"
#include "io/nbd_drive.h"
#include "io/nbd_endpoint.h"
#include "io/nbd_error.h"
#include "io/nbd_export.h"
#include "io/nbd_identity.h"
#include "io/nbd_setup.h"
#include "io/nbd_tls.h"
#include "io/nbd_watch.h"

#define SUBJECT_MAX_BYTES 128 /* of an error message: leaves room for the reason */

enum state { OPENING_DIAL, OPENING_TLS, OPENING_HANDSHAKE, OPENING_EXPORT, OPENING_DONE };

static const struct kc_sm_state states[] = {
    [OPENING_DIAL] = {"dial", KC_SM_TO(OPENING_HANDSHAKE) | KC_SM_TO(OPENING_DONE), .initial = true},
    [OPENING_TLS] = {"tls", KC_SM_TO(OPENING_HANDSHAKE) | KC_SM_TO(OPENING_DONE), .initial = true},
    [OPENING_HANDSHAKE] = {"handshake", KC_SM_TO(OPENING_EXPORT) | KC_SM_TO(OPENING_DONE)},
    [OPENING_EXPORT] = {"export", KC_SM_TO(OPENING_DONE)},
    [OPENING_DONE] = {"done", 0, .final = true},
};

struct nbd_opening {
        struct nbd_context *context;
        struct io_open *open;
        struct nbd_uri uri;
        struct kc_sm sm;
        struct kc_timer timer;
        struct nbd_dial *dial;
        struct nbd_tls *tls;
        struct nbd_handle *handle;
        struct nbd_watch *watch;
        const char *phase; /* of the handle, as of before the last libnbd call */
        bool export_answered;
        int export_errno;
        struct kc_error error;
};

/* Take everything down that is still up, and tell. */
static void finish(struct nbd_opening *opening, struct endpoint *endpoint)
{
        struct nbd_context *context = opening->context;
        struct io_open *open = opening->open;
        char subject[SUBJECT_MAX_BYTES];

        kc_sm_move(&opening->sm, OPENING_DONE);
        kc_actor_timer_stop(&context->actor->actor, &opening->timer);
        nbd_watch_close(opening->watch);
        if (opening->dial != NULL)
                nbd_dial_cancel(opening->dial);
        if (opening->tls != NULL)
                nbd_tls_cancel(opening->tls);
        nbd_close(opening->handle);
        nbd_uri_done(&opening->uri);
        kc_sm_done(&opening->sm);
        kc_error_prefix(&opening->error, "%s",
            kc_error_escape(subject, sizeof subject, open->device, strlen(open->device)));
        open->status = opening->error.code;
        open->error = opening->error;
        open->endpoint = endpoint;
        open->scratch = NULL;
        free(opening);
        nbd_context_decided(context, open);
}

static void fail(struct nbd_opening *opening)
{
        finish(opening, NULL);
}

/* The handle is ready: read what the server said, and make an endpoint of it. */
static void succeed(struct nbd_opening *opening)
{
        struct io_open *open = opening->open;
        struct endpoint_info info;
        struct nbd_export export;
        struct endpoint *endpoint;
        char *name;
        int result;

        nbd_export_read(opening->handle, &export);
        result = nbd_export_check(&export, open->access, &opening->context->config, &info, &opening->error);
        if (result < 0) {
                fail(opening);
                return;
        }
        name = nbd_get_canonical_export_name(opening->handle);
        nbd_identity_of(nbd_aio_get_fd(opening->handle), &opening->uri,
            name != NULL ? name : opening->uri.export_name, &info.identity);
        free(name);
        nbd_watch_close(opening->watch);
        opening->watch = NULL;
        result = nbd_endpoint_new(opening->context, opening->handle, &info, &endpoint);
        if (result < 0) {
                kc_error_set(&opening->error, result, KC_CLASS_INTERNAL, "cannot make an endpoint (%s)",
                    kc_errno_name(result));
                fail(opening);
                return;
        }
        opening->handle = NULL; /* the endpoint's */
        finish(opening, endpoint);
}

static int on_export_answer(void *user_data, int *error)
{
        struct nbd_opening *opening = user_data;

        opening->export_answered = true;
        opening->export_errno = *error;
        return 0;
}

static const char *phase(const struct nbd_opening *opening)
{
        switch (kc_sm_state(&opening->sm)) {
        case OPENING_DIAL:
                return opening->dial != NULL ? nbd_dial_phase(opening->dial) : "connect";
        case OPENING_TLS:
                return "TLS connect";
        case OPENING_HANDSHAKE:
                return "handshake";
        default:
                return "export";
        }
}

static void fail_in_phase(struct nbd_opening *opening)
{
        nbd_error_handshake(opening->phase, &opening->error);
        fail(opening);
}

/* Look where the last libnbd call has led, and go on from there. */
static void advance(struct nbd_opening *opening)
{
        struct nbd_handle *handle = opening->handle;

        if (kc_sm_state(&opening->sm) == OPENING_HANDSHAKE && nbd_aio_is_negotiating(handle)) {
                kc_sm_move(&opening->sm, OPENING_EXPORT);
                opening->phase = phase(opening);
                if (nbd_aio_opt_go(handle,
                        (nbd_completion_callback){.callback = on_export_answer, .user_data = opening}) < 0) {
                        fail_in_phase(opening);
                        return;
                }
        }
        if (nbd_drive_gone(handle) || (opening->export_answered && opening->export_errno != 0)) {
                fail_in_phase(opening);
                return;
        }
        if (nbd_aio_is_ready(handle)) {
                succeed(opening);
                return;
        }
        nbd_watch_set(opening->watch, nbd_drive_events(handle));
}

static void on_ready(void *arg, int events, bool failed)
{
        struct nbd_opening *opening = arg;

        opening->phase = phase(opening);
        nbd_drive_notify(opening->handle, events, failed);
        advance(opening);
}

static void start_handshake(struct nbd_opening *opening, int fd)
{
        int result = nbd_watch_open(opening->context, fd, on_ready, opening, &opening->watch);

        kc_sm_move(&opening->sm, OPENING_HANDSHAKE);
        if (result < 0) {
                kc_error_set(&opening->error, result, KC_CLASS_INTERNAL, "cannot watch a socket (%s)",
                    kc_errno_name(result));
                fail(opening);
                return;
        }
        advance(opening);
}

static void on_dialed(void *arg, int fd, const struct kc_error *err)
{
        struct nbd_opening *opening = arg;
        int result;

        opening->dial = NULL;
        if (fd < 0) {
                opening->error = *err;
                fail(opening);
                return;
        }
        result = nbd_setup(&opening->uri, &opening->handle, &opening->error);
        if (result < 0) {
                close(fd);
                fail(opening);
                return;
        }
        /* libnbd owns the socket from here, whatever it returns: a failure shows in the handle's state. */
        if (nbd_aio_connect_socket(opening->handle, fd) < 0 || nbd_aio_get_fd(opening->handle) < 0) {
                kc_sm_move(&opening->sm, OPENING_HANDSHAKE);
                fail_in_phase(opening);
                return;
        }
        start_handshake(opening, nbd_aio_get_fd(opening->handle));
}

static void on_tls_connected(void *arg, struct nbd_handle *handle, const struct kc_error *err)
{
        struct nbd_opening *opening = arg;

        opening->tls = NULL;
        opening->handle = handle;
        if (handle == NULL) {
                opening->error = *err;
                fail(opening);
                return;
        }
        start_handshake(opening, nbd_aio_get_fd(handle));
}

static void on_deadline(struct kc_timer *timer)
{
        struct nbd_opening *opening = kc_container_of(timer, struct nbd_opening, timer);
        uint64_t timeout_ms = opening->open->timeout_ns / 1000000;

        if (timeout_ms % 1000 == 0)
                kc_error_set(&opening->error, -ETIMEDOUT, KC_CLASS_TIMEOUT,
                    "no answer to the %s within %" PRIu64 " s", phase(opening), timeout_ms / 1000);
        else
                kc_error_set(&opening->error, -ETIMEDOUT, KC_CLASS_TIMEOUT,
                    "no answer to the %s within %" PRIu64 " ms", phase(opening), timeout_ms);
        fail(opening);
}

static int start(struct nbd_opening *opening)
{
        struct nbd_context *context = opening->context;
        const struct nbd_uri *uri = &opening->uri;
        uint64_t deadline_ns = nbd_context_now_ns(context) + opening->open->timeout_ns;
        int result;

        kc_sm_init(&opening->sm, states, sizeof states / sizeof *states,
            uri->tls ? OPENING_TLS : OPENING_DIAL, "nbd opening", (uintptr_t)opening);
        kc_actor_timer_start(&context->actor->actor, &opening->timer, deadline_ns);
        if (uri->tls)
                result =
                    nbd_tls_start(context, opening->open->device, on_tls_connected, opening, &opening->tls);
        else
                result = nbd_dial_start(context, uri, deadline_ns, on_dialed, opening, &opening->dial);
        if (result < 0)
                kc_error_set(&opening->error, result, KC_CLASS_INTERNAL, "cannot start to connect (%s)",
                    kc_errno_name(result));
        return result;
}

/* It could not even begin. */
static void refuse(struct nbd_context *context, struct io_open *open)
{
        char subject[SUBJECT_MAX_BYTES];

        kc_error_prefix(
            &open->error, "%s", kc_error_escape(subject, sizeof subject, open->device, strlen(open->device)));
        open->status = open->error.code;
        nbd_context_decided(context, open);
}

void nbd_open(struct nbd_context *context, struct io_open *open)
{
        struct nbd_opening *opening;

        context->n_opens++;
        open->status = 0;
        open->endpoint = NULL;
        open->error = (struct kc_error){0};
        open->scratch = NULL;
        opening = calloc(1, sizeof *opening);
        if (opening == NULL) {
                kc_error_set(&open->error, -ENOMEM, KC_CLASS_INTERNAL, "out of memory");
                refuse(context, open);
                return;
        }
        if (nbd_uri_parse(open->device, &opening->uri, &open->error) < 0) {
                free(opening);
                refuse(context, open);
                return;
        }
        opening->context = context;
        opening->open = open;
        opening->phase = "handshake";
        open->scratch = opening;
        kc_timer_init(&opening->timer, on_deadline);
        if (start(opening) < 0)
                fail(opening);
}

void nbd_open_cancel(struct nbd_context *context, struct io_open *open)
{
        struct nbd_opening *opening = open->scratch;

        if (opening == NULL)
                return; /* decided otherwise; on_open is on its way */
        kc_error_set(&opening->error, -ECANCELED, KC_CLASS_CANCELLED, "the open was cancelled");
        fail(opening);
}
