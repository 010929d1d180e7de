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
    op_info_run, op_pause_run, op_resume_run, op_adjust_run, op_forget_run;

/* What is left of a frame for a JobInfo, with room for the envelope. */
#define OPERATION_BODY_MAX_BYTES (KC_FRAME_MAX_BYTES - 64)

/* Answers of more than one operation. */
void op_get_answer(struct session *session, uint64_t request_id, const struct engine_job_view *view);
void op_no_such_job(struct session *session, uint64_t request_id, uint64_t job_id);

/* A page of a JobList, being built in rpc->build. */
struct op_list_page {
        Kcopy__V1__JobList body;
        Kcopy__V1__JobInfo *jobs[KC_LIST_PAGE_MAX];
        size_t n_max, left_bytes;
        bool full; /* the last one did not fit */
};
void op_list_begin(struct session *session, struct op_list_page *ret_page, unsigned limit);
void op_list_add(struct session *session, struct op_list_page *page, const struct engine_job_view *view);
void op_list_send(struct session *session, uint64_t request_id, struct op_list_page *page);

#endif
