#include "manager/core/fact_filter.h"
#include "test/suite.h"

static const struct facts facts = {
    .count = 4,
    .list = {
        {"arch", "arm64"}, {"disk_free", "3Gi"}, {"memory_mib", "2048"}, {"model", "Edge Box 3"}}};

static bool fits(const char *text)
{
    struct errmsg em;
    CU_ASSERT_EQUAL(fact_filter_check(text, &em), 0);
    return fact_filter_matches(text, &facts);
}

static void test_texts_and_lists_are_compared(void)
{
    CU_ASSERT_TRUE(fits("arch=arm64") && fits("fact.arch=arm64") && fits(""));
    CU_ASSERT_FALSE(fits("arch=amd64") || fits("arch!=arm64"));
    CU_ASSERT_TRUE(fits("arch!=amd64, model=Edge Box 3"));
    CU_ASSERT_TRUE(fits("model in (Edge Box 2, Edge Box 3),arch in (arm64)"));
    CU_ASSERT_FALSE(fits("model in (Edge Box 2,Edge)"));
}

static void test_numbers_have_units(void)
{
    CU_ASSERT_TRUE(fits("disk_free>2Gi") && fits("disk_free>2048Mi") && fits("disk_free<4Gi"));
    CU_ASSERT_FALSE(fits("disk_free>3Gi") || fits("disk_free<3Gi"));
    CU_ASSERT_TRUE(fits("disk_free=3072Mi") && fits("memory_mib=2Ki") && fits("memory_mib<3000"));
    CU_ASSERT_TRUE(fits("disk_free in (1Gi,3072Mi)"));
}

static void test_what_was_not_told_fits_nothing_but_a_no(void)
{
    CU_ASSERT_FALSE(fits("gpu=yes") || fits("gpu>1") || fits("gpu<1") || fits("gpu in (a)"));
    CU_ASSERT_TRUE(fits("gpu!=yes"));
    CU_ASSERT_FALSE(fits("arch>1") || fits("arch<1")); /* no number */
}

static void test_bounds_and_lists_can_leave_out(void)
{
    CU_ASSERT_TRUE(fits("disk_free>=3Gi") && fits("disk_free<=3072Mi") && fits("disk_free >= 1Gi"));
    CU_ASSERT_FALSE(fits("disk_free>=4Gi") || fits("disk_free<=2Gi"));
    CU_ASSERT_TRUE(fits("arch notin (amd64,riscv64)") && fits("gpu notin (a,b)"));
    CU_ASSERT_FALSE(fits("arch notin (amd64, arm64)") || fits("memory_mib notin (1,2Ki)"));
    CU_ASSERT_TRUE(fits("arch==arm64"));
    CU_ASSERT_FALSE(fits("gpu>=0") || fits("arch>=0") || fits("arch<=0"));
}

static void test_it_can_be_enough_that_something_was_told(void)
{
    CU_ASSERT_TRUE(fits("arch") && fits("!gpu") && fits("arch, disk_free>1Gi, !gpu, fact.model"));
    CU_ASSERT_FALSE(fits("gpu") || fits("!arch") || fits("arch,gpu"));
    CU_ASSERT_TRUE(fits("!fact.gpu"));
}

static void test_what_is_no_filter_is_refused(void)
{
    static const char *const bad[] = {"!",
                                      "!!arch",
                                      "a b",
                                      "a=>1",
                                      "a><1",
                                      "a>=x",
                                      "a<=",
                                      "a notin ()",
                                      "notin (a)",
                                      "a not (b)",
                                      "=x",
                                      "arch=",
                                      "arch!x",
                                      "a b=c",
                                      "arch>x",
                                      "arch>3X",
                                      "a<1Gib",
                                      ",",
                                      "a=b,,c=d",
                                      "x in ()",
                                      "x in (a",
                                      "in (a)",
                                      "a>99999999999999999999",
                                      "a>99999999999Ti"};
    struct errmsg em;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CU_ASSERT_EQUAL(fact_filter_check(bad[i], &em), ERR_USAGE);
        if (fact_filter_check(bad[i], &em) == 0)
            printf("taken: %s\n", bad[i]);
    }
    char text[FACT_FILTER_TEXT_MAX + 2];
    memset(text, 'a', sizeof text);
    text[1] = '=';
    text[sizeof text - 1] = '\0';
    CU_ASSERT_EQUAL(fact_filter_check(text, &em), ERR_USAGE);
}

static const struct suite_test tests[] = {
    TEST(test_texts_and_lists_are_compared),
    TEST(test_numbers_have_units),
    TEST(test_what_was_not_told_fits_nothing_but_a_no),
    TEST(test_bounds_and_lists_can_leave_out),
    TEST(test_it_can_be_enough_that_something_was_told),
    TEST(test_what_is_no_filter_is_refused),
};

SUITE_MAIN("fact_filter", tests)
