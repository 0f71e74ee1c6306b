#include "base/endian.h"
#include "base/siphash.h"

#include "test/suite.h"

static uint8_t key[SIPHASH_KEY_LEN];
static uint8_t data[64];

/* The authors' set-up: key 00 01 … 0f, and the first `len` bytes of 00 01 02 … */
static uint64_t hash(size_t len)
{
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    return siphash(key, span_of(data, len));
}

static void test_the_papers_example(void)
{
    CU_ASSERT_EQUAL(hash(15), 0xa129ca6149be45e5u);
}

static void test_the_reference_programs_vectors(void)
{
    CU_ASSERT_EQUAL(hash(0), 0x726fdb47dd0e0e31u);
    CU_ASSERT_EQUAL(hash(1), 0x74f839c593dc67fdu);
    CU_ASSERT_EQUAL(hash(2), 0x0d6c8009d9a94f5au);
    CU_ASSERT_EQUAL(hash(7), 0xab0200f58b01d137u);
    CU_ASSERT_EQUAL(hash(8), 0x93f5f5799a932462u);
    CU_ASSERT_EQUAL(hash(9), 0x9e0082df0ba9e4b0u);
    CU_ASSERT_EQUAL(hash(16), 0x3f2acc7f57c29bdbu);
    CU_ASSERT_EQUAL(hash(63), 0x958a324ceb064572u);
}

static void test_pair_of_words_is_sixteen_bytes(void)
{
    uint64_t k0 = le64_read(key), k1 = le64_read(key + 8);
    CU_ASSERT_EQUAL(siphash_pair(k0, k1, le64_read(data), le64_read(data + 8)), hash(16));
}

static void test_every_bit_of_key_and_data_counts(void)
{
    uint64_t before = hash(21);
    for (size_t bit = 0; bit < 8 * sizeof key; bit++) {
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_NOT_EQUAL(siphash(key, span_of(data, 21)), before);
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < (size_t)8 * 21; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_NOT_EQUAL(siphash(key, span_of(data, 21)), before);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CU_ASSERT_EQUAL(siphash(key, span_of(data, 21)), before);
}

static const struct suite_test tests[] = {
    TEST(test_the_papers_example),
    TEST(test_the_reference_programs_vectors),
    TEST(test_pair_of_words_is_sixteen_bytes),
    TEST(test_every_bit_of_key_and_data_counts),
};

SUITE_MAIN("siphash", tests)
