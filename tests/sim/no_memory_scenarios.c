/* The scenarios of sim-no-memory: each allocates in places of its own. */
#include "sim/no_memory.h"

#include "sim/cases.h"

#define KIB 1024u

static struct scenario *new_scenario(uint64_t seed, unsigned n_lanes, bool verbose)
{
        struct scenario *s = scenario_new(seed, n_lanes, verbose);

        s->may_lack_memory = true;
        return s;
}

static void add_devices(struct scenario *s, unsigned n, const struct device_config *config)
{
        for (unsigned i = 0; i < n; i++)
                scenario_device(s, config);
}

/* False: there is no engine. */
static bool start(struct scenario *s)
{
        scenario_start(s);
        if (s->engine)
                scenario_client(s, "user", 128);
        return s->engine != NULL;
}

static struct scenario *until_all_ended(struct scenario *s)
{
        if (scenario_run(s, scenario_all_ended, "all jobs"))
                scenario_end(s);
        return s;
}

static struct scenario *copy_with_extents(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 1, verbose);
        struct device_config config = case_device(512 * KIB);
        struct wish wish = case_copy(0, 0, 1);

        add_devices(s, 2, &config);
        wish.options.no_extents = wish.options.no_detect_zeroes = false;
        if (!start(s))
                return s;
        scenario_submit(s, &wish);
        return until_all_ended(s);
}

static struct scenario *one_of_three_lags(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 2, verbose);
        struct device_config config = case_device(1024 * KIB);
        struct wish wish = case_copy(0, 0, 1);

        add_devices(s, 3, &config);
        config.bytes_per_s = 512 * KIB;
        add_devices(s, 1, &config);
        wish.n_to = 3;
        wish.to[1].device = 2;
        wish.to[2].device = 3;
        wish.options.no_extents = false;
        wish.options.policy = (enum copy_policy)(seed % 3);
        if (!start(s))
                return s;
        scenario_submit(s, &wish);
        return until_all_ended(s);
}

static struct scenario *lanes_help(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 4, verbose);
        struct device_config config = case_device(1024 * KIB);
        struct wish wish = case_copy(0, 0, 1);

        add_devices(s, 2, &config);
        s->config.helpers_min_bytes = 256 * KIB;
        if (!start(s))
                return s;
        wish.options.policy = (enum copy_policy)(seed % 3);
        scenario_submit(s, &wish);
        return until_all_ended(s);
}

/* Each device is at home on another lane. */
static struct scenario *far_lanes(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 3, verbose);
        struct device_config config = case_device(512 * KIB);
        struct wish wish = case_copy(0, 0, 1);

        add_devices(s, 3, &config);
        if (!start(s))
                return s;
        for (unsigned i = 0; i < 3; i++) {
                wish = case_copy(0, i, (i + 1) % 3);
                wish.options.no_extents = false;
                scenario_submit_later(s, &wish, i * 20 * MS_NS);
        }
        return until_all_ended(s);
}

/* An odd tail that one destination merges and the other has declared to be zero. */
static struct scenario *zero(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 2, verbose);
        struct device_config config = case_device(300 * KIB);
        struct wish wish = {.operation = COPY_OPERATION_ZERO, .n_to = 2, .to[1].device = 1};

        config.starts_zeroed = true;
        add_devices(s, 1, &config);
        config.starts_zeroed = false;
        config.block_min_bytes = 4096;
        config.zero_refused = true;
        add_devices(s, 1, &config);
        wish.to[0].count_sectors = wish.to[1].count_sectors = 521;
        wish.options.zero_destinations = 1;
        if (!start(s))
                return s;
        scenario_submit(s, &wish);
        wish = (struct wish){.operation = COPY_OPERATION_COPY, .n_to = 1, .to[0].device = 1};
        wish.from.count_sectors = 521;
        scenario_submit(s, &wish);
        return until_all_ended(s);
}

static struct scenario *validate_only(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 1, verbose);
        struct device_config config = case_device(128 * KIB);
        struct wish wish = case_copy(0, 0, 1);

        add_devices(s, 2, &config);
        wish.options.validate_only = true;
        if (!start(s))
                return s;
        scenario_submit(s, &wish);
        wish.to[0].sector = 8; /* does not fit */
        scenario_submit(s, &wish);
        return until_all_ended(s);
}

static bool all_answered(struct scenario *s)
{
        for (unsigned i = 0; i < s->n_jobs; i++)
                if (s->jobs[i].check && s->jobs[i].check->state == CHECK_SUBMITTED)
                        return false;
        return true;
}

static void close_handles(struct scenario *s)
{
        for (unsigned i = 0; i < s->n_handles; i++) {
                if (s->handles[i].handle != 0)
                        engine_close_handle(s->clients[0].client, s->handles[i].handle);
                s->handles[i].handle = 0;
        }
}

