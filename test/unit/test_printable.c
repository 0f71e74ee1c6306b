#include "base/printable.h"

#include "test/suite.h"

static char out[256];

static const char *clean(const char *text)
{
    CU_ASSERT_EQUAL(printable_text(span_text(text), out), strlen(out));
    return out;
}

static void test_text_stays_as_it_is(void)
{
    static const char *const texts[] = {"", "no port 80\nat all", "grün, 東京, \xf0\x9f\x90\xa6",
                                        "\xed\x9f\xbf\xee\x80\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CU_ASSERT_STRING_EQUAL(clean(texts[i]), texts[i]);
}

static void test_lines_and_blanks_are_plain(void)
{
    CU_ASSERT_STRING_EQUAL(clean("a\r\nb\rc\td\n"), "a\nb\nc d\n");
}

static void test_colours_are_left_out(void)
{
    CU_ASSERT_STRING_EQUAL(clean("\033[31;1mred\033[0m\033[2K!"), "red!");
    CU_ASSERT_STRING_EQUAL(clean("\033[31"), "?[31");
    CU_ASSERT_STRING_EQUAL(clean("\033]0;title\a"), "?]0;title?");
}

/* C0, DEL, C1, marks of direction, blanks without width, and what is no character. */
static void test_what_is_not_to_be_seen_becomes_a_question_mark(void)
{
    static const char *const texts[] = {"\x01",
                                        "\x1b",
                                        "\x7f",
                                        "\xc2\x9b",
                                        "\xe2\x80\xae",
                                        "\xe2\x81\xa6",
                                        "\xe2\x80\x8b",
                                        "\xef\xbb\xbf",
                                        "\xef\xbf\xbf",
                                        "\xe2\x80\xa8",
                                        "\xf3\xa0\x81\x81"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CU_ASSERT_STRING_EQUAL(clean(texts[i]), "?");
    CU_ASSERT_EQUAL(printable_text(span_of("a\0b", 3), out), 3);
    CU_ASSERT_STRING_EQUAL(out, "a?b");
}

/* Overlong, surrogates, beyond the last plane, cut off, alone. */
static void test_bytes_that_are_no_utf8_become_question_marks(void)
{
    CU_ASSERT_STRING_EQUAL(clean("\xc0\xaf"), "??");
    CU_ASSERT_STRING_EQUAL(clean("\xe0\x80\xaf"), "???");
    CU_ASSERT_STRING_EQUAL(clean("\xed\xa0\x80"), "???");
    CU_ASSERT_STRING_EQUAL(clean("\xf4\x90\x80\x80"), "????");
    CU_ASSERT_STRING_EQUAL(clean("\xf5"), "?");
    CU_ASSERT_STRING_EQUAL(clean("\xe6\x9d"), "??");
    CU_ASSERT_STRING_EQUAL(clean("\x80"
                                 "a"),
                           "?a");
    CU_ASSERT_STRING_EQUAL(clean("\xe6"
                                 "ab"),
                           "?ab");
}

static const struct suite_test tests[] = {
    TEST(test_text_stays_as_it_is),
    TEST(test_lines_and_blanks_are_plain),
    TEST(test_colours_are_left_out),
    TEST(test_what_is_not_to_be_seen_becomes_a_question_mark),
    TEST(test_bytes_that_are_no_utf8_become_question_marks),
};

SUITE_MAIN("printable", tests)
