#include "sync/window.h"

#include "base/date.h"
#include "test/suite.h"

/* At any time of any day, until one of these is narrowed. */
static struct window every_minute(void)
{
    return (struct window){.minutes = (UINT64_C(1) << 60) - 1,
                           .hours = (1u << 24) - 1,
                           .days = UINT32_MAX - 1,
                           .months = (1u << 13) - 2,
                           .weekdays = 0x7f,
                           .length_s = 60};
}

static struct window daily(unsigned hour, unsigned minute, uint32_t length_s)
{
    struct window w = every_minute();
    w.hours = 1u << hour;
    w.minutes = UINT64_C(1) << minute;
    w.length_s = length_s;
    return w;
}

/* In June 2026, which begins on a Monday. */
static uint64_t june(unsigned day, unsigned hour, unsigned minute)
{
    return date_seconds(&(struct date){2026, 6, day, hour, minute, 0});
}

static void test_window_is_open_from_its_minute_for_its_length(void)
{
    struct window w = daily(2, 30, 3600);
    CU_ASSERT_FALSE(window_is_open(&w, june(3, 2, 30) - 1, 0));
    CU_ASSERT_TRUE(window_is_open(&w, june(3, 2, 30), 0));
    CU_ASSERT_TRUE(window_is_open(&w, june(3, 3, 30) - 1, 0));
    CU_ASSERT_FALSE(window_is_open(&w, june(3, 3, 30), 0));
}

static void test_window_of_every_minute_is_always_open(void)
{
    struct window w = every_minute();
    for (unsigned m = 0; m < 600; m += 7)
        CU_ASSERT_TRUE(window_is_open(&w, june(3, m / 60, m % 60) + m % 60, 0));
}

/* On Fridays at 22:00 for four hours: on Saturday it is still open, whatever Saturdays say. */
static void test_window_goes_on_over_midnight(void)
{
    struct window w = daily(22, 0, 4 * 3600);
    w.weekdays = 1u << 5;
    CU_ASSERT_TRUE(window_is_open(&w, june(5, 23, 59), 0));
    CU_ASSERT_TRUE(window_is_open(&w, june(6, 0, 0), 0));
    CU_ASSERT_TRUE(window_is_open(&w, june(6, 1, 59), 0));
    CU_ASSERT_FALSE(window_is_open(&w, june(6, 2, 0), 0));
    CU_ASSERT_FALSE(window_is_open(&w, june(6, 22, 30), 0));
}

static void test_window_goes_on_for_days_and_over_the_end_of_a_month(void)
{
    struct window w = daily(12, 0, WINDOW_LENGTH_S_MAX);
    w.days = 1u << 28;
    CU_ASSERT_TRUE(window_is_open(&w, june(28, 12, 0), 0));
    CU_ASSERT_TRUE(window_is_open(&w, june(28, 12, 0) + WINDOW_LENGTH_S_MAX - 1, 0));
    CU_ASSERT_FALSE(window_is_open(&w, june(28, 12, 0) + WINDOW_LENGTH_S_MAX, 0));
    CU_ASSERT_FALSE(window_is_open(&w, june(28, 12, 0) - 1, 0));
}

/* cron(8): either, where both are restricted. The 13th of June is a Saturday, the 12th a Friday. */
static void test_days_of_month_and_week_are_joined_as_cron_does(void)
{
    struct window w = daily(0, 0, 86400);
    w.days = 1u << 13;
    w.weekdays = 1u << 5;
    CU_ASSERT_FALSE(window_is_open(&w, june(13, 9, 0), 0));
    CU_ASSERT_FALSE(window_is_open(&w, june(12, 9, 0), 0));
    w.either = true;
    CU_ASSERT_TRUE(window_is_open(&w, june(13, 9, 0), 0));
    CU_ASSERT_TRUE(window_is_open(&w, june(12, 9, 0), 0));
    CU_ASSERT_TRUE(window_is_open(&w, june(5, 9, 0), 0));
    CU_ASSERT_FALSE(window_is_open(&w, june(14, 9, 0), 0));
}

