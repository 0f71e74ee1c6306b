#include "bundles/chunk.h"

#include "base/rng.h"
#include "test/suite.h"

#include <stdlib.h>

static uint8_t plain_memory[CHUNK_MAX], frame_memory[CHUNK_FRAME_MAX], opened_memory[CHUNK_MAX];
static struct chunk_packer *packer;
static struct chunk_opener *opener;

static struct span random_bytes_of(size_t len)
{
    struct rng r = {.state = len};
    for (size_t i = 0; i < len; i++)
        plain_memory[i] = (uint8_t)rng_next(&r);
    return span_of(plain_memory, len);
}

static struct span text_of(size_t len)
{
    for (size_t i = 0; i < len; i++)
        plain_memory[i] = (uint8_t)((uint8_t) "the quick brown fox "[i % 20] + (i / 997) % 3);
    return span_of(plain_memory, len);
}

static struct buffer pack(struct span plain)
{
    struct buffer frame = buffer_on(frame_memory, sizeof frame_memory);
    CU_ASSERT_EQUAL_FATAL(chunk_pack(packer, plain, &frame), 0);
    return frame;
}

static int open_as(struct span frame, const struct digest *name, struct buffer *plain)
{
    *plain = buffer_on(opened_memory, sizeof opened_memory);
    return chunk_open(opener, frame, name, plain);
}

/* Opens bytes that are no chunk, whatever their name. */
static int open_frame(const void *bytes, size_t len)
{
    struct buffer plain;
    struct digest name = {0};
    return open_as(span_of(bytes, len), &name, &plain);
}

static void check_round_trip(struct span plain)
{
    struct digest name = digest_of(plain);
    struct buffer frame = pack(plain), opened;
    CU_ASSERT_TRUE(frame.len <= plain.len + 1);
    CU_ASSERT_EQUAL(open_as(span_buffer(&frame), &name, &opened), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&opened), plain));
}

static void test_chunks_of_any_size_come_back(void)
{
    static const size_t sizes[] = {1, 2, 3, 100, 16384, 65536, CHUNK_MAX - 1, CHUNK_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_round_trip(random_bytes_of(sizes[i]));
        check_round_trip(text_of(sizes[i]));
    }
}

static void test_text_shrinks_and_noise_grows_by_one_byte(void)
{
    CU_ASSERT_TRUE(pack(text_of(65536)).len < 65536 / 4);
    CU_ASSERT_EQUAL(pack(random_bytes_of(65536)).len, 65537);
}

static void test_every_truncated_frame_is_refused(void)
{
    for (int kind = 0; kind < 2; kind++) {
        struct span plain = kind ? random_bytes_of(300) : text_of(3000);
        struct digest name = digest_of(plain);
        struct buffer frame = pack(plain), opened;
        for (size_t n = 0; n < frame.len; n++)
            CU_ASSERT_TRUE(open_as(span_of(frame.data, n), &name, &opened) < 0);
    }
}

