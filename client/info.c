/* Blocking requests about devices, the server and everybody's jobs (kcopy.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "kc_limits.h"
#include "request.h"

/* Of a visiting call: the visitor, and how far a list has been paged. */
struct visit {
        union {
                kcopy_job_fn job;
                kcopy_endpoint_fn endpoint;
        } visit;
        void *opaque;
        bool more;
        uint64_t after_job;
        char after_name[KC_DEVICE_NAME_MAX_BYTES + 1];
};

/* ---- handles */

static int on_opened(struct request *request, const Kcopy__V1__ServerMessage *reply)
{
        const Kcopy__V1__DeviceInfo *device = reply->opened->device;
        struct kcopy_device *ret_device = request->opaque;

        if (!reply->opened->handle || !device)
                return client_fail(
                    request->client, -EPROTO, "the server opened a device and does not say which");
        *ret_device = (struct kcopy_device){
            .handle = reply->opened->handle,
            .size_bytes = device->size_bytes,
            .block_min_bytes = device->block_min_bytes,
            .block_preferred_bytes = device->block_preferred_bytes,
            .block_max_bytes = device->block_max_bytes,
            .read_only = device->read_only,
            .can_flush = device->can_flush,
            .can_fua = device->can_fua,
            .can_zero = device->can_zero,
            .can_extents = device->can_extents,
            .multi_conn = device->multi_conn,
            .mounted_for_writing = device->mounted_for_writing,
            .resizable = device->resizable,
        };
        return 0;
}

int kcopy_open(struct kcopy_client *client, const char *device, bool write, struct kcopy_device *ret_device)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Open open = KCOPY__V1__OPEN__INIT;

        if (!device || !device[0])
                return client_fail(client, -EINVAL, "a device needs a name");
        if (strlen(device) > KC_DEVICE_NAME_MAX_BYTES)
                return client_fail(client, -ENAMETOOLONG, "a device's name is longer than %u bytes",
                    KC_DEVICE_NAME_MAX_BYTES);
        open.name = (char *)(uintptr_t)device; /* only read */
        open.write = write;
        message.body_case = BODY(OPEN);
        message.open = &open;
        return request_run(client, &message, REPLY(OPENED), on_opened, ret_device);
}

int kcopy_close(struct kcopy_client *client, uint64_t handle)
{
        return RUN_NUMBERS(client, CLOSE, close, Close, .handle = handle);
}

/* ---- jobs */

static void convert_destination_info(
    const Kcopy__V1__DestinationInfo *message, struct kcopy_destination_info *ret_destination)
{
        Kcopy__V1__DestinationResult result = KCOPY__V1__DESTINATION_RESULT__INIT;

        result.ledger = message->ledger;
        result.error = message->error;
        result.durable = message->durable;
        ret_destination->device = message->device;
        ret_destination->sector = message->sector;
        ret_destination->done = message->done;
        ret_destination->detached = message->detached;
        convert_destination(&result, &ret_destination->result);
}

static int visit_job(
    struct kcopy_client *client, const struct visit *visit, const Kcopy__V1__JobInfo *message)
{
        struct kcopy_destination_info destinations[KC_DESTINATIONS_MAX];
        struct convert_completion completion;
        struct kcopy_job_info info;

        if (!message->job || message->n_destinations > KC_DESTINATIONS_MAX ||
            message->state < KCOPY__V1__JOB_STATE__JOB_STATE_WAITING ||
            message->state > KCOPY__V1__JOB_STATE__JOB_STATE_CANCELLED ||
            (message->completion && !convert_completion(message->completion, &completion)))
                return client_fail(client, -EPROTO, "the server describes a job that cannot be");
        for (size_t i = 0; i < message->n_destinations; i++)
                convert_destination_info(message->destinations[i], &destinations[i]);
        info = (struct kcopy_job_info){
            .job = message->job,
            .state = (enum kcopy_job_state)message->state,
            .reason = message->reason,
            .zero = message->zero,
            .source_device = message->source_device,
            .source_sector = message->source_sector,
            .length_bytes = message->length_bytes,
            .elapsed_ms = message->elapsed_ms,
            .n_destinations = (unsigned)message->n_destinations,
            .destinations = destinations,
            .draining = message->draining,
            .owner = message->owner,
            .detached = message->detached,
            .key = message->key,
            .rate_bytes_per_s = message->rate_bytes_per_s,
            .priority = message->priority,
            .on_error = convert_on_error(message->on_error),
        };
        if (message->completion) {
                info.result = &completion.result;
                info.read_err = message->completion->read_err;
                info.write_err = message->completion->write_err;
        }
        visit->visit.job(visit->opaque, &info);
        return 0;
}

static int on_job_info(struct request *request, const Kcopy__V1__ServerMessage *reply)
{
        return visit_job(request->client, request->opaque, reply->job_info);
}

