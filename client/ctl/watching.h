/* Following jobs of a server by their ids: what watch and wait share.
 *
 * Borrows the session. One thread. */
#ifndef CTL_WATCHING_H
#define CTL_WATCHING_H

#include "ctl/ids.h"
#include "ctl/progress.h"
#include "ctl/session.h"

struct watching {
        const struct ctl *ctl;
        struct session *session;
        struct ids *ids;             /* none: all jobs, without an end */
        bool quiet;                  /* ends only, no events on the way */
        bool news;                   /* a job may have ended */
        bool stopping;               /* the server shuts down: what it says last is all that it will say */
        uint64_t from;               /* of the one id: which event is the first to be told; 0: from now on */
        uint64_t end_seq, end_at_ms; /* of its last one */
        unsigned n_left;             /* of ids that have not ended */
        bool ended[256];             /* by index in ids */
        uint64_t over[64];           /* all are watched: those that have ended, to be asked about */
        unsigned n_over;
        /* of which destinations are known to be over before their job; the latest jobs' */
        struct {
                uint64_t job;
                struct progress_over over;
        } parts[64];
        unsigned n_parts;       /* ever noted: the next goes to this, modulo */
        enum ctl_status status; /* the worst of the jobs' */
};

/* Follow the jobs until all have ended, or the connection is lost, or a signal ends us. */
enum ctl_status watching_run(struct watching *watching, unsigned progress_interval_ms);

#endif
