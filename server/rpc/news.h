/* That there is something to say of a job, and saying it.
 *
 * News coalesce: a mark for each kind, the latest wins. What they say is taken from the engine's view of the
 * job when they are sent. Owns nothing. Thread: the control loop. */
#ifndef RPC_NEWS_H
#define RPC_NEWS_H

#include "copy/engine.h"

struct session;

struct news {
        bool state, progress;
        bool completion;       /* then nothing else is said */
        uint64_t destinations; /* bit i: destination i has ended */
};

/* Note an event; `talkative`: states and destinations count too. */
void news_note(struct news *news, const struct job_event *event, bool talkative);
bool news_any(const struct news *news);
/* Send it, and mark it as said. */
void news_send(struct session *session, const struct engine_job_view *view, struct news *news);

#endif
