/* The bank and its pools: slabs lent and recalled, buffers cut and joined, nothing shared or lost.
 * links: kc_copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "copy/pool.h"
#include "kc_limits.h"
#include "lib/alloc_faults.h"
#include "lib/random.h"

static struct slab take(struct bank *bank, unsigned lane)
{
        struct slab slab;

        assert_true(bank_take(bank, lane, &slab));
        return slab;
}

/* A pool that holds all of a bank of one slab. */
static void one_slab(struct bank *bank, struct pool *pool, uint32_t n_pages)
{
        struct slab slab;

        /* the short slab is the last one */
        assert_int_equal(bank_init(bank, 8 * POOL_SLAB_PAGES + n_pages % POOL_SLAB_PAGES), 0);
        pool_init(pool);
        for (unsigned i = 0; i + 1 < bank->n_slabs; i++)
                take(bank, 0);
        slab = take(bank, 0);
        for (unsigned i = 0; i + 1 < bank->n_slabs; i++)
                bank_give(bank, i);
        assert_int_equal(slab.n_pages, n_pages);
        assert_int_equal(pool_add(pool, &slab), 0);
}

static void all_back(struct bank *bank, struct pool *pool)
{
        struct slab slab;

        while (pool_take(pool, &slab))
                bank_give(bank, slab.index);
        pool_done(pool);
        bank_done(bank);
}

static void a_bank_lends_whole_slabs_first_and_the_short_one_last(void **state)
{
        struct bank bank;
        struct slab slabs[9], none;

        assert_int_equal(bank_init(&bank, 8 * POOL_SLAB_PAGES + 10), 0);
        assert_int_equal(bank.n_slabs, 9);
        assert_true(bank_whole(&bank));
        for (unsigned i = 0; i < 9; i++)
                slabs[i] = take(&bank, i);
        assert_false(bank_take(&bank, 0, &none));
        assert_int_equal(slabs[0].n_pages, POOL_SLAB_PAGES);
        assert_int_equal(slabs[8].n_pages, 10);
        assert_ptr_equal(slabs[8].base, slabs[0].base + (size_t)8 * POOL_SLAB_PAGES * KC_PAGE_BYTES);
        memset(slabs[8].base, 1, (size_t)10 * KC_PAGE_BYTES);
        assert_false(bank_whole(&bank));
        for (unsigned i = 0; i < 9; i++)
                bank_give(&bank, slabs[i].index);
        assert_true(bank_whole(&bank));
        bank_done(&bank);
}

static void slabs_are_an_eighth_of_the_reservation_within_bounds(void **state)
{
        static const struct {
                uint32_t pages, slab_pages;
        } cases[] = {{1, 1}, {3, 2}, {16, 16}, {100, 16}, {256, 32}, {1000, 64}, {2048, 256}, {65536, 256}};
        struct bank bank;

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_int_equal(bank_slab_pages(cases[i].pages), cases[i].slab_pages);
        assert_int_equal(bank_init(&bank, 8 * POOL_SLAB_PAGES + 10), 0);
        take(&bank, 0);
        take(&bank, 1);
        take(&bank, 0);
        assert_int_equal(bank_held(&bank, 0), 2);
        assert_int_equal(bank_held(&bank, 1), 1);
        assert_int_equal(bank_held(&bank, 2), 0);
        for (unsigned i = 0; i < 3; i++)
                bank_give(&bank, i);
        bank_done(&bank);
}

static void a_slab_holds_one_buffer_of_its_size_or_that_many_pages(void **state)
{
        unsigned char *buffers[POOL_SLAB_PAGES], *base;
        struct bank bank;
        struct pool pool;
        uint32_t pages;

        one_slab(&bank, &pool, POOL_SLAB_PAGES);
        assert_null(pool_alloc(&pool, POOL_SLAB_PAGES + 1, &pages));
        for (unsigned round = 0; round < 2; round++) {
                base = pool_alloc(&pool, POOL_SLAB_PAGES, &pages);
                assert_non_null(base);
                assert_int_equal(pages, POOL_SLAB_PAGES);
                assert_int_equal((uintptr_t)base % KC_PAGE_BYTES, 0);
                assert_int_equal(pool.free_pages, 0);
                assert_null(pool_alloc(&pool, 1, &pages));
                pool_free(&pool, base, POOL_SLAB_PAGES);
                for (unsigned i = 0; i < POOL_SLAB_PAGES; i++) {
                        buffers[i] = pool_alloc(&pool, 1, &pages);
                        assert_ptr_equal(buffers[i], base + (size_t)i * KC_PAGE_BYTES);
                        assert_int_equal(pages, 1);
                }
                assert_null(pool_alloc(&pool, 1, &pages));
                for (unsigned i = 0; i < POOL_SLAB_PAGES; i += 2)
                        pool_free(&pool, buffers[i], 1);
                assert_null(pool_alloc(&pool, 2, &pages));
                for (unsigned i = 1; i < POOL_SLAB_PAGES; i += 2)
                        pool_free(&pool, buffers[i], 1);
        }
        assert_int_equal(pool.in_use_pages, 0);
        all_back(&bank, &pool);
}

