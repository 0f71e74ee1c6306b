#include "agent/facts.h"
#include "test/suite.h"

#include <stdio.h>

static const char *value_of(const struct facts *f, const char *key)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (strcmp(f->list[i].key, key) == 0)
            return f->list[i].value;
    return NULL;
}

static bool travels(const struct facts *f)
{
    static struct facts back;
    uint8_t room[4096];
    struct buffer out = buffer_on(room, sizeof room);
    return facts_write(f, &out) == 0 && facts_read(span_buffer(&out), &back) == 0 &&
           facts_digest(f) == facts_digest(&back);
}

static void test_machine_is_described_and_the_facts_travel(void)
{
    struct facts f = {0};
    facts_gather(&f);
    CU_ASSERT_PTR_NOT_NULL(value_of(&f, "arch"));
    CU_ASSERT_PTR_NOT_NULL(value_of(&f, "kernel"));
    CU_ASSERT_PTR_NOT_NULL(value_of(&f, "memory_mib"));
    CU_ASSERT_STRING_EQUAL(value_of(&f, "agent"), DUNLIN_VERSION);
    CU_ASSERT_TRUE(travels(&f));
}

static void test_operator_adds_and_overrides(void)
{
    struct facts f = {0};
    facts_gather(&f);
    uint32_t count = f.count;
    CU_ASSERT_EQUAL(facts_add(&f, "arch=abacus", NULL), 0);
    CU_ASSERT_EQUAL(f.count, count);
    CU_ASSERT_STRING_EQUAL(value_of(&f, "arch"), "abacus");
    CU_ASSERT_EQUAL(facts_add(&f, "site=roof=left", NULL), 0);
    CU_ASSERT_STRING_EQUAL(value_of(&f, "site"), "roof=left");
    CU_ASSERT_EQUAL(facts_add(&f, "empty=", NULL), 0);
    CU_ASSERT_STRING_EQUAL(value_of(&f, "empty"), "");
    CU_ASSERT_TRUE(travels(&f));
}

static void test_keys_rise_whatever_the_order(void)
{
    struct facts f = {0};
    static const char *const pairs[] = {"m=1", "a=2", "z=3", "b=4", "a=5"};
    for (size_t i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(facts_add(&f, pairs[i], NULL), 0);
    CU_ASSERT_EQUAL(f.count, 4);
    for (uint32_t i = 1; i < f.count; i++)
        CU_ASSERT_TRUE(strcmp(f.list[i - 1].key, f.list[i].key) < 0);
    CU_ASSERT_STRING_EQUAL(value_of(&f, "a"), "5");
}

static void test_bad_facts_are_refused_with_a_reason(void)
{
    struct facts f = {0};
    struct errmsg em = {0};
    char pair[300];
    CU_ASSERT_EQUAL(facts_add(&f, "no value", &em), ERR_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "KEY=VALUE"));
    CU_ASSERT_EQUAL(facts_add(&f, "=x", &em), ERR_FORMAT);
    CU_ASSERT_EQUAL(facts_add(&f, "a b=x", &em), ERR_FORMAT);
    snprintf(pair, sizeof pair, "k=%0*d", FACT_VALUE_MAX, 1);
    CU_ASSERT_EQUAL(facts_add(&f, pair, &em), 0);
    snprintf(pair, sizeof pair, "k=%0*d", FACT_VALUE_MAX + 1, 1);
    CU_ASSERT_EQUAL(facts_add(&f, pair, &em), ERR_RANGE);
    snprintf(pair, sizeof pair, "%0*d=v", FACT_KEY_MAX + 1, 1);
    CU_ASSERT_EQUAL(facts_add(&f, pair, &em), ERR_USAGE);
}

static void test_more_facts_than_fit_are_refused(void)
{
    struct facts f = {0};
    char pair[32];
    for (int i = 0; i < FACTS_MAX; i++) {
        snprintf(pair, sizeof pair, "key-%02d=v", i);
        CU_ASSERT_EQUAL(facts_add(&f, pair, NULL), 0);
    }
    CU_ASSERT_EQUAL(facts_add(&f, "one-more=v", NULL), ERR_RANGE);
    CU_ASSERT_EQUAL(facts_add(&f, "key-03=again", NULL), 0);
    CU_ASSERT_TRUE(travels(&f));
}

static void test_control_characters_do_not_travel(void)
{
    struct facts f = {0};
    CU_ASSERT_EQUAL(facts_set(&f, "k", "a\nb\033c", NULL), 0);
    CU_ASSERT_STRING_EQUAL(value_of(&f, "k"), "a?b?c");
    CU_ASSERT_TRUE(travels(&f));
}

/* Whatever machine runs the tests. */
static void test_serial_number_of_the_machine_is_one_or_none(void)
{
    char serial[TOKEN_SERIAL_MAX + 1];
    memset(serial, 'x', sizeof serial);
    facts_serial(serial);
    CU_ASSERT_TRUE(serial[0] == '\0' || token_serial_valid(span_text(serial)));
}

static const struct suite_test tests[] = {
    TEST(test_machine_is_described_and_the_facts_travel),
    TEST(test_operator_adds_and_overrides),
    TEST(test_keys_rise_whatever_the_order),
    TEST(test_bad_facts_are_refused_with_a_reason),
    TEST(test_more_facts_than_fit_are_refused),
    TEST(test_control_characters_do_not_travel),
    TEST(test_serial_number_of_the_machine_is_one_or_none),
};

SUITE_MAIN("agent facts", tests)
