/* The request types: one operation per file (op_*.c), found through one table (dispatch.c).
 *
 * To add one: a message in kcopy.proto, an op_NAME.c with op_NAME_run, a line here and a line in the table.
 * An operation runs on the control loop with a valid request; it answers now, or keeps the request id and
 * answers later. The request is gone when it returns. */
#ifndef RPC_OPERATION_H
#define RPC_OPERATION_H

#include "rpc/session.h"

typedef void operation_run(
    struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request);

operation_run op_hello_run, op_open_run, op_close_run, op_copy_run, op_copy_many_run, op_zero_run,
    op_cancel_run, op_list_run, op_get_run, op_watch_run, op_endpoints_run, op_ping_run, op_goodbye_run,
    op_info_run, op_pause_run, op_resume_run;

#endif
