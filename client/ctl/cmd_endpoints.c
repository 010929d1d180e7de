/* kcopyctl endpoints: the devices that the server has names for. */
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/text.h"
#include "ctl/usage.h"

static void visit(void *opaque, const struct kcopy_endpoint_info *endpoint)
{
        const struct ctl *ctl = opaque;
        char name[TEXT_ESCAPED_BYTES], device[TEXT_ESCAPED_BYTES];

        if (ctl->json)
                json_line(json_pack("{s:s, s:o, s:o, s:b, s:o}", "event", "endpoint", "name",
                    json_text(endpoint->name), "device", json_text(endpoint->device), "open", endpoint->open,
                    "users", json_number(endpoint->users)));
        else if (endpoint->open)
                printf("%s  %s  (open, %u users)\n", text_escape(endpoint->name, name),
                    text_escape(endpoint->device, device), endpoint->users);
        else
                printf("%s  %s\n", text_escape(endpoint->name, name), text_escape(endpoint->device, device));
}

enum ctl_status cmd_endpoints(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_child CHILDREN[] = {{&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {.doc = "List the endpoints of the server.", .children = CHILDREN};
        struct session session;
        enum ctl_status status;
        int rc;

        usage_parse(&ARGP, argc, argv, false, NULL, NULL);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        rc = kcopy_list_endpoints(session.client, visit, (void *)(uintptr_t)ctl);
        if (rc < 0)
                status = session_failed(&session, rc, NULL);
        session_close(&session, rc == 0);
        return status;
}
