#include "manager/intake.h"
#include "test/suite.h"

static struct intake intake;

static const struct key_id good = {{1}}, flooder = {{2}};

static void set_up(void)
{
    const uint8_t key[SIPHASH_KEY_LEN] = {1, 2, 3};
    intake_init(&intake, key);
}

struct heard {
    uint32_t admitted, begun, cut_off;
};

/* `count` messages at this time. */
static struct heard say(const struct key_id *who, uint32_t broker, bool fresh, uint32_t count,
                        uint64_t now_ms)
{
    struct heard h = {0};
    for (uint32_t i = 0; i < count; i++) {
        enum intake_answer answer = intake_count(&intake, who, broker, fresh, now_ms);
        h.admitted += answer == INTAKE_ADMIT;
        h.begun += answer == INTAKE_BEGIN;
        h.cut_off += answer == INTAKE_CUT_OFF;
    }
    return h;
}

/* How many ms it takes until somebody who says `per_s` is cut off; 0: an hour isn't enough. */
static uint64_t cut_off_after_ms(uint32_t per_s)
{
    const uint64_t began_ms = 1000;
    for (uint64_t ms = 0; ms < 3600000; ms += 1000)
        if (say(&flooder, 0, true, per_s, began_ms + ms).cut_off > 0)
            return ms + 1000;
    return 0;
}

static void test_flooder_is_cut_off_within_seconds(void)
{
    set_up();
    CU_ASSERT_EQUAL(cut_off_after_ms(50000), 1000);
    set_up();
    CU_ASSERT_EQUAL(cut_off_after_ms(10000), 4000);
    set_up();
    CU_ASSERT_EQUAL(cut_off_after_ms(1000), 38000);
}

static void test_who_says_little_more_than_it_may_is_only_dropped(void)
{
    set_up();
    CU_ASSERT_EQUAL(cut_off_after_ms(2 * INTAKE_PER_MINUTE / 60), 0);
}

static void test_it_is_told_of_once_and_begins_anew(void)
{
    set_up();
    struct heard h = say(&flooder, 0, true, INTAKE_BURST + INTAKE_EXCESS + 1, 1000);
    CU_ASSERT_TRUE(h.admitted == INTAKE_BURST && h.begun == 1 && h.cut_off == 1);
    h = say(&flooder, 0, true, INTAKE_EXCESS, 1000); /* the rest of it */
    CU_ASSERT_TRUE(h.admitted == 0 && h.begun == 0 && h.cut_off == 0);
    h = say(&flooder, 0, true, 1, 1000);
    CU_ASSERT_TRUE(h.admitted == 0 && h.begun == 0 && h.cut_off == 1);
}

/* What an honest agent may come to: a link that breaks five times a second, each time with a hello,
 * a will, and all that it has under way said twice. */
static void test_storm_of_new_links_cuts_nobody_off(void)
{
    set_up();
    for (uint64_t ms = 1; ms < 3600000; ms += 200)
        CU_ASSERT_EQUAL_FATAL(say(&good, 0, true, 2 * (2 + 3), ms).admitted, 10);
}

/* Months of it, at once, as a broker kept it for a manager that was away; and once more whenever
 * that broker died before it had noted what it delivered. */
static void test_what_waited_cuts_nobody_off_nor_what_follows(void)
{
    set_up();
    for (uint64_t times = 1; times <= 3; times++) {
        struct heard h = say(&good, 0, false, 3 * INTAKE_EXCESS, times * 1000);
        CU_ASSERT_TRUE(h.admitted >= 64 && h.cut_off == 0);
        CU_ASSERT_EQUAL(say(&good, 0, true, 100, times * 1000 + 1).cut_off, 0);
    }
    CU_ASSERT_EQUAL(say(&good, 0, true, INTAKE_BURST, 30000).admitted, INTAKE_BURST);
}

/* It says what it likes in anybody's name. */
static void test_others_broker_drowns_only_what_comes_through_it(void)
{
    set_up();
    for (uint64_t s = 1; s < 10; s++) {
        CU_ASSERT_EQUAL(say(&good, 3, false, 50000, s * 1000).cut_off, 0);
        CU_ASSERT_EQUAL(say(&good, 0, true, 1, s * 1000).admitted, 1);
        CU_ASSERT_EQUAL(say(&good, 4, false, 1, s * 1000).admitted, 1);
    }
}

static const struct suite_test tests[] = {
    TEST(test_flooder_is_cut_off_within_seconds),
    TEST(test_who_says_little_more_than_it_may_is_only_dropped),
    TEST(test_it_is_told_of_once_and_begins_anew),
    TEST(test_storm_of_new_links_cuts_nobody_off),
    TEST(test_what_waited_cuts_nobody_off_nor_what_follows),
    TEST(test_others_broker_drowns_only_what_comes_through_it),
};

SUITE_MAIN("intake", tests)
