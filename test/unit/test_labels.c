#include "base/labels.h"

#include "test/suite.h"

#include <stdio.h>

static bool key_valid(const char *text)
{
    return label_key_valid(span_text(text));
}

static bool value_valid(const char *text)
{
    return label_value_valid(span_text(text));
}

static int parse(struct labels *l, const char *text)
{
    return labels_parse(l, span_text(text), NULL);
}

static int set(struct labels *l, const char *key, const char *value)
{
    return labels_set(l, span_text(key), span_text(value), NULL);
}

/* `len` times the character, after `before`; good until the next call. */
static const char *repeat(const char *before, char c, size_t len)
{
    static char text[1024];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", before);
    memset(text + used, c, len);
    text[used + len] = '\0';
    return text;
}

static void test_keys_follow_the_syntax_of_kubernetes(void)
{
    static const char *const good[] = {
        "a", "A", "9", "a-b_c.d", "a--b", "example.com/role", "x/y", "a-b.c-d/Z", "1.2/3",
    };
    static const char *const bad[] = {
        "",    "-a",       "a-",   "_",      ".a",   "a.",   "a b",     "a=b",    "a,b",
        "a\n", "\xc3\xa9", "\x7f", "a*",     "/",    "/a",   "a/",      "a/-",    "a/b/c",
        "A/b", "-x/b",     "x-/b", "a..b/c", ".a/c", "a./c", "x_y.z/c", "a.b-/c",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CU_ASSERT_TRUE(key_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(key_valid(bad[i]));
    CU_ASSERT_FALSE(label_key_valid(span_of("a\0b", 3)));
    CU_ASSERT_FALSE(label_key_valid(SPAN_NONE));
}

static void test_values_are_names_or_empty(void)
{
    CU_ASSERT_TRUE(value_valid(""));
    CU_ASSERT_TRUE(label_value_valid(SPAN_NONE));
    CU_ASSERT_TRUE(value_valid("v1.2-rc_3"));
    CU_ASSERT_FALSE(value_valid("-"));
    CU_ASSERT_FALSE(value_valid("a/b"));
    CU_ASSERT_FALSE(value_valid("a b"));
    CU_ASSERT_FALSE(value_valid("a,b"));
    CU_ASSERT_FALSE(value_valid("a="));
}

static void test_lengths_end_where_kubernetes_ends_them(void)
{
    CU_ASSERT_TRUE(key_valid(repeat("", 'a', 63)));
    CU_ASSERT_FALSE(key_valid(repeat("", 'a', 64)));
    CU_ASSERT_TRUE(value_valid(repeat("", 'a', LABEL_VALUE_MAX)));
    CU_ASSERT_FALSE(value_valid(repeat("", 'a', LABEL_VALUE_MAX + 1)));
    char key[512];
    snprintf(key, sizeof key, "%s/", repeat("", 'p', 253));
    CU_ASSERT_TRUE(key_valid(repeat(key, 'n', 63)));
    CU_ASSERT_EQUAL(strlen(repeat(key, 'n', 63)), LABEL_KEY_MAX);
    CU_ASSERT_FALSE(key_valid(repeat(key, 'n', 64)));
    snprintf(key, sizeof key, "%s/", repeat("", 'p', 254));
    CU_ASSERT_FALSE(key_valid(repeat(key, 'n', 1)));
}

static void test_any_order_becomes_the_one_order(void)
{
    static const char *const orders[] = {
        "a=1,b=2,c=3", "a=1,c=3,b=2", "b=2,a=1,c=3", "b=2,c=3,a=1", "c=3,a=1,b=2", "c=3,b=2,a=1",
    };
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct labels l;
        CU_ASSERT_EQUAL(parse(&l, orders[i]), 0);
        CU_ASSERT_STRING_EQUAL(l.text, "a=1,b=2,c=3");
    }
}

static void test_keys_are_sorted_bytewise_and_not_as_text_of_pairs(void)
{
    /* As text, "a-b=" comes before "a=", since - is a smaller character than =. */
    struct labels l;
    CU_ASSERT_EQUAL(parse(&l, "b=,a.b=2,Z=0,a=9,a-b=1"), 0);
    CU_ASSERT_STRING_EQUAL(l.text, "Z=0,a=9,a-b=1,a.b=2,b=");
}

static void test_nothing_is_the_empty_set(void)
{
    struct labels l = {.text = "left over"};
    CU_ASSERT_EQUAL(parse(&l, ""), 0);
    CU_ASSERT_EQUAL(memcmp(&l, &(struct labels){0}, sizeof l), 0);
    CU_ASSERT_EQUAL(labels_parse(&l, SPAN_NONE, NULL), 0);
    CU_ASSERT_EQUAL(labels_count(&l), 0);
}

static void test_broken_texts_are_refused(void)
{
    static const char *const bad[] = {
        ",",    "a",        "=",    "=1",    "a=1,",  ",a=1",  "a=1,,b=2", "a=1 ",
        " a=1", "a=1, b=2", "a==1", "a=1=2", "a=1,b", "a=1\n", "a=-",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct labels l;
        CU_ASSERT_EQUAL(parse(&l, bad[i]), ERR_FORMAT);
    }
}

static void test_a_key_twice_is_refused_by_name(void)
{
    struct labels l;
    struct errmsg em;
    CU_ASSERT_EQUAL(labels_parse(&l, span_text("env=a,x=1,env=a"), &em), ERR_FORMAT);
    CU_ASSERT_STRING_EQUAL(em.text, "label env is there twice: keep one of them");
}

static void test_errors_name_the_label(void)
{
    struct labels l;
    struct errmsg em;
    labels_parse(&l, span_text("a=1,env"), &em);
    CU_ASSERT_STRING_EQUAL(em.text, "label \"env\" has no =: write key=value");
    labels_parse(&l, span_text("e nv=1"), &em);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "label key \"e nv\" is not valid"));
    labels_parse(&l, span_text("env=a/b"), &em);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "label env: value \"a/b\" is not valid"));
}

