/* kcopyctl endpoints: what the server's configuration has names for, and what else is open. */
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/session.h"
#include "ctl/text.h"
#include "ctl/usage.h"

/* One of the two tables, which the server sends as one list. */
struct table {
        bool unnamed;
        unsigned n;
};

static void print_json(void *opaque, const struct kcopy_endpoint_info *endpoint)
{
        json_line(json_pack("{s:s, s:o, s:o, s:b, s:b, s:o}", "event", "endpoint", "name",
            endpoint->unnamed ? json_null() : json_text(endpoint->name), "device",
            json_text(endpoint->device), "configured", !endpoint->unnamed, "open", endpoint->open, "users",
            json_number(endpoint->users)));
}

static void print(void *opaque, const struct kcopy_endpoint_info *endpoint)
{
        struct table *table = opaque;
        char text[TEXT_ESCAPED_BYTES];

        if (endpoint->unnamed != table->unnamed)
                return;
        if (table->n++ == 0)
                puts(table->unnamed ? "Open without a name:" : "Endpoints:");
        if (!endpoint->unnamed)
                printf("  %-15s", text_escape(endpoint->name, text));
        printf("  %s", text_escape(endpoint->device, text));
        if (!endpoint->open)
                puts("");
        else if (endpoint->users)
                printf("  (open, %u user%s)\n", endpoint->users, endpoint->users == 1 ? "" : "s");
        else
                puts("  (open, idle)");
}

static int print_all(const struct ctl *ctl, struct kcopy_client *client)
{
        struct table named = {0}, unnamed = {.unnamed = true};
        int rc;

        if (ctl->json)
                return kcopy_list_endpoints(client, print_json, NULL);
        rc = kcopy_list_endpoints(client, print, &named);
        if (rc == 0 && named.n == 0)
                puts("No endpoints are configured (kcopyd --config names them).");
        return rc < 0 ? rc : kcopy_list_endpoints(client, print, &unnamed);
}

enum ctl_status cmd_endpoints(const struct ctl *ctl, int argc, char **argv)
{
        static const struct argp_child CHILDREN[] = {{&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {
            .doc = "List the endpoints of the server's configuration, and the other devices that are open.",
            .children = CHILDREN};
        struct session session;
        enum ctl_status status;
        int rc;

        usage_parse(&ARGP, argc, argv, false, NULL, NULL);
        status = session_open(&session, ctl, 1);
        if (status != CTL_DONE)
                return status;
        rc = print_all(ctl, session.client);
        if (rc < 0)
                status = session_failed(&session, rc, NULL);
        session_close(&session, rc == 0);
        return status;
}
