#include "manager/core/selector.h"
#include "test/suite.h"

#include <stdio.h>

/* True when the selector is well-formed and matches the labels. */
static bool matches(const char *text, const char *labels_text)
{
    struct selector s;
    struct labels labels;
    CU_ASSERT_EQUAL_FATAL(labels_parse(&labels, span_text(labels_text), NULL), 0);
    struct errmsg em = {0};
    int rv = selector_parse(&s, span_text(text), &em);
    if (rv < 0)
        fprintf(stderr, "%s: %s\n", text, em.text);
    CU_ASSERT_EQUAL_FATAL(rv, 0);
    return selector_matches(&s, &labels);
}

static void refused(const char *text, int code, const char *sentence)
{
    struct selector s;
    struct errmsg em = {0};
    CU_ASSERT_EQUAL(selector_parse(&s, span_text(text), &em), code);
    CU_ASSERT_STRING_EQUAL(em.text, sentence);
    CU_ASSERT_EQUAL(selector_parse(&s, span_text(text), NULL), code);
}

static void test_empty_selector_matches_everything(void)
{
    CU_ASSERT_TRUE(matches("", ""));
    CU_ASSERT_TRUE(matches(" \t ", "env=prod"));
}

static void test_equality_needs_the_key_and_its_value(void)
{
    const char *const ways[] = {"env=prod", "env==prod", " env = prod ", "env\t==\tprod"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        CU_ASSERT_TRUE(matches(ways[i], "env=prod,region=eu"));
        CU_ASSERT_FALSE(matches(ways[i], "env=lab"));
        CU_ASSERT_FALSE(matches(ways[i], "region=eu"));
    }
}

static void test_inequality_is_also_true_without_the_key(void)
{
    CU_ASSERT_TRUE(matches("env!=prod", "env=lab"));
    CU_ASSERT_TRUE(matches("env != prod", ""));
    CU_ASSERT_FALSE(matches("env!=prod", "env=prod"));
}

static void test_sets_name_the_values_that_do_or_don_t(void)
{
    CU_ASSERT_TRUE(matches("region in (eu,us)", "region=us"));
    CU_ASSERT_TRUE(matches("region in(eu)", "region=eu"));
    CU_ASSERT_TRUE(matches(" region  in ( eu , us ) ", "region=eu"));
    CU_ASSERT_FALSE(matches("region in (eu,us)", "region=asia"));
    CU_ASSERT_FALSE(matches("region in (eu,us)", "env=prod"));
    CU_ASSERT_TRUE(matches("region notin (eu,us)", "region=asia"));
    CU_ASSERT_TRUE(matches("region notin (eu,us)", ""));
    CU_ASSERT_FALSE(matches("region notin (eu,us)", "region=us"));
}

static void test_bare_keys_ask_for_presence_and_absence(void)
{
    CU_ASSERT_TRUE(matches("lab", "lab=1"));
    CU_ASSERT_FALSE(matches("lab", "env=prod"));
    CU_ASSERT_TRUE(matches("!lab", "env=prod"));
    CU_ASSERT_TRUE(matches("! lab", "env=prod"));
    CU_ASSERT_FALSE(matches("!lab", "lab=1"));
    CU_ASSERT_TRUE(matches("in", "in=1")); /* operators are no reserved words */
    CU_ASSERT_TRUE(matches("notin notin (notin)", ""));
}

static void test_all_terms_must_hold(void)
{
    const char *text = "env in (prod,staging),region!=us,!lab,site";
    CU_ASSERT_TRUE(matches(text, "env=prod,region=eu,site=a"));
    CU_ASSERT_FALSE(matches(text, "env=prod,region=us,site=a"));
    CU_ASSERT_FALSE(matches(text, "env=prod,region=eu,site=a,lab=1"));
    CU_ASSERT_FALSE(matches(text, "env=prod,region=eu"));
    CU_ASSERT_FALSE(matches(text, "env=dev,region=eu,site=a"));
    CU_ASSERT_FALSE(matches("env=prod,env=lab", "env=prod"));
}

static void test_keys_with_prefixes_and_values_with_dots_are_words(void)
{
    CU_ASSERT_TRUE(matches("example.com/tier=front.end_1-b", "example.com/tier=front.end_1-b"));
    CU_ASSERT_FALSE(matches("tier", "example.com/tier=x"));
}

