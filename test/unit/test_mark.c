#include "test/rewrite.h"
#include "test/suite.h"

static uint8_t memory[MARK_MAX];

static struct span written(uint64_t serial, const struct mac_key *key)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL_FATAL(mark_write(serial, key, &out), 0);
    return span_buffer(&out);
}

static void test_mark_comes_back_and_the_longest_fits(void)
{
    static const uint64_t serials[] = {0, 1, 127, 65536, INT64_MAX};
    struct mac_key key = sample_mac_key();
    for (size_t i = 0; i < sizeof serials / sizeof serials[0]; i++) {
        uint64_t serial = 7;
        CU_ASSERT_EQUAL(mark_read(written(serials[i], &key), &key, &serial), 0);
        CU_ASSERT_EQUAL(serial, serials[i]);
    }
}

static void test_mark_of_another_place_is_none(void)
{
    struct mac_key key = sample_mac_key(), here = mac_derive(&key, "mqtt://a", 0),
                   there = mac_derive(&key, "mqtt://b", 0), lane = mac_derive(&key, "mqtt://a", 1);
    uint64_t serial;
    CU_ASSERT_EQUAL(mark_read(written(9, &here), &here, &serial), 0);
    CU_ASSERT_EQUAL(mark_read(written(9, &here), &there, &serial), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(mark_read(written(9, &here), &lane, &serial), ERR_SIGNATURE);
}

static void test_hostile_marks_are_refused(void)
{
    struct mac_key key = sample_mac_key();
    uint8_t copy[MARK_MAX];
    struct span bytes = written(70000, &key);
    memcpy(copy, bytes.data, bytes.len);
    struct span whole = span_of(copy, bytes.len);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_mark, whole));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_mark, whole, true));
}

static const struct suite_test tests[] = {
    TEST(test_mark_comes_back_and_the_longest_fits),
    TEST(test_mark_of_another_place_is_none),
    TEST(test_hostile_marks_are_refused),
};

SUITE_MAIN("mark", tests)