static void test_zone_is_the_window_s_or_the_device_s(void)
{
    struct window w = daily(2, 0, 3600);
    CU_ASSERT_TRUE(window_is_open(&w, june(3, 0, 30), 2 * 3600));
    CU_ASSERT_TRUE(window_is_open(&w, june(2, 22, 30), 4 * 3600)); /* another day there */
    CU_ASSERT_TRUE(window_is_open(&w, june(3, 7, 30), -5 * 3600));
    CU_ASSERT_FALSE(window_is_open(&w, june(3, 2, 30), 2 * 3600));
    w.zoned = true;
    CU_ASSERT_TRUE(window_is_open(&w, june(3, 2, 30), 2 * 3600));
    w.east_s = -19800;
    CU_ASSERT_TRUE(window_is_open(&w, june(3, 7, 45), 2 * 3600));
}

/* Minutes of a night for which a window from 2 to 4 is open, when the clock goes from one offset to
 * another at 1:00 UTC, as it does in Berlin. */
static int open_minutes(const struct window *w, int32_t before_s, int32_t after_s)
{
    int open = 0;
    for (unsigned m = 0; m < 5 * 60; m++) {
        uint64_t at = june(3, 0, 0) - 3600 + m * 60;
        open += window_is_open(w, at, at < june(3, 1, 0) ? before_s : after_s);
    }
    return open;
}

static void test_window_lasts_by_the_clock_s_face_when_that_is_put_on_or_back(void)
{
    struct window w = daily(2, 0, 2 * 3600);
    CU_ASSERT_EQUAL(open_minutes(&w, 3600, 3600), 120);
    CU_ASSERT_EQUAL(open_minutes(&w, 3600, 7200), 60);  /* from 3 on: there is no 2 o'clock */
    CU_ASSERT_EQUAL(open_minutes(&w, 7200, 3600), 180); /* 2 o'clock comes twice */
    w = daily(2, 0, 1800);
    CU_ASSERT_EQUAL(open_minutes(&w, 3600, 7200), 0); /* that night has no such time */
}

static void test_next_opening_is_found(void)
{
    struct window w = daily(2, 30, 3600);
    CU_ASSERT_EQUAL(window_opens_s(&w, june(3, 2, 30), 0), june(3, 2, 30));
    CU_ASSERT_EQUAL(window_opens_s(&w, june(3, 2, 30) + 1, 0), june(4, 2, 30));
    CU_ASSERT_EQUAL(window_opens_s(&w, june(3, 0, 0), 2 * 3600), june(3, 0, 30));
    w.weekdays = 1;
    CU_ASSERT_EQUAL(window_opens_s(&w, june(3, 2, 30), 0), june(7, 2, 30));
    w.weekdays = 0x7f;
    w.days = 1u << 29;
    w.months = 1u << 2;
    uint64_t leap = date_seconds(&(struct date){2028, 2, 29, 2, 30, 0});
    CU_ASSERT_EQUAL(window_opens_s(&w, june(3, 0, 0), 0), leap);
    uint64_t late = date_seconds(&(struct date){2096, 3, 1, 0, 0, 0}); /* 2100 is none */
    CU_ASSERT_EQUAL(window_opens_s(&w, late, 0),
                    date_seconds(&(struct date){2104, 2, 29, 2, 30, 0}));
    w.days = 1u << 30;
    CU_ASSERT_EQUAL(window_opens_s(&w, june(3, 0, 0), 0), 0);
}

static void test_impossible_times_open_nothing(void)
{
    struct window w = daily(2, 0, 3600);
    CU_ASSERT_FALSE(window_is_open(&w, 0, -3600));
    CU_ASSERT_FALSE(window_is_open(&w, UINT64_MAX, 0));
    CU_ASSERT_EQUAL(window_opens_s(&w, 0, -3600), 0);
}

static const struct suite_test tests[] = {
    TEST(test_window_is_open_from_its_minute_for_its_length),
    TEST(test_window_of_every_minute_is_always_open),
    TEST(test_window_goes_on_over_midnight),
    TEST(test_window_goes_on_for_days_and_over_the_end_of_a_month),
    TEST(test_days_of_month_and_week_are_joined_as_cron_does),
    TEST(test_zone_is_the_window_s_or_the_device_s),
    TEST(test_window_lasts_by_the_clock_s_face_when_that_is_put_on_or_back),
    TEST(test_next_opening_is_found),
    TEST(test_impossible_times_open_nothing),
};

SUITE_MAIN("window", tests)
