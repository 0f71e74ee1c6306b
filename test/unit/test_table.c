#include "manager/cli/table.h"

#include "base/err.h"
#include "test/suite.h"

#include <stdlib.h>

static char *printed;

/* Prints the table into `printed`. */
static int print(struct table *t, bool colour)
{
    size_t len;
    free(printed);
    printed = NULL;
    FILE *out = open_memstream(&printed, &len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    int rv = table_print(t, out, colour);
    fclose(out);
    return rv;
}

static struct table *fleet(void)
{
    static const char *const titles[] = {"NAME", "STATE", "CAUSE"};
    struct table *t = table_new(3, titles);
    table_cell(t, PAINT_NONE, "app");
    table_cell(t, PAINT_GOOD, "Ready");
    table_cell(t, PAINT_NONE, "%s", "");
    table_cell(t, PAINT_NONE, "a-longer-%d", 7);
    table_cell(t, PAINT_BAD, "Failed");
    table_cell(t, PAINT_NONE, "health");
    return t;
}

static void test_columns_are_aligned(void)
{
    struct table *t = fleet();
    CU_ASSERT_EQUAL(table_rows(t), 2);
    CU_ASSERT_EQUAL(print(t, false), 0);
    CU_ASSERT_STRING_EQUAL(printed, "NAME        STATE   CAUSE\n"
                                    "app         Ready\n"
                                    "a-longer-7  Failed  health\n");
}

static void test_colour_changes_no_alignment(void)
{
    CU_ASSERT_EQUAL(print(fleet(), true), 0);
    CU_ASSERT_STRING_EQUAL(printed,
                           "\033[1mNAME\033[0m        \033[1mSTATE\033[0m   \033[1mCAUSE\033[0m\n"
                           "app         \033[32mReady\033[0m\n"
                           "a-longer-7  \033[31mFailed\033[0m  health\n");
}

static void test_a_table_may_have_no_head(void)
{
    struct table *t = table_new(2, NULL);
    CU_ASSERT_EQUAL(table_rows(t), 0);
    table_cell(t, PAINT_DIM, "id");
    table_cell(t, PAINT_NONE, "3f9a");
    CU_ASSERT_EQUAL(table_rows(t), 1);
    CU_ASSERT_EQUAL(print(t, false), 0);
    CU_ASSERT_STRING_EQUAL(printed, "id  3f9a\n");
}

static void test_letters_count_and_not_bytes(void)
{
    struct table *t = table_new(2, NULL);
    table_cell(t, PAINT_NONE, "Süd");
    table_cell(t, PAINT_NONE, "1");
    table_cell(t, PAINT_NONE, "Nord");
    table_cell(t, PAINT_NONE, "2");
    CU_ASSERT_EQUAL(print(t, false), 0);
    CU_ASSERT_STRING_EQUAL(printed, "Süd   1\nNord  2\n");
}

static void test_control_characters_never_reach_the_terminal(void)
{
    struct table *t = table_new(1, NULL);
    table_cell(t, PAINT_NONE,
               "a\033[31mb\nc\x7f\xc2\x9b"
               "d");
    CU_ASSERT_EQUAL(print(t, true), 0);
    CU_ASSERT_STRING_EQUAL(printed, "a?[31mb?c??d\n");
}

static void test_many_rows_fit(void)
{
    struct table *t = table_new(1, NULL);
    for (int i = 0; i < 1000; i++)
        table_cell(t, PAINT_NONE, "%d", i);
    CU_ASSERT_EQUAL(table_rows(t), 1000);
    CU_ASSERT_EQUAL(print(t, false), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(printed, "\n999\n"));
}

static void test_a_table_without_memory_says_so(void)
{
    table_cell(NULL, PAINT_NONE, "x");
    CU_ASSERT_EQUAL(table_rows(NULL), 0);
    CU_ASSERT_EQUAL(table_print(NULL, stdout, false), ERR_NO_MEMORY);
    table_free(NULL);
}

static void test_colour_is_for_terminals_only(void)
{
    FILE *out = tmpfile();
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_FALSE(table_colour(out));
    fclose(out);
}

static void test_states_have_colours(void)
{
    CU_ASSERT_EQUAL(table_state_paint("Ready"), PAINT_GOOD);
    CU_ASSERT_EQUAL(table_state_paint("RolledBack"), PAINT_BAD);
    CU_ASSERT_EQUAL(table_state_paint("Applying"), PAINT_BUSY);
    CU_ASSERT_EQUAL(table_state_paint("Offline"), PAINT_DIM);
}

static const struct suite_test tests[] = {
    TEST(test_columns_are_aligned),
    TEST(test_colour_changes_no_alignment),
    TEST(test_a_table_may_have_no_head),
    TEST(test_letters_count_and_not_bytes),
    TEST(test_control_characters_never_reach_the_terminal),
    TEST(test_many_rows_fit),
    TEST(test_a_table_without_memory_says_so),
    TEST(test_colour_is_for_terminals_only),
    TEST(test_states_have_colours),
};

int main(void)
{
    int rv = suite_run("table", tests, sizeof tests / sizeof tests[0]);
    free(printed);
    return rv;
}