static void sizes_are_rounded_up_to_powers_of_two(void **state)
{
        struct bank bank;
        struct pool pool;
        uint32_t pages;
        void *three, *one;

        one_slab(&bank, &pool, 8);
        three = pool_alloc(&pool, 3, &pages);
        assert_int_equal(pages, 4);
        assert_int_equal(pool.free_pages, 4);
        assert_null(pool_alloc(&pool, 5, &pages));
        one = pool_alloc(&pool, 1, &pages);
        assert_int_equal(pages, 1);
        pool_free(&pool, three, 4);
        pool_free(&pool, one, 1);
        assert_int_equal(pool.free_pages, 8);
        all_back(&bank, &pool);
}

static void a_short_slab_can_be_given_out_whole(void **state)
{
        struct bank bank;
        struct pool pool;
        uint32_t pages = 4711;
        void *whole, *part;

        one_slab(&bank, &pool, 100);
        whole = pool_alloc(&pool, 70, &pages);
        assert_non_null(whole);
        assert_int_equal(pages, 100);
        assert_null(pool_alloc(&pool, 1, &pages));
        pool_free(&pool, whole, 100);
        part = pool_alloc(&pool, 33, &pages);
        assert_int_equal(pages, 64);
        pages = 4711;
        assert_null(pool_alloc(&pool, 70, &pages));
        assert_null(pool_alloc(&pool, 101, &pages));
        assert_int_equal(pages, 4711);
        pool_free(&pool, part, 64);
        assert_int_equal(pool.free_pages, 100);
        all_back(&bank, &pool);
}

static void a_recalled_slab_is_not_used_and_goes_back_when_it_is_empty(void **state)
{
        struct bank bank;
        struct pool pool;
        struct slab slab, taken;
        uint32_t pages;
        void *first;

        assert_int_equal(bank_init(&bank, 8 * POOL_SLAB_PAGES), 0);
        pool_init(&pool);
        assert_null(pool_alloc(&pool, 1, &pages));
        slab = take(&bank, 0);
        assert_int_equal(pool_add(&pool, &slab), 0);
        first = pool_alloc(&pool, 1, &pages);
        pool_recall(&pool);
        pool_recall(&pool);
        assert_int_equal(pool.free_pages, 0);
        assert_null(pool_alloc(&pool, 1, &pages));
        assert_false(pool_take(&pool, &taken));
        pool_free(&pool, first, 1);
        assert_true(pool_take(&pool, &taken));
        assert_int_equal(taken.index, slab.index);
        bank_give(&bank, taken.index);
        pool_done(&pool);
        bank_done(&bank);
}

static void a_buffer_stuck_in_the_recalled_slab_keeps_no_other_from_going_back(void **state)
{
        struct bank bank;
        struct pool pool;
        struct slab slab, taken;
        uint32_t pages;
        void *stuck, *other;

        assert_int_equal(bank_init(&bank, 8 * POOL_SLAB_PAGES), 0);
        pool_init(&pool);
        slab = take(&bank, 0);
        assert_int_equal(pool_add(&pool, &slab), 0);
        stuck = pool_alloc(&pool, 1, &pages);
        pool_recall(&pool);
        slab = take(&bank, 0);
        assert_int_equal(pool_add(&pool, &slab), 0);
        other = pool_alloc(&pool, 256, &pages);
        assert_non_null(other);
        pool_free(&pool, other, 256);
        assert_true(pool_take(&pool, &taken));
        assert_int_equal(taken.index, slab.index);
        bank_give(&bank, taken.index);
        /* the recall has been answered: the other slab serves again */
        assert_int_equal(pool.free_pages, 255);
        pool_free(&pool, stuck, 1);
        assert_true(pool_take(&pool, &taken));
        bank_give(&bank, taken.index);
        pool_done(&pool);
        bank_done(&bank);
}

static void failed_allocations_leave_nothing_behind(void **state)
{
        struct bank bank;
        struct pool pool;
        struct slab slab;

        for (int at = 1; at <= 1 + ALLOC_FAULTS_MMAP; at++) {
                alloc_fail_at = at;
                assert_int_equal(bank_init(&bank, 16), -ENOMEM);
                assert_int_equal(alloc_fail_at, 0);
        }
        assert_int_equal(bank_init(&bank, 16), 0);
        pool_init(&pool);
        slab = take(&bank, 0);
        alloc_fail_at = 1;
        assert_int_equal(pool_add(&pool, &slab), -ENOMEM);
        assert_int_equal(pool.n_pages, 0);
        pool_done(&pool);
        bank_give(&bank, slab.index);
        bank_done(&bank);
}

/* ---- a bank and three pools at random */

