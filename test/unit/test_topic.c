#include "sync/topic.h"

#include "sync/limits.h"
#include "test/samples.h"
#include "test/suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define AGENT "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
#define COHORT "c0c1c2c3c4c5c6c7"
#define JOIN "d0d1d2d3d4d5d6d7"
#define DIGEST "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const struct {
    enum topic_kind kind;
    const char *text;
} ours[] = {
    {TOPIC_JOIN, "dl1/join/" JOIN},
    {TOPIC_JOINED, "dl1/joined/" JOIN},
    {TOPIC_UP, "dl1/up/" AGENT},
    {TOPIC_COHORT_HEAD, "dl1/cohort/" COHORT "/0"},
    {TOPIC_COHORT_HEAD, "dl1/cohort/" COHORT "/4095"},
    {TOPIC_COHORT_DOC, "dl1/cohort/" COHORT "/doc"},
    {TOPIC_AGENT_HEAD, "dl1/agent/" AGENT "/head"},
    {TOPIC_AGENT_DOC, "dl1/agent/" AGENT "/doc"},
    {TOPIC_CHUNK, "dl1/chunk/" DIGEST},
    {TOPIC_TRUST, "dl1/trust/1"},
    {TOPIC_TRUST, "dl1/trust/4294967295"},
    {TOPIC_ATLAS, "dl1/atlas"},
    {TOPIC_MARK, "dl1/cell/control"},
    {TOPIC_MARK, "dl1/cell/bulk"},
};

static void test_every_topic_comes_back_from_its_text(void)
{
    for (size_t i = 0; i < COUNT(ours); i++) {
        struct topic_name name = topic_read(ours[i].text);
        CU_ASSERT_EQUAL(name.kind, ours[i].kind);
        CU_ASSERT_STRING_EQUAL(topic_make(&name).text, ours[i].text);
    }
}

static void test_fields_are_read_from_the_text(void)
{
    struct key_id agent = sample_agent();
    struct cohort_key cohort = sample_cohort();
    struct topic_name name = topic_read("dl1/up/" AGENT);
    CU_ASSERT_TRUE(key_id_equal(&name.agent, &agent));
    name = topic_read("dl1/cohort/" COHORT "/17");
    CU_ASSERT_EQUAL(memcmp(&name.cohort, &cohort, sizeof cohort), 0);
    CU_ASSERT_EQUAL(name.lane, 17);
    CU_ASSERT_TRUE(topic_read("dl1/cell/bulk").bulk);
    CU_ASSERT_FALSE(topic_read("dl1/cell/control").bulk);
    CU_ASSERT_EQUAL(topic_read("dl1/trust/70000").version, 70000);
    struct digest digest = sample_digest(0);
    name = topic_read("dl1/chunk/" DIGEST);
    CU_ASSERT_TRUE(digest_equal(&name.chunk, &digest));
}

static void test_what_is_not_ours_is_other(void)
{
    static const char *const others[] = {
        "",
        "/",
        "dl1",
        "dl1/",
        "dl2/trust/1",
        "dl1/trust",
        "dl1/trust/",
        "dl1/trust/0",
        "dl1/trust/01",
        "dl1/trust/4294967296",
        "dl1/trust/99999999999999999999",
        "DL1/trust/1",
        "dl1/join/",
        "dl1/join/D0d1d2d3d4d5d6d7",
        "dl1/join/d0d1d2d3d4d5d6",
        "dl1/join/d0d1d2d3d4d5d6d7d8",
        "dl1/join/" JOIN "/",
        "dl1/up/",
        "dl1/up/a0/" AGENT,
        "dl1/up/A0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        "dl1/up/" AGENT "/x",
        "dl1/cohort/" COHORT,
        "dl1/cohort/" COHORT "/",
        "dl1/cohort/" COHORT "/00",
        "dl1/cohort/" COHORT "/01",
        "dl1/cohort/" COHORT "/4096",
        "dl1/cohort/" COHORT "/99999999999999999999",
        "dl1/cohort/" COHORT "/-1",
        "dl1/cohort/" COHORT "/1x",
        "dl1/cohort/" COHORT "/docs",
        "dl1/agent/" AGENT,
        "dl1/agent/" AGENT "/heads",
        "dl1/agent/" COHORT "/head",
        "dl1/chunk/" AGENT,
        "dl1/cell/",
        "dl1/cell/both",
        "$SYS/broker/uptime",
    };
    for (size_t i = 0; i < COUNT(others); i++)
        if (topic_read(others[i]).kind != TOPIC_OTHER)
            CU_FAIL("something foreign was taken for a topic of ours");
}

