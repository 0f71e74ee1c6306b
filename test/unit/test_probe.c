#include "sync/probe.h"

#include "test/suite.h"

#define NOW 1000

static struct probe asked_at(uint64_t now_ms)
{
    struct probe p = {0};
    probe_want(&p);
    probe_begin(&p, now_ms);
    return p;
}

static void test_a_quiet_network_asks_nothing(void)
{
    struct probe p = {0};
    for (uint64_t now_ms = 0; now_ms < 1000 * PROBE_APART_MS; now_ms += PROBE_APART_MS / 2) {
        CU_ASSERT_FALSE(probe_due(&p, now_ms));
        CU_ASSERT_FALSE(probe_failed(&p, now_ms));
        probe_hear(&p, now_ms);
    }
    CU_ASSERT_FALSE(probe_waits(&p));
}

static void test_a_change_is_asked_about_at_once(void)
{
    struct probe p = {0};
    probe_want(&p);
    CU_ASSERT_TRUE(probe_due(&p, 0));
}

static void test_silence_is_the_end_and_an_answer_is_none(void)
{
    struct probe silent = asked_at(NOW), answered = silent;
    probe_end(&answered);
    CU_ASSERT_FALSE(probe_failed(&silent, NOW + PROBE_SILENCE_MS - 1));
    CU_ASSERT_TRUE(probe_failed(&silent, NOW + PROBE_SILENCE_MS));
    CU_ASSERT_TRUE(probe_waits(&silent));
    CU_ASSERT_FALSE(probe_failed(&answered, NOW + PROBE_SILENCE_MS));
    CU_ASSERT_FALSE(probe_waits(&answered));
}

/* A chunk at 24 kbit/s stands for half a minute and more before the answer. */
static void test_what_comes_on_a_slow_link_puts_the_end_off(void)
{
    struct probe p = asked_at(NOW);
    uint64_t now_ms = NOW;
    for (int i = 0; i < 10; i++) {
        now_ms += PROBE_SILENCE_MS - 1;
        CU_ASSERT_FALSE(probe_failed(&p, now_ms));
        probe_hear(&p, now_ms);
    }
    CU_ASSERT_TRUE(probe_waits(&p));
    CU_ASSERT_TRUE(probe_failed(&p, now_ms + PROBE_SILENCE_MS));
}

/* So many changes of one network, and then no more: how many questions? */
static int asked(int changes, uint64_t apart_ms, bool answers)
{
    struct probe p = {0};
    int count = 0;
    for (uint64_t now_ms = NOW; now_ms < NOW + (uint64_t)changes * apart_ms + 10 * PROBE_APART_MS;
         now_ms++) {
        if ((now_ms - NOW) % apart_ms == 0 && (now_ms - NOW) / apart_ms < (uint64_t)changes)
            probe_want(&p);
        if (!probe_due(&p, now_ms))
            continue;
        probe_begin(&p, now_ms);
        count++;
        if (answers)
            probe_end(&p);
    }
    return count;
}

static void test_a_burst_leads_to_one_question_and_one_after_it(void)
{
    CU_ASSERT_EQUAL(asked(1, 10, true), 1);
    CU_ASSERT_EQUAL(asked(100, 10, true), 2);
    CU_ASSERT_EQUAL(asked(100, 10, false), 1); /* then the link is lost */
}

static void test_a_network_that_never_rests_is_asked_about_now_and_then(void)
{
    CU_ASSERT_EQUAL(asked(100, PROBE_APART_MS / 10, true), 11);
}

static const struct suite_test tests[] = {
    TEST(test_a_quiet_network_asks_nothing),
    TEST(test_a_change_is_asked_about_at_once),
    TEST(test_silence_is_the_end_and_an_answer_is_none),
    TEST(test_what_comes_on_a_slow_link_puts_the_end_off),
    TEST(test_a_burst_leads_to_one_question_and_one_after_it),
    TEST(test_a_network_that_never_rests_is_asked_about_now_and_then),
};

SUITE_MAIN("probe", tests)
