#include "base/hex.h"

#include "base/err.h"
#include "test/suite.h"

static void test_every_byte_comes_back(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i, back;
        char text[3];
        hex_write(span_of(&byte, 1), text);
        CU_ASSERT_EQUAL(hex_read(text, &back, 1), 0);
        CU_ASSERT_EQUAL(back, byte);
    }
}

static void test_digits_are_lower_case_and_read_in_either(void)
{
    uint8_t bytes[4] = {0xde, 0xad, 0x00, 0x0f}, back[4];
    char text[9];
    hex_write(span_of(bytes, 4), text);
    CU_ASSERT_STRING_EQUAL(text, "dead000f");
    CU_ASSERT_EQUAL(hex_read("DeAd000F", back, 4), 0);
    CU_ASSERT_EQUAL(memcmp(back, bytes, 4), 0);
}

static void test_only_digits_are_read(void)
{
    for (int c = 1; c < 256; c++) {
        char text[3] = {'0', (char)c, '\0'};
        uint8_t byte;
        bool digit = strchr("0123456789abcdefABCDEF", c) != NULL;
        CU_ASSERT_EQUAL(hex_read(text, &byte, 1), digit ? 0 : ERR_FORMAT);
        text[1] = text[0], text[0] = (char)c;
        CU_ASSERT_EQUAL(hex_read(text, &byte, 1), digit ? 0 : ERR_FORMAT);
    }
}

static void test_too_short_and_too_long_are_refused(void)
{
    uint8_t bytes[2];
    CU_ASSERT_EQUAL(hex_read("", bytes, 2), ERR_FORMAT);
    CU_ASSERT_EQUAL(hex_read("1", bytes, 2), ERR_FORMAT);
    CU_ASSERT_EQUAL(hex_read("12", bytes, 2), ERR_FORMAT);
    CU_ASSERT_EQUAL(hex_read("123", bytes, 2), ERR_FORMAT);
    CU_ASSERT_EQUAL(hex_read("1234", bytes, 2), 0);
    CU_ASSERT_EQUAL(hex_read("12345", bytes, 2), ERR_FORMAT);
    CU_ASSERT_EQUAL(hex_read("1234\n", bytes, 2), ERR_FORMAT);
}

static void test_nothing_is_written_as_nothing(void)
{
    char text[1] = {'x'};
    hex_write(SPAN_NONE, text);
    CU_ASSERT_EQUAL(text[0], '\0');
    CU_ASSERT_EQUAL(hex_read("", NULL, 0), 0);
}

static const struct suite_test tests[] = {
    TEST(test_every_byte_comes_back),         TEST(test_digits_are_lower_case_and_read_in_either),
    TEST(test_only_digits_are_read),          TEST(test_too_short_and_too_long_are_refused),
    TEST(test_nothing_is_written_as_nothing),
};

SUITE_MAIN("hex", tests)
