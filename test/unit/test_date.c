#include "base/date.h"

#include "test/suite.h"

#include <string.h>
#include <time.h>

static void check(uint64_t seconds, const char *text)
{
    struct date d = date_of(seconds);
    CU_ASSERT_STRING_EQUAL(date_text(seconds).text, text);
    CU_ASSERT_EQUAL(date_seconds(&d), seconds);
}

static void test_known_seconds_have_known_dates(void)
{
    check(0, "1970-01-01T00:00:00Z");
    check(951782399, "2000-02-28T23:59:59Z");
    check(951782400, "2000-02-29T00:00:00Z");
    check(1709210096, "2024-02-29T12:34:56Z");
    check(4107542400, "2100-03-01T00:00:00Z"); /* a century without its leap day */
    check(DATE_MAX_S, "9999-12-31T23:59:59Z");
}

static void test_later_times_count_as_the_last_one(void)
{
    CU_ASSERT_STRING_EQUAL(date_text(DATE_MAX_S + 1).text, "9999-12-31T23:59:59Z");
    CU_ASSERT_STRING_EQUAL(date_text(UINT64_MAX).text, "9999-12-31T23:59:59Z");
}

static void test_every_day_is_that_of_the_c_library(void)
{
    for (uint64_t day = 0; day <= DATE_MAX_S / 86400; day++) {
        uint64_t seconds = day * 86400 + day % 86400;
        time_t t = (time_t)seconds;
        struct tm tm;
        struct date d = date_of(seconds);
        gmtime_r(&t, &tm);
        if ((int)d.year != tm.tm_year + 1900 || (int)d.month != tm.tm_mon + 1 ||
            (int)d.day != tm.tm_mday || (int)d.hour != tm.tm_hour || (int)d.minute != tm.tm_min ||
            (int)d.second != tm.tm_sec || date_seconds(&d) != seconds)
            CU_FAIL_FATAL("another date than gmtime_r's");
    }
    CU_PASS("every day");
}

static void reads(const char *text, const char *same)
{
    uint64_t seconds = 0;
    CU_ASSERT_TRUE(date_read(text, &seconds));
    CU_ASSERT_STRING_EQUAL(date_text(seconds).text, same);
}

static void test_moments_are_read_with_their_offset(void)
{
    reads("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
    reads("2026-12-01T02:00:00Z", "2026-12-01T02:00:00Z");
    reads("2026-12-01 02:00:09+01:00", "2026-12-01T01:00:09Z");
    reads("2024-02-29T23:59:59-03:30", "2024-03-01T03:29:59Z");
    reads("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z");
}

static void test_what_is_no_moment_is_not_read(void)
{
    static const char *const texts[] = {
        "",
        "tomorrow",
        "2026-12-01",
        "2026-12-01T02:00Z",
        "2026-12-01T02:00:00",
        "2026-12-01T02:00:00.5Z",
        "2026-12-01T02:00:00Z ",
        "2026-12-01T02:00:00+1:00",
        "2026-12-01T02:00:00+24:00",
        "2026-12-01T02:00:00+01:60",
        "2026-12-01T02:00:00+01:000",
        "2026-12-1T02:00:00Z",
        "2026/12/01T02:00:00Z",
        "2026-02-29T02:00:00Z", /* no leap year */
        "2026-13-01T02:00:00Z",
        "2026-00-01T02:00:00Z",
        "2026-12-00T02:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T02:60:00Z",
        "2026-12-01T02:00:60Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-00:01",
        "-026-12-01T02:00:00Z",
    };
    uint64_t seconds;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CU_ASSERT_FALSE(date_read(texts[i], &seconds));
}

static const struct suite_test tests[] = {
    TEST(test_known_seconds_have_known_dates),     TEST(test_later_times_count_as_the_last_one),
    TEST(test_every_day_is_that_of_the_c_library), TEST(test_moments_are_read_with_their_offset),
    TEST(test_what_is_no_moment_is_not_read),
};

SUITE_MAIN("date", tests)
