#include "base/endian.h"

#include "test/suite.h"

static void test_the_lowest_byte_stands_first(void)
{
    const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 0xff};
    CU_ASSERT_EQUAL(le32_read(bytes), 0x04030201u);
    CU_ASSERT_EQUAL(le64_read(bytes), 0xff07060504030201u);
}

static void test_numbers_come_back_from_any_alignment(void)
{
    const uint64_t numbers[] = {0, 1, 0x80, 0xffffffffu, 0x8000000000000000u, UINT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        for (size_t at = 0; at < 8; at++) {
            uint8_t bytes[16] = {0};
            le64_write(bytes + at, numbers[i]);
            CU_ASSERT_EQUAL(le64_read(bytes + at), numbers[i]);
            le32_write(bytes + at, (uint32_t)numbers[i]);
            CU_ASSERT_EQUAL(le32_read(bytes + at), (uint32_t)numbers[i]);
        }
}

static const struct suite_test tests[] = {
    TEST(test_the_lowest_byte_stands_first),
    TEST(test_numbers_come_back_from_any_alignment),
};

SUITE_MAIN("endian", tests)
