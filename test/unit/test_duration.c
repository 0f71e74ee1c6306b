#include "base/duration.h"

#include "base/err.h"
#include "test/suite.h"

static void test_durations_need_a_unit(void)
{
    static const struct {
        const char *text;
        int rv;
        uint64_t seconds;
    } cases[] = {
        {"0s", 0, 0},
        {"90s", 0, 90},
        {"5m", 0, 300},
        {"24h", 0, 86400},
        {"7d", 0, 604800},
        {"1h30m", 0, 5400},
        {"", ERR_FORMAT, 0},
        {"5", ERR_FORMAT, 0},
        {"h", ERR_FORMAT, 0},
        {"5w", ERR_FORMAT, 0},
        {"-5s", ERR_FORMAT, 0},
        {"5s ", ERR_FORMAT, 0},
        {"1h30", ERR_FORMAT, 0},
        {"99999999999999999999s", ERR_RANGE, 0},
        {"36501d", ERR_RANGE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s;
        CU_ASSERT_EQUAL(duration_read(cases[i].text, &s), cases[i].rv);
        if (cases[i].rv == 0)
            CU_ASSERT_EQUAL(s, cases[i].seconds);
    }
}

static void test_what_is_written_is_the_shortest_text_and_reads_back(void)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {
        {0, "0s"},     {59, "59s"},         {60, "1m"},     {5400, "1h30m"},
        {86400, "1d"}, {90061, "1d1h1m1s"}, {604800, "7d"}, {DURATION_MAX_S, "36500d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s;
        struct duration_text t = duration_write(cases[i].seconds);
        CU_ASSERT_STRING_EQUAL(t.text, cases[i].text);
        CU_ASSERT_EQUAL(duration_read(t.text, &s), 0);
        CU_ASSERT_EQUAL(s, cases[i].seconds);
    }
}

static const struct suite_test tests[] = {
    TEST(test_durations_need_a_unit),
    TEST(test_what_is_written_is_the_shortest_text_and_reads_back),
};

SUITE_MAIN("duration", tests)
