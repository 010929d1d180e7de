/* Directed scenarios: each shows one behaviour of the engine by name, under the same checker as the seeds. */
#ifndef SIM_CASES_H
#define SIM_CASES_H

#include "sim/scenario.h"

struct sim_case {
        const char *name;
        struct scenario *(*run)(uint64_t seed, bool verbose); /* the scenario, ended; failed or not */
        unsigned n_seeds;
};

extern const struct sim_case sim_cases[];
extern const unsigned n_sim_cases;

/* ---- for the cases: a plain fast device that a case changes, a job on it, an assertion */

struct device_config case_device(uint64_t size_bytes);
struct wish case_copy(unsigned client, unsigned from, unsigned to);
#define case_expect(scenario, condition)                                                                     \
        do {                                                                                                 \
                if (!(condition))                                                                            \
                        world_fail(&(scenario)->world, "expected: %s", #condition);                          \
        } while (0)

/* cases_late.c: answers that do not come */
struct scenario *case_late_write_after_cancel(uint64_t seed, bool verbose);
struct scenario *case_silent_device_times_out(uint64_t seed, bool verbose);
struct scenario *case_silent_destination_is_left(uint64_t seed, bool verbose);
struct scenario *case_silent_destination_holds_no_slow_one(uint64_t seed, bool verbose);
struct scenario *case_tenth_of_the_speed(uint64_t seed, bool verbose);
struct scenario *case_cancel_waits_for_no_extents(uint64_t seed, bool verbose);
struct scenario *case_helper_ends_its_connection_last(uint64_t seed, bool verbose);
struct scenario *case_dead_connection(uint64_t seed, bool verbose);

/* cases_end.c: last words, what is left then, and what is begun again */
struct scenario *case_closed_before_the_last_word(uint64_t seed, bool verbose);
struct scenario *case_gone_client_waits_for_no_device(uint64_t seed, bool verbose);
struct scenario *case_priorities_get_slots_first(uint64_t seed, bool verbose);
struct scenario *case_slotless_jobs_hold_nothing(uint64_t seed, bool verbose);
struct scenario *case_restarted_job_gets_helpers(uint64_t seed, bool verbose);
struct scenario *case_restarted_job_tells_what_changed(uint64_t seed, bool verbose);
struct scenario *case_history_stays_within_its_bytes(uint64_t seed, bool verbose);
struct scenario *case_history_forgets_what_has_drained(uint64_t seed, bool verbose);

/* cases_pace.c: how fast */
struct scenario *case_far_devices_fill_the_window(uint64_t seed, bool verbose);
struct scenario *case_local_devices_start_deep(uint64_t seed, bool verbose);
struct scenario *case_large_chunks_go_one_by_one(uint64_t seed, bool verbose);
struct scenario *case_handles_share_a_lane(uint64_t seed, bool verbose);
struct scenario *case_extents_are_asked_for_ahead(uint64_t seed, bool verbose);

/* cases_adapt.c: who was there first gives way */
struct scenario *case_pages_go_where_they_are_wanted(uint64_t seed, bool verbose);
struct scenario *case_small_job_gets_its_turn(uint64_t seed, bool verbose);
struct scenario *case_many_jobs_share_a_window(uint64_t seed, bool verbose);
struct scenario *case_lost_answers_hold_up_their_own(uint64_t seed, bool verbose);
struct scenario *case_crews_get_their_turn(uint64_t seed, bool verbose);
struct scenario *case_jobs_go_where_there_is_less_to_do(uint64_t seed, bool verbose);

/* cases_wait.c: jobs that wait */
struct scenario *case_failed_flush_spares_who_waits(uint64_t seed, bool verbose);
struct scenario *case_cancel_is_not_lost_in_a_restart(uint64_t seed, bool verbose);
struct scenario *case_queued_jobs_say_for_what(uint64_t seed, bool verbose);

/* cases_policy.c: what an error ends, and what it does not */
struct scenario *case_error_policies(uint64_t seed, bool verbose);
struct scenario *case_silent_extents_end_no_connection(uint64_t seed, bool verbose);
struct scenario *case_short_jobs_ask_for_no_extents(uint64_t seed, bool verbose);
struct scenario *case_durable_stays_durable(uint64_t seed, bool verbose);
struct scenario *case_failed_flush_is_remembered(uint64_t seed, bool verbose);

/* cases_validate.c: jobs that are only judged */
struct scenario *case_validate_only_touches_nothing(uint64_t seed, bool verbose);

/* cases_fair.c: several identities at one device */
struct scenario *case_identities_share_source(uint64_t seed, bool verbose);
struct scenario *case_identities_share_destination(uint64_t seed, bool verbose);
struct scenario *case_priorities_share(uint64_t seed, bool verbose);
struct scenario *case_held_requests_are_cancelled(uint64_t seed, bool verbose);
struct scenario *case_waiting_behind_silence_times_out(uint64_t seed, bool verbose);
struct scenario *case_busy_device_times_nobody_out(uint64_t seed, bool verbose);
struct scenario *case_lost_answers_among_others_time_out(uint64_t seed, bool verbose);

#endif