static void test_every_flipped_bit_is_refused_or_harmless(void)
{
    for (int kind = 0; kind < 2; kind++) {
        struct span plain = kind ? random_bytes_of(300) : text_of(3000);
        struct digest name = digest_of(plain);
        struct buffer frame = pack(plain), opened;
        for (size_t bit = 0; bit < 8 * frame.len; bit++) {
            frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int rv = open_as(span_buffer(&frame), &name, &opened);
            CU_ASSERT_TRUE(rv < 0 || span_equal(span_buffer(&opened), plain));
            frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void test_another_chunk_of_the_same_length_is_refused(void)
{
    struct digest name = digest_of(text_of(3000));
    struct buffer frame = pack(random_bytes_of(3000)), opened;
    CU_ASSERT_EQUAL(open_as(span_buffer(&frame), &name, &opened), ERR_DIGEST);
}

static void test_frames_of_nothing_or_of_unknown_packing_are_refused(void)
{
    CU_ASSERT_EQUAL(open_frame("", 0), ERR_FORMAT);
    CU_ASSERT_EQUAL(open_frame("\0", 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(open_frame("\1", 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(open_frame("\2x", 2), ERR_FORMAT);
    CU_ASSERT_EQUAL(open_frame("\377x", 2), ERR_FORMAT);
    /* A zstd frame of an empty raw block. */
    CU_ASSERT_EQUAL(open_frame("\1\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", 10), ERR_FORMAT);
}

static void test_plain_frame_above_the_limit_is_refused(void)
{
    static uint8_t frame[CHUNK_MAX + 2];
    CU_ASSERT_EQUAL(open_frame(frame, sizeof frame), ERR_RANGE);
}

/* A frame of `blocks` runs of 128 KiB: a few bytes that claim to be megabytes. */
static size_t make_bomb(uint8_t *out, unsigned window_log, size_t blocks)
{
    static const uint8_t magic[] = {1, 0x28, 0xb5, 0x2f, 0xfd, 0x00};
    memcpy(out, magic, sizeof magic);
    size_t len = sizeof magic;
    out[len++] = (uint8_t)((window_log - 10) << 3);
    for (size_t i = 0; i < blocks; i++) {
        uint32_t head = (i + 1 == blocks) | 1u << 1 | 131072u << 3;
        out[len++] = (uint8_t)head;
        out[len++] = (uint8_t)(head >> 8);
        out[len++] = (uint8_t)(head >> 16);
        out[len++] = 'x';
    }
    return len;
}

static void test_frame_that_swells_beyond_a_chunk_is_refused(void)
{
    static uint8_t frame[4 * 1024 + 16];
    CU_ASSERT_EQUAL(open_frame(frame, make_bomb(frame, 20, 2)), ERR_DIGEST);
    for (size_t blocks = 3; blocks <= 1024; blocks *= 2)
        CU_ASSERT_EQUAL(open_frame(frame, make_bomb(frame, 20, blocks)), ERR_RANGE);
}

static void test_declared_sizes_and_windows_allocate_nothing(void)
{
    /* One segment of 2^56 bytes, then a run of five. */
    static const char huge[] =
        "\1\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x00\x00\x01\x2b\x00\x00x";
    CU_ASSERT_EQUAL(open_frame(huge, sizeof huge - 1), ERR_FORMAT);

    static uint8_t frame[64];
    struct buffer opened;
    memset(plain_memory, 'x', CHUNK_MAX);
    struct digest name = digest_of(span_of(plain_memory, CHUNK_MAX));
    for (unsigned window_log = 10; window_log <= 41; window_log++) {
        int rv = open_as(span_of(frame, make_bomb(frame, window_log, 2)), &name, &opened);
        CU_ASSERT_TRUE(rv == ERR_FORMAT || (rv == 0 && opened.len == CHUNK_MAX));
    }
}

/* A chunk of one byte behind as many empty blocks as one likes. */
static void test_frame_longer_than_its_chunk_is_refused(void)
{
    static const uint8_t start[] = {1, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50};
    static const uint8_t end[] = {0x09, 0x00, 0x00, 'x'}; /* the last block: one byte, as it is */
    static uint8_t frame[CHUNK_FRAME_MAX];
    struct digest name = digest_of(span_text("x"));
    struct buffer opened;
    for (size_t blocks = 0; blocks < 80000; blocks = 2 * blocks + 1) {
        size_t len = sizeof start + 3 * blocks;
        memset(frame, 0, sizeof frame); /* a block that is empty, raw and not the last */
        memcpy(frame, start, sizeof start);
        memcpy(frame + len, end, sizeof end);
        CU_ASSERT_EQUAL(open_as(span_of(frame, len + sizeof end), &name, &opened), ERR_RANGE);
    }
    CU_ASSERT_EQUAL(open_as(span_of("\0x", 2), &name, &opened), 0);
}

static void test_only_one_frame_of_todays_zstd_is_read(void)
{
    struct buffer frame = pack(text_of(3000));
    struct digest name = digest_of(text_of(3000));
    struct buffer opened;
    size_t len = frame.len;
    static uint8_t twice[8192];
    memcpy(twice, frame.data, len);
    memcpy(twice + len, frame.data + 1, len - 1);
    CU_ASSERT_EQUAL(open_as(span_of(twice, len), &name, &opened), 0);
    CU_ASSERT_EQUAL(open_as(span_of(twice, 2 * len - 1), &name, &opened), ERR_FORMAT);
    /* A skippable frame, and zstd 0.7's number. */
    CU_ASSERT_EQUAL(open_frame("\1\x50\x2a\x4d\x18\x01\x00\x00\x00x", 10), ERR_FORMAT);
    twice[1] = 0x27;
    CU_ASSERT_EQUAL(open_as(span_of(twice, len), &name, &opened), ERR_FORMAT);
}

static const struct suite_test tests[] = {
    TEST(test_chunks_of_any_size_come_back),
    TEST(test_text_shrinks_and_noise_grows_by_one_byte),
    TEST(test_every_truncated_frame_is_refused),
    TEST(test_every_flipped_bit_is_refused_or_harmless),
    TEST(test_another_chunk_of_the_same_length_is_refused),
    TEST(test_frames_of_nothing_or_of_unknown_packing_are_refused),
    TEST(test_plain_frame_above_the_limit_is_refused),
    TEST(test_frame_that_swells_beyond_a_chunk_is_refused),
    TEST(test_declared_sizes_and_windows_allocate_nothing),
    TEST(test_frame_longer_than_its_chunk_is_refused),
    TEST(test_only_one_frame_of_todays_zstd_is_read),
};

int main(void)
{
    packer = chunk_packer_new(0);
    opener = chunk_opener_new();
    int rv = packer && opener ? suite_run("chunk", tests, sizeof tests / sizeof tests[0]) : 1;
    chunk_packer_free(packer);
    chunk_opener_free(opener);
    return rv;
}
