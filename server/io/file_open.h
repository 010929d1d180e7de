/* The asynchronous half of opening a local device: file_probe on a pool thread, under a deadline.
 *
 * A thread stuck in a dead device is left behind: the opener hears -ETIMEDOUT (or -ECANCELED) on time, and
 * what the thread finds one day is closed and freed.
 *
 * Owns: opens under way and those left behind. Borrows: the local I/O, the actor.
 * Thread: its lane. Close: file_opener_close, which waits for the threads left behind. */
#ifndef IO_FILE_OPEN_H
#define IO_FILE_OPEN_H

#include "io/file_io.h"
#include "io/file_probe.h"

struct file_opener {
        struct file_io *io;
        uint32_t keep_idle_ms; /* of endpoints that only read */
        /* file_probe; the tests put one that blocks here */
        int (*probe)(const struct file_wanted *wanted, struct file_found *ret_found, struct kc_error *err);
        unsigned n_openings; /* under way, or left behind: a pool thread has not returned */
        void (*on_closed)(void *arg);
        void *on_closed_arg;
};

void file_opener_init(struct file_opener *opener, struct file_io *io, uint32_t keep_idle_ms);
/* 0, and open->on_open follows; or -ENOMEM without a callback. */
int file_opener_open(struct file_opener *opener, struct io_open *open);
/* on_open follows soon; never inside. */
void file_opener_cancel(struct file_opener *opener, struct io_open *open);
/* Every open has called back. on_closed may run inside where no thread was left behind. */
void file_opener_close(struct file_opener *opener, void (*on_closed)(void *arg), void *arg);

#endif
