#include "manager/allowance.h"
#include "test/suite.h"

#define NOW_MS 1000000

static struct allowance allowance;

static void set_up(void)
{
    const uint8_t key[SIPHASH_KEY_LEN] = {1, 2, 3};
    allowance_init(&allowance, key);
}

static struct key_id id_of(uint32_t n)
{
    struct key_id id = {{0}};
    for (int i = 0; i < 4; i++)
        id.bytes[i] = (uint8_t)(n >> 8 * i);
    return id;
}

/* One of the fleet, which joined with the token of this index. */
static struct asker device(uint32_t n, uint32_t index)
{
    return (struct asker){
        .batch = 1, .index = index, .uses = 1, .id = id_of(n), .known = true, .proves = true};
}

/* One that nobody knows, with the same token. */
static struct asker stranger(uint32_t n, uint32_t index)
{
    return (struct asker){.batch = 1, .index = index, .uses = 1, .id = id_of(n)};
}

/* How many of `count` requests at this time are looked at. */
static uint32_t ask(const struct asker *who, bool proven, uint32_t count, uint64_t now_ms)
{
    uint32_t looked_at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (allowance_look(&allowance, who, now_ms) != FLOOD_ADMIT)
            continue;
        allowance_spend(&allowance, who, proven, now_ms);
        looked_at++;
    }
    return looked_at;
}

static void test_device_gets_its_answers_a_minute_and_no_more(void)
{
    set_up();
    struct asker who = device(1, 0);
    CU_ASSERT_EQUAL(ask(&who, true, 1000, NOW_MS), ALLOWANCE_REQUESTS);
    CU_ASSERT_EQUAL(ask(&who, true, 1000, NOW_MS + 30000), ALLOWANCE_REQUESTS / 2);
    CU_ASSERT_EQUAL(ask(&who, true, 1000, NOW_MS + 86400000), ALLOWANCE_REQUESTS);
}

/* [join-11] Keys that somebody makes up, with the copy of a token. */
static void test_copy_of_its_token_keeps_no_device_from_asking(void)
{
    uint32_t looked_at = 0;
    set_up();
    for (uint32_t n = 0; n < 1000; n++) {
        struct asker thief = stranger(100 + n, 0);
        looked_at += ask(&thief, true, 1, NOW_MS);
    }
    CU_ASSERT_EQUAL(looked_at, ALLOWANCE_REQUESTS);
    struct asker who = device(1, 0);
    CU_ASSERT_EQUAL(ask(&who, true, ALLOWANCE_REQUESTS, NOW_MS), ALLOWANCE_REQUESTS);
}

/* Requests in the name of a device, by one who has seen its certificate. */
static void test_wrong_proofs_cost_the_device_nothing(void)
{
    set_up();
    struct asker who = device(1, 0);
    for (uint64_t s = 0; s < 600; s++) {
        CU_ASSERT_EQUAL(ask(&who, false, 9, NOW_MS + s * 1000), 9);
        if (s % 6 == 0)
            CU_ASSERT_EQUAL(ask(&who, true, 1, NOW_MS + s * 1000), 1);
    }
}

static void test_wrong_proofs_of_one_token_are_bounded_and_keep_out_nobody_else(void)
{
    uint32_t looked_at = 0;
    set_up();
    for (uint32_t n = 0; n < 1000; n++) {
        struct asker who = device(n, 0);
        looked_at += ask(&who, false, 1, NOW_MS);
    }
    CU_ASSERT_EQUAL(looked_at, ALLOWANCE_LIES_AT_ONCE);
    struct asker same = device(1, 0), other = device(2000, 1), fresh = stranger(3000, 0);
    CU_ASSERT_EQUAL(allowance_look(&allowance, &same, NOW_MS), FLOOD_DROP);
    CU_ASSERT_EQUAL(ask(&other, true, 1, NOW_MS), 1);
    CU_ASSERT_EQUAL(ask(&fresh, true, 1, NOW_MS), 1);
    /* A minute of them, and the device is heard as soon as they end. */
    looked_at = 0;
    for (uint64_t ms = 1; ms <= 60000; ms++)
        looked_at += ask(&same, false, 5, NOW_MS + ms);
    CU_ASSERT_EQUAL(looked_at, ALLOWANCE_LIES);
    CU_ASSERT_EQUAL(ask(&same, true, 1, NOW_MS + 60000 + 60000 / ALLOWANCE_LIES), 1);
}

