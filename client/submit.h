/* Sending jobs, and asking for their end. */
#ifndef CLIENT_SUBMIT_H
#define CLIENT_SUBMIT_H

#include "job.h"

/* Queue the Cancel of an accepted job. 0 or a negative errno. */
int submit_cancel(struct kcopy_client *client, struct job *job);

#endif
