/* kcopyctl info: what the server is and how busy. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/text.h"
#include "ctl/units.h"
#include "ctl/usage.h"

static void print(const struct ctl *ctl, const struct kcopy_server_info *info)
{
        char instance[2 * sizeof(info->instance) + 1], version[TEXT_ESCAPED_BYTES],
            local_io[TEXT_ESCAPED_BYTES];
        char size[UNITS_TEXT_BYTES], uptime[UNITS_TEXT_BYTES];

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
        printf("version: %s\ninstance: %s\nup: %s\n", text_escape(info->version, version), instance,
            units_format_duration(info->uptime_ms / 1000, uptime));
        printf("memory: %s (%u pages), %u granted\n",
            units_format((uint64_t)info->pages * KCOPY_PAGE_BYTES, size), info->pages, info->pages_granted);
        printf("lanes: %u\nlocal I/O: %s\n", info->lanes, text_escape(info->local_io, local_io));
        printf("clients: %u\njobs: %u running, %u waiting\n", info->clients, info->jobs_running,
            info->jobs_waiting);
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
