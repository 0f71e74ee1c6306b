#include "manager/spread.h"
#include "test/suite.h"

static bool is_told(size_t cells, size_t cell, uint32_t number)
{
    for (uint32_t i = 0; i < spread_count(cells); i++)
        if (spread_cell(cells, number, i) == cell)
            return true;
    return false;
}

static void test_a_cell_serves_those_that_are_told_of_it(void)
{
    for (size_t cells = 1; cells <= 60; cells++)
        for (size_t cell = 0; cell < cells; cell++)
            for (uint32_t number = 1; number < 150; number++)
                CU_ASSERT_EQUAL(spread_serves(cells, cell, number), is_told(cells, cell, number));
}

static void test_cells_get_as_many_agents_each(void)
{
    uint32_t first[51] = {0}, all[51] = {0};
    for (uint32_t number = 1; number <= 51000; number++) {
        first[spread_cell(51, number, 0)]++;
        for (size_t cell = 0; cell < 51; cell++)
            all[cell] += spread_serves(51, cell, number);
    }
    for (size_t cell = 0; cell < 51; cell++) {
        CU_ASSERT_EQUAL(first[cell], 1000);
        CU_ASSERT_EQUAL(all[cell], 1000 * SPREAD_CELLS_MAX);
    }
}

static void test_a_cell_that_dies_is_shared_by_all_others(void)
{
    for (uint32_t i = 1; i < SPREAD_CELLS_MAX; i++) {
        uint32_t taken[51] = {0};
        for (uint32_t n = 0; n < 1000; n++)
            taken[spread_cell(51, 7 + n * 51, i)]++;
        for (size_t cell = 0; cell < 51; cell++)
            CU_ASSERT_EQUAL(taken[cell], cell == 7 ? 0 : 20);
    }
}

static void test_nobody_is_told_of_a_cell_twice(void)
{
    for (size_t cells = 1; cells <= 60; cells++)
        for (uint32_t number = 1; number < 500; number++)
            for (uint32_t i = 0; i < spread_count(cells); i++)
                for (uint32_t k = 0; k < i; k++)
                    CU_ASSERT_NOT_EQUAL(spread_cell(cells, number, i),
                                        spread_cell(cells, number, k));
}

static void test_few_cells_serve_everybody(void)
{
    for (size_t cells = 1; cells <= SPREAD_CELLS_MAX; cells++)
        for (uint32_t number = 1; number < 100; number++)
            CU_ASSERT_TRUE(spread_serves(cells, number % 3 % cells, number));
}

static const struct suite_test tests[] = {
    TEST(test_a_cell_serves_those_that_are_told_of_it),
    TEST(test_cells_get_as_many_agents_each),
    TEST(test_a_cell_that_dies_is_shared_by_all_others),
    TEST(test_nobody_is_told_of_a_cell_twice),
    TEST(test_few_cells_serve_everybody),
};

SUITE_MAIN("spread", tests)
