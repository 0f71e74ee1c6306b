#include "bundles/index.h"

#include "test/suite.h"

static struct chunk_ref make_ref(uint32_t i)
{
    struct chunk_ref ref = {.digest = digest_of(span_of(&i, sizeof i)), .len = i % CHUNK_MAX + 1};
    if (ref.digest.bytes[0] == 0)
        ref.digest.bytes[0] = 1;
    return ref;
}

static void test_references_come_back(void)
{
    static uint8_t memory[INDEX_CHUNK_MAX];
    struct buffer chunk = buffer_on(memory, sizeof memory);
    for (uint32_t i = 0; i < 500; i++) {
        struct chunk_ref ref = make_ref(i);
        CU_ASSERT_FALSE(index_append(&chunk, &ref));
    }
    CU_ASSERT_EQUAL(index_count(span_buffer(&chunk)), 500);
    for (uint32_t i = 0; i < 500; i++) {
        struct chunk_ref want = make_ref(i), got;
        CU_ASSERT_EQUAL(index_get(span_buffer(&chunk), i, &got), 0);
        CU_ASSERT_TRUE(digest_equal(&got.digest, &want.digest));
        CU_ASSERT_EQUAL(got.len, want.len);
    }
}

static void test_digest_with_a_zero_first_byte_ends_the_chunk(void)
{
    uint8_t memory[INDEX_CHUNK_MAX];
    struct buffer chunk = buffer_on(memory, sizeof memory);
    struct chunk_ref ref = make_ref(1);
    CU_ASSERT_FALSE(index_append(&chunk, &ref));
    ref.digest.bytes[0] = 0;
    CU_ASSERT_TRUE(index_append(&chunk, &ref));
}

static void test_full_chunk_ends(void)
{
    uint8_t memory[INDEX_CHUNK_MAX];
    struct buffer chunk = buffer_on(memory, sizeof memory);
    for (uint32_t i = 0; i < INDEX_REFS_MAX; i++) {
        struct chunk_ref ref = make_ref(i);
        CU_ASSERT_EQUAL(index_append(&chunk, &ref), i + 1 == INDEX_REFS_MAX);
    }
    CU_ASSERT_EQUAL(index_count(span_buffer(&chunk)), INDEX_REFS_MAX);
}

static void test_every_other_length_is_refused(void)
{
    static uint8_t memory[INDEX_CHUNK_MAX + INDEX_REF_LEN];
    for (size_t n = 0; n <= sizeof memory; n++) {
        bool whole = n > 0 && n <= INDEX_CHUNK_MAX && n % INDEX_REF_LEN == 0;
        int want = whole ? (int)(n / INDEX_REF_LEN) : ERR_FORMAT;
        if (index_count(span_of(memory, n)) != want)
            CU_FAIL("a length was judged wrongly");
    }
}

static void test_lengths_that_no_chunk_has_are_refused(void)
{
    static const uint32_t bad[] = {0, CHUNK_MAX + 1, 0x80000000, 0xffffffff};
    uint8_t memory[INDEX_REF_LEN];
    struct chunk_ref got;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buffer chunk = buffer_on(memory, sizeof memory);
        struct chunk_ref ref = {.digest = make_ref(1).digest, .len = bad[i]};
        (void)index_append(&chunk, &ref);
        CU_ASSERT_EQUAL(index_get(span_buffer(&chunk), 0, &got), ERR_RANGE);
    }
}

static const struct suite_test tests[] = {
    TEST(test_references_come_back),
    TEST(test_digest_with_a_zero_first_byte_ends_the_chunk),
    TEST(test_full_chunk_ends),
    TEST(test_every_other_length_is_refused),
    TEST(test_lengths_that_no_chunk_has_are_refused),
};

SUITE_MAIN("index", tests)