/* A digit that becomes another lower-case digit names another thing; all else is refused. */
static void test_flipped_bits_make_another_topic_or_none(void)
{
    for (size_t i = 0; i < COUNT(ours); i++)
        for (size_t bit = 0; bit < 8 * strlen(ours[i].text); bit++) {
            char text[TOPIC_MAX];
            strcpy(text, ours[i].text);
            text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
            struct topic_name name = topic_read(text);
            if (name.kind != TOPIC_OTHER && strcmp(topic_make(&name).text, text) != 0)
                CU_FAIL("two texts name the same topic");
        }
}

static void test_prefixes_are_refused(void)
{
    for (size_t i = 0; i < COUNT(ours); i++)
        for (size_t len = 0; len < strlen(ours[i].text); len++) {
            char text[TOPIC_MAX] = "";
            memcpy(text, ours[i].text, len);
            struct topic_name name = topic_read(text);
            bool shorter_number = (name.kind == TOPIC_COHORT_HEAD && name.lane < 4095) ||
                                  (name.kind == TOPIC_TRUST && name.version < UINT32_MAX);
            if (name.kind != TOPIC_OTHER && !shorter_number)
                CU_FAIL("a prefix was taken for a topic");
        }
}

static void test_lanes_split_agents_by_the_low_bits(void)
{
    struct key_id agent = sample_agent(); /* ends in ae af */
    CU_ASSERT_EQUAL(topic_lane(&agent, 0), 0);
    CU_ASSERT_EQUAL(topic_lane(&agent, 4), 0xf);
    CU_ASSERT_EQUAL(topic_lane(&agent, 12), 0xeaf);
    unsigned per_lane[8] = {0};
    for (uint32_t i = 0; i < 8000; i++) {
        struct digest d = digest_of(span_of(&i, sizeof i));
        memcpy(agent.bytes, d.bytes, KEY_ID_LEN);
        per_lane[topic_lane(&agent, 3)]++;
    }
    for (int lane = 0; lane < 8; lane++)
        CU_ASSERT_TRUE(per_lane[lane] > 850 && per_lane[lane] < 1150);
}

static void test_names_have_a_fixed_alphabet_and_length(void)
{
    static const char *const good[] = {
        "a",         "A9",  "_x",
        "app-1.2_3", "0.1", "123456789012345678901234567890123456789012345678901234567890123"};
    static const char *const bad[] = {
        "",    ".",       ".a",
        "-a",  "a b",     "a/b",
        "a\n", "a@1",     "\xc3\xa4",
        "a+b", "../../x", "1234567890123456789012345678901234567890123456789012345678901234"};
    for (size_t i = 0; i < COUNT(good); i++)
        CU_ASSERT_TRUE(name_valid(span_text(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT_FALSE(name_valid(span_text(bad[i])));
    CU_ASSERT_FALSE(name_valid(span_of("a\0b", 3)));
}

static const struct suite_test tests[] = {
    TEST(test_every_topic_comes_back_from_its_text),
    TEST(test_fields_are_read_from_the_text),
    TEST(test_what_is_not_ours_is_other),
    TEST(test_flipped_bits_make_another_topic_or_none),
    TEST(test_prefixes_are_refused),
    TEST(test_lanes_split_agents_by_the_low_bits),
    TEST(test_names_have_a_fixed_alphabet_and_length),
};

SUITE_MAIN("topic", tests)
