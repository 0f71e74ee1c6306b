#include "manager/core/schedule.h"

#include "test/suite.h"

#include <string.h>

#define ALL_DAYS (UINT32_MAX - 1)
#define ALL_MONTHS ((1u << 13) - 2)

static struct errmsg em;

static struct window parse(const char *text)
{
    struct window w = {0};
    CU_ASSERT_EQUAL(schedule_parse_cron(text, &w, &em), 0);
    return w;
}

static void refused(const char *text, const char *sentence)
{
    struct window w;
    CU_ASSERT_EQUAL(schedule_parse_cron(text, &w, &em), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, sentence);
}

static void test_stars_are_everything(void)
{
    struct window w = parse("* * * * *");
    CU_ASSERT_EQUAL(w.minutes, (UINT64_C(1) << 60) - 1);
    CU_ASSERT_EQUAL(w.hours, (1u << 24) - 1);
    CU_ASSERT_EQUAL(w.days, ALL_DAYS);
    CU_ASSERT_EQUAL(w.months, ALL_MONTHS);
    CU_ASSERT_EQUAL(w.weekdays, 0x7f);
    CU_ASSERT_FALSE(w.either);
}

static void test_lists_ranges_and_steps_are_sets(void)
{
    struct window w = parse("0,30 2-4 1-10/3 */6 1-5");
    CU_ASSERT_EQUAL(w.minutes, UINT64_C(1) | UINT64_C(1) << 30);
    CU_ASSERT_EQUAL(w.hours, 7u << 2);
    CU_ASSERT_EQUAL(w.days, 1u << 1 | 1u << 4 | 1u << 7 | 1u << 10);
    CU_ASSERT_EQUAL(w.months, 1u << 1 | 1u << 7);
    CU_ASSERT_EQUAL(w.weekdays, 0x3e);
    CU_ASSERT_EQUAL(parse("50/5 * * * *").minutes, UINT64_C(1) << 50 | UINT64_C(1) << 55);
    CU_ASSERT_EQUAL(parse("59 23 31 12 6").days, 1u << 31);
}

static void test_names_are_taken_in_either_case_and_7_is_sunday(void)
{
    struct window w = parse("0 0 * jan,DEC Mon-fri,sun");
    CU_ASSERT_EQUAL(w.months, 1u << 1 | 1u << 12);
    CU_ASSERT_EQUAL(w.weekdays, 0x3f);
    CU_ASSERT_EQUAL(parse("0 0 * * 7").weekdays, 1);
    CU_ASSERT_EQUAL(parse("0 0 * * 5-7").weekdays, 0x61);
}

/* A field that begins with a star restricts nothing in that respect, as in cron(8). */
static void test_either_day_will_do_where_both_are_restricted(void)
{
    CU_ASSERT_TRUE(parse("0 0 13 * 5").either);
    CU_ASSERT_FALSE(parse("0 0 13 * *").either);
    CU_ASSERT_FALSE(parse("0 0 * * 5").either);
    CU_ASSERT_FALSE(parse("0 0 */2 * 5").either);
}

static void test_what_is_no_cron_expression_is_refused_by_its_field(void)
{
    refused("",
            "\"\" has 0 fields, and five are needed: minute, hour, day of the month, month, day "
            "of the week");
    refused("0 2 * *", "\"0 2 * *\" has 4 fields, and five are needed: minute, hour, day of the "
                       "month, month, day of the week");
    refused("0 2 * * * *", "\"0 2 * * * *\" has more than five fields");
    refused("60 2 * * *", "minute \"60\": is out of range");
    refused("0 24 * * *", "hour \"24\": is out of range");
    refused("0 2 0 * *", "day of the month \"0\": is out of range");
    refused("0 2 * 13 *", "month \"13\": is out of range");
    refused("0 2 * * 8", "day of the week \"8\": is out of range");
    refused("0 4-2 * * *", "hour \"4-2\": the range goes backwards");
    refused("0 2 * * mun",
            "day of the week \"mun\": is no number, no name like mon or jan, and no *");
    refused("0 two * * *", "hour \"two\": is no number and no *");
    refused("0 mon * * *", "hour \"mon\": is no number and no *");
    refused("*/0 2 * * *", "minute \"*/0\": a step is a number from 1 on");
    refused("0 2- * * *", "hour \"2-\": is no number and no *");
    refused("0 2, * * *", "hour \"2,\": is no number and no *");
    refused("0 2;3 * * *", "hour \"2;3\": numbers are joined by , and -, and a step by /");
    refused("0 99999999999999999999 * * *", "hour \"99999999999999999999\": is out of range");
}

static void test_zones_are_the_device_s_utc_or_an_offset(void)
{
    static const struct {
        const char *text;
        bool zoned;
        int32_t east_s;
    } good[] = {{"device", false, 0},     {"UTC", true, 0},        {"+02:00", true, 7200},
                {"-03:30", true, -12600}, {"+14:00", true, 50400}, {"-12:00", true, -43200}};
    static const char *const bad[] = {"",       "utc",    "02:00",  "+2:00",        "+02:60",
                                      "+14:01", "-12:01", "+0a:00", "Europe/Paris", "+02:00 "};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct schedule s = {.east_s = 1};
        char text[ZONE_TEXT_MAX];
        CU_ASSERT_TRUE(schedule_parse_zone(good[i].text, &s));
        CU_ASSERT_TRUE(s.zoned == good[i].zoned && s.east_s == good[i].east_s);
        schedule_zone_text(&s, text);
        CU_ASSERT_STRING_EQUAL(text, good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(schedule_parse_zone(bad[i], &(struct schedule){0}));
}

static void test_schedule_is_compiled_or_refused(void)
{
    struct window w;
    struct schedule s = {.length_s = 5};
    CU_ASSERT_EQUAL(schedule_compile(&s, &w, &em), 0);
    CU_ASSERT_EQUAL(w.length_s, 0); /* none */
    strcpy(s.cron, "0 2 * * 1-5");
    CU_ASSERT_EQUAL(schedule_compile(&s, &w, &em), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, "for: 5s is not between 1m and 7d");
    s.length_s = WINDOW_LENGTH_S_MAX + 1;
    CU_ASSERT_EQUAL(schedule_compile(&s, &w, &em), ERR_USAGE);
    s.length_s = 7200;
    s.zoned = true;
    s.east_s = 3600;
    CU_ASSERT_EQUAL(schedule_compile(&s, &w, &em), 0);
    CU_ASSERT_TRUE(w.zoned && w.east_s == 3600 && w.length_s == 7200 && w.hours == 4);
    strcpy(s.cron, "0 2 30 2 *");
    CU_ASSERT_EQUAL(schedule_compile(&s, &w, &em), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, "cron: \"0 2 30 2 *\" never comes: no month has such a day");
    strcpy(s.cron, "0 2 29 2 *");
    CU_ASSERT_EQUAL(schedule_compile(&s, &w, &em), 0);
}

static const struct suite_test tests[] = {
    TEST(test_stars_are_everything),
    TEST(test_lists_ranges_and_steps_are_sets),
    TEST(test_names_are_taken_in_either_case_and_7_is_sunday),
    TEST(test_either_day_will_do_where_both_are_restricted),
    TEST(test_what_is_no_cron_expression_is_refused_by_its_field),
    TEST(test_zones_are_the_device_s_utc_or_an_offset),
    TEST(test_schedule_is_compiled_or_refused),
};

SUITE_MAIN("schedule", tests)
