/* The allocator with a hard limit.
 * links: kc_proto */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "budget.h"

static void allocations_are_zeroed_aligned_and_apart(void **state)
{
        struct kc_budget budget;
        uint8_t *a, *b;

        assert_int_equal(kc_budget_init(&budget, 1024), 0);
        memset(budget.arena, 0xff, 1024);
        a = kc_budget_alloc(&budget, 1);
        b = kc_budget_alloc(&budget, 0);
        assert_non_null(a);
        assert_non_null(b);
        assert_int_equal(*a, 0);
        assert_ptr_not_equal(a, b);
        assert_int_equal((uintptr_t)a % _Alignof(max_align_t), 0);
        assert_int_equal((uintptr_t)b % _Alignof(max_align_t), 0);
        kc_budget_done(&budget);
}

static void nothing_is_had_beyond_the_budget(void **state)
{
        struct kc_budget budget;

        assert_int_equal(kc_budget_init(&budget, 1024), 0);
        assert_non_null(kc_budget_alloc(&budget, 1000));
        assert_false(budget.exceeded);
        assert_null(kc_budget_alloc(&budget, 100));
        assert_true(budget.exceeded);
        assert_null(kc_budget_alloc(&budget, SIZE_MAX)); /* rounding up must not wrap */
        assert_non_null(kc_budget_alloc(&budget, 16));
        kc_budget_reset(&budget);
        assert_false(budget.exceeded);
        assert_non_null(kc_budget_alloc(&budget, 1024));
        kc_budget_done(&budget);
}

static void the_newest_allocation_can_be_given_back(void **state)
{
        struct kc_budget budget;
        ProtobufCAllocator *allocator = &budget.allocator;
        void *a, *b;

        assert_int_equal(kc_budget_init(&budget, 1024), 0);
        a = allocator->alloc(allocator->allocator_data, 500);
        b = allocator->alloc(allocator->allocator_data, 500);
        allocator->free(allocator->allocator_data, a); /* not the newest: nothing happens */
        assert_null(allocator->alloc(allocator->allocator_data, 500));
        allocator->free(allocator->allocator_data, b);
        assert_ptr_equal(allocator->alloc(allocator->allocator_data, 500), b);
        allocator->free(allocator->allocator_data, NULL);
        kc_budget_done(&budget);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(allocations_are_zeroed_aligned_and_apart),
            cmocka_unit_test(nothing_is_had_beyond_the_budget),
            cmocka_unit_test(the_newest_allocation_can_be_given_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
