/* How a job ended, in words and as an exit status. */
#ifndef CTL_REPORT_H
#define CTL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"
#include "ctl/names.h"
#include "kcopy.h"

struct report {
        bool zero;
        bool want_durable;
        bool json;             /* standard output is for JSON: no summary there */
        const char *from;      /* NULL: none, or not known */
        const char *const *to; /* by destination; NULL: not known */
        /* of a job from this command line; zeroed: of somebody's */
        bool own;
        bool whole; /* no region was named */
        enum names_place place;
        const char *from_word, *const *to_words; /* as typed */
        uint64_t waited_ms;                      /* before it ran */
};

/* 0 only if everything was done, and as durable as asked (null: never is, and need not be). */
enum ctl_status report_status(
    const struct report *report, bool read_err, uint64_t write_err, const struct kcopy_result *result);
/* The summary on standard output if it was done, and on standard error what went wrong, per endpoint. */
void report_print(
    const struct report *report, bool read_err, uint64_t write_err, const struct kcopy_result *result);

#endif
