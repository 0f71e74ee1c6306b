#include "manager/core/fact_order.h"
#include "test/suite.h"

#include <stdio.h>

static uint64_t place(const char *sort, const char *value)
{
    static struct facts facts;
    struct errmsg em;
    facts = (struct facts){.count = 2, .list = {{"arch", "arm64"}, {"disk_free", ""}}};
    snprintf(facts.list[1].value, sizeof facts.list[1].value, "%s", value);
    CU_ASSERT_EQUAL_FATAL(fact_order_check(sort, &em), 0);
    return fact_order_place(sort, fact_order_number(fact_order_key(sort), &facts));
}

static void test_smallest_or_largest_come_first_and_those_without_last(void)
{
    CU_ASSERT_TRUE(place("disk_free", "1Gi") < place("disk_free", "1025Mi"));
    CU_ASSERT_TRUE(place("-disk_free", "1Gi") > place("-disk_free", "1025Mi"));
    CU_ASSERT_EQUAL(place("fact.disk_free", "2Gi"), place("disk_free", "2048Mi"));
    CU_ASSERT_TRUE(place("-disk_free", "0") < place("-disk_free", "a lot"));
    CU_ASSERT_TRUE(place("disk_free", "0") < place("disk_free", "a lot"));
    CU_ASSERT_TRUE(place("-disk_free", "0") < place("-gpus", "0"));
    CU_ASSERT_EQUAL(place("-arch", "0"), UINT64_MAX);
    CU_ASSERT_TRUE(place("-disk_free", "18446744073709551600") < place("-disk_free", "9"));
    CU_ASSERT_EQUAL(fact_order_place("x", fact_order_number(span_text("x"), NULL)), UINT64_MAX);
}

static void test_what_is_no_order_is_refused(void)
{
    static const char *const bad[] = {"-",   "a b",         "--a",
                                      "a,b", "disk_free>1", "abcdefghijklmnopqrstuvwxyz012345"};
    struct errmsg em;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_EQUAL(fact_order_check(bad[i], &em), ERR_USAGE);
    CU_ASSERT_EQUAL(fact_order_check("", &em), 0);
    CU_ASSERT_EQUAL(fact_order_check("-fact.abcdefghijklmnopqrstuvwxyz01234", &em), 0);
}

static const struct suite_test tests[] = {
    TEST(test_smallest_or_largest_come_first_and_those_without_last),
    TEST(test_what_is_no_order_is_refused),
};

SUITE_MAIN("fact_order", tests)
