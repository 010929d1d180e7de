/* kcopyctl watch: the events of jobs as they happen. */
#include "ctl/ctl.h"
#include "ctl/ids.h"
#include "ctl/watching.h"

#define INTERVAL_MS 1000

enum ctl_status cmd_watch(const struct ctl *ctl, int argc, char **argv)
{
        struct ids ids = {0};
        struct session session;
        struct watching watching = {.ctl = ctl, .session = &session, .ids = &ids};
        enum ctl_status status;

        ids_parse("[ID...]",
            "Print what happens to jobs, until they have ended (none named: to all, without an end).", argc,
            argv, &ids);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        status = watching_run(&watching, INTERVAL_MS);
        session_close(&session, status != CTL_UNKNOWN && status != CTL_NO_SERVER);
        return status;
}
