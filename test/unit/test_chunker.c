#include "bundles/chunker.h"

#include "base/rng.h"
#include "crypto/digest.h"
#include "test/suite.h"

#include <stdlib.h>

#define STREAM_LEN (8u << 20)
#define CUTS_MAX (STREAM_LEN / CHUNK_MIN + 2)

struct cuts {
    size_t count;
    size_t ends[CUTS_MAX]; /* where each chunk ends; the last one is the stream's end */
};

static uint8_t *random_stream(uint64_t seed, size_t len)
{
    struct rng r = {.state = seed};
    uint8_t *bytes = malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)rng_next(&r);
    return bytes;
}

static void cut_in_pieces(const uint8_t *bytes, size_t len, size_t piece, struct cuts *out)
{
    struct chunker c = {0};
    out->count = 0;
    for (size_t at = 0; at < len;) {
        bool cut;
        size_t offer = len - at < piece ? len - at : piece;
        size_t n = chunker_scan(&c, span_of(bytes + at, offer), &cut);
        at += n;
        if (cut)
            out->ends[out->count++] = at;
        else if (n != offer)
            CU_FAIL_FATAL("without a cut all bytes are taken");
    }
    if (out->count == 0 || out->ends[out->count - 1] != len)
        out->ends[out->count++] = len;
}

/* The published algorithm written down plainly, with a table made here. */
static void cut_by_the_book(const uint8_t *bytes, size_t len, struct cuts *out)
{
    struct rng r = {.state = 0x64756e6c696e};
    uint64_t gear[256];
    for (int i = 0; i < 256; i++)
        gear[i] = rng_next(&r);
    out->count = 0;
    for (size_t start = 0; start < len;) {
        size_t n = 0;
        uint64_t hash = 0;
        for (bool cut = false; start + n < len && !cut;) {
            uint8_t byte = bytes[start + n++];
            if (n <= CHUNK_MIN)
                continue;
            hash = (hash << 1) + gear[byte];
            cut = hash >> (n <= CHUNK_AVERAGE ? 64 - 18 : 64 - 14) == 0 || n == CHUNK_MAX;
        }
        start += n;
        out->ends[out->count++] = start;
    }
}

static bool same_cuts(const struct cuts *a, const struct cuts *b)
{
    return a->count == b->count && memcmp(a->ends, b->ends, a->count * sizeof a->ends[0]) == 0;
}

static void test_cuts_are_those_of_the_published_algorithm(void)
{
    static struct cuts book, ours;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        uint8_t *bytes = random_stream(seed, STREAM_LEN);
        cut_by_the_book(bytes, STREAM_LEN, &book);
        cut_in_pieces(bytes, STREAM_LEN, STREAM_LEN, &ours);
        CU_ASSERT_TRUE(same_cuts(&book, &ours));
        free(bytes);
    }
}

static void test_cuts_are_the_same_whatever_the_pieces(void)
{
    static const size_t pieces[] = {1, 7, 1000, CHUNK_MIN, 65536, CHUNK_MAX + 1};
    static struct cuts whole, pieced;
    uint8_t *bytes = random_stream(4, STREAM_LEN);
    cut_in_pieces(bytes, STREAM_LEN, STREAM_LEN, &whole);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        cut_in_pieces(bytes, STREAM_LEN, pieces[i], &pieced);
        CU_ASSERT_TRUE(same_cuts(&whole, &pieced));
    }
    free(bytes);
}

static void check_lengths(const struct cuts *c)
{
    size_t start = 0;
    for (size_t i = 0; i < c->count; i++) {
        size_t len = c->ends[i] - start;
        CU_ASSERT_TRUE(len <= CHUNK_MAX);
        CU_ASSERT_TRUE(len > CHUNK_MIN || i + 1 == c->count);
        start = c->ends[i];
    }
}

static void test_no_chunk_is_too_short_or_too_long(void)
{
    static struct cuts cuts;
    uint8_t *bytes = random_stream(5, STREAM_LEN);
    cut_in_pieces(bytes, STREAM_LEN, 4096, &cuts);
    check_lengths(&cuts);
    for (unsigned value = 0; value < 256; value += 5) {
        memset(bytes, (int)value, 1 << 20);
        cut_in_pieces(bytes, 1 << 20, 4096, &cuts);
        check_lengths(&cuts);
    }
    free(bytes);
}

static void test_chunks_of_random_bytes_are_near_the_average(void)
{
    static struct cuts cuts;
    uint8_t *bytes = random_stream(6, STREAM_LEN);
    cut_in_pieces(bytes, STREAM_LEN, STREAM_LEN, &cuts);
    size_t average = STREAM_LEN / cuts.count;
    CU_ASSERT_TRUE(average > CHUNK_AVERAGE * 3 / 4);
    CU_ASSERT_TRUE(average < CHUNK_AVERAGE * 3 / 2);
    free(bytes);
}

/* How many chunks of `b` are not among those of `a`. */
static size_t new_chunks(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    static struct cuts old, new;
    static struct digest known[CUTS_MAX];
    cut_in_pieces(a, a_len, a_len, &old);
    cut_in_pieces(b, b_len, b_len, &new);
    for (size_t i = 0, start = 0; i < old.count; start = old.ends[i++])
        known[i] = digest_of(span_of(a + start, old.ends[i] - start));
    size_t count = 0;
    for (size_t i = 0, start = 0; i < new.count; start = new.ends[i++]) {
        struct digest d = digest_of(span_of(b + start, new.ends[i] - start));
        bool found = false;
        for (size_t k = 0; k < old.count && !found; k++)
            found = digest_equal(&d, &known[k]);
        count += !found;
    }
    return count;
}

static void test_edit_in_the_middle_changes_few_chunks(void)
{
    uint8_t *old = random_stream(7, STREAM_LEN);
    uint8_t *new = malloc(STREAM_LEN + 100);
    for (size_t i = 1; i <= 8; i++) {
        size_t at = i * (STREAM_LEN / 9), added = i % 2 ? 100 : 0;
        memcpy(new, old, at);
        memset(new + at, 'x', 100);
        memcpy(new + at + added, old + at, STREAM_LEN - at);
        memset(new + at, 'x', 100);
        size_t count = new_chunks(old, STREAM_LEN, new, STREAM_LEN + added);
        CU_ASSERT_TRUE(count >= 1 && count <= 4);
    }
    free(old);
    free(new);
}

static void test_no_bytes_are_no_cut(void)
{
    struct chunker c = {0};
    bool cut = true;
    CU_ASSERT_EQUAL(chunker_scan(&c, SPAN_NONE, &cut), 0);
    CU_ASSERT_FALSE(cut);
}

static const struct suite_test tests[] = {
    TEST(test_cuts_are_those_of_the_published_algorithm),
    TEST(test_cuts_are_the_same_whatever_the_pieces),
    TEST(test_no_chunk_is_too_short_or_too_long),
    TEST(test_chunks_of_random_bytes_are_near_the_average),
    TEST(test_edit_in_the_middle_changes_few_chunks),
    TEST(test_no_bytes_are_no_cut),
};

SUITE_MAIN("chunker", tests)