static void test_setting_adds_replaces_and_keeps_the_order(void)
{
    struct labels l = {0};
    CU_ASSERT_EQUAL(set(&l, "m", "1"), 0);
    CU_ASSERT_EQUAL(set(&l, "z", "2"), 0);
    CU_ASSERT_EQUAL(set(&l, "a", "3"), 0);
    CU_ASSERT_STRING_EQUAL(l.text, "a=3,m=1,z=2");
    CU_ASSERT_EQUAL(set(&l, "m", "longer-than-before"), 0);
    CU_ASSERT_EQUAL(set(&l, "z", ""), 0);
    CU_ASSERT_STRING_EQUAL(l.text, "a=3,m=longer-than-before,z=");
    CU_ASSERT_EQUAL(labels_count(&l), 3);
}

static void test_a_refused_label_leaves_the_set_as_it_was(void)
{
    struct labels l;
    parse(&l, "a=1,b=2");
    CU_ASSERT_EQUAL(set(&l, "-", "1"), ERR_FORMAT);
    CU_ASSERT_EQUAL(set(&l, "c", "-"), ERR_FORMAT);
    CU_ASSERT_STRING_EQUAL(l.text, "a=1,b=2");
}

static void test_unsetting_removes_that_key_alone(void)
{
    struct labels l;
    parse(&l, "a=1,ab=2,b=3");
    labels_unset(&l, span_text("nothing"));
    CU_ASSERT_STRING_EQUAL(l.text, "a=1,ab=2,b=3");
    labels_unset(&l, span_text("a"));
    CU_ASSERT_STRING_EQUAL(l.text, "ab=2,b=3");
    labels_unset(&l, span_text("b"));
    CU_ASSERT_STRING_EQUAL(l.text, "ab=2");
    labels_unset(&l, span_text("ab"));
    CU_ASSERT_EQUAL(memcmp(&l, &(struct labels){0}, sizeof l), 0);
}

static void test_stepping_gives_each_pair_once(void)
{
    struct labels l;
    struct label pair;
    size_t at = 0;
    parse(&l, "a=1,b=,c=3");
    CU_ASSERT_TRUE(labels_next(&l, &at, &pair));
    CU_ASSERT_TRUE(span_equal(pair.key, span_text("a")) && span_equal(pair.value, span_text("1")));
    CU_ASSERT_TRUE(labels_next(&l, &at, &pair));
    CU_ASSERT_TRUE(span_equal(pair.key, span_text("b")) && span_equal(pair.value, span_text("")));
    CU_ASSERT_TRUE(labels_next(&l, &at, &pair));
    CU_ASSERT_TRUE(span_equal(pair.key, span_text("c")) && span_equal(pair.value, span_text("3")));
    CU_ASSERT_FALSE(labels_next(&l, &at, &pair));
    CU_ASSERT_FALSE(labels_next(&l, &at, &pair));
}

