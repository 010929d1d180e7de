/* Results of jobs: see engine.h. */
#include <stdlib.h>

#include "base/alloc.h"
#include "copy/engine.h"

struct job_result *job_result_new(unsigned n_destinations)
{
        struct job_result *result =
            kc_zalloc(sizeof *result + n_destinations * sizeof result->destinations[0]);

        if (result)
                result->n_destinations = n_destinations;
        return result;
}

void job_result_free(struct job_result *result)
{
        if (!result)
                return;
        bad_ranges_done(&result->bad);
        free(result);
}