/* Where each is looked at, and no device is known yet: after a restore. */
static void test_strangers_who_prove_that_a_key_is_theirs_are_counted_as_strangers(void)
{
    uint32_t looked_at = 0;
    set_up();
    for (uint32_t n = 0; n < 100; n++) {
        struct asker who = stranger(n, 0);
        who.proves = true;
        looked_at += ask(&who, true, 1, NOW_MS);
    }
    CU_ASSERT_EQUAL(looked_at, ALLOWANCE_REQUESTS);
}

/* [join-11] A token for many devices has as many places, whatever keys are made up for it. */
static void test_token_for_many_has_a_place_for_each(void)
{
    uint32_t looked_at = 0;
    set_up();
    for (uint32_t n = 0; n < 1000; n++) {
        struct asker who = stranger(n, 0);
        who.uses = 4;
        looked_at += ask(&who, true, 1, NOW_MS);
    }
    CU_ASSERT_EQUAL(looked_at, 4 * ALLOWANCE_REQUESTS);
}

static void test_flood_with_a_token_is_told_of_once(void)
{
    unsigned begun = 0;
    set_up();
    for (uint32_t i = 0; i < 1000; i++) {
        struct asker who = device(1, 0);
        enum flood_answer answer = allowance_look(&allowance, &who, NOW_MS + i);
        begun += answer == FLOOD_BEGIN;
        if (answer == FLOOD_ADMIT)
            allowance_spend(&allowance, &who, true, NOW_MS + i);
    }
    CU_ASSERT_EQUAL(begun, 1);
}

static void test_device_has_one_allowance_for_all_that_it_asks(void)
{
    set_up();
    struct asker who = device(1, 0);
    CU_ASSERT_EQUAL(ask(&who, true, ALLOWANCE_REQUESTS - 1, NOW_MS), ALLOWANCE_REQUESTS - 1);
    CU_ASSERT_EQUAL(allowance_count(&allowance, &who.id, NOW_MS), FLOOD_ADMIT);
    CU_ASSERT_EQUAL(allowance_count(&allowance, &who.id, NOW_MS), FLOOD_BEGIN);
    CU_ASSERT_EQUAL(ask(&who, true, 1, NOW_MS), 0);
}

static void test_guesses_are_bounded_together(void)
{
    uint32_t answered = 0;
    set_up();
    for (uint64_t ms = 0; ms < 60000; ms++)
        answered += allowance_guess(&allowance, NOW_MS + ms) == FLOOD_ADMIT;
    CU_ASSERT_TRUE(answered >= ALLOWANCE_GUESSES &&
                   answered <= ALLOWANCE_GUESSES + ALLOWANCE_GUESSES_AT_ONCE);
}

static const struct suite_test tests[] = {
    TEST(test_device_gets_its_answers_a_minute_and_no_more),
    TEST(test_copy_of_its_token_keeps_no_device_from_asking),
    TEST(test_wrong_proofs_cost_the_device_nothing),
    TEST(test_wrong_proofs_of_one_token_are_bounded_and_keep_out_nobody_else),
    TEST(test_strangers_who_prove_that_a_key_is_theirs_are_counted_as_strangers),
    TEST(test_token_for_many_has_a_place_for_each),
    TEST(test_flood_with_a_token_is_told_of_once),
    TEST(test_device_has_one_allowance_for_all_that_it_asks),
    TEST(test_guesses_are_bounded_together),
};

SUITE_MAIN("allowance", tests)
