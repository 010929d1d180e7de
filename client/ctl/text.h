/* Words for people: messages on standard error, names of classes and states, peers' strings made harmless.
 *
 * Owns nothing. One thread. */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stdio.h>

#include "kcopy.h"

#define TEXT_ESCAPED_BYTES 4200
/* `text` with control characters as \xNN and cut to fit; into `escaped`, which is returned. */
const char *text_escape(const char *text, char escaped[TEXT_ESCAPED_BYTES]);
/* "kcopyctl: SUBJECT: REASON" on standard error; both are escaped. Clears a progress bar first. */
__attribute__((format(printf, 2, 3))) void text_error(const char *subject, const char *format, ...);
/* What text_error calls before it writes (NULL: nothing). */
void text_before_error(void (*before)(void));
/* `message` without the "SUBJECT: " that it may begin with (NULL: none), where the subject is said already.
 */
const char *text_without_subject(const char *message, const char *subject);
/* "no space"; as a word of JSON: "no_space". */
const char *text_class(enum kcopy_class error_class);
const char *text_class_json(enum kcopy_class error_class);
const char *text_state(enum kcopy_job_state state);

#endif
