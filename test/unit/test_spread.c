#include "manager/spread.h"
#include "sync/limits.h"
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
        CU_ASSERT_EQUAL(all[cell], 1000 * CELLS_MAX);
    }
}

static void test_few_cells_serve_everybody(void)
{
    for (size_t cells = 1; cells <= CELLS_MAX; cells++)
        for (uint32_t number = 1; number < 100; number++)
            CU_ASSERT_TRUE(spread_serves(cells, number % 3 % cells, number));
}

static const struct suite_test tests[] = {
    TEST(test_a_cell_serves_those_that_are_told_of_it),
    TEST(test_cells_get_as_many_agents_each),
    TEST(test_few_cells_serve_everybody),
};

SUITE_MAIN("spread", tests)