#define N_LANES 3u
#define N_PAGES (6u * POOL_SLAB_PAGES + 77u)
#define N_BUFFERS 200u

struct buffer {
        unsigned char *start;
        uint32_t pages;
        unsigned lane;
};

static unsigned char *reservation;
static unsigned char users[N_PAGES]; /* of each page: 0, or its buffer's number */

static void assert_users(const struct buffer *buffer, unsigned char before, unsigned char after)
{
        size_t first = (size_t)(buffer->start - reservation) / KC_PAGE_BYTES;

        assert_true(buffer->start >= reservation && first + buffer->pages <= N_PAGES);
        for (size_t i = first; i < first + buffer->pages; i++) {
                assert_int_equal(users[i], before);
                users[i] = after;
                if (before == 0)
                        buffer->start[(i - first) * KC_PAGE_BYTES] = after;
                else
                        assert_int_equal(buffer->start[(i - first) * KC_PAGE_BYTES], before);
        }
}

static void allocate_or_ask(
    struct bank *bank, struct pool *pools, struct buffer *buffer, unsigned char number)
{
        uint32_t asked_pages = 1 + random_below(1u << random_below(9));
        struct slab slab;

        buffer->lane = random_below(N_LANES);
        buffer->start = pool_alloc(&pools[buffer->lane], asked_pages, &buffer->pages);
        if (buffer->start != NULL) {
                assert_true(buffer->pages >= asked_pages);
                assert_users(buffer, 0, number);
        } else if (bank_take(bank, buffer->lane, &slab)) {
                assert_int_equal(pool_add(&pools[buffer->lane], &slab), 0);
        } else {
                pool_recall(&pools[random_below(N_LANES)]);
        }
}

static void assert_pools(const struct pool *pools, const struct buffer *buffers)
{
        uint32_t in_use_pages[N_LANES] = {0}, n_pages = 0;

        for (unsigned i = 0; i < N_BUFFERS; i++)
                if (buffers[i].start != NULL)
                        in_use_pages[buffers[i].lane] += buffers[i].pages;
        for (unsigned lane = 0; lane < N_LANES; lane++) {
                assert_int_equal(pools[lane].in_use_pages, in_use_pages[lane]);
                assert_true(pools[lane].free_pages + in_use_pages[lane] <= pools[lane].n_pages);
                n_pages += pools[lane].n_pages;
        }
        assert_true(n_pages <= N_PAGES);
}

static void at_random_no_page_has_two_users_and_all_come_back(void **state)
{
        struct buffer buffers[N_BUFFERS] = {0};
        struct pool pools[N_LANES];
        struct bank bank;
        struct slab slab;

        random_seed();
        assert_int_equal(bank_init(&bank, N_PAGES), 0);
        reservation = bank.base;
        for (unsigned lane = 0; lane < N_LANES; lane++)
                pool_init(&pools[lane]);
        for (unsigned step = 0; step < 60000; step++) {
                unsigned number = random_below(N_BUFFERS), lane = random_below(N_LANES);
                struct buffer *buffer = &buffers[number];

                if (random_below(8) == 0) {
                        if (pool_take(&pools[lane], &slab))
                                bank_give(&bank, slab.index);
                } else if (buffer->start == NULL) {
                        allocate_or_ask(&bank, pools, buffer, (unsigned char)(number + 1));
                } else {
                        assert_users(buffer, (unsigned char)(number + 1), 0);
                        pool_free(&pools[buffer->lane], buffer->start, buffer->pages);
                        buffer->start = NULL;
                }
                if (step % 64 == 0)
                        assert_pools(pools, buffers);
        }
        for (unsigned i = 0; i < N_BUFFERS; i++)
                if (buffers[i].start != NULL)
                        pool_free(&pools[buffers[i].lane], buffers[i].start, buffers[i].pages);
        for (unsigned lane = 0; lane < N_LANES; lane++) {
                while (pool_take(&pools[lane], &slab))
                        bank_give(&bank, slab.index);
                pool_done(&pools[lane]);
        }
        assert_true(bank_whole(&bank));
        bank_done(&bank);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_bank_lends_whole_slabs_first_and_the_short_one_last),
            cmocka_unit_test(slabs_are_an_eighth_of_the_reservation_within_bounds),
            cmocka_unit_test(a_slab_holds_one_buffer_of_its_size_or_that_many_pages),
            cmocka_unit_test(sizes_are_rounded_up_to_powers_of_two),
            cmocka_unit_test(a_short_slab_can_be_given_out_whole),
            cmocka_unit_test(a_buffer_stuck_in_the_recalled_slab_keeps_no_other_from_going_back),
            cmocka_unit_test(a_recalled_slab_is_not_used_and_goes_back_when_it_is_empty),
            cmocka_unit_test(failed_allocations_leave_nothing_behind),
            cmocka_unit_test(at_random_no_page_has_two_users_and_all_come_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