static void test_getting_finds_whole_keys_only(void)
{
    struct labels l;
    struct span value;
    parse(&l, "ab=1,b=2");
    CU_ASSERT_TRUE(labels_get(&l, span_text("b"), &value));
    CU_ASSERT_TRUE(span_equal(value, span_text("2")));
    CU_ASSERT_FALSE(labels_get(&l, span_text("a"), &value));
    CU_ASSERT_FALSE(labels_get(&l, span_text("abc"), &value));
    CU_ASSERT_FALSE(labels_get(&l, span_text(""), &value));
}

static void test_a_full_set_takes_no_more_but_changes(void)
{
    struct labels l = {0};
    char key[8];
    for (int i = 0; i < LABELS_MAX; i++) {
        snprintf(key, sizeof key, "k%d", i);
        CU_ASSERT_EQUAL(set(&l, key, "v"), 0);
    }
    CU_ASSERT_EQUAL(labels_count(&l), LABELS_MAX);
    CU_ASSERT_EQUAL(set(&l, "k99", "v"), ERR_RANGE);
    CU_ASSERT_EQUAL(set(&l, "a", "v"), ERR_RANGE);
    CU_ASSERT_EQUAL(set(&l, "k0", "w"), 0);
    CU_ASSERT_EQUAL(labels_count(&l), LABELS_MAX);
}

static void test_the_text_fills_to_its_last_byte_and_no_further(void)
{
    char key[1100], last[1100];
    struct labels l = {0};
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "%d%s/n", i, repeat("", 'p', 252));
        CU_ASSERT_EQUAL(set(&l, key, repeat("", 'v', 63)), 0);
    }
    size_t used = strlen(l.text);
    /* What is left for a key after its comma and its equals sign. */
    size_t room = LABELS_TEXT_MAX - 1 - used - 2;
    CU_ASSERT_TRUE_FATAL(room > 10 && room - 8 <= 63);
    snprintf(last, sizeof last, "x/%s", repeat("", 'n', room - 8 - 2));
    CU_ASSERT_EQUAL(set(&l, last, "123456789"), ERR_RANGE);
    CU_ASSERT_EQUAL(strlen(l.text), used);
    CU_ASSERT_EQUAL(set(&l, last, "12345678"), 0);
    CU_ASSERT_EQUAL(strlen(l.text), LABELS_TEXT_MAX - 1);
    CU_ASSERT_EQUAL(labels_count(&l), 4);
}

static void test_canonical_text_reads_as_itself(void)
{
    struct labels l, again;
    parse(&l, "x.y/z=Q,b=2,a=,0=zero");
    CU_ASSERT_EQUAL(parse(&again, l.text), 0);
    CU_ASSERT_EQUAL(memcmp(&l, &again, sizeof l), 0);
}

static void test_truncated_texts_are_refused_or_canonical(void)
{
    const char text[] = "a=1,b.c/d=2,e=";
    for (size_t len = 0; len <= strlen(text); len++) {
        struct labels l;
        int rv = labels_parse(&l, span_of(text, len), NULL);
        if (rv == 0)
            CU_ASSERT_TRUE(span_equal(span_text(l.text), span_of(text, len)));
    }
}

static const struct suite_test tests[] = {
    TEST(test_keys_follow_the_syntax_of_kubernetes),
    TEST(test_values_are_names_or_empty),
    TEST(test_lengths_end_where_kubernetes_ends_them),
    TEST(test_any_order_becomes_the_one_order),
    TEST(test_keys_are_sorted_bytewise_and_not_as_text_of_pairs),
    TEST(test_nothing_is_the_empty_set),
    TEST(test_broken_texts_are_refused),
    TEST(test_a_key_twice_is_refused_by_name),
    TEST(test_errors_name_the_label),
    TEST(test_setting_adds_replaces_and_keeps_the_order),
    TEST(test_a_refused_label_leaves_the_set_as_it_was),
    TEST(test_unsetting_removes_that_key_alone),
    TEST(test_stepping_gives_each_pair_once),
    TEST(test_getting_finds_whole_keys_only),
    TEST(test_a_full_set_takes_no_more_but_changes),
    TEST(test_the_text_fills_to_its_last_byte_and_no_further),
    TEST(test_canonical_text_reads_as_itself),
    TEST(test_truncated_texts_are_refused_or_canonical),
};

SUITE_MAIN("labels", tests)
