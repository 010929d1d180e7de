/* What every subcommand of kcopyctl is handed, and the exit statuses. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>

#include "ctl/brackets.h"

enum ctl_status {
        CTL_DONE = 0,   /* and as durable as asked */
        CTL_FAILED = 1, /* the copy failed */
        CTL_USAGE = 2,
        CTL_REFUSED = 3, /* nothing was written */
        CTL_NO_SERVER = 4,
        CTL_UNKNOWN = 5, /* the connection was lost, the outcome is not known */
};

struct ctl {
        const char *server; /* of --server or the environment; NULL: a private one, or the system's */
        bool json;
        const struct brackets *brackets; /* captive servers of the command line */
};

struct ctl_command {
        const char *name;
        enum ctl_status (*run)(const struct ctl *ctl, int argc, char **argv); /* argv[0]: "kcopyctl NAME" */
        const char *summary;
};

enum ctl_status cmd_copy(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_zero(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_jobs(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_job(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_watch(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_wait(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_cancel(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_pause(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_resume(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_adjust(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_forget(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_endpoints(const struct ctl *ctl, int argc, char **argv);
enum ctl_status cmd_info(const struct ctl *ctl, int argc, char **argv);

#endif