/* The source's connection is lost while another job waits, which then opens it again; and
 * the handle that both named is no more. */
static struct scenario *begun_again(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 2, verbose);
        struct device_config config = case_device(256 * KIB);
        struct wish wish = case_copy(0, 0, 2);

        config.lose_at_op = 1 + seed % 2;
        add_devices(s, 1, &config);
        config.lose_at_op = 0;
        add_devices(s, 2, &config);
        if (!start(s))
                return s;
        wish.by_handle = true;
        scenario_open_handle(s, 0, 0, false);
        scenario_run_for(s, 20 * MS_NS);
        scenario_submit(s, &wish);
        scenario_submit(s, &wish);
        scenario_run(s, all_answered, "both answers");
        close_handles(s);
        return until_all_ended(s);
}

static struct scenario *wait_for_locks(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 2, verbose);
        struct device_config config = case_device(256 * KIB);
        struct wish wish = case_copy(0, 0, 2);

        add_devices(s, 3, &config);
        if (!start(s))
                return s;
        scenario_submit(s, &wish);
        wish = case_copy(0, 1, 2);
        scenario_submit(s, &wish);
        wish = case_copy(0, 2, 1);
        scenario_submit(s, &wish);
        scenario_run_for(s, 2 * MS_NS);
        scenario_cancel(&s->jobs[seed % 3]);
        return until_all_ended(s);
}

static struct scenario *handles(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 2, verbose);
        struct device_config config = case_device(64 * KIB);
        struct wish wish = case_copy(0, 0, 1);

        add_devices(s, 2, &config);
        if (!start(s))
                return s;
        engine_name_endpoint(s->engine, "named", "null:");
        scenario_open_handle(s, 0, 0, false);
        scenario_open_handle(s, 0, 1, true);
        scenario_run_for(s, 20 * MS_NS);
        wish.by_handle = true;
        scenario_submit(s, &wish);
        scenario_run_for(s, MS_NS);
        close_handles(s);
        scenario_submit(s, &wish);
        return until_all_ended(s);
}

static struct scenario *history(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 2, verbose);
        struct device_config config = case_device(64 * KIB);
        struct wish wish = case_copy(0, 0, 1);

        add_devices(s, 2, &config);
        s->config.history_max_jobs = 3;
        if (!start(s))
                return s;
        wish.from.count_sectors = wish.to[0].count_sectors = 8;
        for (unsigned i = 0; i < 20; i++) { /* more than an idmap begins with */
                wish.to[0].sector = 8 * (i % 4);
                scenario_submit_later(s, &wish, i / 18 * 30 * MS_NS);
        }
        return until_all_ended(s);
}

/* Files that are created or grown, and a destination that stalls for long enough to be told of. */
static struct scenario *files_and_stalls(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 2, verbose);
        struct device_config config = case_device(128 * KIB);
        struct wish wish = case_copy(0, 0, 1);

        add_devices(s, 1, &config);
        config.kind = IO_KIND_FILE;
        config.keep_idle_ms = 0;
        config.block_min_bytes = 1;
        config.resizable = config.absent = true;
        config.delay_min_ns = config.delay_max_ns = 5 * SECOND_NS;
        add_devices(s, 1, &config);
        config.absent = false;
        config.delay_min_ns = config.delay_max_ns = MS_NS;
        add_devices(s, 1, &config);
        wish.n_to = 2;
        wish.to[1].device = 2;
        if (!start(s))
                return s;
        scenario_submit(s, &wish);
        scenario_submit(s, &wish);
        return until_all_ended(s);
}

/* Two identities that take turns at one device. */
static struct scenario *turns(uint64_t seed, bool verbose)
{
        struct scenario *s = new_scenario(seed, 1, verbose);
        struct device_config config = case_device(512 * KIB);
        struct wish wish;

        config.bytes_per_s = 2048 * KIB;
        add_devices(s, 4, &config);
        if (!start(s))
                return s;
        scenario_client(s, "another", 256);
        for (unsigned i = 0; i < 3; i++) {
                wish = case_copy(i % 2, 0, 1 + i);
                scenario_submit(s, &wish);
        }
        return until_all_ended(s);
}

const struct no_memory_scenario no_memory_scenarios[] = {
    {"copy-with-extents", copy_with_extents},
    {"one-of-three-lags", one_of_three_lags},
    {"lanes-help", lanes_help},
    {"far-lanes", far_lanes},
    {"zero", zero},
    {"validate-only", validate_only},
    {"begun-again", begun_again},
    {"wait-for-locks", wait_for_locks},
    {"handles", handles},
    {"history", history},
    {"files-and-stalls", files_and_stalls},
    {"turns", turns},
};

const unsigned n_no_memory_scenarios = sizeof no_memory_scenarios / sizeof no_memory_scenarios[0];
