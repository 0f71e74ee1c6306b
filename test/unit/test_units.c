#include "manager/cli/units.h"

#include "base/err.h"
#include "test/suite.h"

static void test_sizes_have_about_three_digits(void)
{
    CU_ASSERT_STRING_EQUAL(units_bytes(0).text, "0 B");
    CU_ASSERT_STRING_EQUAL(units_bytes(1023).text, "1023 B");
    CU_ASSERT_STRING_EQUAL(units_bytes(1024).text, "1.0 KiB");
    CU_ASSERT_STRING_EQUAL(units_bytes(181 * 1024).text, "181 KiB");
    CU_ASSERT_STRING_EQUAL(units_bytes(20 << 20).text, "20.0 MiB");
    CU_ASSERT_STRING_EQUAL(units_bytes(((uint64_t)1 << 30) - 1).text, "1.0 GiB");
    CU_ASSERT_STRING_EQUAL(units_bytes(UINT64_MAX).text, "16777216 TiB");
}

static void test_counts_know_singular_and_plural(void)
{
    CU_ASSERT_STRING_EQUAL(units_count(0, "agent").text, "0 agents");
    CU_ASSERT_STRING_EQUAL(units_count(1, "agent").text, "1 agent");
    CU_ASSERT_STRING_EQUAL(units_count(321, "file").text, "321 files");
    CU_ASSERT_STRING_EQUAL(units_of(3, 4, "ready").text, "3 of 4 ready");
    CU_ASSERT_STRING_EQUAL(units_of(0, 0, "ready").text, "none");
}

static void test_times_are_seen_from_now(void)
{
    CU_ASSERT_STRING_EQUAL(units_ago(1000, 1000).text, "just now");
    CU_ASSERT_STRING_EQUAL(units_ago(1000, 1001).text, "just now");
    CU_ASSERT_STRING_EQUAL(units_ago(1000, 1010).text, "10 s ago");
    CU_ASSERT_STRING_EQUAL(units_ago(1000, 1180).text, "3 min ago");
    CU_ASSERT_STRING_EQUAL(units_ago(0, 3 * 86400).text, "3 days ago");
    CU_ASSERT_STRING_EQUAL(units_ago(23 * 3600, 0).text, "in 23 h");
    CU_ASSERT_STRING_EQUAL(units_ago(24 * 3600 - 5, 0).text, "in 24 h");
    CU_ASSERT_STRING_EQUAL(units_ago(7 * 86400 - 5, 0).text, "in 7 days");
}

static void test_moments_are_dates_or_spans_before_now(void)
{
    int64_t t = 0;
    CU_ASSERT_EQUAL(units_since("2h", 10000, &t), 0);
    CU_ASSERT_EQUAL(t, 2800);
    CU_ASSERT_EQUAL(units_since("1970-01-02", 0, &t), 0);
    CU_ASSERT_EQUAL(t, 86400);
    CU_ASSERT_EQUAL(units_since("1970-01-02T00:00:01Z", 0, &t), 0);
    CU_ASSERT_EQUAL(t, 86401);
    CU_ASSERT_EQUAL(units_since("1d", 5, &t), 0);
    CU_ASSERT_EQUAL(t, 0);
    CU_ASSERT_TRUE(units_since("yesterday", 10000, &t) < 0);
    CU_ASSERT_TRUE(units_since("", 10000, &t) < 0);
}

static void test_times_are_read_from_iso_8601(void)
{
    int64_t t;
    CU_ASSERT_EQUAL(units_time("1970-01-02T00:00:01Z", &t), 0);
    CU_ASSERT_EQUAL(t, 86401);
    CU_ASSERT_EQUAL(units_time("", &t), ERR_FORMAT);
    CU_ASSERT_EQUAL(units_time("1970-01-02T00:00:01", &t), ERR_FORMAT);
    CU_ASSERT_EQUAL(units_time("1970-01-02T00:00:01Zz", &t), ERR_FORMAT);
}

static const struct suite_test tests[] = {
    TEST(test_sizes_have_about_three_digits), TEST(test_counts_know_singular_and_plural),
    TEST(test_times_are_seen_from_now),       TEST(test_moments_are_dates_or_spans_before_now),
    TEST(test_times_are_read_from_iso_8601),
};

SUITE_MAIN("units", tests)
