#include "base/err.h"

#include "test/suite.h"

#include <string.h>

static void test_every_code_has_its_own_name(void)
{
    CU_ASSERT_STRING_EQUAL(err_name(0), "ok");
    CU_ASSERT_STRING_EQUAL(err_name(7), "ok");
    for (int a = ERR_DAMAGED; a <= 0; a++) {
        CU_ASSERT_STRING_NOT_EQUAL(err_name(a), "unknown");
        CU_ASSERT_TRUE(strlen(err_name(a)) < 12); /* or it would run into the next one */
        for (int b = ERR_DAMAGED; b < a; b++)
            CU_ASSERT_STRING_NOT_EQUAL(err_name(a), err_name(b));
    }
}

static void test_unlisted_codes_are_unknown(void)
{
    CU_ASSERT_STRING_EQUAL(err_name(ERR_DAMAGED - 1), "unknown");
    CU_ASSERT_STRING_EQUAL(err_name(-1000000), "unknown");
}

static void test_setting_formats_and_returns_the_code(void)
{
    struct errmsg em;
    CU_ASSERT_EQUAL(errmsg_set(&em, ERR_OLD, "chunk %d of %d", 7, 31), ERR_OLD);
    CU_ASSERT_STRING_EQUAL(em.text, "chunk 7 of 31");
}

static void test_wrapping_puts_the_new_sentence_first(void)
{
    struct errmsg em = {.text = "digest differs"};
    CU_ASSERT_EQUAL(errmsg_wrap(&em, ERR_DIGEST, "chunk %d", 7), ERR_DIGEST);
    CU_ASSERT_STRING_EQUAL(em.text, "chunk 7: digest differs");
    struct errmsg none = {0};
    errmsg_wrap(&none, ERR_DIGEST, "chunk 7");
    CU_ASSERT_STRING_EQUAL(none.text, "chunk 7");
}

static void test_long_sentences_are_cut_and_stay_in_bounds(void)
{
    char lengthy[2 * ERRMSG_MAX];
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    struct errmsg em;
    errmsg_set(&em, ERR_IO, "%s", lengthy);
    CU_ASSERT_EQUAL(strlen(em.text), ERRMSG_MAX - 1);
    errmsg_wrap(&em, ERR_IO, "short");
    CU_ASSERT_EQUAL(strlen(em.text), ERRMSG_MAX - 1);
    CU_ASSERT_EQUAL(strncmp(em.text, "short: xxx", 10), 0);
    errmsg_wrap(&em, ERR_IO, "%s", lengthy);
    CU_ASSERT_EQUAL(strlen(em.text), ERRMSG_MAX - 1);
}

static void test_control_characters_become_question_marks(void)
{
    struct errmsg em;
    errmsg_set(&em, ERR_USAGE, "no file %s", "a\nb\x1b[2J\x7f – ü");
    CU_ASSERT_STRING_EQUAL(em.text, "no file a?b?[2J? – ü");
    errmsg_wrap(&em, ERR_USAGE, "in %s", "c\td");
    CU_ASSERT_STRING_EQUAL(em.text, "in c?d: no file a?b?[2J? – ü");
}

static void test_nobody_has_to_hold_the_sentence(void)
{
    CU_ASSERT_EQUAL(errmsg_set(NULL, ERR_IO, "x"), ERR_IO);
    CU_ASSERT_EQUAL(errmsg_wrap(NULL, ERR_IO, "x"), ERR_IO);
}

static const struct suite_test tests[] = {
    TEST(test_every_code_has_its_own_name),
    TEST(test_unlisted_codes_are_unknown),
    TEST(test_setting_formats_and_returns_the_code),
    TEST(test_wrapping_puts_the_new_sentence_first),
    TEST(test_long_sentences_are_cut_and_stay_in_bounds),
    TEST(test_control_characters_become_question_marks),
    TEST(test_nobody_has_to_hold_the_sentence),
};

SUITE_MAIN("err", tests)
