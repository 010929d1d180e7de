/* Engine results as protobuf messages, and messages as frames.
 *
 * Messages are built in an arena (struct kc_budget) that the caller resets; strings are borrowed from the
 * engine for the same short time. Everything that is built fits a frame: names and messages are cut with "…",
 * lists end early. Functions that return a pointer return NULL when the arena is full.
 * Owns nothing. Thread: the control loop. */
#ifndef RPC_ENCODE_H
#define RPC_ENCODE_H

#include "budget.h"
#include "copy/engine.h"
#include "kcopy.pb-c.h"
#include "rpc/outq.h"

#define ENCODE_NAME_MAX_BYTES 256u

/* A zeroed message of the arena, initialised by protobuf-c's own function. */
#define ENCODE_BUILD(type, init)                                                                             \
        static type *build_##init(struct kc_budget *build)                                                   \
        {                                                                                                    \
                type *message = kc_budget_alloc(build, sizeof(*message));                                    \
                                                                                                             \
                if (message)                                                                                 \
                        kcopy__v1__##init##__init(message);                                                  \
                return message;                                                                              \
        }

/* Append a message as one frame. 0 or -ENOMEM; a message that is larger than a frame asserts. */
int encode_message(struct outq *out, const Kcopy__V1__ServerMessage *message, unsigned n_terminal);

/* The same of a body that is packed already. */
int encode_body(struct outq *out, const uint8_t *body, uint32_t body_bytes);

/* A copy of `text`, cut to `max_bytes` with "…", between characters. */
char *encode_text(struct kc_budget *build, const char *text, size_t max_bytes);
/* "EIO" for -EIO, "" for 0. */
char *encode_errno(struct kc_budget *build, int code);

/* Fills *ret_message; false: the arena is full. Reasons are cut to `reason_max_bytes`. */
bool encode_refused(struct kc_budget *build, const struct engine_refusal *refusal, size_t reason_max_bytes,
    Kcopy__V1__Refused *ret_message);
/* `stopped`: what was cancelled is told as the server's doing. */
Kcopy__V1__Completion *encode_completion(struct kc_budget *build, uint64_t job_id,
    const struct copy_spec *spec, const struct job_result *result, bool stopped);
Kcopy__V1__DestinationResult *encode_destination(struct kc_budget *build, unsigned index,
    const struct job_destination_result *result, size_t text_max_bytes);
Kcopy__V1__Progress *encode_progress(
    struct kc_budget *build, const struct engine_job_view *view, uint64_t rate_bytes_per_s);
Kcopy__V1__StateChange *encode_state(struct kc_budget *build, const struct engine_job_view *view);
Kcopy__V1__DeviceInfo *encode_device(
    struct kc_budget *build, const char *name, const struct endpoint_info *info);
Kcopy__V1__Validated *encode_validated(struct kc_budget *build, const struct engine_plan *plan);
/* Says as much as fits into `body_max_bytes`: first with everything, then with shorter texts, then without
 * bad ranges, then without the destinations' ledgers and errors. */
Kcopy__V1__JobInfo *encode_job(struct kc_budget *build, struct engine *engine,
    const struct engine_job_view *view, size_t body_max_bytes);

/* A packed body of `message`, malloced, or NULL. */
uint8_t *encode_pack(const ProtobufCMessage *message, uint32_t *ret_bytes);

#endif
