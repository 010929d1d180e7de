/* Copy and Zero: one job. Answered by Accepted or Refused, and its events follow; or, if it is
 * only to be validated, by Validated or Refused, and nothing follows. */
#include <stdlib.h>

#include "rpc/operation.h"
#include "rpc/request.h"

static void submit(struct session *session, uint64_t request_id, const struct request *request)
{
        struct engine_refusal refusal;
        struct copy_spec *spec;
        struct slot *slot;

        if (!request_spec(request, &spec, &refusal)) {
                session_refuse(session, request_id, &refusal);
                return;
        }
        slot = slot_new(session, request_id);
        if (!slot) {
                free(spec);
                session_lost(session, "out of memory");
                return;
        }
        slot_submit(slot, spec);
}

void op_copy_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        const struct request copy = request_of_copy(request->copy, NULL);

        submit(session, request_id, &copy);
}

void op_zero_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        const struct request zero = request_of_zero(request->zero);

        submit(session, request_id, &zero);
}
