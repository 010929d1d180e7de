/* Goodbye: no more jobs from this client. Answered by Farewell when the last one has been reported. */
#include "rpc/operation.h"

void op_goodbye_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        session_goodbye(session, request_id);
}
