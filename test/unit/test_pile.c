#include "manager/pile.h"

#include "test/samples.h"
#include "test/suite.h"

static struct pile pile;
static char bodies[PILE_MAX][16];

static void fill(uint32_t count)
{
    struct secret_key secret = sample_secret(SAMPLE_ONLINE);
    struct public_key public = sample_public(SAMPLE_ONLINE);
    pile_clear(&pile);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(bodies[i], sizeof bodies[i], "body %u", i);
        CU_ASSERT_EQUAL(pile_add(&pile, span_text(bodies[i])), i);
    }
    CU_ASSERT_EQUAL(pile_count(&pile), count);
    CU_ASSERT_EQUAL(pile_sign(&pile, MESSAGE_ASSIGNMENT, &secret, &public), 0);
}

static void test_each_body_comes_out_under_the_one_signature(void)
{
    static const uint32_t counts[] = {1, 3, PILE_MAX};
    struct public_key public = sample_public(SAMPLE_ONLINE);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        fill(counts[c]);
        for (uint32_t i = 0; i < counts[c]; i += 1 + i / 2) {
            uint8_t room[512];
            struct buffer out = buffer_on(room, sizeof room);
            struct envelope e;
            struct span body;
            CU_ASSERT_EQUAL(pile_write(&pile, MESSAGE_ASSIGNMENT, i, span_text(bodies[i]), &out),
                            0);
            CU_ASSERT_EQUAL(
                envelope_open(MESSAGE_ASSIGNMENT, span_buffer(&out), &public, 1, 1, &body), 0);
            CU_ASSERT_TRUE(span_equal(body, span_text(bodies[i])));
            CU_ASSERT_EQUAL(envelope_read(MESSAGE_ASSIGNMENT, span_buffer(&out), &e), 0);
            CU_ASSERT_EQUAL(memcmp(&e.list[0], &pile.by, sizeof pile.by), 0);
        }
    }
}

static void test_a_place_is_for_its_own_body(void)
{
    uint8_t room[512];
    struct buffer out = buffer_on(room, sizeof room);
    struct public_key public = sample_public(SAMPLE_ONLINE);
    struct span body;
    fill(2);
    CU_ASSERT_EQUAL(pile_write(&pile, MESSAGE_ASSIGNMENT, 0, span_text(bodies[1]), &out), 0);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_ASSIGNMENT, span_buffer(&out), &public, 1, 1, &body),
                    ERR_SIGNATURE);
}

static const struct suite_test tests[] = {
    TEST(test_each_body_comes_out_under_the_one_signature),
    TEST(test_a_place_is_for_its_own_body),
};

SUITE_MAIN("pile", tests)
