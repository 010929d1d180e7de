/* Tests of the checker: its alarms about jobs that are only to be validated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/copier.h"

static void a_job_that_is_only_validated_and_writes_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        b.job->options.validate_only = true;
        copier_copy_chunks(&b, 0, COPIER_CHUNK);
        copier_tear_down(&b, "unread data");
}

static void a_job_that_is_only_validated_and_accepted_is_found(void **state)
{
        struct copier b;

        copier_set_up(&b, &copier_device);
        b.job->options.validate_only = true;
        checker_accepted(&b.checker, b.job, 7, COPIER_LENGTH);
        copier_tear_down(&b, "only to be validated");
}

/* Tells the one answer, right but for what `validate_only` and `spoil` make of it; then `n_more` times again.
 */
static void validated(
    bool validate_only, void (*spoil)(struct engine_plan *), unsigned n_more, const char *alarm)
{
        struct engine_plan plan = {.length_bytes = COPIER_LENGTH, .has_from = true, .n_to = 1};
        struct copier b;

        copier_set_up(&b, &copier_device);
        b.job->options.validate_only = validate_only;
        plan.to[0].size_bytes = plan.to[0].size_after_bytes = copier_device.size_bytes;
        if (spoil)
                spoil(&plan);
        for (unsigned i = 0; i <= n_more; i++)
                checker_validated(&b.checker, b.job, &plan);
        copier_tear_down(&b, alarm);
}

static void spoil_plan_length(struct engine_plan *plan)
{
        plan->length_bytes--;
}

static void spoil_plan_size(struct engine_plan *plan)
{
        plan->to[0].size_after_bytes++;
}

static void what_does_not_fit_in_a_validation_is_found(void **state)
{
        validated(true, NULL, 0, NULL);
        validated(true, NULL, 1, "validated in state");
        validated(false, NULL, 0, "was to be done");
        validated(true, spoil_plan_length, 0, "the plan of another job");
        validated(true, spoil_plan_size, 0, "wrong size of a device");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_job_that_is_only_validated_and_writes_is_found),
            cmocka_unit_test(a_job_that_is_only_validated_and_accepted_is_found),
            cmocka_unit_test(what_does_not_fit_in_a_validation_is_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
