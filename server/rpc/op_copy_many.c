/* CopyMany: many small jobs in one frame. Answered by one AcceptedMany; what is wrong with a job is in its
 * answer, what is wrong with the batch refuses all of it. */
#include <stdio.h>
#include <stdlib.h>

#include "rpc/batch.h"
#include "rpc/operation.h"
#include "rpc/request.h"

/* An answer in a batch is a job's id or a refusal: there is no third, and who asks what would happen is in no
 * hurry. */
static bool can_be_in_batch(const struct copy_spec *spec, struct engine_refusal *ret_refusal)
{
        struct engine_refusal refusal = {.field = "options.validate_only"};

        if (copy_spec_detached(spec)) {
                snprintf(refusal.field, sizeof(refusal.field), "options.detached");
                kc_error_set(&refusal.error, -EOPNOTSUPP, KC_CLASS_UNSUPPORTED,
                    "options.detached: is not for the jobs of a batch; submit it with Copy");
                *ret_refusal = refusal;
                return false;
        }
        if (!spec->options.validate_only)
                return true;
        kc_error_set(&refusal.error, -EOPNOTSUPP, KC_CLASS_UNSUPPORTED,
            "options.validate_only: is not for the jobs of a batch; ask with Copy");
        *ret_refusal = refusal;
        return false;
}

void op_copy_many_run(struct session *session, uint64_t request_id, const Kcopy__V1__ClientMessage *request)
{
        const Kcopy__V1__CopyMany *many = request->copy_many;
        struct engine_refusal refusal = {.field = "jobs", .has_limit = true, .limit = KC_BATCH_JOBS_MAX};
        struct copy_spec *spec;
        struct batch *batch;

        if (many->n_jobs == 0 || many->n_jobs > KC_BATCH_JOBS_MAX) {
                kc_error_set(&refusal.error, -EINVAL, many->n_jobs ? KC_CLASS_LIMIT : KC_CLASS_INVALID,
                    "jobs: %zu in one batch, 1 to %u allowed", many->n_jobs, KC_BATCH_JOBS_MAX);
                session_refuse(session, request_id, &refusal);
                return;
        }
        batch = batch_new(session, request_id, (unsigned)many->n_jobs);
        if (!batch) {
                session_lost(session, "out of memory");
                return;
        }
        for (unsigned i = 0; i < many->n_jobs; i++) {
                const struct request copy = request_of_copy(many->jobs[i], many->options);

                if (!request_spec(&copy, &spec, &refusal)) {
                        batch_refuse(batch, i, &refusal);
                } else if (!can_be_in_batch(spec, &refusal)) {
                        free(spec);
                        batch_refuse(batch, i, &refusal);
                } else {
                        batch_submit(batch, i, spec);
                }
        }
        batch_seal(batch);
}
