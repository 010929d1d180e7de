/* kcopyctl cancel: ask for the end of jobs. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/json.h"
#include "ctl/session.h"

enum ctl_status cmd_cancel(const struct ctl *ctl, int argc, char **argv)
{
        struct ids ids = {.n_min = 1};
        struct session session;
        enum ctl_status status;

        ids_parse("ID...", "Ask for the end of jobs (kcopyctl wait sees it).", argc, argv, &ids);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        for (unsigned i = 0; i < ids.n; i++) {
                int rc = kcopy_cancel_job(session.client, ids.items[i]);
                char subject[40];

                snprintf(subject, sizeof(subject), "job %" PRIu64, ids.items[i]);
                if (rc < 0)
                        status = session_failed(&session, rc, subject);
                else if (ctl->json)
                        json_line(
                            json_pack("{s:s, s:o}", "event", "cancelling", "job", json_number(ids.items[i])));
        }
        session_close(&session, status != CTL_NO_SERVER);
        return status;
}
