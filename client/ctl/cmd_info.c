/* kcopyctl info: what the server is and how busy. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/text.h"
#include "ctl/units.h"
#include "ctl/usage.h"

#define DURATION_BYTES 48
/* "7 s", "3 min 7 s", "5 h 3 min", "12 d 5 h"; into `text`, which is returned. */
static const char *duration(uint64_t seconds, char text[DURATION_BYTES])
{
        static const struct {
                uint64_t seconds;
                const char *name;
        } UNITS[] = {{24 * 3600, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
        unsigned i = 0;

        while (UNITS[i].seconds > 1 && seconds < UNITS[i].seconds)
                i++;
        if (UNITS[i].seconds == 1)
                snprintf(text, DURATION_BYTES, "%" PRIu64 " s", seconds);
        else
                snprintf(text, DURATION_BYTES, "%" PRIu64 " %s %" PRIu64 " %s", seconds / UNITS[i].seconds,
                    UNITS[i].name, seconds % UNITS[i].seconds / UNITS[i + 1].seconds, UNITS[i + 1].name);
        return text;
}

static void print(const struct ctl *ctl, const struct kcopy_server_info *info)
{
        char instance[2 * sizeof(info->instance) + 1], version[TEXT_ESCAPED_BYTES],
            local_io[TEXT_ESCAPED_BYTES];
        char size[UNITS_TEXT_BYTES], granted[UNITS_TEXT_BYTES], uptime[DURATION_BYTES];

        for (unsigned i = 0; i < sizeof(info->instance); i++)
                snprintf(instance + 2 * i, 3, "%02x", info->instance[i]);
        if (ctl->json) {
                json_line(json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "event",
                    "info", "version", json_text(info->version), "instance", instance, "pages",
                    json_number(info->pages), "pages_granted", json_number(info->pages_granted), "lanes",
                    json_number(info->lanes), "local_io", json_text(info->local_io), "clients",
                    json_number(info->clients), "jobs_running", json_number(info->jobs_running),
                    "jobs_waiting", json_number(info->jobs_waiting), "uptime_ms",
                    json_number(info->uptime_ms)));
                return;
        }
        printf("kcopyd %s, running for %s\n", text_escape(info->version, version),
            duration(info->uptime_ms / 1000, uptime));
        printf("jobs: %u running, %u waiting\n", info->jobs_running, info->jobs_waiting);
        printf("clients connected: %u, this one included\n", info->clients);
        printf("memory for copying: %s, of which clients have reserved %s\n",
            units_format((uint64_t)info->pages * KCOPY_PAGE_BYTES, size),
            units_format((uint64_t)info->pages_granted * KCOPY_PAGE_BYTES, granted));
        printf("threads that copy: %u\n", info->lanes);
        printf("local files and disks: through %s\n", text_escape(info->local_io, local_io));
        printf("this run of it: %s\n", instance);
}

enum ctl_status cmd_info(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_child CHILDREN[] = {{&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {
            .doc = "Show what the server is and how busy.", .children = CHILDREN};
        struct kcopy_server_info info;
        struct session session;
        enum ctl_status status;
        int rc;

        usage_parse(&ARGP, argc, argv, false, NULL, NULL);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        rc = kcopy_server_info(session.client, &info);
        if (rc < 0)
                status = session_failed(&session, rc, NULL);
        else
                print(ctl, &info);
        session_close(&session, rc == 0);
        return status;
}