static int on_job_list(struct request *request, const Kcopy__V1__ServerMessage *reply)
{
        const Kcopy__V1__JobList *list = reply->job_list;
        struct visit *visit = request->opaque;

        visit->more = list->more;
        for (size_t i = 0; i < list->n_jobs; i++) {
                int rc = 0;

                /* ids that do not rise would page for ever */
                if (list->jobs[i]->job <= visit->after_job)
                        return client_fail(
                            request->client, -EPROTO, "the server's list of jobs is not in order");
                visit->after_job = list->jobs[i]->job;
                rc = visit_job(request->client, visit, list->jobs[i]);
                if (rc < 0)
                        return rc;
        }
        if (list->more && list->n_jobs == 0)
                return client_fail(request->client, -EPROTO, "the server promises more jobs and lists none");
        return 0;
}

int kcopy_list_jobs(struct kcopy_client *client, bool terminal, kcopy_job_fn visit, void *opaque)
{
        struct visit state = {.visit.job = visit, .opaque = opaque};
        int rc;

        do {
                Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
                Kcopy__V1__List list = KCOPY__V1__LIST__INIT;

                list.after_job = state.after_job;
                list.terminal = terminal;
                message.body_case = BODY(LIST);
                message.list = &list;
                rc = request_run(client, &message, REPLY(JOB_LIST), on_job_list, &state);
        } while (rc == 0 && state.more);
        return rc;
}

int kcopy_get_job(struct kcopy_client *client, uint64_t job, kcopy_job_fn visit, void *opaque)
{
        struct visit state = {.visit.job = visit, .opaque = opaque};
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Get get = KCOPY__V1__GET__INIT;

        get.job = job;
        message.body_case = BODY(GET);
        message.get = &get;
        return request_run(client, &message, REPLY(JOB_INFO), on_job_info, &state);
}

/* ---- the server */

static int on_endpoint_list(struct request *request, const Kcopy__V1__ServerMessage *reply)
{
        const Kcopy__V1__EndpointList *list = reply->endpoint_list;
        struct visit *visit = request->opaque;

        visit->more = list->more;
        for (size_t i = 0; i < list->n_endpoints; i++) {
                const Kcopy__V1__EndpointInfo *endpoint = list->endpoints[i];

                if (strlen(endpoint->name) > KC_DEVICE_NAME_MAX_BYTES ||
                    strcmp(endpoint->name, visit->after_name) <= 0)
                        return client_fail(
                            request->client, -EPROTO, "the server's list of endpoints is not in order");
                strcpy(visit->after_name, endpoint->name);
                visit->visit.endpoint(visit->opaque, &(struct kcopy_endpoint_info){.name = endpoint->name,
                                                         .device = endpoint->device,
                                                         .open = endpoint->open,
                                                         .users = endpoint->users,
                                                         .unnamed = endpoint->unnamed});
        }
        if (list->more && list->n_endpoints == 0)
                return client_fail(
                    request->client, -EPROTO, "the server promises more endpoints and lists none");
        return 0;
}

int kcopy_list_endpoints(struct kcopy_client *client, kcopy_endpoint_fn visit, void *opaque)
{
        struct visit state = {.visit.endpoint = visit, .opaque = opaque};
        int rc;

        do {
                Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
                Kcopy__V1__Endpoints endpoints = KCOPY__V1__ENDPOINTS__INIT;

                endpoints.after_name = state.after_name;
                message.body_case = BODY(ENDPOINTS);
                message.endpoints = &endpoints;
                rc = request_run(client, &message, REPLY(ENDPOINT_LIST), on_endpoint_list, &state);
        } while (rc == 0 && state.more);
        return rc;
}

static int on_server_info(struct request *request, const Kcopy__V1__ServerMessage *reply)
{
        const Kcopy__V1__ServerInfo *message = reply->server_info;
        struct kcopy_server_info info = {
            .pages = message->pages,
            .pages_granted = message->pages_granted,
            .lanes = message->lanes,
            .clients = message->clients,
            .jobs_running = message->jobs_running,
            .jobs_waiting = message->jobs_waiting,
            .uptime_ms = message->uptime_ms,
        };

        snprintf(info.version, sizeof(info.version), "%s", message->server_version);
        snprintf(info.local_io, sizeof(info.local_io), "%s", message->local_io);
        memcpy(info.instance, request->client->instance, sizeof(info.instance));
        *(struct kcopy_server_info *)request->opaque = info;
        return 0;
}

int kcopy_server_info(struct kcopy_client *client, struct kcopy_server_info *ret_info)
{
        Kcopy__V1__ClientMessage message = KCOPY__V1__CLIENT_MESSAGE__INIT;
        Kcopy__V1__Info body = KCOPY__V1__INFO__INIT;

        message.body_case = BODY(INFO);
        message.info = &body;
        return request_run(client, &message, REPLY(SERVER_INFO), on_server_info, ret_info);
}
