#include "manager/arrears.h"
#include "test/suite.h"

static void test_nobody_owes_anything_at_first(void)
{
    struct arrears a = {0};
    CU_ASSERT_EQUAL(arrears_take(&a), 0);
    arrears_remove(&a, 7);
    arrears_forgive(&a);
    CU_ASSERT_EQUAL(a.count, 0);
    arrears_free(&a);
}

static void test_each_is_taken_once_by_rising_number(void)
{
    static const uint32_t numbers[] = {70, 1, 63, 64, 1000000, 70};
    static const uint32_t rising[] = {1, 63, 64, 70, 1000000, 0, 0};
    struct arrears a = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        CU_ASSERT_TRUE(arrears_add(&a, numbers[i]));
    CU_ASSERT_EQUAL(a.count, 5);
    for (size_t i = 0; i < sizeof rising / sizeof rising[0]; i++)
        CU_ASSERT_EQUAL(arrears_take(&a), rising[i]);
    arrears_free(&a);
}

/* Who is heard again and again doesn't keep the others waiting. */
static void test_it_goes_on_where_it_stopped(void)
{
    struct arrears a = {0};
    arrears_add(&a, 5);
    arrears_add(&a, 500);
    CU_ASSERT_EQUAL(arrears_take(&a), 5);
    CU_ASSERT_EQUAL(arrears_take(&a), 500);
    arrears_add(&a, 5);
    arrears_add(&a, 900);
    CU_ASSERT_EQUAL(arrears_take(&a), 900);
    CU_ASSERT_EQUAL(arrears_take(&a), 5);
    arrears_free(&a);
}

static void test_who_has_paid_or_is_forgiven_owes_nothing(void)
{
    struct arrears a = {0};
    arrears_add(&a, 5);
    arrears_add(&a, 6);
    arrears_remove(&a, 5);
    arrears_remove(&a, 5);
    CU_ASSERT_EQUAL(a.count, 1);
    CU_ASSERT_EQUAL(arrears_take(&a), 6);
    arrears_add(&a, 7);
    arrears_forgive(&a);
    CU_ASSERT_EQUAL(arrears_take(&a), 0);
    arrears_free(&a);
}

static const struct suite_test tests[] = {
    TEST(test_nobody_owes_anything_at_first),
    TEST(test_each_is_taken_once_by_rising_number),
    TEST(test_it_goes_on_where_it_stopped),
    TEST(test_who_has_paid_or_is_forgiven_owes_nothing),
};

SUITE_MAIN("arrears", tests)
