/* The JSON lines of --json: one object per line on standard output, flushed. */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <jansson.h>

#include "kcopy.h"

/* Print an object as a line and let it go. NULL (no memory) ends the program: a line left out would lie. */
void json_line(json_t *object);
/* Text that may be no UTF-8 (a path of ours): a string in any case. A captive's URI becomes its words. */
json_t *json_text(const char *text);
json_t *json_number(uint64_t number);
/* null or {"class", "errno", "sector", "message"}. */
json_t *json_error(const struct kcopy_endpoint_error *error);
json_t *json_mask(uint64_t mask);
/* One entry of "destinations"; `device` may be NULL: not known. */
json_t *json_destination(
    unsigned index, const char *device, const struct kcopy_destination_result *destination);
/* The completion (or refused, or lost) of a job. `from` NULL: a zero job, or not known; `to` NULL: not known.
 */
/* A refusal that is no job's: what the library returned. */
json_t *json_refused(const char *field, int rc, const char *message);
json_t *json_completion(const char *from, const char *const *to, bool read_err, uint64_t write_err,
    const struct kcopy_result *result);
/* An event before the completion. `to` NULL: not known. */
json_t *json_numbered(json_t *object, uint64_t seq, uint64_t at_ms);
json_t *json_event(const struct kcopy_event *event, const char *const *to);
json_t *json_job(const struct kcopy_job_info *job);

#endif