static void test_every_mistake_is_told_with_its_place(void)
{
    static const struct {
        const char *text;
        const char *sentence;
    } cases[] = {
        {",", "selector: at character 1: expected a label key, not ','"},
        {"env=prod,", "selector ends after character 9: expected a label key"},
        {"env=prod,,a", "selector: at character 10: expected a label key, not ','"},
        {"env prod",
         "selector: at character 5: expected '=', '!=', '<', '>', 'in', 'notin' or ',', not 'p'"},
        {"env!", "selector ends after character 4: expected '=' after '!'"},
        {"env!prod", "selector: at character 5: expected '=' after '!', not 'p'"},
        {"env in", "selector ends after character 6: expected '('"},
        {"env in prod", "selector: at character 8: expected '(', not 'p'"},
        {"env in (prod", "selector ends after character 12: expected ',' or ')'"},
        {"env in (prod lab)", "selector: at character 14: expected ',' or ')', not 'l'"},
        {"env in ()", "selector: at character 9: expected a label value, not ')'"},
        {"env=prod lab",
         "selector: at character 10: expected ',', '|', 'except' or the end, not 'l'"},
        {"env=prod)", "selector: at character 9: expected ',', '|', 'except' or the end, not ')'"},
        {"!", "selector ends after character 1: expected a label key"},
        {"zone>a", "selector: at character 6: expected a whole number, not 'a'"},
        {"zone>=1", "selector: at character 6: expected a whole number, not '='"},
        {"zone<-1", "selector: at character 6: expected a whole number, not '-'"},
        {"zone>", "selector ends after character 5: expected a whole number"},
        {"zone>9223372036854775808", "selector: at character 6: expected a whole number, not '9'"},
        {"!!lab", "selector: at character 2: expected a label key, not '!'"},
        {"=prod", "selector: at character 1: expected a label key, not '='"},
        {"-env=prod", "selector: at character 1: expected a label key, not '-'"},
        {"env=prod-", "selector: at character 5: expected a label value, not 'p'"},
        {"env=\x01", "selector: at character 5: expected a label value, not byte 0x01"},
        {"env=\xc3\xa4", "selector: at character 5: expected a label value, not byte 0xc3"},
        {"env===prod", "selector: at character 6: expected ',', '|', 'except' or the end, not '='"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(cases[i].text, ERR_FORMAT, cases[i].sentence);
}

static void test_limits_are_told_with_their_numbers(void)
{
    char text[SELECTOR_TEXT_MAX + 2];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    refused(text, ERR_RANGE, "selector is 513 characters long: at most 512 are allowed");
    refused("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", ERR_RANGE,
            "selector: at character 65: more than 32 terms");
    refused("a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a", ERR_RANGE,
            "selector: at character 33: more than 16 alternatives");
    CU_ASSERT_TRUE(matches("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p",
                           "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1"));
}

static void test_a_list_may_have_as_many_values_as_the_text_holds(void)
{
    char text[SELECTOR_TEXT_MAX + 1] = "k in (a";
    while (strlen(text) + 4 < sizeof text)
        strcat(text, ",b");
    strcat(text, ")");
    CU_ASSERT_TRUE(strlen(text) >= SELECTOR_TEXT_MAX - 2);
    CU_ASSERT_TRUE(matches(text, "k=a"));
    CU_ASSERT_TRUE(matches(text, "k=b"));
    CU_ASSERT_FALSE(matches(text, "k=c"));
    memset(text + 6, ',', sizeof text - 8); /* empty ones */
    text[sizeof text - 2] = ')';
    text[sizeof text - 1] = '\0';
    CU_ASSERT_TRUE(matches(text, "k="));
}

/* As Kubernetes has it: the label must be there, and be a whole number. */
static void test_numbers_are_more_or_less(void)
{
    CU_ASSERT_TRUE(matches("ring>1", "ring=2"));
    CU_ASSERT_TRUE(matches("ring > 1", "ring=10"));
    CU_ASSERT_FALSE(matches("ring>1", "ring=1"));
    CU_ASSERT_FALSE(matches("ring>1", "ring=two"));
    CU_ASSERT_FALSE(matches("ring>1", "env=prod"));
    CU_ASSERT_TRUE(matches("ring<9,ring>007", "ring=8"));
    CU_ASSERT_FALSE(matches("ring<9", "ring=9"));
    CU_ASSERT_FALSE(matches("ring<9", "ring="));
    CU_ASSERT_FALSE(matches("ring>1", "ring=99999999999999999999"));
    CU_ASSERT_TRUE(matches("env=lab | ring>1 except ring>5", "ring=5"));
    CU_ASSERT_FALSE(matches("env=lab | ring>1 except ring>5", "ring=6"));
}

static void test_one_of_several_alternatives_is_enough(void)
{
    CU_ASSERT_TRUE(matches("env=prod,zone=a | env=staging", "env=staging"));
    CU_ASSERT_TRUE(matches("env=prod,zone=a|env=staging", "env=prod,zone=a"));
    CU_ASSERT_FALSE(matches("env=prod,zone=a | env=staging", "env=prod,zone=b"));
    CU_ASSERT_TRUE(matches("a | b | !c", ""));
    refused("a |", ERR_FORMAT, "selector ends after character 3: expected a label key");
    refused("| a", ERR_FORMAT, "selector: at character 1: expected a label key, not '|'");
    refused("a || b", ERR_FORMAT, "selector: at character 4: expected a label key, not '|'");
}

static void test_what_stands_behind_except_is_left_out(void)
{
    CU_ASSERT_TRUE(matches("env=prod except lab", "env=prod"));
    CU_ASSERT_FALSE(matches("env=prod except lab", "env=prod,lab=1"));
    CU_ASSERT_FALSE(
        matches("env=prod | env=staging except zone=a,lab | zone=b", "env=staging,zone=b"));
    CU_ASSERT_TRUE(
        matches("env=prod | env=staging except zone=a,lab | zone=b", "env=staging,zone=a"));
    CU_ASSERT_TRUE(matches("except lab", ""));
    CU_ASSERT_FALSE(matches("except lab", "lab=1"));
    CU_ASSERT_FALSE(matches("except !lab", ""));
    refused(
        "a except", ERR_FORMAT,
        "selector: at character 3: expected '=', '!=', '<', '>', 'in', 'notin' or ',', not 'e'");
    refused("a except b except c", ERR_FORMAT,
            "selector: at character 12: expected ',', '|', 'except' or the end, not 'e'");
}

static void test_except_may_be_the_name_of_a_label(void)
{
    CU_ASSERT_TRUE(matches("except", "except=1"));
    CU_ASSERT_TRUE(matches("except=1", "except=1"));
    CU_ASSERT_TRUE(matches("except in (1)", "except=1"));
    CU_ASSERT_TRUE(matches("except!=2,a", "except=1,a=1"));
    CU_ASSERT_FALSE(matches("a except except", "a=1,except=1"));
}

/* A NUL in the middle and every shorter prefix: refused or read, never read past. */
static void test_no_text_is_read_beyond_its_end(void)
{
    const char text[] = "env in (prod,staging),region!=us | site==a except lab | !x";
    for (size_t len = 0; len < sizeof text; len++) {
        struct selector s;
        char copy[sizeof text];
        memcpy(copy, text, len);
        int rv = selector_parse(&s, span_of(copy, len), NULL);
        CU_ASSERT_TRUE(rv == 0 || rv == ERR_FORMAT);
    }
    struct selector s;
    CU_ASSERT_EQUAL(selector_parse(&s, span_of("a\0b", 3), NULL), ERR_FORMAT);
}

static void check_miss(const char *text, const char *labels, uint32_t alternative, uint32_t term)
{
    struct selector s;
    struct labels l;
    struct selector_miss miss = {99, 99};
    CU_ASSERT_EQUAL(selector_parse(&s, span_text(text), NULL), 0);
    CU_ASSERT_EQUAL(labels_parse(&l, span_text(labels), NULL), 0);
    CU_ASSERT_TRUE(selector_misses(&s, &l, &miss));
    CU_ASSERT_EQUAL(miss.alternative, alternative);
    CU_ASSERT_EQUAL(miss.term, term);
}

static void test_miss_is_of_the_nearest_alternative_or_of_what_is_left_out(void)
{
    check_miss("env=prod,lab", "env=prod", 0, 1);
    check_miss("env=prod | env=lab,zone=a,rack", "env=lab,zone=a", 1, 3);
    check_miss("env=prod | env=lab", "env=dev", 0, 0);
    check_miss("env except zone=b | zone=a,rack", "env=lab,rack=1,zone=a", 2, 2);
    check_miss("except lab", "lab=1", 0, 0);
}

static const struct suite_test tests[] = {
    TEST(test_miss_is_of_the_nearest_alternative_or_of_what_is_left_out),
    TEST(test_one_of_several_alternatives_is_enough),
    TEST(test_what_stands_behind_except_is_left_out),
    TEST(test_except_may_be_the_name_of_a_label),
    TEST(test_empty_selector_matches_everything),
    TEST(test_equality_needs_the_key_and_its_value),
    TEST(test_inequality_is_also_true_without_the_key),
    TEST(test_sets_name_the_values_that_do_or_don_t),
    TEST(test_a_list_may_have_as_many_values_as_the_text_holds),
    TEST(test_numbers_are_more_or_less),
    TEST(test_bare_keys_ask_for_presence_and_absence),
    TEST(test_all_terms_must_hold),
    TEST(test_keys_with_prefixes_and_values_with_dots_are_words),
    TEST(test_every_mistake_is_told_with_its_place),
    TEST(test_limits_are_told_with_their_numbers),
    TEST(test_no_text_is_read_beyond_its_end),
};

SUITE_MAIN("selector", tests)
