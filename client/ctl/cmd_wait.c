/* kcopyctl wait: until jobs have ended; their worst status is ours. */
#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/watching.h"

enum ctl_status cmd_wait(const struct ctl *ctl, int argc, char **argv)
{
        struct ids ids = {.n_min = 1};
        struct session session;
        struct watching watching = {.ctl = ctl, .session = &session, .ids = &ids, .quiet = true};
        enum ctl_status status;

        ids_parse(
            "ID...", "Wait until jobs have ended; the exit status is that of the worst.", argc, argv, &ids);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        status = watching_run(&watching, 0);
        session_close(&session, status != CTL_UNKNOWN && status != CTL_NO_SERVER);
        return status;
}
