#include "crypto/digest.h"

#include "test/suite.h"

static bool is(struct digest d, const char *hex)
{
    return strcmp(digest_hex(&d).text, hex) == 0;
}

static void test_the_examples_of_the_standard(void)
{
    CU_ASSERT_TRUE(is(digest_of(SPAN_NONE),
                      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    CU_ASSERT_TRUE(is(digest_of(span_text("abc")),
                      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    CU_ASSERT_TRUE(
        is(digest_of(span_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"));
}

static void test_a_million_letters_in_uneven_pieces(void)
{
    uint8_t as[997];
    memset(as, 'a', sizeof as);
    struct digest_stream s;
    digest_start(&s);
    for (size_t left = 1000000; left > 0;) {
        size_t n = left % sizeof as + 1;
        n = n < left ? n : left;
        digest_add(&s, span_of(as, n));
        left -= n;
    }
    CU_ASSERT_TRUE(
        is(digest_end(&s), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
}

static void test_every_cut_gives_the_same_digest(void)
{
    uint8_t data[200];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(7 * i);
    struct digest whole = digest_of(span_of(data, sizeof data));
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        struct digest_stream s, copy;
        digest_start(&s);
        digest_add(&s, span_of(data, cut));
        copy = s; /* it holds no pointers, so a copy goes on by itself */
        digest_add(&s, span_of(data + cut, sizeof data - cut));
        digest_add(&s, SPAN_NONE);
        struct digest d = digest_end(&s);
        CU_ASSERT_TRUE(digest_equal(&d, &whole));
        digest_add(&copy, span_of(data + cut, sizeof data - cut));
        d = digest_end(&copy);
        CU_ASSERT_TRUE(digest_equal(&d, &whole));
    }
}

static void test_a_flipped_bit_makes_another_digest(void)
{
    uint8_t data[100] = {0};
    struct digest before = digest_of(span_of(data, sizeof data));
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] = (uint8_t)(1 << bit % 8);
        struct digest d = digest_of(span_of(data, sizeof data));
        CU_ASSERT_FALSE(digest_equal(&d, &before));
        data[bit / 8] = 0;
    }
}

static void test_equality_looks_at_every_byte(void)
{
    struct digest a = digest_of(span_text("abc")), b = a;
    CU_ASSERT_TRUE(digest_equal(&a, &b));
    for (size_t i = 0; i < DIGEST_LEN; i++) {
        b.bytes[i] ^= 1;
        CU_ASSERT_FALSE(digest_equal(&a, &b));
        b.bytes[i] ^= 1;
    }
}

static void test_only_all_zeroes_are_zero(void)
{
    struct digest d = {0};
    CU_ASSERT_TRUE(digest_is_zero(&d));
    for (size_t i = 0; i < DIGEST_LEN; i++) {
        d.bytes[i] = 0x80;
        CU_ASSERT_FALSE(digest_is_zero(&d));
        d.bytes[i] = 0;
    }
}

static void test_its_text_reads_back_and_no_part_of_it_does(void)
{
    struct digest d = digest_of(span_text("abc")), back;
    struct digest_hex hex = digest_hex(&d);
    CU_ASSERT_EQUAL(digest_parse(hex.text, &back), 0);
    CU_ASSERT_TRUE(digest_equal(&d, &back));
    for (size_t len = 0; len < strlen(hex.text); len++) {
        struct digest_hex part = hex;
        part.text[len] = '\0';
        CU_ASSERT_EQUAL(digest_parse(part.text, &back), ERR_FORMAT);
        part.text[len] = 'g';
        CU_ASSERT_EQUAL(digest_parse(part.text, &back), ERR_FORMAT);
    }
    char longer[70];
    strcpy(longer, hex.text);
    CU_ASSERT_EQUAL(digest_parse(strcat(longer, "0"), &back), ERR_FORMAT);
}

static const struct suite_test tests[] = {
    TEST(test_the_examples_of_the_standard),
    TEST(test_a_million_letters_in_uneven_pieces),
    TEST(test_every_cut_gives_the_same_digest),
    TEST(test_a_flipped_bit_makes_another_digest),
    TEST(test_equality_looks_at_every_byte),
    TEST(test_only_all_zeroes_are_zero),
    TEST(test_its_text_reads_back_and_no_part_of_it_does),
};

SUITE_MAIN("digest", tests)
